/* SPDX-License-Identifier: MIT */
#ifndef PROXY_OPTION_TABLE_H
#define PROXY_OPTION_TABLE_H

/*
 * The rows of options.def, and how a value is read into struct options.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/option_read.h"
#include "proxy/options.h"

#define OPTION_ENVIRONMENT_BYTES 64

enum option_kind {
	OPTION_ONCE,     /* the last one given counts */
	OPTION_LIST,     /* repeatable; comma-separated in the environment */
	OPTION_RELOADED, /* a list; @FILE has a value a line, read anew at
			    SIGHUP */
	OPTION_FLAG,     /* takes no value, or =on and =off */
	OPTION_HELP,
	OPTION_VERSION,
};

struct option_row {
	const char *name;       /* without its dashes */
	char short_name;        /* 0: none */
	const char *value_name; /* NULL: takes none */
	enum option_kind kind;
	unsigned commands; /* a bit for each, 1 << enum command */
	const char *standard;
	const char *exec_standard; /* NULL: as `standard` */
	option_reader *read;
	size_t field_offset;
	const char *help;
};

size_t option_table_count(void);
const struct option_row *option_table_row(size_t i);

/* Returns the row's number, or option_table_count() where there is none.
 * `name` need not be terminated. */
size_t option_table_find(const char *name, size_t name_length);
size_t option_table_find_short(char short_name);

bool option_table_takes(enum command command, const struct option_row *row);

/* Whether the command asks a proxy that runs, at --admin. */
bool option_table_asks(enum command command);

/* The default for the command, or NULL. */
const char *option_table_standard(
    enum command command, const struct option_row *row);

/* Writes "LEAKPROXY_STALL_AFTER". */
void option_table_environment_name(
    const struct option_row *row, char name[OPTION_ENVIRONMENT_BYTES]);

bool option_table_read(const struct option_row *row, struct options *options,
    const char *text, char why[OPTION_WHY_BYTES]) MUST_CHECK;

#endif
