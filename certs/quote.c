/* SPDX-License-Identifier: MIT */

/*
 * Single quotes, in which nothing has a meaning, and double ones around a
 * single one: a JVM, which takes quotes off as a shell does, knows no
 * backslash.
 */

#include "certs/quote.h"

#include <string.h>

/* They mean nothing to a shell, wherever they stand. */
#define PLAIN_CHARACTERS                                                 \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
	"@%+:,./_-"

void
quote_put(FILE *out, const char *text)
{
	if (*text != '\0' && text[strspn(text, PLAIN_CHARACTERS)] == '\0') {
		fputs(text, out);
		return;
	}
	putc('\'', out);
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\"'\"'", out);
		else
			putc(*text, out);
	}
	putc('\'', out);
}
