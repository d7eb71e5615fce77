/* SPDX-License-Identifier: MIT */

/*
 * leakproxy: the commands, and the only file that sees every room.
 *
 * serve and exec are the same proxy: one runs until it is told to stop, the
 * other until its child ends, and then reports.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "accounting/snapshot.h"
#include "accounting/store.h"
#include "admin/api.h"
#include "admin/report.h"
#include "admin/runs.h"
#include "admin/server.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/child.h"
#include "proxy/commands.h"
#include "proxy/descriptors.h"
#include "proxy/options.h"
#include "proxy/recorder.h"
#include "proxy/service.h"
#include "proxy/signals.h"
#include "proxy/units.h"

#define STATUS_MISTAKE 2
#define STATUS_FAILS_ON 1

/* A proxy that runs, with what stands around it. */
struct run {
	const struct options *options; /* borrowed */
	/* owned */
	struct loop *loop;
	struct signals *signals;
	struct service *service;
	struct recorder *recorder; /* NULL: --store off */
	struct admin_server *admin;
	struct child *child; /* exec */
	char admin_text[UNITS_ADDRESS_TEXT_BYTES];
	int child_status;
	struct rlimit files_before;
};

static bool
complain(const char *what)
{
	fprintf(stderr, "leakproxy: %s\n", what);
	return false;
}

/* ---- starting ---- */

static void
on_signal(const struct signal_notice *notice, void *arg)
{
	struct run *run = arg;

	if (run->child != NULL) {
		child_signalled(run->child, notice);
		return;
	}
	if (!signals_means_stop(notice->number))
		return;
	log_info("%s: draining for at most %.0f s", strsignal(notice->number),
	    (double)run->options->drain_timeout_us / (double)US_PER_S);
	loop_stop(run->loop);
}

static bool
start_admin(struct run *run)
{
	const struct options *options = run->options;
	struct admin_config config = {
	    .sockaddr = (const struct sockaddr *)&options->admin.sockaddr,
	    .sockaddr_length = options->admin.length,
	    .ca_pem = service_ca_pem(run->service),
	    .source = {.gather = service_gather,
		.source_arg = run->service,
		.is_ready = service_is_ready},
	};
	char text[UNITS_ADDRESS_TEXT_BYTES];

	if (run->recorder != NULL) {
		config.source.gather = recorder_gather;
		config.source.source_arg = run->recorder;
	}
	if (!options->has_admin)
		return true;
	units_address_text(&options->admin, text);
	/* It shows URLs and callers, and asks nobody for a token yet. */
	if (!units_is_loopback(&options->admin)) {
		fprintf(stderr,
		    "leakproxy: --admin: %s is not loopback: choose 127.0.0.1 "
		    "or [::1] and reach it through a tunnel, or off\n",
		    text);
		return false;
	}
	run->admin = admin_server_start(
	    &config, run->admin_text, sizeof(run->admin_text));
	if (run->admin != NULL)
		return true;
	fprintf(stderr,
	    "leakproxy: --admin: cannot listen on %s: %s: choose another "
	    "address, port 0 for a free one, or off\n",
	    text, strerror(errno));
	return false;
}

static bool
start_service(struct run *run)
{
	char error[SERVICE_ERROR_BYTES];
	struct address admin;
	bool has_admin;

	run->service = service_open(run->options, error);
	if (run->service == NULL)
		return complain(error);
	if (run->options->keeps_store)
		run->recorder = recorder_start(run->service, run->options);
	if (!start_admin(run))
		return false;
	has_admin =
	    run->admin != NULL && units_parse_address(run->admin_text, &admin);
	if (!service_start(run->service, has_admin ? &admin : NULL, error))
		return complain(error);
	return true;
}

/* --ready-fd: one JSON line. */
static bool
tell_ready(const struct run *run)
{
	json_t *ready;
	json_t *listen = json_array();
	int fd = run->options->ready_fd;
	const char *text;
	char *line;
	bool is_written;

	for (size_t i = 0;
	     (text = service_listen_text(run->service, i)) != NULL; i++) {
		log_info("listening on %s", text);
		json_array_append_new(listen, json_string(text));
	}
	ready = json_pack("{s:o, s:s?, s:i}", "listen", listen, "admin",
	    run->admin == NULL ? NULL : run->admin_text, "pid", (int)getpid());
	line = json_dumps(ready, JSON_COMPACT);
	json_decref(ready);
	is_written = fd < 0 || dprintf(fd, "%s\n", line) > 0;
	free(line);
	if (!is_written) {
		fprintf(stderr,
		    "leakproxy: --ready-fd: cannot write to "
		    "descriptor %d: %s: open it in the parent\n",
		    fd, strerror(errno));
		return false;
	}
	if (run->admin != NULL)
		log_info("report at http://%s/report", run->admin_text);
	log_info("callers must trust %s", service_ca_path(run->service));
	return true;
}

static bool
start(struct run *run)
{
	run->files_before = descriptors_raise();
	run->loop = loop_new();
	run->signals = signals_open(run->loop, on_signal, run);
	return start_service(run) && tell_ready(run);
}

/* The admin server asks the recorder, and that the workers. */
static void
stop(struct run *run)
{
	if (run->admin != NULL)
		admin_server_stop(run->admin);
	run->admin = NULL;
	if (run->recorder != NULL)
		recorder_stop(run->recorder);
	if (run->service != NULL)
		service_drain(run->service);
	if (run->recorder != NULL)
		recorder_finish(run->recorder);
	run->recorder = NULL;
}

static void
release(struct run *run)
{
	stop(run);
	if (run->child != NULL)
		child_free(run->child);
	if (run->service != NULL)
		service_close(run->service);
	signals_close(run->signals);
	loop_free(run->loop);
}

/* ---- serve ---- */

static int
serve(const struct options *options)
{
	struct run run = {.options = options};
	int status = STATUS_MISTAKE;

	if (start(&run)) {
		loop_run(run.loop);
		status = 0;
	}
	release(&run);
	return status;
}

/* ---- exec ---- */

static void
on_child_exited(int status, void *arg)
{
	struct run *run = arg;

	run->child_status = status;
	loop_stop(run->loop);
}

static void
run_child(struct run *run)
{
	char *proxy_url =
	    xasprintf("http://%s", service_listen_text(run->service, 0));
	char *admin_url =
	    run->admin == NULL ? NULL : xasprintf("http://%s", run->admin_text);
	struct child_settings settings = {
	    .file_limit = run->files_before.rlim_cur,
	    .proxy_url = proxy_url,
	    .admin_url = admin_url,
	    .bundle_path = service_bundle_path(run->service),
	    .ca_path = service_ca_path(run->service),
	    .java_truststore = service_truststore_path(run->service),
	    .signals = run->signals,
	};

	run->child = child_start(run->loop, run->options->child_argv, &settings,
	    on_child_exited, run);
	free(proxy_url);
	free(admin_url);
	loop_run(run->loop);
}

static void
write_report(const struct options *options, const struct snapshot *snapshot)
{
	char *text =
	    report_text(snapshot, commands_columns(options, STDERR_FILENO));
	FILE *file = stderr;

	if (options->report_file != NULL)
		file = fopen(options->report_file, "we");
	if (file == NULL) {
		fprintf(stderr,
		    "leakproxy: --report-file: cannot write %s: "
		    "%s: here it is instead\n",
		    options->report_file, strerror(errno));
		file = stderr;
	}
	fputs(text, file);
	if (file != stderr)
		fclose(file);
	free(text);
}

static bool
has_proven_leak(const struct snapshot *snapshot)
{
	return snapshot->totals.by_verdict[VERDICT_UNDRAINED] > 0;
}

static int
exec(const struct options *options)
{
	struct run run = {.options = options};
	struct snapshot_query query = {.wants_conns = true};
	struct snapshot *snapshot;
	int status;

	if (!start(&run)) {
		release(&run);
		return STATUS_MISTAKE;
	}
	run_child(&run);
	stop(&run);
	snapshot = service_snapshot(run.service, &query);
	write_report(options, snapshot);
	status = run.child_status;
	/* A child that failed says more by its own status. */
	if (status == 0 && options->leak_exit_code >= 0 &&
	    has_proven_leak(snapshot))
		status = options->leak_exit_code;
	snapshot_free(snapshot);
	release(&run);
	return status;
}

/* ---- runs, compare, report --run ---- */

/* Takes `text`. */
static bool
put_out(const struct options *options, char *text)
{
	const char *path = options->report_file;
	FILE *file = path == NULL ? stdout : fopen(path, "we");
	bool is_good =
	    file != NULL && fputs(text, file) >= 0 && fflush(file) == 0;

	free(text);
	if (!is_good)
		fprintf(stderr, "leakproxy: cannot write to %s: %s\n",
		    path == NULL ? "stdout" : path, strerror(errno));
	if (path != NULL && file != NULL)
		fclose(file);
	return is_good;
}

static struct store *
open_store(const struct options *options)
{
	struct store_error error;
	struct store *store =
	    store_open(options->state_dir, STORE_READ, &error);

	if (store == NULL)
		complain(error.text);
	return store;
}

static bool
print_runs(const struct options *options, struct store *store)
{
	size_t count;
	struct store_run *runs = store_list_runs(store, &count);
	bool is_good;

	if (runs == NULL)
		return complain(store_error(store)->text);
	is_good = put_out(options,
	    options->wants_json ? runs_json(runs, count)
				: runs_text(runs, count));
	for (size_t i = 0; i < count; i++)
		store_run_fini(&runs[i]);
	free(runs);
	return is_good;
}

static bool
print_snapshot(const struct options *options, const struct store_run *run,
    const char *version, const struct snapshot *snapshot)
{
	unsigned columns = commands_columns(options, STDOUT_FILENO);
	char *heading;
	char *report;
	char *text;

	if (options->wants_json)
		return put_out(options, api_leaks(snapshot));
	heading = runs_heading(run, version, columns);
	report = report_text(snapshot, columns);
	text = xasprintf("%s%s", heading, report);
	free(report);
	free(heading);
	return put_out(options, text);
}

static bool
print_stored(const struct options *options, struct store *store)
{
	struct snapshot *snapshot = NULL;
	struct store_run run = {0};
	char *version = NULL;
	bool is_good = false;

	if (store_find_run(store, options->run, &run, &version))
		snapshot = store_read_snapshot(store, &run, version);
	if (snapshot == NULL)
		complain(store_error(store)->text);
	else
		is_good = print_snapshot(options, &run, version, snapshot);
	snapshot_free(snapshot);
	store_run_fini(&run);
	free(version);
	return is_good;
}

/* One of the two that are compared. */
struct picked {
	struct store_run run;
	struct compare_run kinds;
	char *version;
};

static bool
pick(struct store *store, const char *reference, struct picked *picked)
{
	return (store_find_run(
		    store, reference, &picked->run, &picked->version) &&
		   store_read_kinds(
		       store, &picked->run, picked->version, &picked->kinds)) ||
	    complain(store_error(store)->text);
}

static void
picked_fini(struct picked *picked)
{
	store_run_fini(&picked->run);
	compare_run_fini(&picked->kinds);
	free(picked->version);
}

static int
print_compared(
    const struct options *options, struct picked *before, struct picked *after)
{
	struct runs_comparison comparison = {
	    .before = &before->run,
	    .after = &after->run,
	    .before_version = before->version,
	    .after_version = after->version,
	};
	struct compared *leaks = compare_runs(&before->kinds, &after->kinds,
	    STORE_VERSION_TAG, &comparison.count);
	int status = 0;

	comparison.leaks = leaks;
	for (size_t i = 0; i < comparison.count; i++) {
		if (options->fail_on & 1u << leaks[i].comparison.change)
			status = STATUS_FAILS_ON;
	}
	if (!put_out(options,
		options->wants_json
		    ? runs_compared_json(&comparison)
		    : runs_compared_text(&comparison,
			  commands_columns(options, STDOUT_FILENO))))
		status = STATUS_MISTAKE;
	free(leaks);
	return status;
}

static int
compare(const struct options *options, struct store *store)
{
	struct picked before = {0};
	struct picked after = {0};
	int status = STATUS_MISTAKE;

	if (pick(store, options->runs[0], &before) &&
	    pick(store, options->runs[1], &after))
		status = print_compared(options, &before, &after);
	picked_fini(&before);
	picked_fini(&after);
	return status;
}

static int
read_store(const struct options *options)
{
	struct store *store = open_store(options);
	int status = STATUS_MISTAKE;

	if (store == NULL)
		return status;
	if (options->command == COMMAND_COMPARE)
		status = compare(options, store);
	else if (options->command == COMMAND_RUNS)
		status = print_runs(options, store) ? 0 : STATUS_MISTAKE;
	else
		status = print_stored(options, store) ? 0 : STATUS_MISTAKE;
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
		status = serve(options);
		break;
	case COMMAND_EXEC:
		status = exec(options);
		break;
	case COMMAND_REPORT:
		status = options->run == NULL ? commands_report(options)
					      : read_store(options);
		break;
	case COMMAND_RUNS:
	case COMMAND_COMPARE:
		status = read_store(options);
		break;
	case COMMAND_CA:
		status = commands_ca(options);
		break;
	case COMMAND_REPLAY:
		status = STATUS_MISTAKE; /* options_parse() said why */
		break;
	}
	options_free(options);
	return status;
}
