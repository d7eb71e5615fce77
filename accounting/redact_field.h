/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_REDACT_FIELD_H
#define ACCOUNTING_REDACT_FIELD_H

/*
 * Header fields without their secrets: what says which request it was stays,
 * and what would let somebody else repeat it goes.  Pure.  No text
 * has a NUL inside.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/span.h"

struct secrets;

/* Returns whether fields of that name have no value that anybody may see as it
 * is. */
bool redact_field_is_secret(const struct secrets *secrets, struct span name);

/*
 * Returns what is to stand in place of the field's value, or NULL where it may
 * stay as it is.  `secrets` may be NULL: names beside those built in.  Free
 * with free().
 */
char *redact_field(
    const struct secrets *secrets, struct span name, struct span value);

/* Returns whether redact_field_value() leaves every piece of this text as it
 * is, without a look at where one ends. */
bool redact_field_is_plain(struct span text);

/* The same as redact_field(), for a field whose name is known to be no
 * secret's. */
char *redact_field_value(const struct secrets *secrets, struct span value);

#endif
