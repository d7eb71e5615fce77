/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_MEMORY_H
#define ACCOUNTING_MEMORY_H

/*
 * Allocation for small, bounded things.  Each function aborts when memory is
 * out: a tested crash beats an untested recovery.  Free with free().
 */

#include <stddef.h>

void *xmalloc(size_t size); /* not cleared */
void *xcalloc(size_t count, size_t size);
void *xreallocarray(void *old, size_t count, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length);

/* Like xstrdup(), but NULL stays NULL. */
char *xstrdup_or_null(const char *text);

char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
