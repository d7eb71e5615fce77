/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_REDACT_H
#define ACCOUNTING_REDACT_H

/*
 * What must not reach memory that is exported (DESIGN §6).  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

struct secrets;

/* Returns `url` with its user information dropped and the values of query
 * parameters that carry a signature or a secret replaced by "REDACTED".  Free
 * with free(). */
char *redact_url(const char *url);

/* Returns whether redact_url() and redact_url_of() leave it as it is, at the
 * first glance: most URLs have nothing that could be a secret. */
bool redact_url_is_plain(const char *url);

/* The same as redact_url(), with the names in `secrets` beside those built
 * in. */
char *redact_url_of(const struct secrets *secrets, const char *url);

/*
 * Returns a process's arguments (`length` bytes with a NUL between each) as
 * one line, the values of options with a secret's name redacted:
 * "--token=REDACTED", "--password REDACTED", and URLs as redact_url() does.
 * Free with free().
 */
char *redact_command_line(const char *arguments, size_t length);

#endif
