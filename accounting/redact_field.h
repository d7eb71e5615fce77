/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_REDACT_FIELD_H
#define ACCOUNTING_REDACT_FIELD_H

/*
 * Header fields without their secrets: what says which request it was stays,
 * and what would let somebody else repeat it goes.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

struct secrets;

/* A piece of a head; need not be terminated, has no NUL inside. */
struct redact_text {
	const char *at;
	size_t length;
};

/* Returns whether fields of that name have no value that anybody may see as it
 * is. */
bool redact_field_is_secret(
    const struct secrets *secrets, struct redact_text name);

/*
 * Returns what is to stand in place of the field's value, or NULL where it may
 * stay as it is.  `secrets` may be NULL: names beside those built in.  Free
 * with free().
 */
char *redact_field(const struct secrets *secrets, struct redact_text name,
    struct redact_text value);

/* The same, for a field whose name is known to be no secret's. */
char *redact_field_value(
    const struct secrets *secrets, struct redact_text value);

#endif
