/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_GLOB_H
#define ACCOUNTING_GLOB_H

/*
 * A pattern in which * stands for anything, and what follows a backslash for
 * itself.  Pure; one may be read by any thread.
 */

#include <stdbool.h>
#include <stddef.h>

struct glob;

/* Returns it made ready.  Free with free(). */
struct glob *glob_new(const char *pattern);

/* Returns a copy, or NULL of NULL.  Free with free(). */
struct glob *glob_copy(const struct glob *glob);

/* Returns whether all of the text is as the pattern says; in a time that grows
 * with the text, whatever the pattern. */
bool glob_matches(const struct glob *glob, const char *text, size_t length);

#endif
