/* SPDX-License-Identifier: MIT */

/*
 * Base64.
 */

#include "admin/base64.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
base64_encode(const void *bytes, size_t length)
{
	const unsigned char *from = bytes;
	char *text = xcalloc((length + 2) / 3 * 4 + 1, 1);
	char *to = text;

	for (size_t i = 0; i < length; i += 3) {
		uint32_t group = (uint32_t)from[i] << 16;
		size_t left = length - i;

		if (left > 1)
			group |= (uint32_t)from[i + 1] << 8;
		if (left > 2)
			group |= from[i + 2];
		*to++ = digits[group >> 18];
		*to++ = digits[group >> 12 & 63];
		*to++ = left > 1 ? digits[group >> 6 & 63] : '=';
		*to++ = left > 2 ? digits[group & 63] : '=';
	}
	return text;
}

/* Takes line ends out, and the padding.  Returns false where that is wrong. */
static bool
strip(char *text, size_t *length)
{
	size_t padding = 0;
	size_t used = 0;

	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '\r' || *c == '\n')
			continue;
		if (*c == '=')
			padding++;
		else if (padding > 0)
			return false;
		else
			text[used++] = *c;
	}
	text[used] = '\0';
	*length = used;
	return padding <= 2 && (used + padding) % 4 == 0;
}

char *
base64_decode(const char *text, size_t *length)
{
	char *copy = xstrdup(text);
	size_t digit_count;
	uint32_t group = 0;
	char *bytes;

	*length = 0;
	if (!strip(copy, &digit_count)) {
		free(copy);
		return NULL;
	}
	bytes = xcalloc(digit_count / 4 * 3 + 4, 1);
	for (size_t i = 0; i < digit_count; i++) {
		const char *digit = strchr(digits, copy[i]);

		if (digit == NULL) {
			free(bytes);
			free(copy);
			return NULL;
		}
		group = group << 6 | (uint32_t)(digit - digits);
		if (i % 4 != 0)
			bytes[(*length)++] =
			    (char)(group >> (6 - 2 * (i % 4)) & 255);
	}
	free(copy);
	return bytes;
}
