/* SPDX-License-Identifier: MIT */

/*
 * How runs are named, how much is kept of them, and what fails a comparison.
 */

#include "proxy/option_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/compare.h"
#include "accounting/memory.h"

#define NAME_MAX_BYTES 64
#define MIN_STORE_BYTES ((size_t)1 << 20)

static bool
is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > NAME_MAX_BYTES)
		return false;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text <= ' ' || *text == 127 || *text == '@')
			return false;
	}
	return true;
}

/* Numbers, "last", "all" and "service=" mean something else where runs are
 * named. */
static bool
is_run_name(const char *text)
{
	return is_name(text) && strcmp(text, "last") != 0 &&
	    strcmp(text, "all") != 0 && strncmp(text, "service=", 8) != 0 &&
	    text[strspn(text, "0123456789")] != '\0';
}

bool
option_read_run(
    struct options *options, void *field, const char *text, char *why)
{
	char **run = field;

	if (options->command != COMMAND_REPORT && !is_run_name(text))
		return option_refuse(why, text,
		    "is no name for a run: write up to 64 characters without "
		    "blanks and @, not digits alone, nor last or all, such as "
		    "before-fix");
	if (*text == '\0')
		return option_refuse(
		    why, text, "is no run: write its number or name, or last");
	free(*run);
	*run = xstrdup(text);
	return true;
}

bool
option_read_service(
    struct options *options, void *field, const char *text, char *why)
{
	char **service = field;
	char *name = xstrdup(text);
	char *version = strchr(name, '@');
	bool is_good;

	if (version != NULL)
		*version++ = '\0';
	is_good = is_name(name) && (version == NULL || is_name(version));
	if (is_good) {
		free(*service);
		free(options->service_version);
		*service = xstrdup(name);
		options->service_version = xstrdup_or_null(version);
	}
	free(name);
	return is_good ||
	    option_refuse(why, text,
		"is no service: write its name and perhaps its version, each "
		"up to 64 characters without blanks, such as checkout@1.4");
}

/* What is wrong with a URL is said without it: it may hold a password. */
bool
option_read_store(
    struct options *options, void *field, const char *text, char *why)
{
	bool is_url = strncmp(text, "postgresql://", 13) == 0 ||
	    strncmp(text, "postgres://", 11) == 0;

	if (strstr(text, "://") != NULL && !is_url) {
		snprintf(why, OPTION_WHY_BYTES,
		    "only PostgreSQL can be shared: write "
		    "postgresql://USER@HOST/DATABASE");
		return false;
	}
	free(options->store_url);
	options->store_url = is_url ? xstrdup(text) : NULL;
	if (!is_url)
		return option_read_flag(options, field, text, why);
	*(bool *)field = true;
	return true;
}

bool
option_read_store_size(
    struct options *options, void *field, const char *text, char *why)
{
	size_t size_bytes;

	if (!units_parse_size(text, &size_bytes) ||
	    size_bytes < MIN_STORE_BYTES || size_bytes > INT64_MAX)
		return option_refuse(why, text,
		    "is no such size: write 1MiB or more, such as 256MiB");
	*(size_t *)field = size_bytes;
	return true;
}

static bool
add_change(const char *word, unsigned *changes)
{
	enum change change;

	if (strcmp(word, "left") == 0)
		*changes |= ((1u << CHANGE_COUNT) - 1) & ~(1u << CHANGE_GONE);
	else if (compare_from_word(word, &change))
		*changes |= 1u << change;
	else
		return strcmp(word, "none") == 0;
	return true;
}

bool
option_read_fail_on(
    struct options *options, void *field, const char *text, char *why)
{
	char *copy = xstrdup(text);
	char *rest = copy;
	unsigned changes = 0;
	bool is_good = *text != '\0';

	while (rest != NULL && is_good)
		is_good = add_change(strsep(&rest, ","), &changes);
	free(copy);
	if (!is_good)
		return option_refuse(why, text,
		    "is no list of changes: write new, worse, unchanged, "
		    "better, not-exercised and gone with commas between, "
		    "left, or none");
	*(unsigned *)field = changes;
	return true;
}
