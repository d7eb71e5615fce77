/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_ADVICE_H
#define ADMIN_ADVICE_H

/*
 * What to look for in the code of a caller that leaks: each library has its
 * own way of letting go of a response, and its User-Agent tells which one it
 * is.  Pure.
 */

/* Returns a sentence for the caller with this User-Agent (NULL: unknown),
 * never NULL. */
const char *advice_of(const char *user_agent);

/* Returns a sentence for the path that a response with this status takes, or
 * NULL: an error, a redirect or a challenge leaves by another than success
 * does. */
const char *advice_of_status(int status);

#endif
