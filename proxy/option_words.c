/* SPDX-License-Identifier: MIT */

/*
 * Words that are no options: the files of replay, the runs of compare, and
 * what ca does.  They stand before, between or behind the options.
 */

#include "proxy/option_words.h"

#include <string.h>

#include "accounting/memory.h"

static bool
take_file(struct options *options, const char *word)
{
	options->har_paths = xreallocarray(options->har_paths,
	    options->har_count + 1, sizeof(*options->har_paths));
	options->har_paths[options->har_count++] = word;
	return true;
}

static bool
take_run(struct options *options, const char *word)
{
	if (options->run_count == 2)
		return false;
	options->runs[options->run_count++] = word;
	return true;
}

/* install-hints, and then of what. */
static bool
take_hint(struct options *options, const char *word)
{
	if (!options->wants_hints) {
		options->wants_hints = strcmp(word, "install-hints") == 0;
		return options->wants_hints;
	}
	if (options->hint != NULL)
		return false;
	options->hint = word;
	return true;
}

bool
option_words_take(struct options *options, const char *word)
{
	if (options->command == COMMAND_REPLAY)
		return take_file(options, word);
	if (options->command == COMMAND_COMPARE)
		return take_run(options, word);
	return options->command == COMMAND_CA && take_hint(options, word);
}
