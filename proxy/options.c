/* SPDX-License-Identifier: MIT */

/*
 * The command line, then the environment, then the defaults.
 *
 * A value is read when it is met; an option that the command line has set is
 * not looked for in the environment, and one that neither has gets the
 * table's default through the same reader.  The first mistake ends it, with
 * one line on stderr that names where the value came from.
 */

#include "proxy/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "certs/identity.h"
#include "proxy/option_policy.h"
#include "proxy/option_table.h"
#include "proxy/option_words.h"
#include "proxy/usage.h"

#define STATUS_MISTAKE 2
#define LINE_BYTES 1024
#define SOURCE_BYTES 96
#define SHOWN_WORD_BYTES 60
#define DEFAULT_TAG_HEADER "leakproxy-tag"

enum outcome {
	OUTCOME_GO_ON,
	OUTCOME_DONE, /* --help or --version was printed */
	OUTCOME_MISTAKE,
};

/* The command line while it is read. */
struct parse {
	struct options *options;
	char **next;    /* the word to read */
	bool *is_given; /* owned; for each row of the table */
};

/* Prints one line, with what could break it in two made visible. */
static void PRINTF_LIKE(2, 3)
    complain(const char *source, const char *format, ...)
{
	char line[LINE_BYTES];
	size_t length;
	va_list args;

	length = (size_t)snprintf(line, sizeof(line), "leakproxy: %s%s",
	    source == NULL ? "" : source, source == NULL ? "" : ": ");
	va_start(args, format);
	vsnprintf(line + length, sizeof(line) - length, format, args);
	va_end(args);
	for (char *at = line; *at != '\0'; at++) {
		if (iscntrl((unsigned char)*at))
			*at = '?';
	}
	fprintf(stderr, "%s\n", line);
}

static bool
read_value(struct options *options, const struct option_row *row,
    const char *source, const char *text)
{
	char why[OPTION_WHY_BYTES];

	bool is_good = row->kind == OPTION_RELOADED
	    ? option_policy_read(row, options, text, why)
	    : option_table_read(row, options, text, why);

	if (is_good)
		return true;
	complain(source, "%s", why);
	return false;
}

static void
cut_trailing_spaces(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && text[length - 1] == ' ')
		text[--length] = '\0';
}

/* Text with commas between its values, of which empty ones do not count. */
static bool
read_list(struct options *options, const struct option_row *row,
    const char *source, const char *text)
{
	char *copy = xstrdup(text);
	char *rest = copy;
	bool is_good = true;

	while (rest != NULL && is_good) {
		char *item = strsep(&rest, ",");

		item += strspn(item, " ");
		cut_trailing_spaces(item);
		if (*item != '\0')
			is_good = read_value(options, row, source, item);
	}
	free(copy);
	return is_good;
}

static bool
read_text_of(struct options *options, const struct option_row *row,
    const char *source, const char *text)
{
	if (row->kind == OPTION_LIST || row->kind == OPTION_RELOADED)
		return read_list(options, row, source, text);
	return read_value(options, row, source, text);
}

/* Names the commands that take the option: "serve or exec". */
static void
name_takers(const struct option_row *row, char *text, size_t size)
{
	size_t length = 0;

	*text = '\0';
	for (int i = COMMAND_SERVE; i <= COMMAND_REPLAY; i++) {
		enum command command = (enum command)i;

		if (option_table_takes(command, row) && length < size)
			length += (size_t)snprintf(text + length, size - length,
			    "%s%s", length == 0 ? "" : " or ",
			    usage_command_word(command));
	}
}

static enum outcome
refuse_unknown(enum command command, const char *word, size_t length)
{
	const char *nearest = strncmp(word, "--", 2) == 0
	    ? usage_nearest_option(command, word + 2, length - 2)
	    : NULL;
	char source[SOURCE_BYTES];

	snprintf(source, sizeof(source), "%.*s",
	    (int)(length < SHOWN_WORD_BYTES ? length : SHOWN_WORD_BYTES), word);
	if (nearest != NULL)
		complain(source,
		    "there is no such option; did you mean --%s? See "
		    "leakproxy %s --help",
		    nearest, usage_command_word(command));
	else
		complain(source,
		    "there is no such option: see leakproxy %s --help",
		    usage_command_word(command));
	return OUTCOME_MISTAKE;
}

static enum outcome
refuse_for_command(enum command command, const struct option_row *row)
{
	char takers[SOURCE_BYTES];
	char source[SOURCE_BYTES];

	name_takers(row, takers, sizeof(takers));
	snprintf(source, sizeof(source), "--%s", row->name);
	complain(source,
	    "%s takes no such option, it is for %s: see leakproxy %s --help",
	    usage_command_word(command), takers, usage_command_word(command));
	return OUTCOME_MISTAKE;
}

/* Reads the value of an option that has one: `inline_value` of "--opt=value",
 * else the next word. */
static enum outcome
read_option_value(
    struct parse *parse, const struct option_row *row, const char *inline_value)
{
	const char *value = inline_value;
	char source[SOURCE_BYTES];

	snprintf(source, sizeof(source), "--%s", row->name);
	if (value == NULL && row->kind == OPTION_FLAG)
		value = "on";
	if (value == NULL && *parse->next != NULL)
		value = *parse->next++;
	if (value == NULL) {
		complain(source, "the value is missing: write --%s %s",
		    row->name, row->value_name);
		return OUTCOME_MISTAKE;
	}
	return read_value(parse->options, row, source, value) ? OUTCOME_GO_ON
							      : OUTCOME_MISTAKE;
}

static enum outcome
read_option(struct parse *parse, const char *word)
{
	enum command command = parse->options->command;
	bool is_long = strncmp(word, "--", 2) == 0;
	const char *equals = is_long ? strchr(word, '=') : NULL;
	size_t length = equals == NULL ? strlen(word) : (size_t)(equals - word);
	const struct option_row *row;
	size_t i = option_table_count();

	if (is_long)
		i = option_table_find(word + 2, length - 2);
	else if (length == 2)
		i = option_table_find_short(word[1]);
	if (i == option_table_count())
		return refuse_unknown(command, word, length);
	row = option_table_row(i);
	if (!option_table_takes(command, row))
		return refuse_for_command(command, row);
	parse->is_given[i] = true;
	if (row->kind == OPTION_HELP) {
		usage_print_command(command);
		return OUTCOME_DONE;
	}
	if (row->kind == OPTION_VERSION) {
		usage_print_version();
		return OUTCOME_DONE;
	}
	return read_option_value(
	    parse, row, equals == NULL ? NULL : equals + 1);
}

/* Ends at exec's command: the first word that is no option, or all behind
 * "--". */
static enum outcome
read_words(struct parse *parse)
{
	enum outcome outcome = OUTCOME_GO_ON;

	while (outcome == OUTCOME_GO_ON && *parse->next != NULL) {
		const char *word = *parse->next;

		if (word[0] != '-' || word[1] == '\0') {
			if (!option_words_take(parse->options, word))
				break;
			parse->next++;
			continue;
		}
		parse->next++;
		if (strcmp(word, "--") == 0)
			break;
		outcome = read_option(parse, word);
	}
	return outcome;
}

static enum outcome
take_rest(struct parse *parse)
{
	enum command command = parse->options->command;

	if (command == COMMAND_EXEC && *parse->next != NULL) {
		parse->options->child_argv = parse->next;
		return OUTCOME_GO_ON;
	}
	if (command == COMMAND_EXEC) {
		complain("exec",
		    "there is no command to run: write leakproxy exec "
		    "[options] -- COMMAND");
		return OUTCOME_MISTAKE;
	}
	while (*parse->next != NULL &&
	    option_words_take(parse->options, *parse->next))
		parse->next++;
	if (command == COMMAND_REPLAY && parse->options->har_count == 0) {
		complain("replay",
		    "it takes HAR files: write leakproxy replay FILE.har; "
		    "/api/har of a running proxy makes one, --capture-dir "
		    "many");
		return OUTCOME_MISTAKE;
	}
	if (*parse->next == NULL && command == COMMAND_COMPARE &&
	    parse->options->run_count < 2) {
		complain("compare",
		    "it takes two runs: write leakproxy compare BEFORE AFTER; "
		    "leakproxy runs lists them");
		return OUTCOME_MISTAKE;
	}
	if (*parse->next == NULL)
		return OUTCOME_GO_ON;
	complain(usage_command_word(command),
	    "\"%.*s\" is no option: see leakproxy %s --help", SHOWN_WORD_BYTES,
	    *parse->next, usage_command_word(command));
	return OUTCOME_MISTAKE;
}

/* exec tells its command where it can be asked, as a URL in LEAKPROXY_ADMIN:
 * that is for report, and no address for a leakproxy below it to bind. */
static bool
is_meant_for_report(const struct options *options, const struct option_row *row,
    const char *value)
{
	return !option_table_asks(options->command) &&
	    strcmp(row->name, "admin") == 0 &&
	    strncmp(value, "http://", strlen("http://")) == 0;
}

/* LEAKPROXY_RUN names the run that begins; report is about the proxy that
 * runs, unless told otherwise. */
static bool
is_meant_for_runs(const struct options *options, const struct option_row *row)
{
	return options->command == COMMAND_REPORT &&
	    strcmp(row->name, "run") == 0;
}

/* Empty is unset: that is what compose files and manifests make of it. */
static const char *
environment_value(const struct options *options, const struct option_row *row)
{
	char name[OPTION_ENVIRONMENT_BYTES];
	const char *value;

	option_table_environment_name(row, name);
	value = getenv(name);
	if (value == NULL || *value == '\0' ||
	    is_meant_for_report(options, row, value) ||
	    is_meant_for_runs(options, row))
		return NULL;
	return value;
}

static enum outcome
fill_in(struct options *options, const struct option_row *row)
{
	const char *value = environment_value(options, row);
	char source[OPTION_ENVIRONMENT_BYTES];

	option_table_environment_name(row, source);
	if (value == NULL) {
		snprintf(source, sizeof(source), "--%s", row->name);
		value = option_table_standard(options->command, row);
	}
	if (value == NULL || read_text_of(options, row, source, value))
		return OUTCOME_GO_ON;
	return OUTCOME_MISTAKE;
}

static enum outcome
fill_in_all(struct parse *parse)
{
	enum outcome outcome = OUTCOME_GO_ON;
	size_t count = option_table_count();

	for (size_t i = 0; i < count && outcome == OUTCOME_GO_ON; i++) {
		const struct option_row *row = option_table_row(i);

		if (row->read != NULL && !parse->is_given[i] &&
		    option_table_takes(parse->options->command, row))
			outcome = fill_in(parse->options, row);
	}
	return outcome;
}

/* As the XDG Base Directory Specification says, also that a relative
 * XDG_STATE_HOME does not count. */
static enum outcome
fill_in_state_dir(struct options *options)
{
	const char *state_home = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	bool needs_none = options->command == COMMAND_SELFTEST ||
	    options->command == COMMAND_TOP ||
	    options->command == COMMAND_REDIRECT_RULES ||
	    options->command == COMMAND_REPLAY ||
	    (options->command == COMMAND_REPORT && options->run == NULL);

	if (options->state_dir != NULL || needs_none)
		return OUTCOME_GO_ON;
	if (state_home != NULL && *state_home == '/')
		options->state_dir = xasprintf("%s/leakproxy", state_home);
	else if (home != NULL && *home != '\0')
		options->state_dir =
		    xasprintf("%s/.local/state/leakproxy", home);
	if (options->state_dir != NULL)
		return OUTCOME_GO_ON;
	complain("--state-dir",
	    "neither XDG_STATE_HOME nor HOME is set: name a directory");
	return OUTCOME_MISTAKE;
}

/* What one option says and another takes back. */
static enum outcome
check_captures(const struct options *options)
{
	if (options->capture != NULL && options->capture_dir == NULL)
		complain("--capture",
		    "it says what --capture-dir writes: name that directory "
		    "too");
	else if (options->capture_dir != NULL &&
	    options->capture_memory_bytes == 0)
		complain("--capture-dir",
		    "it writes what --capture-memory keeps, and that is off: "
		    "give it a size, such as 16MiB");
	else
		return OUTCOME_GO_ON;
	return OUTCOME_MISTAKE;
}

static struct options *
options_new(enum command command)
{
	struct options *options = xcalloc(1, sizeof(*options));

	options->command = command;
	options->ready_fd = -1;
	options->uid = -1;
	options->leak_exit_code = -1;
	options->policy = policy_new();
	options->secrets = secrets_new();
	options->tag_headers.items =
	    xcalloc(1, sizeof(*options->tag_headers.items));
	options->tag_headers.items[0] = xstrdup(DEFAULT_TAG_HEADER);
	options->tag_headers.count = 1;
	return options;
}

static enum outcome
refuse_command(const char *word)
{
	const char *nearest = usage_nearest_command(word);

	if (word[0] == '-')
		complain(NULL,
		    "the command comes first, then its options: write "
		    "leakproxy serve %.*s",
		    SHOWN_WORD_BYTES, word);
	else if (nearest != NULL)
		complain(NULL,
		    "\"%.*s\" is no command; did you mean %s? See "
		    "leakproxy --help",
		    SHOWN_WORD_BYTES, word, nearest);
	else
		complain(NULL, "\"%.*s\" is no command: see leakproxy --help",
		    SHOWN_WORD_BYTES, word);
	return OUTCOME_MISTAKE;
}

/* Reads the word in front of the options. */
static enum outcome
read_command(const char *word, enum command *command)
{
	if (word == NULL) {
		complain(NULL,
		    "the command is missing: write serve, exec, report, "
		    "top, runs, compare, ca, redirect-rules, "
		    "replay or selftest; see leakproxy --help");
		return OUTCOME_MISTAKE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		usage_print();
		return OUTCOME_DONE;
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		usage_print_version();
		return OUTCOME_DONE;
	}
	return usage_find_command(word, command) ? OUTCOME_GO_ON
						 : refuse_command(word);
}

static enum outcome
read_all(struct parse *parse)
{
	enum outcome outcome = read_words(parse);

	if (outcome == OUTCOME_GO_ON)
		outcome = take_rest(parse);
	if (outcome == OUTCOME_GO_ON)
		outcome = fill_in_all(parse);
	if (outcome == OUTCOME_GO_ON)
		outcome = fill_in_state_dir(parse->options);
	if (outcome == OUTCOME_GO_ON)
		outcome = check_captures(parse->options);
	return outcome;
}

struct options *
options_parse(int argc, char **argv, int *exit_status)
{
	enum command command = COMMAND_SERVE;
	enum outcome outcome =
	    read_command(argc < 2 ? NULL : argv[1], &command);
	struct parse parse = {0};

	if (outcome == OUTCOME_GO_ON) {
		parse.options = options_new(command);
		parse.next = argv + 2;
		parse.is_given =
		    xcalloc(option_table_count(), sizeof(*parse.is_given));
		outcome = read_all(&parse);
		free(parse.is_given);
	}
	*exit_status = outcome == OUTCOME_MISTAKE ? STATUS_MISTAKE : 0;
	if (outcome == OUTCOME_GO_ON)
		return parse.options;
	options_free(parse.options);
	return NULL;
}

void
options_free(struct options *options)
{
	if (options == NULL)
		return;
	for (size_t i = 0; i < options->resolve_count; i++)
		free(options->resolve[i].host);
	for (size_t i = 0; i < options->client_cert_count; i++) {
		free(options->client_certs[i].pattern);
		identity_free(options->client_certs[i].identity);
	}
	free(options->client_certs);
	strings_fini(&options->tag_headers);
	option_policy_fini(options);
	secrets_free(options->secrets);
	free(options->listen);
	free(options->redirect);
	free(options->resolve);
	free(options->allowed_destinations);
	chain_fini(&options->chain);
	free(options->pprof_url);
	free(options->admin_token_path);
	if (options->admin_token != NULL)
		explicit_bzero(
		    options->admin_token, strlen(options->admin_token));
	free(options->admin_token);
	free(options->user);
	free(options->state_dir);
	free(options->upstream_ca);
	free(options->report_file);
	free(options->events_path);
	free(options->filter);
	free(options->capture_dir);
	free(options->har_paths);
	filter_free(options->capture);
	free(options->run);
	free(options->store_url);
	free(options->service);
	free(options->service_version);
	free(options->ca_export);
	free(options);
}
