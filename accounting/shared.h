/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SHARED_H
#define ACCOUNTING_SHARED_H

/*
 * Texts that thousands of records have in common, each there once.  They are
 * plain strings to whoever reads them.  The count of their references lies
 * before them and is not atomic: they belong to one thread.
 */

#include <stdbool.h>

#include "accounting/span.h"

/* Returns a text with one reference; give it back with shared_unref(). */
char *shared_new(struct span text);

/* Returns the same, with one reference more. */
char *shared_ref(char *text);

/* Of NULL too.  *text is NULL then. */
void shared_unref(char **text);

/* Whether this is what the text, or NULL, says. */
bool shared_says(const char *text, struct span span);

#endif
