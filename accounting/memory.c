/* SPDX-License-Identifier: MIT */

/*
 * Allocation that cannot fail.
 */

#include "accounting/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What that cache takes (tcache_max). */
#define CACHED_BYTES 1032

static void *
or_abort(void *memory)
{
	if (memory == NULL) {
		fputs("leakproxy: out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *
xmalloc(size_t size)
{
	return or_abort(malloc(size));
}

/*
 * The usual objects come from malloc(), for calloc() passes the thread's cache
 * by in glibc before 2.41: a fifth of all allocation's cost.  What is large
 * calloc() may get from the kernel, which has cleared it.
 */
void *
xcalloc(size_t count, size_t size)
{
	size_t total;
	void *memory;

	if (__builtin_mul_overflow(count, size, &total) ||
	    total > CACHED_BYTES || total == 0)
		return or_abort(calloc(count, size));
	memory = or_abort(malloc(total));
	/* Not memset(), of which and malloc() gcc would make calloc() again. */
	explicit_bzero(memory, total);
	return memory;
}

void *
xreallocarray(void *old, size_t count, size_t size)
{
	return or_abort(reallocarray(old, count, size));
}

char *
xstrdup(const char *text)
{
	return or_abort(strdup(text));
}

char *
xstrndup(const char *text, size_t length)
{
	return or_abort(strndup(text, length));
}

char *
xstrdup_or_null(const char *text)
{
	return text == NULL ? NULL : xstrdup(text);
}

char *
xasprintf(const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	return or_abort(length < 0 ? NULL : text);
}
