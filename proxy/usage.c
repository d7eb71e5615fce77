/* SPDX-License-Identifier: MIT */

/*
 * What --help prints, from the option table, at 80 columns.
 */

#include "proxy/usage.h"

#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "proxy/option_table.h"

#define PAGE_COLUMNS 80
#define HELP_COLUMN 28
#define MAX_NAME_BYTES 32
#define HELP_BYTES 512
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static const char success_or_mistake[] =
    "  0  done\n"
    "  2  a mistake in options or environment, or it could not be done;\n"
    "     one line on stderr says what and how to mend it\n";

static const char options_heading[] =
    "Options (each also in the environment: --state-dir is "
    "LEAKPROXY_STATE_DIR;\n"
    "repeatable ones there with commas between their values):\n";

static const struct command_row commands[] = {
    [COMMAND_SERVE] =
	{
	    .word = "serve",
	    .synopsis = "leakproxy serve [options]",
	    .summary = "run the proxy until SIGTERM or SIGINT",
	    .story =
		"Runs the proxy until SIGTERM or SIGINT.  Point clients at it "
		"by\n"
		"HTTP_PROXY and HTTPS_PROXY, and have them trust ca.pem.\n",
	    .example =
		"  leakproxy serve --listen 127.0.0.1:8080 --stall-after 10s\n",
	    .exit_statuses = success_or_mistake,
	},
    [COMMAND_EXEC] =
	{
	    .word = "exec",
	    .synopsis = "leakproxy exec [options] [--] COMMAND [ARGUMENT...]",
	    .summary = "run a command behind the proxy, then report",
	    .story = "Runs COMMAND with proxy and trust set in its "
		     "environment, then\n"
		     "prints which responses it never drained.\n",
	    .example = "  leakproxy exec --strict --leak-exit-code 99 -- go "
		       "test ./...\n",
	    .exit_statuses =
		"  COMMAND's own, 128+N where signal N ended it\n"
		"  126, 127  COMMAND cannot be run, is not found\n"
		"  --leak-exit-code's, where COMMAND succeeded and leaks\n"
		"  2  a mistake in options or environment\n",
	},
    [COMMAND_REPORT] =
	{
	    .word = "report",
	    .synopsis = "leakproxy report [options]",
	    .summary = "print what a running proxy has found",
	    .story = "Asks the proxy that runs at --admin for its report.\n",
	    .example = "  leakproxy report --admin 127.0.0.1:9901 --json\n",
	    .exit_statuses = success_or_mistake,
	},
    [COMMAND_TOP] =
	{
	    .word = "top",
	    .synopsis = "leakproxy top [options]",
	    .summary = "watch a running proxy in the terminal",
	    .story =
		"Draws what the proxy at --admin has found, again and again: "
		"in place on a\n"
		"terminal, one picture below the other into a pipe.  Keys: q "
		"quits, j and k\n"
		"scroll through the leaks.\n",
	    .example = "  leakproxy top -n 1 | less\n",
	    .exit_statuses =
		"  0  ended by q, a signal, or --count\n"
		"  2  a mistake in options or environment, or the proxy did "
		"not answer at\n"
		"     last; what it shows says why\n",
	},
    [COMMAND_CA] =
	{
	    .word = "ca",
	    .synopsis = "leakproxy ca [options] [install-hints [WHAT]]",
	    .summary = "show or export the certificate authority",
	    .story =
		"Shows where the certificate authority is and how long it is\n"
		"valid, after making it where there is none.  With "
		"install-hints, prints\n"
		"the commands by which clients trust it, of one kind (debian, "
		"java, git,\n"
		"podman, kubernetes, ...) or of all.\n",
	    .example = "  leakproxy ca --export pem > leakproxy-ca.pem\n"
		       "  leakproxy ca install-hints debian\n",
	    .exit_statuses = success_or_mistake,
	},
    [COMMAND_SELFTEST] =
	{
	    .word = "selftest",
	    .synopsis = "leakproxy selftest [options]",
	    .summary = "test a running proxy with known answers",
	    .story =
		"Plants drained, leaked and dropped responses through the "
		"proxy that\n"
		"runs at --proxy, and says whether its verdicts came out right "
		"on this\n"
		"kernel and in this network, and which evidence is available "
		"here.\n",
	    .example = "  leakproxy exec -- leakproxy selftest\n",
	    .exit_statuses =
		"  0  all verdicts are right\n"
		"  1  one is not\n"
		"  2  a mistake in options or environment, or it could not be "
		"done;\n"
		"     one line on stderr says what and how to mend it\n",
	},
    [COMMAND_RUNS] =
	{
	    .word = "runs",
	    .synopsis = "leakproxy runs [options]",
	    .summary = "list the runs that are stored",
	    .story = "Lists the runs in the state directory, which report "
		     "--run and compare take.\n",
	    .example = "  leakproxy runs --json\n",
	    .exit_statuses = success_or_mistake,
	},
    [COMMAND_COMPARE] =
	{
	    .word = "compare",
	    .synopsis = "leakproxy compare [options] BEFORE AFTER",
	    .summary = "say whether a fix worked, from two stored runs",
	    .story = "Compares two stored runs leak by leak.  A run is its "
		     "number or name\n"
		     "(leakproxy runs), or \"last\"; behind it, @1.4 picks "
		     "what came from\n"
		     "version 1.4 of the service, by its tag \"version\".\n",
	    .example = "  leakproxy compare --fail-on left before after\n",
	    .exit_statuses =
		"  0  no leak is what --fail-on names\n"
		"  1  one is\n"
		"  2  a mistake, or a run cannot be read; one line on stderr\n"
		"     says what and how to mend it\n",
	},
    [COMMAND_REDIRECT_RULES] =
	{
	    .word = "redirect-rules",
	    .synopsis = "leakproxy redirect-rules [options]",
	    .summary = "print nftables rules for serve --redirect",
	    .story =
		"Prints nftables rules that send every outgoing TCP connection "
		"of this network\n"
		"namespace to serve --redirect, but for those of the user who "
		"leakproxy runs as,\n"
		"to this machine and to link-local addresses.  They are one "
		"table of their own:\n"
		"applied again they replace it, and --remove leaves nothing "
		"behind.\n",
	    .example = "  leakproxy redirect-rules --user leakproxy --redirect "
		       "15001 | nft -f -\n"
		       "  leakproxy redirect-rules --remove | nft -f -\n",
	    .exit_statuses = success_or_mistake,
	},
    [COMMAND_REPLAY] =
	{
	    .word = "replay",
	    .synopsis = "leakproxy replay [options] FILE...",
	    .summary = "serve captured responses as an origin",
	    .story = "Answers as the origins in the files did: status, fields, "
		     "body and\n"
		     "framing, found by method, path and query. Files are "
		     "of /api/har, or of\n"
		     "--capture-dir, whose names end with .ndjson.\n",
	    .example = "  curl -s http://127.0.0.1:9901/api/har >leak.har\n"
		       "  leakproxy replay leak.har --listen 127.0.0.1:8000\n",
	    .exit_statuses = success_or_mistake,
	},
};

/* Prints `words` from column `at` on, broken at spaces. */
static void
print_wrapped(const char *words, int at)
{
	while (*words != '\0') {
		int length = (int)strcspn(words, " ");

		if (at > HELP_COLUMN && at + 1 + length >= PAGE_COLUMNS) {
			printf("\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		} else if (at > HELP_COLUMN) {
			putchar(' ');
			at++;
		}
		printf("%.*s", length, words);
		at += length;
		words += length;
		words += strspn(words, " ");
	}
	putchar('\n');
}

static void
print_option(enum command command, const struct option_row *row)
{
	const char *standard = option_table_standard(command, row);
	const char *value = row->value_name;
	char help[HELP_BYTES];
	int at;

	at = printf("  --%s%s%s", row->name, value == NULL ? "" : " ",
	    value == NULL ? "" : value);
	if (row->short_name != '\0')
		at += printf(", -%c", row->short_name);
	if (at >= HELP_COLUMN) {
		putchar('\n');
		at = 0;
	}
	printf("%*s", HELP_COLUMN - at, "");
	if (standard == NULL || row->kind == OPTION_FLAG)
		snprintf(help, sizeof(help), "%s", row->help);
	else
		snprintf(
		    help, sizeof(help), "%s (default %s)", row->help, standard);
	print_wrapped(help, HELP_COLUMN);
}

static bool
takes_value_of(enum command command, const char *value_name)
{
	for (size_t i = 0; i < option_table_count(); i++) {
		const struct option_row *row = option_table_row(i);

		if (option_table_takes(command, row) &&
		    row->value_name != NULL &&
		    strcmp(row->value_name, value_name) == 0)
			return true;
	}
	return false;
}

void
usage_print_command(enum command command)
{
	const struct command_row *row = &commands[command];

	printf(
	    "Usage: %s\n\n%s\n%s", row->synopsis, row->story, options_heading);
	for (size_t i = 0; i < option_table_count(); i++) {
		const struct option_row *option = option_table_row(i);

		if (option_table_takes(command, option))
			print_option(command, option);
	}
	if (takes_value_of(command, "DURATION"))
		printf("\nDURATION is 500ms, 30s, 5m or 2h; "
		       "SIZE is 100, 64KiB or 1MiB.\n");
	printf("\nExample:\n%s\nExit status:\n%s", row->example,
	    row->exit_statuses);
}

void
usage_print(void)
{
	printf("Usage: leakproxy COMMAND [options]\n\n"
	       "An HTTP forward proxy that finds responses whose bodies are "
	       "never drained.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		printf("  %-14s %s\n", commands[i].word, commands[i].summary);
	printf("\nOptions come after the command: leakproxy serve --help lists "
	       "them.\n"
	       "  --help, -h     print this\n"
	       "  --version, -V  print the version\n"
	       "\nExample:\n%s\nExit status:\n%s",
	    commands[COMMAND_EXEC].example,
	    commands[COMMAND_SERVE].exit_statuses);
}

void
usage_print_version(void)
{
	printf("leakproxy %s (libevent %s)\n", LEAKPROXY_VERSION,
	    event_get_version());
}

const struct command_row *
usage_command(enum command command)
{
	return &commands[command];
}

const char *
usage_command_word(enum command command)
{
	return commands[command].word;
}

bool
usage_find_command(const char *word, enum command *command)
{
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		if (strcmp(word, commands[i].word) == 0) {
			*command = (enum command)i;
			return true;
		}
	}
	return false;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters must be put in, taken out or changed to make one of the
 * other (Levenshtein), a row of the table at a time. */
static size_t
distance(const char *a, size_t a_length, const char *b)
{
	size_t b_length = strlen(b);
	size_t row[MAX_NAME_BYTES + 1];

	if (a_length > MAX_NAME_BYTES || b_length > MAX_NAME_BYTES)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t above = row[j];
			size_t changed = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = least(changed, least(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[b_length];
}

/* Keeps the nearest so far; a third of a name may be wrong, not more. */
static void
consider(const char *candidate, size_t its_distance, const char **nearest,
    size_t *nearest_distance)
{
	if (its_distance > strlen(candidate) / 3 + 1 ||
	    its_distance >= *nearest_distance)
		return;
	*nearest = candidate;
	*nearest_distance = its_distance;
}

const char *
usage_nearest_command(const char *word)
{
	const char *nearest = NULL;
	size_t nearest_distance = SIZE_MAX;

	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		size_t its_distance =
		    distance(word, strlen(word), commands[i].word);

		consider(commands[i].word, its_distance, &nearest,
		    &nearest_distance);
	}
	return nearest;
}

const char *
usage_nearest_option(enum command command, const char *name, size_t name_length)
{
	const char *nearest = NULL;
	size_t nearest_distance = SIZE_MAX;

	for (size_t i = 0; i < option_table_count(); i++) {
		const struct option_row *row = option_table_row(i);

		if (!option_table_takes(command, row))
			continue;
		consider(row->name, distance(name, name_length, row->name),
		    &nearest, &nearest_distance);
	}
	return nearest;
}
