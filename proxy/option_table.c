/* SPDX-License-Identifier: MIT */

/*
 * The rows of options.def.
 */

#include "proxy/option_table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

#define SERVE (1u << COMMAND_SERVE)
#define EXEC (1u << COMMAND_EXEC)
#define REPORT (1u << COMMAND_REPORT)
#define TOP (1u << COMMAND_TOP)
#define CA (1u << COMMAND_CA)
#define REPLAY (1u << COMMAND_REPLAY)
#define SELFTEST (1u << COMMAND_SELFTEST)
#define RUNS (1u << COMMAND_RUNS)
#define COMPARE (1u << COMMAND_COMPARE)
#define REDIRECT_RULES (1u << COMMAND_REDIRECT_RULES)
#define ANY                                                             \
	(SERVE | EXEC | REPORT | TOP | CA | SELFTEST | RUNS | COMPARE | \
	    REDIRECT_RULES | REPLAY)

static const struct option_row rows[] = {
#define OPTION(name_, short_, value_, kind_, commands_, standard_, exec_, \
    read_, field_, help_)                                                 \
	{.name = name_,                                                   \
	    .short_name = short_,                                         \
	    .value_name = value_,                                         \
	    .kind = OPTION_##kind_,                                       \
	    .commands = commands_,                                        \
	    .standard = standard_,                                        \
	    .exec_standard = exec_,                                       \
	    .read = read_,                                                \
	    .field_offset = offsetof(struct options, field_),             \
	    .help = help_},
#include "proxy/options.def"
#undef OPTION
};

size_t
option_table_count(void)
{
	return COUNT_OF(rows);
}

const struct option_row *
option_table_row(size_t i)
{
	return &rows[i];
}

size_t
option_table_find(const char *name, size_t name_length)
{
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		if (strncmp(rows[i].name, name, name_length) == 0 &&
		    rows[i].name[name_length] == '\0')
			break;
	}
	return i;
}

size_t
option_table_find_short(char short_name)
{
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		if (short_name != '\0' && rows[i].short_name == short_name)
			break;
	}
	return i;
}

bool
option_table_takes(enum command command, const struct option_row *row)
{
	return (row->commands & (1u << command)) != 0;
}

bool
option_table_asks(enum command command)
{
	return command == COMMAND_REPORT || command == COMMAND_TOP ||
	    command == COMMAND_SELFTEST;
}

const char *
option_table_standard(enum command command, const struct option_row *row)
{
	/* An origin that is replayed stands beside a proxy, too. */
	if ((command == COMMAND_EXEC || command == COMMAND_REPLAY) &&
	    row->exec_standard != NULL)
		return row->exec_standard;
	return row->standard;
}

void
option_table_environment_name(
    const struct option_row *row, char name[OPTION_ENVIRONMENT_BYTES])
{
	snprintf(name, OPTION_ENVIRONMENT_BYTES, "LEAKPROXY_%s", row->name);
	for (char *at = name; *at != '\0'; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

bool
option_table_read(const struct option_row *row, struct options *options,
    const char *text, char why[OPTION_WHY_BYTES])
{
	return row->read(
	    options, (char *)options + row->field_offset, text, why);
}
