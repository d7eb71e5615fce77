/* SPDX-License-Identifier: MIT */
#ifndef CERTS_HINTS_H
#define CERTS_HINTS_H

/*
 * What to type so that a client trusts the authority: shell commands, with
 * the paths of this state directory in them.
 */

#include <stdbool.h>
#include <stdio.h>

/* Absolute paths; borrowed for the call. */
struct hint_places {
	const char *ca;         /* our certificate alone, PEM */
	const char *bundle;     /* the system's roots and ours, PEM */
	const char *truststore; /* the same for Java, PKCS #12 */
};

/* Whether there are hints of that name. */
bool hints_know(const char *name);

/* Prints all names, ", " between them. */
void hints_print_names(FILE *out);

/*
 * Prints the hints of a name that is known, or with NULL all: scripts for
 * sh, in which what is to be read and how to undo it are comments.  Whether
 * it could be written is for the caller to ask `out`.
 */
void hints_print(FILE *out, const struct hint_places *places, const char *name);

#endif
