/* SPDX-License-Identifier: MIT */
#ifndef PROXY_UPGRADE_H
#define PROXY_UPGRADE_H

/*
 * Upgrade (RFC 9110 §7.8): what a caller may ask an origin for, and whether a
 * 101 is the answer to it.  Pure.
 */

#include <stdbool.h>

#include "proxy/head.h"
#include "proxy/text.h"

/* Whether the request asks for a protocol that we pass on. */
bool upgrade_is_asked(const struct head *request);

/* Whether a 101 switches to protocols that the request asked for, and to
 * nothing else. */
bool upgrade_is_granted(
    const struct head *request, const struct head *response);

/* Adds Connection and Upgrade with the head's protocols, as far as they may
 * pass; nothing where there is none. */
void upgrade_write(const struct head *head, struct text *out);

#endif
