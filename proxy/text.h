/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TEXT_H
#define PROXY_TEXT_H

/*
 * Text that grows: message heads are written into one.  Embedded by value;
 * all zero is empty.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "accounting/units.h"
#include "proxy/head.h"

struct text {
	char *bytes; /* owned; not NUL-terminated */
	size_t length;
	size_t size;
};

/* Makes room for at least so many bytes more. */
void text_make_room(struct text *text, size_t length);

/* Those below that are inline write what every head has. */

/* Adds `length` bytes for the caller to fill in; borrowed until the next
 * call. */
static inline char *
text_grow(struct text *text, size_t length)
{
	char *start;

	if (text->size - text->length < length)
		text_make_room(text, length);
	start = text->bytes + text->length;
	text->length += length;
	return start;
}

static inline void
text_add(struct text *text, const void *bytes, size_t length)
{
	/* An empty span may have no bytes to point at. */
	if (length > 0)
		memcpy(text_grow(text, length), bytes, length);
}

static inline void
text_add_string(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

static inline void
text_add_span(struct text *text, struct span span)
{
	text_add(text, span.at, span.length);
}

/* Adds decimal digits; text_addf() costs some 1000 instructions more. */
void text_add_number(struct text *text, uint64_t number);

void text_addf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds "Name: value" and a line end. */
void text_add_field(struct text *text, const char *name, const char *value);

/* Empties, and keeps the memory. */
void text_clear(struct text *text);
void text_fini(struct text *text);

#endif
