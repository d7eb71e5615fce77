/* SPDX-License-Identifier: MIT */
#ifndef PROXY_OPTION_POLICY_H
#define PROXY_OPTION_POLICY_H

/*
 * Options that fill the policy: values on the command line stay, files that
 * they name (@FILE) can be read again.  The main thread.
 */

#include "proxy/option_read.h"
#include "proxy/option_table.h"
#include "proxy/policy.h"

#define OPTION_POLICY_ERROR_BYTES 600

/* One value as it was given. */
struct policy_word {
	const struct option_row *row; /* static */
	char *text;                   /* owned */
};

/* Reads the value of a row of kind OPTION_RELOADED, or the file that it names,
 * and keeps the text.  Returns false with what is wrong in `why`. */
bool option_policy_read(const struct option_row *row, struct options *options,
    const char *text, char why[OPTION_WHY_BYTES]) MUST_CHECK;

/* Returns a new policy by the same values, their files and the upstream roots
 * read anew; NULL with one line in `error`.  Free with policy_unref(). */
struct policy *option_policy_again(
    const struct options *options, char error[OPTION_POLICY_ERROR_BYTES]);

/* For options_free(). */
void option_policy_fini(struct options *options);

#endif
