/* SPDX-License-Identifier: MIT */

/*
 * The thread of --capture-dir.
 *
 *      due ──▶ asks the workers ──▶ each part is written as it comes
 *       ▲                                          │
 *       ╰── a while later, or at once where ◀──────╯
 *           there was much
 *
 * Rendering is done here, never in a worker.  Lines go out a few at a time,
 * whole, by one write(): one for each would cost half as much as rendering it.
 * What cannot be written is counted and gone; there is one line when the
 * trouble begins and one when it is over.
 */

#include "proxy/archive.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "accounting/outbox.h"
#include "accounting/route.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/capture_dir.h"

#define ASK_EVERY_MS 200

/* From so much on, more is asked for at once. */
#define MUCH_BYTES (ARCHIVE_OUTBOX_BYTES / 32)

#define LINES_BYTES ((size_t)32 * 1024)
#define RUN_BYTES 48

struct archive {
	/* owned */
	struct loop *loop;
	struct event *timer;
	struct capture_dir *dir;
	/* borrowed */
	struct service *service;
	const struct options *options;
	archive_line_cb line;

	pthread_t thread;
	bool is_running; /* the thread */
	bool is_stopping;
	unsigned missing;  /* parts of the round under way */
	size_t came_bytes; /* in this round */
	bool is_troubled;  /* the last line could not be written */
	uint64_t lost;     /* in this trouble */
	char run[RUN_BYTES];

	/* what goes out by the next write() */
	char *lines; /* owned */
	size_t lines_length;
	size_t lines_size;
	size_t line_count;

	/* since a worker's counters took them; its thread does */
	atomic_uint_fast64_t written;
	atomic_uint_fast64_t failed;
};

/* ---- writing ---- */

static void
note_failure(struct archive *archive)
{
	atomic_fetch_add(&archive->failed, archive->line_count);
	archive->lost += archive->line_count;
	if (archive->is_troubled)
		return;
	archive->is_troubled = true;
	log_warn("--capture-dir: cannot write to %s, the proxy goes on and "
		 "entries are lost",
	    archive->options->capture_dir);
}

static void
note_success(struct archive *archive)
{
	atomic_fetch_add(&archive->written, archive->line_count);
	if (archive->is_troubled)
		log_info("--capture-dir: %s is written again; %" PRIu64
			 " entries were lost",
		    archive->options->capture_dir, archive->lost);
	archive->is_troubled = false;
	archive->lost = 0;
}

/* Writes the lines that wait. */
static void
flush(struct archive *archive)
{
	if (archive->line_count == 0)
		return;
	if (capture_dir_write(archive->dir, archive->lines,
		archive->lines_length, clock_wall()))
		note_success(archive);
	else
		note_failure(archive);
	archive->lines_length = 0;
	archive->line_count = 0;
}

/* A few lines go out together, a long one alone. */
static void
add_line(struct archive *archive, const char *line)
{
	size_t length = strlen(line);

	if (archive->lines_length + length > LINES_BYTES)
		flush(archive);
	if (length > archive->lines_size) {
		archive->lines_size =
		    length > LINES_BYTES ? length : LINES_BYTES;
		archive->lines =
		    xreallocarray(archive->lines, archive->lines_size, 1);
	}
	memcpy(archive->lines + archive->lines_length, line, length);
	archive->lines_length += length;
	archive->line_count++;
}

static void
write_exchange(struct archive *archive, struct exchange_record *exchange)
{
	char id[RUN_BYTES + EXCHANGE_ID_BYTES];
	char exchange_id[EXCHANGE_ID_BYTES];
	char route[ROUTE_MAX_BYTES];
	char *line;

	if (exchange->route == NULL) {
		struct policy *policy = service_policy(archive->service);

		route_of_url(policy->routes, exchange->url, route);
		policy_unref(policy);
		exchange->route = route;
	}
	record_exchange_id(exchange, exchange_id);
	snprintf(id, sizeof(id), "%s/%s", archive->run, exchange_id);
	line = archive->line(exchange, id);
	add_line(archive, line);
	free(line);
}

/* Takes the blocks. */
static void
write_blocks(struct archive *archive, struct outbox_block *blocks)
{
	struct outbox_block *block = blocks;
	struct exchange_record *exchange;
	size_t at = 0;

	while ((exchange = outbox_next(&block, &at)) != NULL)
		write_exchange(archive, exchange);
	flush(archive);
	outbox_free_blocks(blocks);
}

/* ---- asking ---- */

struct part {
	struct archive *archive;     /* borrowed */
	struct outbox_block *blocks; /* owned */
};

static void ask(struct archive *archive);

static void
finish_round(struct archive *archive)
{
	bool is_much = archive->came_bytes >= MUCH_BYTES;

	archive->came_bytes = 0;
	if (archive->is_stopping)
		loop_stop(archive->loop);
	else if (is_much)
		ask(archive);
}

/* In our loop. */
static void
take_part(void *arg)
{
	struct part *part = arg;
	struct archive *archive = part->archive;

	archive->came_bytes += outbox_blocks_bytes(part->blocks);
	write_blocks(archive, part->blocks);
	free(part);
	if (--archive->missing == 0)
		finish_round(archive);
}

/* In the worker's thread: its counters are told what became of the last. */
static struct outbox_block *
collect(struct archive *archive, struct worker *worker)
{
	struct counters *counters = ledger_counters(worker->ledger);

	counters->capture_written += atomic_exchange(&archive->written, 0);
	counters->capture_failed += atomic_exchange(&archive->failed, 0);
	return ledger_take_outbox(worker->ledger);
}

static void
give_part(struct worker *worker, void *arg)
{
	struct archive *archive = arg;
	struct part *part = xcalloc(1, sizeof(*part));

	part->archive = archive;
	part->blocks = collect(archive, worker);
	loop_post(archive->loop, take_part, part);
}

static void
ask(struct archive *archive)
{
	/* Answers come through our loop, so none before this is set. */
	archive->missing = service_ask(archive->service, give_part, archive);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct archive *archive = arg;

	if (archive->missing == 0)
		ask(archive);
}

/* ---- life ---- */

static void *
run(void *arg)
{
	struct archive *archive = arg;

	loop_run(archive->loop);
	return NULL;
}

static void
explain(const struct options *options, char error[ARCHIVE_ERROR_BYTES])
{
	snprintf(error, ARCHIVE_ERROR_BYTES,
	    "--capture-dir: cannot write to \"%s\": %s: name a directory that "
	    "is there, or whose parent is, and that is ours%s%s",
	    options->capture_dir, strerror(errno),
	    options->user == NULL ? "" : ", also as ",
	    options->user == NULL ? "" : options->user);
}

struct archive *
archive_open(struct service *service, const struct options *options,
    archive_line_cb line, char error[ARCHIVE_ERROR_BYTES])
{
	struct timeval every = {.tv_usec = ASK_EVERY_MS * 1000};
	struct capture_dir *dir =
	    capture_dir_open(options->capture_dir, options->capture_dir_bytes);
	struct archive *archive;

	if (dir == NULL) {
		explain(options, error);
		return NULL;
	}
	archive = xcalloc(1, sizeof(*archive));
	archive->dir = dir;
	archive->service = service;
	archive->options = options;
	archive->line = line;
	snprintf(archive->run, sizeof(archive->run), "%" PRIx64 "-%d",
	    (uint64_t)clock_wall(), (int)getpid());
	archive->loop = loop_new();
	archive->timer = event_new(
	    loop_base(archive->loop), -1, EV_PERSIST, on_due, archive);
	if (archive->timer == NULL || event_add(archive->timer, &every) != 0)
		abort();
	return archive;
}

bool
archive_start(struct archive *archive, char error[ARCHIVE_ERROR_BYTES])
{
	if (!capture_dir_is_writable(archive->dir)) {
		explain(archive->options, error);
		return false;
	}
	archive->is_running =
	    pthread_create(&archive->thread, NULL, run, archive) == 0;
	if (!archive->is_running)
		snprintf(error, ARCHIVE_ERROR_BYTES,
		    "--capture-dir: cannot start its thread: raise the limit "
		    "of processes");
	return archive->is_running;
}

static void
begin_stop(void *arg)
{
	struct archive *archive = arg;

	archive->is_stopping = true;
	event_del(archive->timer);
	if (archive->missing == 0)
		loop_stop(archive->loop);
}

void
archive_stop(struct archive *archive)
{
	if (!archive->is_running)
		return;
	loop_post(archive->loop, begin_stop, archive);
	pthread_join(archive->thread, NULL);
	archive->is_running = false;
}

/* At once, in the caller's thread. */
static void
take_directly(struct worker *worker, void *arg)
{
	struct archive *archive = arg;

	write_blocks(archive, collect(archive, worker));
}

void
archive_finish(struct archive *archive)
{
	service_ask(archive->service, take_directly, archive);
	event_free(archive->timer);
	loop_free(archive->loop);
	capture_dir_close(archive->dir);
	free(archive->lines);
	free(archive);
}
