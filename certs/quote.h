/* SPDX-License-Identifier: MIT */
#ifndef CERTS_QUOTE_H
#define CERTS_QUOTE_H

/*
 * A text as one word, to a POSIX shell and to a JVM's option variables.
 */

#include <stdio.h>

/* Puts `text` in quotes where it needs some. */
void quote_put(FILE *out, const char *text);

#endif
