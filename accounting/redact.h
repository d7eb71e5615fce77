/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_REDACT_H
#define ACCOUNTING_REDACT_H

/*
 * What must not reach memory that is exported (DESIGN §6).  Pure.
 */

#include <stddef.h>

/* Returns `url` with its user information dropped and the values of query
 * parameters that carry a signature or a secret replaced by "REDACTED".  Free
 * with free(). */
char *redact_url(const char *url);

/*
 * Returns a process's arguments (`length` bytes with a NUL between each) as
 * one line, the values of options with a secret's name redacted:
 * "--token=REDACTED", "--password REDACTED", and URLs as redact_url() does.
 * Free with free().
 */
char *redact_command_line(const char *arguments, size_t length);

#endif
