/* SPDX-License-Identifier: MIT */

/*
 * Fills in the manual page and the shell's completion: what stands for @NAMES@
 * and the like in the template on stdin comes out of the tables that --help is
 * made of.  Runs when the program is installed; no part of it.
 *
 *     pages <leakproxy.1.in >leakproxy.1
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/option_table.h"
#include "proxy/usage.h"

/* ---- the manual page ---- */

/* Text as roff takes it. */
static void
print_roff(const char *text)
{
	bool is_at_start = true;

	for (; *text != '\0'; text++) {
		if (is_at_start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
		is_at_start = *text == '\n';
	}
}

/* Lines as they are, without the two spaces before them. */
static void
print_example(const char *text)
{
	fputs(".PP\n.nf\n", stdout);
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");
		char *line = strndup(text, length);

		if (line == NULL)
			abort();
		print_roff(strncmp(line, "  ", 2) == 0 ? line + 2 : line);
		putchar('\n');
		free(line);
		text += length + (text[length] == '\n');
	}
	fputs(".fi\n", stdout);
}

static void
print_synopses(void)
{
	for (int i = COMMAND_SERVE; i <= COMMAND_REPLAY; i++) {
		print_roff(usage_command((enum command)i)->synopsis);
		fputs(i == COMMAND_REPLAY ? "\n" : "\n.br\n", stdout);
	}
}

static void
print_commands(void)
{
	for (int i = COMMAND_SERVE; i <= COMMAND_REPLAY; i++) {
		const struct command_row *row = usage_command((enum command)i);

		fputs(".SS ", stdout);
		print_roff(row->word);
		putchar('\n');
		print_roff(row->story);
		fputs(".PP\nExample:\n", stdout);
		print_example(row->example);
		fputs(".PP\nExit status:\n", stdout);
		print_example(row->exit_statuses);
	}
}

/* "For serve, exec" */
static void
print_takers(const struct option_row *row)
{
	const char *before = "For ";

	for (int i = COMMAND_SERVE; i <= COMMAND_REPLAY; i++) {
		if (!option_table_takes((enum command)i, row))
			continue;
		printf("%s%s", before, usage_command_word((enum command)i));
		before = ", ";
	}
}

static void
print_option(const struct option_row *row)
{
	const char *standard = row->kind == OPTION_FLAG ? NULL : row->standard;
	char name[OPTION_ENVIRONMENT_BYTES];

	fputs(".TP\n.B ", stdout);
	print_roff("--");
	print_roff(row->name);
	if (row->short_name != '\0')
		printf(", \\-%c", row->short_name);
	if (row->value_name != NULL) {
		fputs(" \\fI", stdout);
		print_roff(row->value_name);
		fputs("\\fR", stdout);
	}
	putchar('\n');
	print_roff(row->help);
	fputs(".\n", stdout);
	print_takers(row);
	if (standard != NULL) {
		fputs("; default ", stdout);
		print_roff(standard);
	}
	if (standard != NULL && row->exec_standard != NULL) {
		fputs(", exec: ", stdout);
		print_roff(row->exec_standard);
	}
	if (row->read != NULL) {
		option_table_environment_name(row, name);
		printf("; %s", name);
	}
	fputs(".\n", stdout);
}

static void
print_options(void)
{
	for (size_t i = 0; i < option_table_count(); i++)
		print_option(option_table_row(i));
}

/* ---- the completion ---- */

static void
print_words(void)
{
	fputs("\t\tnames='--help --version", stdout);
	for (int i = COMMAND_SERVE; i <= COMMAND_REPLAY; i++)
		printf(" %s", usage_command_word((enum command)i));
	fputs("'\n", stdout);
}

static void
print_names(void)
{
	for (int c = COMMAND_SERVE; c <= COMMAND_REPLAY; c++) {
		enum command command = (enum command)c;

		printf("\t%s) names='", usage_command_word(command));
		for (size_t i = 0; i < option_table_count(); i++) {
			const struct option_row *row = option_table_row(i);

			if (option_table_takes(command, row))
				printf("--%s ", row->name);
		}
		fputs("' ;;\n", stdout);
	}
}

/* What a value is: FILE, DIR, on|off, or else something to be typed. */
static void
print_values(void)
{
	for (size_t i = 0; i < option_table_count(); i++) {
		const struct option_row *row = option_table_row(i);

		if (row->value_name != NULL)
			printf("\t--%s) value='%s' ;;\n", row->name,
			    row->value_name);
	}
}

/* ---- the template ---- */

static const struct part {
	const char *line;
	void (*print)(void);
} parts[] = {
    {"@SYNOPSES@\n", print_synopses},
    {"@COMMANDS@\n", print_commands},
    {"@OPTIONS@\n", print_options},
    {"@WORDS@\n", print_words},
    {"@NAMES@\n", print_names},
    {"@VALUES@\n", print_values},
};

static void
print_line(const char *line)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(line, parts[i].line) == 0) {
			parts[i].print();
			return;
		}
	}
	fputs(line, stdout);
}

int
main(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) >= 0)
		print_line(line);
	free(line);
	return ferror(stdin) || fflush(stdout) != 0 ? 1 : 0;
}
