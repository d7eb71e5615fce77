/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SECRETS_H
#define ACCOUNTING_SECRETS_H

/*
 * Which names have values that are nobody's business: of parameters, header
 * fields and command-line options.  Pure; read-only once it is filled.
 */

#include <stdbool.h>
#include <stddef.h>

/* Whoever reads it knows that something was there. */
#define SECRETS_REPLACEMENT "REDACTED"

/* Patterns beside the words that are built in. */
struct secrets;

/* Free with secrets_free(). */
struct secrets *secrets_new(void);
void secrets_free(struct secrets *secrets);

/* Adds a pattern: a whole name, without case, in which "*" stands for any
 * characters. */
void secrets_add(struct secrets *secrets, const char *pattern);

/* Returns whether there are any; false for NULL. */
bool secrets_has_patterns(const struct secrets *secrets);

/* Returns whether `name`, which need not be terminated, is a secret's.
 * `secrets` may be NULL: the words that are built in are always looked for. */
bool secrets_has(
    const struct secrets *secrets, const char *name, size_t length);

#endif
