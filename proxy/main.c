/* SPDX-License-Identifier: MIT */

/*
 * leakproxy: the commands, but for serve and exec, which are in run.c.  The
 * two files see every room.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounting/store.h"
#include "admin/har_read.h"
#include "admin/stored.h"
#include "admin/top.h"
#include "proxy/base/log.h"
#include "proxy/commands.h"
#include "proxy/options.h"
#include "proxy/replay.h"
#include "proxy/rules.h"
#include "proxy/run.h"
#include "proxy/selftest.h"
#include "proxy/status.h"
#include "proxy/viewer.h"

#define STATUS_MISTAKE 2
#define STATUS_FAILS_ON 1

static bool
complain(const char *what)
{
	fprintf(stderr, "leakproxy: %s\n", what);
	return false;
}

static int
replay(const struct options *options)
{
	char error[HAR_READ_ERROR_BYTES];
	struct tape *tape =
	    har_read(options->har_paths, options->har_count, error);

	if (tape != NULL)
		return replay_run(options, &tape);
	fprintf(stderr, "leakproxy: replay: %s\n", error);
	return STATUS_MISTAKE;
}

/* ---- top ---- */

static int
show_top(const struct options *options)
{
	struct viewer_painter painter = {
	    .paths = {"/api/leaks", "/api/timeline"},
	    .read = top_read,
	    .draw = top_draw,
	    .count = top_count,
	    .arg = top_new(),
	};
	int status = viewer_run(options, &painter);

	top_free(painter.arg);
	return status;
}

/* ---- runs, compare, report --run ---- */

static bool
put_out(const struct options *options, const char *text)
{
	const char *path = options->report_file;
	FILE *file = path == NULL ? stdout : fopen(path, "we");
	bool is_good =
	    file != NULL && fputs(text, file) >= 0 && fflush(file) == 0;

	if (!is_good)
		fprintf(stderr, "leakproxy: cannot write to %s: %s\n",
		    path == NULL ? "stdout" : path, strerror(errno));
	if (path != NULL && file != NULL)
		fclose(file);
	return is_good;
}

static char *
stored_leaks(const struct options *options, struct store *store,
    struct stored_form *form)
{
	struct filter *filter = filter_new(FILTER_LEAKS);
	char *text;

	/* The option's reader has tried it. */
	if (options->filter != NULL)
		free(filter_add(filter, options->filter));
	form->filter = filter;
	text = stored_report(store, options->run, form);
	filter_free(filter);
	return text;
}

/* Returns what the command asks of the store, or NULL. */
static char *
ask_store(const struct options *options, struct store *store, unsigned *found)
{
	struct stored_form form = {.is_json = options->wants_json,
	    .columns = commands_columns(options, STDOUT_FILENO)};

	if (options->command == COMMAND_RUNS)
		return stored_runs(store, &form);
	if (options->command == COMMAND_COMPARE)
		return stored_comparison(store, options->runs, &form, found);
	return stored_leaks(options, store, &form);
}

static struct store *
open_store(const struct options *options, struct store_error *error)
{
	static const store_patience patience_ms = STORE_PATIENCE_SHARED_MS;

	if (options->store_url == NULL)
		return store_open(options->state_dir, STORE_READ, error);
	if (!store_check_shared(options->store_url, error->text))
		return NULL;
	return store_open_shared(
	    options->store_url, STORE_READ, &patience_ms, error);
}

static int
read_store(const struct options *options)
{
	struct store_error error;
	struct store *store = open_store(options, &error);
	unsigned found = 0;
	int status = STATUS_MISTAKE;
	char *text;

	if (store == NULL) {
		complain(error.text);
		return status;
	}
	text = ask_store(options, store, &found);
	if (text == NULL)
		complain(store_error(store)->text);
	else if (put_out(options, text))
		status = (found & options->fail_on) != 0 ? STATUS_FAILS_ON : 0;
	free(text);
	store_close(store);
	return status;
}

int
main(int argc, char **argv)
{
	int status;
	struct options *options = options_parse(argc, argv, &status);

	if (options == NULL)
		return status;
	log_set_level((enum log_level)options->log_level);
	switch (options->command) {
	case COMMAND_SERVE:
		status = run_serve(options);
		break;
	case COMMAND_EXEC:
		status = run_exec(options);
		break;
	case COMMAND_REPORT:
		status = options->run == NULL ? commands_report(options)
					      : read_store(options);
		break;
	case COMMAND_TOP:
		status = show_top(options);
		break;
	case COMMAND_RUNS:
	case COMMAND_COMPARE:
		status = read_store(options);
		break;
	case COMMAND_CA:
		status = commands_ca(options);
		break;
	case COMMAND_SELFTEST:
		status = selftest_run(options);
		break;
	case COMMAND_REDIRECT_RULES:
		status = rules_print(options);
		break;
	case COMMAND_REPLAY:
		status = replay(options);
		break;
	}
	options_free(options);
	return status;
}
