/* SPDX-License-Identifier: MIT */

#include "accounting/utf8.h"

#include <stddef.h>
#include <string.h>

#include "accounting/memory.h"

/*
 * Reads the character at `at`.  Returns its length in bytes, or 0 where the
 * bytes are not well-formed UTF-8 (Unicode 15, table 3-7): overlong forms,
 * surrogates and what lies above U+10FFFF are not.
 */
static size_t
decode(const char *at, uint32_t *point)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)at[0];
	uint32_t value;
	size_t length;

	if (first < 0x80) {
		*point = first;
		return 1;
	}
	if (first < 0xc2 || first > 0xf4)
		return 0;
	length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	value = first & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		unsigned char next = (unsigned char)at[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (next & 0x3fu);
	}
	if (value < smallest[length] || value > 0x10ffff ||
	    (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*point = value;
	return length;
}

uint32_t
utf8_take(const char **bytes, char **end)
{
	uint32_t point = UTF8_REPLACEMENT_POINT;
	size_t length = decode(*bytes, &point);

	if (length == 0) {
		*end = stpcpy(*end, UTF8_REPLACEMENT);
		++*bytes;
	} else {
		*end = mempcpy(*end, *bytes, length);
		*bytes += length;
	}
	return point;
}

char *
utf8_copy(const char *bytes)
{
	char *text = xcalloc(strlen(bytes) + 1, sizeof(UTF8_REPLACEMENT));
	char *end = text;

	while (*bytes != '\0')
		(void)utf8_take(&bytes, &end);
	*end++ = '\0';
	return xreallocarray(text, (size_t)(end - text), 1);
}
