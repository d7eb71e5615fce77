/* SPDX-License-Identifier: MIT */
#ifndef PROXY_MAXFORWARDS_H
#define PROXY_MAXFORWARDS_H

/*
 * Max-Forwards on TRACE and OPTIONS (RFC 9110 §7.6.2): how far the request may
 * go, and our answer where it goes no further.  Pure.
 */

#include <stdint.h>

#include "proxy/head.h"
#include "proxy/text.h"

enum max_forwards {
	MAX_FORWARDS_NONE, /* no limit, or a method that has none */
	MAX_FORWARDS_LEFT, /* it goes on, with a limit of its own */
	MAX_FORWARDS_HERE, /* we are the last: maxforwards_answer() */
	MAX_FORWARDS_BAD,  /* no number, or more than one */
};

/* *left is what to send on, where it goes on. */
enum max_forwards maxforwards_read(const struct head *request, int64_t *left);

/* Writes our answer to a request that ends here; it says close. */
void maxforwards_answer(const struct head *request, struct text *out);

#endif
