/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SPAN_H
#define ACCOUNTING_SPAN_H

/*
 * A piece of a text that somebody else owns; not NUL-terminated.
 */

#include <stddef.h>

struct span {
	const char *at;
	size_t length;
};

#endif
