/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_REDACT_H
#define ACCOUNTING_REDACT_H

/*
 * What must not reach memory that is exported (DESIGN §6).  Pure.
 */

/* Returns `url` with its user information dropped and the values of query
 * parameters that carry a signature or a secret replaced by "REDACTED".  Free
 * with free(). */
char *redact_url(const char *url);

#endif
