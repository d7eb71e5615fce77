/* SPDX-License-Identifier: MIT */

/*
 * A proxy from its start to its end, with what stands around it: signals, the
 * store, the admin server, the archive, events, the status line, and exec's
 * child.  Everything is opened before any thread runs, and ends in one place,
 * whatever had been opened.
 */

#include "proxy/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "accounting/snapshot.h"
#include "accounting/store.h"
#include "admin/events.h"
#include "admin/har.h"
#include "admin/headline.h"
#include "admin/report.h"
#include "admin/server.h"
#include "proxy/archive.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/token.h"
#include "proxy/child.h"
#include "proxy/commands.h"
#include "proxy/descriptors.h"
#include "proxy/eventlog.h"
#include "proxy/notify.h"
#include "proxy/options.h"
#include "proxy/pulse.h"
#include "proxy/recorder.h"
#include "proxy/sandbox.h"
#include "proxy/service.h"
#include "proxy/signals.h"
#include "proxy/status.h"
#include "proxy/units.h"

#define STATUS_MISTAKE 2

/* Longer than this we are never silent, though we might be. */
#define WATCHDOG_MAX_S 3600

/* A proxy that runs, with what stands around it. */
struct run {
	const struct options *options; /* borrowed */
	/* owned */
	struct loop *loop;
	struct signals *signals;
	struct service *service;
	struct recorder *recorder; /* NULL: --store off */
	struct archive *archive;   /* NULL: no --capture-dir */
	struct admin_server *admin;
	struct child *child;   /* exec */
	struct pulse *pulse;   /* NULL: not started */
	struct status *status; /* NULL: nobody watches */
	struct events *events; /* NULL: no --events, as the next */
	struct eventlog *eventlog;
	struct notify *notify; /* NULL: nobody wants to hear */
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
tell_systemd_ready(const struct run *run)
{
	char *status =
	    xasprintf("listening on %s", service_listen_text(run->service, 0));

	notify_ready(run->notify, status);
	free(status);
}

static void
reload(struct run *run)
{
	char error[SERVICE_ERROR_BYTES];

	notify_reloading(run->notify);
	if (service_reload(run->service, error))
		log_info("reloaded: new connections live by the files as they "
			 "are now");
	else
		log_error("nothing is reloaded: %s", error);
	tell_systemd_ready(run);
}

static void
begin_stop(struct run *run, int number)
{
	log_info("%s: draining for at most %.0f s", strsignal(number),
	    (double)run->options->drain_timeout_us / (double)US_PER_S);
	notify_stopping(run->notify);
	loop_stop(run->loop);
}

static void
on_signal(const struct signal_notice *notice, void *arg)
{
	struct run *run = arg;

	if (run->child != NULL) {
		child_signalled(run->child, notice);
		return;
	}
	if (notice->number == SIGHUP)
		reload(run);
	else if (signals_means_stop(notice->number))
		begin_stop(run, notice->number);
}

/* It shows URLs and callers, and a token is no use to those who have none. */
static bool
check_admin_token(const struct options *options, const char *where)
{
	if (options->admin_token == NULL &&
	    !units_is_loopback(&options->admin)) {
		fprintf(stderr,
		    "leakproxy: --admin: %s is not loopback, so it needs a "
		    "token: name its file with --admin-token-file, or choose "
		    "127.0.0.1 or [::1]\n",
		    where);
		return false;
	}
	if (options->admin_token != NULL &&
	    token_is_exposed(options->admin_token_path))
		log_warnx("--admin-token-file: others may read %s: chmod 600 "
			  "it",
		    options->admin_token_path);
	return true;
}

static bool
open_admin(struct run *run)
{
	const struct options *options = run->options;
	struct admin_config config = {
	    .sockaddr = (const struct sockaddr *)&options->admin.sockaddr,
	    .sockaddr_length = options->admin.length,
	    .ca_pem = service_ca_pem,
	    .ca_pem_arg = run->service,
	    .marks = service_marks(run->service),
	    .token = options->admin_token,
	    .pprof_url = options->pprof_url,
	    .source = {.gather = service_gather,
		.source_arg = run->service,
		.is_ready = service_is_ready},
	};
	char text[UNITS_ADDRESS_TEXT_BYTES];

	if (run->recorder != NULL) {
		config.source.gather = recorder_gather;
		config.source.source_arg = run->recorder;
		config.source.is_ready = recorder_is_ready;
	}
	if (!options->has_admin)
		return true;
	units_address_text(&options->admin, text);
	if (!check_admin_token(options, text))
		return false;
	run->admin = admin_server_open(
	    &config, run->admin_text, sizeof(run->admin_text));
	if (run->admin != NULL)
		return true;
	fprintf(stderr,
	    "leakproxy: --admin: cannot listen on %s: %s: choose another "
	    "address, port 0 for a free one, or off\n",
	    text, strerror(errno));
	return false;
}

/* Everything is bound and read, and no thread runs.  Not for exec, whose
 * child is to run as if we were not there. */
static bool
enter_sandbox(const struct options *options)
{
	char error[SANDBOX_ERROR_BYTES];

	if (options->command != COMMAND_SERVE)
		return true;
	return sandbox_enter(options->user, options->wants_seccomp, error) ||
	    complain(error);
}

static bool
check_user(const struct options *options)
{
	char error[SANDBOX_ERROR_BYTES];

	return options->user == NULL ||
	    sandbox_check_user(options->user, error) || complain(error);
}

static bool
open_events(struct run *run)
{
	char error[EVENTLOG_ERROR_BYTES];

	if (run->options->events_path == NULL)
		return true;
	run->eventlog = eventlog_open(run->options->events_path, error);
	if (run->eventlog == NULL)
		return complain(error);
	run->events = events_new();
	return true;
}

static bool
open_archive(struct run *run)
{
	char error[ARCHIVE_ERROR_BYTES];

	if (run->options->capture_dir == NULL)
		return true;
	run->archive =
	    archive_open(run->service, run->options, har_line, error);
	return run->archive != NULL || complain(error);
}

static bool
start_archive(struct run *run)
{
	char error[ARCHIVE_ERROR_BYTES];

	return run->archive == NULL || archive_start(run->archive, error) ||
	    complain(error);
}

static bool
check_store(const struct options *options)
{
	char error[STORE_ERROR_BYTES];

	if (options->store_url == NULL ||
	    store_check_shared(options->store_url, error))
		return true;
	fprintf(stderr, "leakproxy: --store: %s\n", error);
	return false;
}

/* Whatever root alone may read or bind. */
static bool
open_service(struct run *run)
{
	char error[SERVICE_ERROR_BYTES];
	struct address admin;
	bool has_admin;

	if (!check_user(run->options) || !check_store(run->options))
		return false;
	run->service = service_open(run->options, error);
	if (run->service == NULL)
		return complain(error);
	if (run->options->keeps_store)
		run->recorder = recorder_new(run->service, run->options);
	if (!open_admin(run) || !open_events(run))
		return false;
	has_admin =
	    run->admin != NULL && units_parse_address(run->admin_text, &admin);
	if (!service_prepare(run->service, has_admin ? &admin : NULL, error))
		return complain(error);
	if (run->recorder != NULL)
		recorder_open(run->recorder);
	return open_archive(run);
}

static bool
start_threads(struct run *run)
{
	char error[SERVICE_ERROR_BYTES];

	if (run->recorder != NULL && !recorder_start(run->recorder))
		return complain("cannot start the store's thread: raise the "
				"limit of processes, or --store off");
	if (run->admin != NULL && !admin_server_start(run->admin))
		return complain("cannot start the admin's thread: raise the "
				"limit of processes");
	return start_archive(run) &&
	    (service_start(run->service, error) || complain(error));
}

/* --ready-fd: one JSON line. */
static bool
tell_ready(const struct run *run)
{
	json_t *ready;
	json_t *listen = json_array();
	json_t *redirect = json_array();
	int fd = run->options->ready_fd;
	const char *text;
	char *line;
	bool is_written;

	for (size_t i = 0;
	     (text = service_listen_text(run->service, i)) != NULL; i++) {
		log_info("listening on %s", text);
		json_array_append_new(listen, json_string(text));
	}
	for (size_t i = 0;
	     (text = service_redirect_text(run->service, i)) != NULL; i++) {
		log_info("redirected connections are taken on %s", text);
		json_array_append_new(redirect, json_string(text));
	}
	ready = json_pack("{s:o, s:o, s:s?, s:i}", "listen", listen, "redirect",
	    redirect, "admin", run->admin == NULL ? NULL : run->admin_text,
	    "pid", (int)getpid());
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
	/* exec leaves it to its command. */
	if (run->options->command == COMMAND_SERVE)
		run->notify = notify_open();
	return open_service(run) && enter_sandbox(run->options) &&
	    start_threads(run) && tell_ready(run);
}

static void
tell_events(struct run *run, struct snapshot *snapshot, enum events_when when)
{
	char *lines = events_lines(run->events, snapshot, when);

	eventlog_append(run->eventlog, lines);
	free(lines);
}

static void
on_pulse(struct snapshot *snapshot, void *arg)
{
	tell_events(arg, snapshot, EVENTS_NOW);
}

/* All workers have answered. */
static void
on_alive(struct snapshot *snapshot, void *arg)
{
	struct run *run = arg;

	notify_alive(run->notify);
}

/* Twice as often as it must be heard, as sd_watchdog_enabled(3) advises. */
static unsigned
watchdog_every_s(const struct run *run)
{
	mono_us every_s = notify_watchdog_us(run->notify) / 2 / US_PER_S;

	if (every_s < PULSE_EVERY_S)
		return PULSE_EVERY_S;
	return every_s > WATCHDOG_MAX_S ? WATCHDOG_MAX_S : (unsigned)every_s;
}

/* For who watches; not where a program reads. */
static void
start_telling(struct run *run, enum status_manner manner)
{
	run->pulse = pulse_new(run->loop, run->service);
	if (isatty(STDERR_FILENO))
		run->status = status_start(run->pulse, manner, headline_text);
	if (run->events != NULL)
		pulse_listen(run->pulse,
		    &(struct pulse_listener){.every_s = PULSE_EVERY_S,
			.wants_refusals = true,
			.wants_marks = true,
			.hear = on_pulse,
			.arg = run});
	if (notify_watchdog_us(run->notify) > 0)
		pulse_listen(run->pulse,
		    &(struct pulse_listener){.every_s = watchdog_every_s(run),
			.hear = on_alive,
			.arg = run});
}

/* The admin server asks the recorder, and that the workers. */
static void
stop(struct run *run)
{
	pulse_stop(run->pulse);
	status_free(run->status);
	run->status = NULL;
	if (run->admin != NULL)
		admin_server_stop(run->admin);
	run->admin = NULL;
	if (run->recorder != NULL)
		recorder_stop(run->recorder);
	if (run->archive != NULL)
		archive_stop(run->archive);
	if (run->service != NULL)
		service_drain(run->service);
	if (run->recorder != NULL)
		recorder_finish(run->recorder);
	run->recorder = NULL;
	if (run->archive != NULL)
		archive_finish(run->archive);
	run->archive = NULL;
}

static void
release(struct run *run)
{
	stop(run);
	if (run->child != NULL)
		child_free(run->child);
	pulse_free(run->pulse);
	/* Answers to the pulse, which workers have posted by their end. */
	loop_settle(run->loop);
	events_free(run->events);
	eventlog_close(run->eventlog);
	if (run->service != NULL)
		service_close(run->service);
	notify_close(run->notify);
	signals_close(run->signals);
	loop_free(run->loop);
}

/* ---- serve ---- */

/* What has come since the last pulse, and what was held back. */
static void
tell_last_events(struct run *run)
{
	static const struct snapshot_query query = {
	    .wants_refusals = true, .wants_marks = true};
	struct snapshot *snapshot = service_snapshot(run->service, &query);

	tell_events(run, snapshot, EVENTS_LAST);
	snapshot_free(snapshot);
}

int
run_serve(const struct options *options)
{
	struct run run = {.options = options};
	int status = STATUS_MISTAKE;

	if (start(&run)) {
		start_telling(&run, STATUS_IN_PLACE);
		tell_systemd_ready(&run);
		loop_run(run.loop);
		stop(&run);
		if (run.events != NULL)
			tell_last_events(&run);
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
	    .admin_token_path = run->options->admin_token_path,
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

int
run_exec(const struct options *options)
{
	struct run run = {.options = options};
	struct snapshot_query query = {
	    .wants_conns = true, .wants_captures = true, .wants_rhythm = true};
	struct snapshot *snapshot;
	int status;

	if (!start(&run)) {
		release(&run);
		return STATUS_MISTAKE;
	}
	start_telling(&run, STATUS_IN_LINES);
	run_child(&run);
	stop(&run);
	snapshot = service_snapshot(run.service, &query);
	if (run.events != NULL)
		tell_events(&run, snapshot, EVENTS_LAST);
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
