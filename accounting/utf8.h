/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_UTF8_H
#define ACCOUNTING_UTF8_H

/*
 * Strangers' bytes as UTF-8, which JSON, Prometheus and PostgreSQL insist on.
 */

#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define UTF8_REPLACEMENT_POINT 0xfffd

/* Copies the character at *bytes, or U+FFFD for a byte that is none, to *end,
 * and moves both on.  Returns which it is. */
uint32_t utf8_take(const char **bytes, char **end);

/* Returns a copy in which U+FFFD stands for each byte that is none.  Free with
 * free(). */
char *utf8_copy(const char *bytes);

#endif
