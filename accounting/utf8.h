/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_UTF8_H
#define ACCOUNTING_UTF8_H

/*
 * Strangers' bytes as UTF-8, which JSON, Prometheus and PostgreSQL insist on.
 */

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Reads the character at `at`.  Returns its length in bytes, or 0 where the
 * bytes are not well-formed UTF-8 (Unicode 15, table 3-7): overlong forms,
 * surrogates and what lies above U+10FFFF are not.
 */
size_t utf8_decode(const char *at, uint32_t *point);

/* Returns a copy in which U+FFFD stands for each byte that is none.  Free with
 * free(). */
char *utf8_copy(const char *bytes);

#endif
