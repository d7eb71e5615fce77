/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SAME_H
#define ACCOUNTING_SAME_H

/*
 * Texts of records, which may be NULL: not known.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Whether both say the same, or both nothing. */
static inline bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

#endif
