/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_BASE64_H
#define ADMIN_BASE64_H

/*
 * Base64 (RFC 4648 §4), for bodies that are no text.  Pure.
 */

#include <stddef.h>

#include "accounting/units.h"

/* Returns text; free with free(). */
char *base64_encode(const void *bytes, size_t length);

/* Returns *length bytes and a NUL, or NULL where the text is no base64.  Line
 * ends are passed over.  Free with free(). */
char *base64_decode(const char *text, size_t *length) MUST_CHECK;

#endif
