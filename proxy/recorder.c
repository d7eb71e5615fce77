/* SPDX-License-Identifier: MIT */

/*
 * The store's thread.
 *
 *      due, or an answer waits ──▶ asks the workers ──▶ their changes are in
 *           ──▶ merged into `pending` ──▶ written ──▶ the answer is handed over
 *
 * What cannot be written stays pending, within the bounds of a batch, and
 * goes with the next; there is one line when the trouble begins and one when
 * it is over.  A file that will never do is left alone for good.
 */

#include "proxy/recorder.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/marks.h"
#include "accounting/memory.h"
#include "accounting/store.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/shipper.h"

/* Twice in the second that may be lost: the writing takes time too. */
#define WRITE_EVERY_MS 500
#define PRUNE_EVERY_US (60 * US_PER_S)
#define PRUNE_EVERY_EXCHANGES 10000
#define REOPEN_EVERY_US (2 * US_PER_S)
#define HOST_BYTES 256

enum recorder_state {
	RECORDER_WORKING,
	RECORDER_TROUBLED, /* the last attempt failed */
	RECORDER_GIVEN_UP, /* the file will never do */
};

struct recorder {
	/* owned */
	struct loop *loop;
	struct event *timer;
	struct store *store; /* NULL: not opened yet */
	struct batch *pending;
	struct shipper *shipper; /* NULL: no shared store */
	/* borrowed */
	struct service *service;
	const struct options *options;

	pthread_t thread;
	enum recorder_state state;
	bool is_opened;  /* recorder_open() was called */
	bool is_running; /* the thread */
	bool is_stopping;
	bool has_run; /* is begun in the store */
	size_t asked; /* collections under way */
	uint64_t errors;
	uint64_t dropped; /* records, with batches that are gone */
	wall_us started;
	mono_us tried_at; /* to open the store */
	mono_us pruned_at;
	size_t written; /* exchanges since then */
	uint64_t marks_seen;
	char host[HOST_BYTES];
};

/* ---- writing ---- */

static void
note_trouble(struct recorder *recorder, const struct store_error *error)
{
	enum recorder_state before = recorder->state;

	recorder->errors++;
	recorder->state = store_is_hopeless(error->result) ? RECORDER_GIVEN_UP
							   : RECORDER_TROUBLED;
	if (recorder->state == before)
		return;
	log_warnx("%s; the proxy goes on, and %s", error->text,
	    recorder->state == RECORDER_GIVEN_UP
		? "keeps nothing of this run"
		: "keeps evidence in memory until it can be written");
}

static void
note_success(struct recorder *recorder)
{
	if (recorder->state == RECORDER_TROUBLED)
		log_info("%s/" STORE_FILE " is written again; %" PRIu64
			 " records were dropped",
		    recorder->options->state_dir, recorder->pending->dropped);
	recorder->state = RECORDER_WORKING;
}

static bool
is_open(struct recorder *recorder)
{
	mono_us now = clock_mono();
	struct store_error error;

	if (recorder->store != NULL)
		return true;
	if (recorder->tried_at != 0 &&
	    now - recorder->tried_at < REOPEN_EVERY_US)
		return false;
	recorder->tried_at = now;
	recorder->store =
	    store_open(recorder->options->state_dir, STORE_WRITE, &error);
	if (recorder->store == NULL)
		note_trouble(recorder, &error);
	return recorder->store != NULL;
}

static bool
begin_run(struct recorder *recorder)
{
	const struct options *options = recorder->options;
	struct store_run_facts facts = {
	    .started = recorder->started,
	    .name = options->run == NULL ? "" : options->run,
	    .host = recorder->host,
	    .program = LEAKPROXY_VERSION,
	    .pid = getpid(),
	    .service = options->service,
	    .version = options->service_version,
	};

	if (!recorder->has_run)
		recorder->has_run = store_begin_run(recorder->store, &facts);
	return recorder->has_run;
}

/* Once a minute, or after many megabytes: what is too old or too much goes. */
static void
prune(struct recorder *recorder)
{
	const struct options *options = recorder->options;
	uint64_t unshipped = 0;
	struct store_bounds bounds = {
	    .max_age_us = options->store_max_age_us,
	    .max_bytes = (int64_t)options->store_max_bytes,
	    .unshipped = recorder->shipper == NULL ? NULL : &unshipped,
	};

	recorder->pruned_at = clock_mono();
	recorder->written = 0;
	if (!store_prune(recorder->store, &bounds, clock_wall()))
		note_trouble(recorder, store_error(recorder->store));
	else if (unshipped > 0)
		shipper_note_lost(recorder->shipper, unshipped);
}

static bool
is_prune_due(const struct recorder *recorder)
{
	return recorder->pruned_at == 0 ||
	    recorder->written >= PRUNE_EVERY_EXCHANGES ||
	    clock_mono() - recorder->pruned_at >= PRUNE_EVERY_US;
}

static void
renew_pending(struct recorder *recorder)
{
	recorder->dropped += recorder->pending->dropped;
	batch_free(recorder->pending);
	recorder->pending = batch_new();
}

static void
write_pending(struct recorder *recorder)
{
	bool is_due;

	if (recorder->state == RECORDER_GIVEN_UP) {
		recorder->errors += !batch_is_empty(recorder->pending);
		renew_pending(recorder);
		return;
	}
	if (!is_open(recorder))
		return;
	/* Also an empty batch, now and then, says that the run is alive. */
	is_due = is_prune_due(recorder);
	if (!begin_run(recorder) ||
	    ((is_due || !batch_is_empty(recorder->pending)) &&
		!store_write(recorder->store, recorder->pending))) {
		note_trouble(recorder, store_error(recorder->store));
		return;
	}
	note_success(recorder);
	recorder->written += recorder->pending->exchange_count;
	renew_pending(recorder);
	if (is_due)
		prune(recorder);
}

/* ---- collecting ---- */

typedef void (*collected_cb)(struct recorder *recorder, void *arg);

/* One round of the workers; lives until the last has answered. */
struct collection {
	struct recorder *recorder; /* borrowed */
	unsigned missing;
	collected_cb done; /* NULL: nobody waits */
	void *arg;
};

struct part {
	struct collection *collection;
	struct batch *batch; /* owned */
};

static void
stop_if_idle(struct recorder *recorder)
{
	if (recorder->is_stopping && recorder->asked == 0)
		loop_stop(recorder->loop);
}

/* What jobs have announced since the last time. */
static void
take_marks(struct recorder *recorder)
{
	size_t count;
	struct mark *marks = marks_since(
	    service_marks(recorder->service), &recorder->marks_seen, &count);

	for (size_t i = 0; i < count; i++)
		batch_add_mark(recorder->pending, marks[i].name,
		    mark_phase_word(marks[i].phase), marks[i].at);
	free(marks);
}

static void
finish_collection(struct collection *collection)
{
	struct recorder *recorder = collection->recorder;

	take_marks(recorder);
	write_pending(recorder);
	recorder->asked--;
	if (collection->done != NULL)
		collection->done(recorder, collection->arg);
	free(collection);
	stop_if_idle(recorder);
}

/* In our loop. */
static void
take_part(void *arg)
{
	struct part *part = arg;
	struct collection *collection = part->collection;

	batch_merge(collection->recorder->pending, &part->batch);
	free(part);
	if (--collection->missing == 0)
		finish_collection(collection);
}

/* In the worker's thread. */
static void
give_part(struct worker *worker, void *arg)
{
	struct collection *collection = arg;
	struct part *part = xcalloc(1, sizeof(*part));

	part->collection = collection;
	part->batch = ledger_take_changes(worker->ledger, clock_wall());
	loop_post(collection->recorder->loop, take_part, part);
}

static void
collect(struct recorder *recorder, collected_cb done, void *arg)
{
	struct collection *collection = xcalloc(1, sizeof(*collection));

	collection->recorder = recorder;
	collection->done = done;
	collection->arg = arg;
	recorder->asked++;
	/* Answers come through our loop, so none before this is set. */
	collection->missing =
	    service_ask(recorder->service, give_part, collection);
	if (collection->missing == 0)
		finish_collection(collection);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct recorder *recorder = arg;

	/* One that is slow need not be asked twice. */
	if (recorder->asked == 0)
		collect(recorder, NULL, NULL);
}

/* ---- answers that wait ---- */

struct answer {
	struct recorder *recorder; /* borrowed */
	struct loop *asker;        /* borrowed */
	struct snapshot *snapshot; /* owned */
	void (*done)(struct snapshot *snapshot, void *arg);
	void *arg;
};

/* In the asker's loop. */
static void
deliver(void *arg)
{
	struct answer *answer = arg;

	answer->done(answer->snapshot, answer->arg);
	free(answer);
}

static void
on_collected(struct recorder *recorder, void *arg)
{
	struct answer *answer = arg;

	answer->snapshot->counters.store_errors += recorder->errors;
	answer->snapshot->counters.store_dropped +=
	    recorder->dropped + recorder->pending->dropped;
	if (recorder->shipper != NULL)
		shipper_look(recorder->shipper, &answer->snapshot->shipping);
	loop_post(answer->asker, deliver, answer);
}

/* In our loop: what is collected now is all that the snapshot shows, and
 * perhaps more. */
static void
on_gathered(struct snapshot *snapshot, void *arg)
{
	struct answer *answer = arg;

	answer->snapshot = snapshot;
	collect(answer->recorder, on_collected, answer);
}

bool
recorder_is_ready(void *arg)
{
	struct recorder *recorder = arg;

	return service_is_ready(recorder->service);
}

void
recorder_gather(void *arg, struct loop *asker,
    const struct snapshot_query *query,
    void (*done)(struct snapshot *snapshot, void *arg), void *done_arg)
{
	struct recorder *recorder = arg;
	struct answer *answer = xcalloc(1, sizeof(*answer));

	answer->recorder = recorder;
	answer->asker = asker;
	answer->done = done;
	answer->arg = done_arg;
	service_gather(
	    recorder->service, recorder->loop, query, on_gathered, answer);
}

/* ---- life ---- */

static void *
run(void *arg)
{
	struct recorder *recorder = arg;

	loop_run(recorder->loop);
	return NULL;
}

struct recorder *
recorder_new(struct service *service, const struct options *options)
{
	struct recorder *recorder = xcalloc(1, sizeof(*recorder));
	struct timeval every = {.tv_usec = WRITE_EVERY_MS * 1000};

	recorder->service = service;
	recorder->options = options;
	recorder->started = clock_wall();
	recorder->pending = batch_new();
	recorder->loop = loop_new();
	if (options->store_url != NULL)
		recorder->shipper = shipper_new(options);
	if (gethostname(recorder->host, sizeof(recorder->host) - 1) != 0)
		strcpy(recorder->host, "?");
	recorder->timer = event_new(
	    loop_base(recorder->loop), -1, EV_PERSIST, on_due, recorder);
	if (recorder->timer == NULL || event_add(recorder->timer, &every) != 0)
		abort();
	return recorder;
}

void
recorder_open(struct recorder *recorder)
{
	recorder->is_opened = true;
	if (is_open(recorder) && !begin_run(recorder))
		note_trouble(recorder, store_error(recorder->store));
	if (recorder->shipper != NULL)
		shipper_open(recorder->shipper);
}

bool
recorder_start(struct recorder *recorder)
{
	recorder->is_running =
	    pthread_create(&recorder->thread, NULL, run, recorder) == 0;
	return recorder->is_running &&
	    (recorder->shipper == NULL || shipper_start(recorder->shipper));
}

static void
begin_stop(void *arg)
{
	struct recorder *recorder = arg;

	recorder->is_stopping = true;
	event_del(recorder->timer);
	stop_if_idle(recorder);
}

void
recorder_stop(struct recorder *recorder)
{
	if (!recorder->is_running)
		return;
	loop_post(recorder->loop, begin_stop, recorder);
	pthread_join(recorder->thread, NULL);
	recorder->is_running = false;
}

/* At once, in the caller's thread. */
static void
take_directly(struct worker *worker, void *arg)
{
	struct recorder *recorder = arg;
	struct batch *batch = ledger_take_changes(worker->ledger, clock_wall());

	batch_merge(recorder->pending, &batch);
}

static void
write_end(struct recorder *recorder)
{
	recorder->tried_at = 0; /* there is no later */
	service_ask(recorder->service, take_directly, recorder);
	take_marks(recorder);
	write_pending(recorder);
	if (recorder->has_run && recorder->state == RECORDER_WORKING &&
	    !store_end_run(recorder->store, clock_wall()))
		note_trouble(recorder, store_error(recorder->store));
}

void
recorder_finish(struct recorder *recorder)
{
	if (recorder->is_opened)
		write_end(recorder);
	event_free(recorder->timer);
	loop_free(recorder->loop);
	batch_free(recorder->pending);
	store_close(recorder->store);
	if (recorder->shipper != NULL)
		shipper_finish(recorder->shipper);
	free(recorder);
}
