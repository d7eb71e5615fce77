/* SPDX-License-Identifier: MIT */
#ifndef PROXY_BASE_TOKEN_H
#define PROXY_BASE_TOKEN_H

/*
 * The bearer token of the admin: read from a file, and compared.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/units.h"

#define TOKEN_MIN_BYTES 16
#define TOKEN_MAX_BYTES 512

/*
 * Returns the token in the first line of the file, without the white space
 * around it; free with free().  Returns NULL, with what is wrong and the
 * remedy in `why`, where it cannot be read, or is no b68token (RFC 6750 §2.1)
 * within the bounds above.  What the file holds is never quoted.
 */
char *token_read_file(const char *path, char *why, size_t why_size) MUST_CHECK;

/* Returns whether others than its owner may read or write the file. */
bool token_is_exposed(const char *path);

/* Returns whether an Authorization field (NULL: none) has the token.  The
 * time that takes depends on the length of the field and on nothing else. */
bool token_matches(const char *token, const char *authorization);

#endif
