/* SPDX-License-Identifier: MIT */
#ifndef PROXY_USAGE_H
#define PROXY_USAGE_H

/*
 * What --help and --version print (to stdout), the commands in words, and
 * guesses at what a misspelt word was to be.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/options.h"

void usage_print(void);
void usage_print_command(enum command command);
void usage_print_version(void);

struct command_row {
	const char *word;
	const char *synopsis;
	const char *summary; /* one line */
	const char *story;   /* the next, too: whole lines */
	const char *example;
	const char *exit_statuses;
};

/* Static. */
const struct command_row *usage_command(enum command command);
const char *usage_command_word(enum command command);
bool usage_find_command(const char *word, enum command *command) MUST_CHECK;

/* Returns the nearest name, or NULL where none is near; static.  `name` need
 * not be terminated. */
const char *usage_nearest_command(const char *word);
const char *usage_nearest_option(
    enum command command, const char *name, size_t name_length);

#endif
