/* SPDX-License-Identifier: MIT */

/*
 * Text that grows.
 */

#include "proxy/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

#define FIRST_BYTES 512

void
text_make_room(struct text *text, size_t length)
{
	size_t size = text->size == 0 ? FIRST_BYTES : text->size;

	while (size - text->length < length)
		size *= 2;
	text->bytes = xreallocarray(text->bytes, size, 1);
	text->size = size;
}

void
text_add_number(struct text *text, uint64_t number)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	text_add(text, digits + at, sizeof(digits) - at);
}

void
text_addf(struct text *text, const char *format, ...)
{
	va_list args;
	char *string;

	va_start(args, format);
	if (vasprintf(&string, format, args) < 0)
		abort();
	va_end(args);
	text_add_string(text, string);
	free(string);
}

void
text_add_field(struct text *text, const char *name, const char *value)
{
	text_add_string(text, name);
	text_add(text, ": ", 2);
	text_add_string(text, value);
	text_add(text, "\r\n", 2);
}

void
text_clear(struct text *text)
{
	text->length = 0;
}

void
text_fini(struct text *text)
{
	free(text->bytes);
	*text = (struct text){0};
}
