/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_TEXT_H
#define ADMIN_TEXT_H

/*
 * Strings that strangers chose, made fit to be shown; and numbers as people
 * read them.  Pure.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "accounting/units.h"

/*
 * Returns `bytes` as a terminal may have it: valid UTF-8, with control
 * characters and those that turn the direction of text written as "\x1b" and
 * "\u202e".  Free with free().
 */
char *text_visible(const char *bytes);

/* Returns how many columns valid UTF-8 takes, a column a character. */
size_t text_columns(const char *utf8);

/* Returns `utf8` in at most `columns` columns, its middle replaced by an
 * ellipsis where it is longer.  Free with free(). */
char *text_shorten(const char *utf8, size_t columns);

/* Cuts `utf8` to at most `max_bytes`, never inside a character. */
void text_cut(char *utf8, size_t max_bytes);

#define TEXT_NUMBER_BYTES 48

/* "2026-11-24T02:03:04.567Z" */
void text_timestamp(wall_us at, char text[TEXT_NUMBER_BYTES]);

/* "157 B", "1.2 MiB" */
void text_bytes(int64_t bytes, char text[TEXT_NUMBER_BYTES]);

/* "0.4 s", "31 s", "12 min", "3 h 5 min", "2 d 7 h" */
void text_duration(int64_t us, char text[TEXT_NUMBER_BYTES]);

/* "~1390 per hour": three digits, which is more than it is worth already. */
void text_rate(
    uint64_t count, int64_t observed_us, char text[TEXT_NUMBER_BYTES]);

/* How many digits the number has. */
int text_digits(uint64_t number);

/* "" for one, "s" for more or none. */
const char *text_plural(uint64_t count);

/* Returns "demo (pid 4242) at 127.0.0.1", or as much of it as is known.  Free
 * with free(). */
char *text_caller(const char *command, pid_t pid, const char *host);

#endif
