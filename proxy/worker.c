/* SPDX-License-Identifier: MIT */

/*
 * One worker: accepts, sweeps, drains.
 *
 * The kernel spreads new connections over the workers' listeners.  When
 * descriptors run out, a worker stops accepting for a moment instead of
 * spinning on a listener that stays readable.
 */

#include "proxy/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/archive.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/client.h"
#include "proxy/parsers.h"
#include "proxy/pool.h"
#include "proxy/redirect.h"
#include "proxy/resolve.h"
#include "proxy/splice.h"

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS 500

/* Connections above --max-connections that are answered at once at most. */
#define TURNED_AWAY_MAX 32

#define SWEEP_MIN_US (50 * US_PER_MS)
#define SWEEP_MAX_US US_PER_S
#define SWEEPS_PER_PATIENCE 5

#define PROBES_PER_S 100
#define OWNERS_PER_SWEEP 1000
#define SEARCHES_PER_SWEEP 4

/* Swept over at once: half a millisecond, but for a search. */
#define CLIENTS_A_TURN 100

/* What callers said before we were told to stop is heard first: the FINs of a
 * process that has just ended decide verdicts. */
#define DRAIN_SETTLE_US (50 * US_PER_MS)
#define DRAIN_POLL_US (20 * US_PER_MS)

/* Where a connection that was accepted goes on. */
typedef void (*accept_fn)(
    struct worker *worker, int fd, const struct address *address);

struct listener {
	struct worker_thread *thread; /* borrowed */
	accept_fn accept;
	int fd;              /* owned */
	struct event *event; /* owned */
};

struct worker_thread {
	struct worker worker;
	unsigned index;
	pthread_t thread;
	bool is_running;            /* from worker_start() to worker_join() */
	struct listener *listeners; /* owned */
	size_t listener_count;
	struct event *sweep_timer;        /* owned */
	struct event *sweep_on_timer;     /* owned */
	struct sweep_budget sweep_budget; /* what is left to this sweep */
	struct event *accept_timer;       /* owned */
	struct event *drain_timer;        /* owned */
	mono_us sweep_interval_us;
	mono_us drain_until;
};

static struct timeval
timeval_of(mono_us us)
{
	return (struct timeval){
	    .tv_sec = us / US_PER_S, .tv_usec = us % US_PER_S};
}

/* ---- accepting ---- */

static void
pause_accepting(struct worker_thread *thread)
{
	struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};

	for (size_t i = 0; i < thread->listener_count; i++)
		event_del(thread->listeners[i].event);
	event_add(thread->accept_timer, &pause);
	log_warn("accepting pauses: close connections, or raise the limit of "
		 "open files");
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct worker_thread *thread = arg;

	for (size_t i = 0; i < thread->listener_count; i++)
		event_add(thread->listeners[i].event, NULL);
}

static bool
is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM;
}

/* Who is one too many is told so, up to a point. */
static void
take_connection(
    const struct listener *listener, int fd, const struct address *address)
{
	struct worker *worker = &listener->thread->worker;
	const struct house *house = worker->house;

	if (atomic_load(house->connection_count) <
	    house->max_connections + TURNED_AWAY_MAX) {
		listener->accept(worker, fd, address);
		return;
	}
	ledger_counters(worker->ledger)->refused_connections++;
	close(fd);
}

static void
on_connection(evutil_socket_t listening, short what, void *arg)
{
	struct listener *listener = arg;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct address address = {.length = sizeof(address.sockaddr)};
		int fd =
		    accept4(listening, (struct sockaddr *)&address.sockaddr,
			&address.length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			take_connection(listener, fd, &address);
			continue;
		}
		if (is_exhausted(errno))
			pause_accepting(listener->thread);
		/* Anything else concerns one caller that is gone already. */
		return;
	}
}

static void
close_listeners(struct worker_thread *thread)
{
	for (size_t i = 0; i < thread->listener_count; i++) {
		event_free(thread->listeners[i].event);
		close(thread->listeners[i].fd);
	}
	thread->listener_count = 0;
	event_del(thread->accept_timer);
}

/* ---- sweeping ---- */

static unsigned
probes_per_sweep(const struct worker_thread *thread)
{
	return (unsigned)(PROBES_PER_S * thread->sweep_interval_us / US_PER_S) +
	    1;
}

/* Sweeps over some of the connections; the others come in the next turns of the
 * loop: to look at ten thousand takes tens of milliseconds, and to search all
 * processes for who holds one some more. */
static void
on_sweep_on(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval next_turn = {0, 0};
	struct worker_thread *thread = arg;
	struct worker *worker = &thread->worker;
	struct sweep_budget *budget = &thread->sweep_budget;
	unsigned searches = budget->searches;
	mono_us now = clock_mono();

	for (int i = 0; i < CLIENTS_A_TURN && worker->swept_next != NULL &&
	     budget->searches == searches;
	     i++) {
		struct client *client = worker->swept_next;

		worker->swept_next = client_next(client);
		client_sweep(client, now, budget);
	}
	if (worker->swept_next != NULL)
		event_add(thread->sweep_on_timer, &next_turn);
}

static void
on_sweep_due(evutil_socket_t fd, short what, void *arg)
{
	struct worker_thread *thread = arg;
	struct worker *worker = &thread->worker;
	mono_us now = clock_mono();

	pool_sweep(worker->pool, now);
	if (worker->swept_next != NULL)
		return;
	thread->sweep_budget = (struct sweep_budget){
	    .probes = probes_per_sweep(thread),
	    .owners = OWNERS_PER_SWEEP,
	    .searches = now >= worker->search_after ? SEARCHES_PER_SWEEP : 0,
	};
	worker->swept_next = client_first(worker);
	on_sweep_on(-1, 0, thread);
}

static mono_us
sweep_interval(const struct options *options)
{
	const mono_us patiences[] = {options->stall_after_us,
	    options->probe_after_us, options->probe_grace_us,
	    options->header_timeout_us, options->idle_timeout_us,
	    options->total_timeout_us};
	mono_us least = SWEEP_MAX_US * SWEEPS_PER_PATIENCE;

	/* 0: that one is off. */
	for (size_t i = 0; i < sizeof(patiences) / sizeof(*patiences); i++) {
		if (patiences[i] > 0 && patiences[i] < least)
			least = patiences[i];
	}
	least /= SWEEPS_PER_PATIENCE;
	if (least < SWEEP_MIN_US)
		return SWEEP_MIN_US;
	return least > SWEEP_MAX_US ? SWEEP_MAX_US : least;
}

/* ---- draining ---- */

static void
on_drain_poll(evutil_socket_t fd, short what, void *arg)
{
	struct worker_thread *thread = arg;
	struct worker *worker = &thread->worker;
	struct timeval again = timeval_of(DRAIN_POLL_US);
	bool is_late = clock_mono() >= thread->drain_until;
	struct client *client;
	struct client *next;

	for (client = client_first(worker); client != NULL; client = next) {
		next = client_next(client);
		if (is_late)
			client_close(client, CLOSE_SHUTDOWN);
		else
			client_drain(client);
	}
	/* Who waits for a view may not outlive the thread by much. */
	if (worker->client_count == 0 && !ledger_is_viewed(worker->ledger))
		loop_stop(worker->loop);
	else
		event_add(thread->drain_timer, &again);
}

static void
begin_drain(void *arg)
{
	struct worker_thread *thread = arg;
	struct timeval settle = timeval_of(DRAIN_SETTLE_US);

	if (thread->worker.is_draining)
		return;
	thread->worker.is_draining = true;
	thread->drain_until =
	    clock_mono() + thread->worker.house->options->drain_timeout_us;
	close_listeners(thread);
	event_add(thread->drain_timer, &settle);
}

void
worker_drain(struct worker_thread *thread)
{
	loop_post(thread->worker.loop, begin_drain, thread);
}

/* ---- life ---- */

static struct event *
new_timer(struct worker_thread *thread, short flags, event_callback_fn on_due)
{
	struct event *timer = event_new(
	    loop_base(thread->worker.loop), -1, flags, on_due, thread);

	if (timer == NULL)
		abort();
	return timer;
}

static void
add_listeners(struct worker_thread *thread, const struct entrance *entrances,
    size_t count)
{
	thread->listeners = xcalloc(count, sizeof(*thread->listeners));
	for (size_t i = 0; i < count; i++) {
		struct listener *listener = &thread->listeners[i];

		listener->thread = thread;
		listener->accept =
		    entrances[i].is_redirect ? redirect_accept : client_accept;
		listener->fd = entrances[i].fd;
		listener->event =
		    event_new(loop_base(thread->worker.loop), listener->fd,
			EV_READ | EV_PERSIST, on_connection, listener);
		if (listener->event == NULL)
			abort();
		event_add(listener->event, NULL);
	}
	thread->listener_count = count;
}

static bool
furnish(struct worker_thread *thread, const struct house *house,
    struct policy *policy, char error[TLS_ERROR_BYTES])
{
	const struct options *options = house->options;
	struct worker *worker = &thread->worker;
	struct ledger_config config = {
	    .patience = {options->stall_after_us, options->probe_grace_us},
	    .routes = policy->routes,
	    .callers = house->callers,
	    .suspicion = house->suspicion,
	    .capture = {.memory_bytes =
			    options->capture_memory_bytes / options->workers,
		.body_bytes = options->capture_bytes,
		.secrets = options->secrets},
	    .keeps_changes = options->keeps_store,
	    .outbox_bytes = options->capture_dir == NULL
		? 0
		: ARCHIVE_OUTBOX_BYTES / options->workers,
	    .outbox_filter = options->capture,
	    .shard = thread->index,
	    .shard_count = options->workers,
	};
	struct tls_client_settings tls = {
	    .roots = policy->roots,
	    .keylog = house->keylog,
	    .client_certs = options->client_certs,
	    .client_cert_count = options->client_cert_count,
	};

	worker->house = house;
	worker->policy = policy_ref(policy);
	TAILQ_INIT(&worker->clients);
	worker->loop = loop_new();
	worker->ledger = ledger_new(&config, clock_wall(), clock_mono());
	worker->evidence = evidence_source_new();
	worker->resolver = resolver_new(worker->loop, options);
	worker->pool = pool_new();
	worker->parsers = parsers_new(options->max_header_bytes);
	worker->splice = splice_new();
	worker->tls_client = tls_client_new(&tls, error);
	return worker->tls_client != NULL;
}

static void *
run(void *arg)
{
	struct worker_thread *thread = arg;

	loop_run(thread->worker.loop);
	return NULL;
}

struct worker_thread *
worker_new(const struct house *house, struct policy *policy, unsigned index,
    char error[TLS_ERROR_BYTES])
{
	struct worker_thread *thread = xcalloc(1, sizeof(*thread));

	thread->index = index;
	if (furnish(thread, house, policy, error))
		return thread;
	worker_free(thread);
	return NULL;
}

bool
worker_start(struct worker_thread *thread, const struct entrance *entrances,
    size_t entrance_count, char error[TLS_ERROR_BYTES])
{
	struct timeval interval;
	int failure;

	thread->sweep_interval_us =
	    sweep_interval(thread->worker.house->options);
	interval = timeval_of(thread->sweep_interval_us);
	thread->sweep_timer = new_timer(thread, EV_PERSIST, on_sweep_due);
	thread->sweep_on_timer = new_timer(thread, 0, on_sweep_on);
	thread->accept_timer = new_timer(thread, 0, on_accept_again);
	thread->drain_timer = new_timer(thread, 0, on_drain_poll);
	add_listeners(thread, entrances, entrance_count);
	event_add(thread->sweep_timer, &interval);
	failure = pthread_create(&thread->thread, NULL, run, thread);
	if (failure != 0) {
		snprintf(error, TLS_ERROR_BYTES, "cannot start a thread: %s",
		    strerror(failure));
		close_listeners(thread);
		return false;
	}
	thread->is_running = true;
	return true;
}

void
worker_join(struct worker_thread *thread)
{
	pthread_join(thread->thread, NULL);
	thread->is_running = false;
}

static void
free_timer(struct event *timer)
{
	if (timer != NULL)
		event_free(timer);
}

void
worker_free(struct worker_thread *thread)
{
	struct worker *worker = &thread->worker;

	free_timer(thread->sweep_timer);
	free_timer(thread->sweep_on_timer);
	free_timer(thread->accept_timer);
	free_timer(thread->drain_timer);
	pool_free(worker->pool);
	splice_free(worker->splice);
	resolver_free(worker->resolver);
	/* What waits for later is run now, and may still tell the ledger. */
	loop_free(worker->loop);
	parsers_free(worker->parsers);
	tls_client_free(worker->tls_client);
	evidence_source_free(worker->evidence);
	ledger_free(worker->ledger);
	policy_unref(worker->policy);
	text_fini(&worker->scratch);
	text_fini(&worker->held_head);
	free(thread->listeners);
	free(thread);
}

/* ---- another policy ---- */

/* Connections that rest have been verified by the roots of before. */
void
worker_set_policy(struct worker *worker, struct policy *policy)
{
	struct policy *old = worker->policy;

	worker->policy = policy;
	ledger_set_routes(worker->ledger, policy->routes);
	tls_client_set_roots(worker->tls_client, policy->roots);
	pool_clear(worker->pool);
	policy_unref(old);
}

/* ---- asking ---- */

struct question {
	struct worker *worker; /* borrowed */
	worker_ask_cb ask;
	void *arg;
};

static void
answer(void *arg)
{
	struct question *question = arg;

	question->ask(question->worker, question->arg);
	free(question);
}

void
worker_ask(struct worker_thread *thread, worker_ask_cb ask, void *arg)
{
	struct question *question;

	if (!thread->is_running) {
		ask(&thread->worker, arg);
		return;
	}
	question = xcalloc(1, sizeof(*question));
	*question = (struct question){&thread->worker, ask, arg};
	loop_post(thread->worker.loop, answer, question);
}

void
worker_count_upstream(struct worker *worker, struct stream *stream)
{
	struct counters *counters = ledger_counters(worker->ledger);

	stream_take_bytes(stream, &counters->upstream_received_bytes,
	    &counters->upstream_sent_bytes);
}

struct ledger_view *
worker_begin_view(struct worker *worker, const struct snapshot_query *query)
{
	struct client *client;

	/* Bytes are counted by the streams, until their end. */
	for (client = client_first(worker); client != NULL;
	     client = client_next(client))
		client_note_bytes(client);
	return ledger_view_begin(
	    worker->ledger, query, clock_wall(), clock_mono());
}

struct snapshot *
worker_step_view(struct worker *worker, struct ledger_view **view)
{
	struct snapshot *snapshot;

	if (ledger_view_step(*view, clock_mono()))
		return NULL;
	snapshot = ledger_view_finish(view);
	snapshot->gauges.upstream_idle = pool_idle_count(worker->pool);
	snapshot->gauges.upstream_active =
	    worker->upstream_count - snapshot->gauges.upstream_idle;
	return snapshot;
}

struct snapshot *
worker_snapshot(struct worker *worker, const struct snapshot_query *query)
{
	struct ledger_view *view = worker_begin_view(worker, query);
	struct snapshot *snapshot;

	while ((snapshot = worker_step_view(worker, &view)) == NULL)
		continue;
	return snapshot;
}
