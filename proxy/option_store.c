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

#define RUN_NAME_MAX_BYTES 64
#define MIN_STORE_BYTES ((size_t)1 << 20)

/* A number, "last" and "@" mean something else where runs are named. */
static bool
is_run_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > RUN_NAME_MAX_BYTES ||
	    strcmp(text, "last") == 0 || strspn(text, "0123456789") == length)
		return false;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text <= ' ' || *text == 127 || *text == '@')
			return false;
	}
	return true;
}

bool
option_read_run(
    struct options *options, void *field, const char *text, char *why)
{
	char **run = field;

	if (options->command != COMMAND_REPORT && !is_run_name(text))
		return option_refuse(why, text,
		    "is no name for a run: write up to 64 characters without "
		    "blanks and @, not digits alone, such as before-fix");
	if (*text == '\0')
		return option_refuse(
		    why, text, "is no run: write its number or name, or last");
	free(*run);
	*run = xstrdup(text);
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
