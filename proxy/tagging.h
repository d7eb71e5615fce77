/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TAGGING_H
#define PROXY_TAGGING_H

/*
 * Tags out of a request head: Leakproxy-Tag, the headers that --tag-header
 * names, and the user name of Proxy-Authorization: Basic.  Pure.
 */

#include <stddef.h>

#include "accounting/tag.h"
#include "proxy/head.h"
#include "proxy/options.h"

/* Adds the head's tags to *tags, over those of the same name.  Returns how
 * many fields were malformed or beyond the bounds, and left out. */
size_t tagging_read(
    const struct head *head, const struct options *options, struct tags *tags);

#endif
