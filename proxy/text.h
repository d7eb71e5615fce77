/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TEXT_H
#define PROXY_TEXT_H

/*
 * Text that grows: message heads are written into one.  Embedded by value;
 * all zero is empty.
 */

#include <stddef.h>
#include <stdint.h>

#include "accounting/units.h"
#include "proxy/head.h"

struct text {
	char *bytes; /* owned; not NUL-terminated */
	size_t length;
	size_t size;
};

/* Adds `length` bytes, at least one, for the caller to fill in; borrowed until
 * the next call. */
char *text_grow(struct text *text, size_t length);

void text_add(struct text *text, const void *bytes, size_t length);
void text_add_string(struct text *text, const char *string);
void text_add_span(struct text *text, struct span span);

/* Adds decimal digits; text_addf() costs some 1000 instructions more, which
 * counts in what every head has. */
void text_add_number(struct text *text, uint64_t number);

void text_addf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds "Name: value" and a line end. */
void text_add_field(struct text *text, const char *name, const char *value);

/* Empties, and keeps the memory. */
void text_clear(struct text *text);
void text_fini(struct text *text);

#endif
