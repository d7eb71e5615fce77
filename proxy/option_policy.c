/* SPDX-License-Identifier: MIT */

/*
 * Readers of the options that fill the policy.  Each value may be @FILE, with
 * a value a line; what was written on the command line is kept, so that the
 * files can be read again.
 */

#include "proxy/option_policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "proxy/hosts.h"
#include "proxy/option_table.h"
#include "proxy/tls.h"

#define SPACES " \t\r\n"

bool
option_read_allow(
    struct options *options, void *field, const char *text, char *why)
{
	struct policy *policy = options->policy;

	return option_add_cidr(&policy->allow, &policy->allow_count, text, why);
}

bool
option_read_passthrough(
    struct options *options, void *field, const char *text, char *why)
{
	char *pattern = hosts_parse_pattern(text);

	if (pattern == NULL)
		return option_refuse(why, text,
		    "is no host pattern: write registry.test, "
		    "*.registry.test or *, without scheme and port");
	strings_append(&options->policy->passthrough, pattern);
	return true;
}

bool
option_read_route(
    struct options *options, void *field, const char *text, char *why)
{
	const char *reason = route_set_add(options->policy->routes, text);

	return reason == NULL || option_refuse(why, text, reason);
}

/* ---- files ---- */

/* Cuts what is around the value; "" for a comment or an empty line. */
static char *
trim(char *line)
{
	char *start = line + strspn(line, SPACES);
	size_t length = strlen(start);

	while (length > 0 && strchr(SPACES, start[length - 1]) != NULL)
		start[--length] = '\0';
	return *start == '#' ? start + length : start;
}

static bool
read_lines(const struct option_row *row, struct options *options, FILE *file,
    const char *path, char why[OPTION_WHY_BYTES])
{
	char reason[OPTION_WHY_BYTES];
	char *line = NULL;
	size_t size = 0;
	bool is_good = true;

	for (unsigned number = 1; is_good && getline(&line, &size, file) >= 0;
	     number++) {
		const char *value = trim(line);

		if (*value == '\0' ||
		    option_table_read(row, options, value, reason))
			continue;
		snprintf(why, OPTION_WHY_BYTES, "%.*s:%u: %.300s",
		    OPTION_SHOWN_BYTES, path, number, reason);
		is_good = false;
	}
	free(line);
	return is_good;
}

static bool
read_file(const struct option_row *row, struct options *options,
    const char *path, char why[OPTION_WHY_BYTES])
{
	FILE *file = fopen(path, "re");
	bool is_good =
	    file != NULL && read_lines(row, options, file, path, why);

	if (file == NULL || (is_good && ferror(file))) {
		snprintf(why, OPTION_WHY_BYTES,
		    "cannot read \"%.*s\": %s: name a file with one value a "
		    "line",
		    OPTION_SHOWN_BYTES, path, strerror(errno));
		is_good = false;
	}
	if (file != NULL)
		fclose(file);
	return is_good;
}

static bool
read_word(const struct option_row *row, struct options *options,
    const char *text, char why[OPTION_WHY_BYTES])
{
	return *text == '@' ? read_file(row, options, text + 1, why)
			    : option_table_read(row, options, text, why);
}

/* ---- the policy as a whole ---- */

bool
option_policy_read(const struct option_row *row, struct options *options,
    const char *text, char why[OPTION_WHY_BYTES])
{
	struct policy_word *word;

	options->policy_words = xreallocarray(options->policy_words,
	    options->policy_word_count + 1, sizeof(*options->policy_words));
	word = &options->policy_words[options->policy_word_count++];
	word->row = row;
	word->text = xstrdup(text);
	return read_word(row, options, text, why);
}

struct policy *
option_policy_again(
    const struct options *options, char error[OPTION_POLICY_ERROR_BYTES])
{
	/* All that these readers need of it. */
	struct options fresh = {.policy = policy_new()};
	char why[OPTION_WHY_BYTES];
	char tls_reason[TLS_ERROR_BYTES];

	for (size_t i = 0; i < options->policy_word_count; i++) {
		const struct policy_word *word = &options->policy_words[i];

		if (read_word(word->row, &fresh, word->text, why))
			continue;
		snprintf(error, OPTION_POLICY_ERROR_BYTES, "--%s: %s",
		    word->row->name, why);
		policy_unref(fresh.policy);
		return NULL;
	}
	fresh.policy->roots = tls_roots_read(options->upstream_ca, tls_reason);
	if (fresh.policy->roots != NULL)
		return fresh.policy;
	snprintf(
	    error, OPTION_POLICY_ERROR_BYTES, "--upstream-ca: %s", tls_reason);
	policy_unref(fresh.policy);
	return NULL;
}

void
option_policy_fini(struct options *options)
{
	for (size_t i = 0; i < options->policy_word_count; i++)
		free(options->policy_words[i].text);
	free(options->policy_words);
	policy_unref(options->policy);
}
