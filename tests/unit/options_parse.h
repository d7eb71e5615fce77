/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_OPTIONS_PARSE_H
#define TESTS_UNIT_OPTIONS_PARSE_H

/*
 * A command line parsed as main() would, with what it printed.  Include after
 * cmocka.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounting/memory.h"
#include "proxy/options.h"

#define MAX_WORDS 64
#define TEXT_BYTES 8192

/* What a parse did. */
struct result {
	struct options *options;
	int status;
	char out[TEXT_BYTES];
	char err[TEXT_BYTES];

	/* options->child_argv points into these */
	char *line;
	char *argv[MAX_WORDS + 1];
};

struct capture {
	int stream;
	int saved;
	FILE *file;
};

static inline void
capture_begin(struct capture *capture, int stream)
{
	fflush(NULL);
	capture->stream = stream;
	capture->saved = dup(stream);
	capture->file = tmpfile();
	dup2(fileno(capture->file), stream);
}

static inline void
capture_end(struct capture *capture, char text[TEXT_BYTES])
{
	size_t length;

	fflush(NULL);
	dup2(capture->saved, capture->stream);
	close(capture->saved);
	rewind(capture->file);
	length = fread(text, 1, TEXT_BYTES - 1, capture->file);
	text[length] = '\0';
	fclose(capture->file);
}

/* Words are parted by single spaces; "''" is an empty one. */
static inline void
parse(struct result *result, const char *words)
{
	struct capture out;
	struct capture err;
	char *rest;
	int argc = 0;

	*result = (struct result){.line = xasprintf("leakproxy %s", words)};
	rest = result->line;
	while (rest != NULL && *rest != '\0') {
		char *word = strsep(&rest, " ");

		assert_true(argc < MAX_WORDS);
		result->argv[argc++] =
		    strcmp(word, "''") == 0 ? word + 2 : word;
	}
	result->status = -1;
	capture_begin(&out, STDOUT_FILENO);
	capture_begin(&err, STDERR_FILENO);
	result->options = options_parse(argc, result->argv, &result->status);
	capture_end(&err, result->err);
	capture_end(&out, result->out);
}

static inline void
result_fini(struct result *result)
{
	options_free(result->options);
	free(result->line);
}

static inline void
parse_good(struct result *result, const char *words)
{
	parse(result, words);
	if (result->options == NULL)
		fail_msg("\"%s\" is refused: %s", words, result->err);
	assert_int_equal(result->status, 0);
	assert_string_equal(result->err, "");
	assert_string_equal(result->out, "");
}

static inline int
clean_environment(void **state)
{
	clearenv();
	setenv("HOME", "/home/me", 1);
	return 0;
}

#endif
