/* SPDX-License-Identifier: MIT */

/*
 * The accounts by themselves, at the size that they are promised for: what an
 * exchange costs, what it all holds in memory, and what a look at it costs the
 * worker that copies and the admin thread that renders.  Figures; nothing
 * passes or fails.
 *
 *      ledger [EXCHANGES [LEAKS]]
 */

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "accounting/ledger.h"
#include "accounting/memory.h"
#include "admin/api.h"
#include "admin/metrics.h"
#include "admin/report.h"

#define CONNS 64 /* over which the exchanges come */
#define BODY_BYTES 157
#define ROUNDS 5
#define MAX_SHARDS 2
#define START_US (1000 * US_PER_S)
#define STALL_US (30 * US_PER_S)
#define EPOCH_US INT64_C(1795485784000000)

struct house {
	struct callers *callers;     /* borrowed */
	struct suspicion *suspicion; /* borrowed */
	struct ledger *ledger;       /* owned */
	struct ledger_conn **conns;  /* owned, closed at the end */
	size_t conn_count;
	mono_us now;
};

static double
cpu_us(void)
{
	struct timespec at;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static size_t
heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* ---- facts, as a worker tells them ---- */

static struct ledger_conn *
open_conn(struct house *house)
{
	struct ledger_conn *conn = ledger_conn_opened(house->ledger,
	    "127.0.0.1:41234", EPOCH_US + house->now, house->now);

	ledger_conn_record(conn)->is_local = true;
	house->conns = xreallocarray(
	    house->conns, house->conn_count + 1, sizeof(*house->conns));
	return house->conns[house->conn_count++] = conn;
}

static void
serve(struct house *house, struct ledger_conn *conn, const char *url,
    const struct tags *tags)
{
	struct request_facts request = {
	    .method = xstrdup("GET"),
	    .user_agent = xstrdup("Go-http-client/1.1"),
	    .url = url,
	    .origin = "http://registry.test",
	    .tags = tags,
	};
	struct response_facts response = {.status = 200, .has_body = true};
	struct ledger_exchange *x = ledger_request_began(
	    conn, &request, EPOCH_US + house->now, house->now);

	ledger_wants_close(x, response.status);
	ledger_response_began(x, &response, house->now + 500);
	ledger_wants_segment(x);
	ledger_response_body_came(x, BODY_BYTES);
	ledger_response_ended(&x, RESPONSE_COMPLETE, house->now + 900);
	house->now += 10;
}

static void
open_house(struct house *house, size_t shard, size_t shard_count)
{
	struct ledger_config config = {
	    .patience = {.stall_after_us = STALL_US,
		.probe_grace_us = 5 * US_PER_S},
	    .callers = house->callers,
	    .suspicion = house->suspicion,
	    .shard = (unsigned)shard,
	    .shard_count = (unsigned)shard_count,
	};

	house->now = START_US;
	house->ledger = ledger_new(&config, EPOCH_US + house->now, house->now);
	for (size_t i = 0; i < CONNS; i++)
		open_conn(house);
}

static void
close_house(struct house *house)
{
	for (size_t i = 0; i < house->conn_count; i++)
		ledger_conn_closed(&house->conns[i], CLOSE_CLIENT_FIN,
		    EPOCH_US + house->now, house->now);
	free(house->conns);
	ledger_free(house->ledger);
}

/* Each proves the one before it drained. */
static void
exchange(struct house *house, size_t count)
{
	static const struct tags none = {0};
	char url[96];

	for (size_t i = 0; i < count; i++) {
		snprintf(url, sizeof(url),
		    "http://registry.test/v2/library/image%zu/manifests/1",
		    i % 100);
		serve(house, house->conns[i % CONNS], url, &none);
	}
}

/* Leaves the response unread, as a local caller that never reads does. */
static void
leave_unread(struct house *house, struct ledger_conn *conn)
{
	const struct delivery delivery = {.acked_bytes = 400,
	    .unread_bytes = BODY_BYTES,
	    .window_bytes = 65536,
	    .rtt_us = 1000};

	ledger_delivery_seen(conn, &delivery, house->now);
}

/* So many leaks, of one held response each; then of another. */
static void
leak(struct house *house, size_t count)
{
	size_t first = house->conn_count;
	char job[32];

	for (size_t i = 0; i < count; i++) {
		struct tags tags = {0};

		snprintf(job, sizeof(job), "job%zu", i);
		if (!tags_set(&tags, "job", job, strlen(job)))
			abort();
		serve(house, open_conn(house),
		    "http://registry.test/v2/library/alpine/manifests/latest",
		    &tags);
		tags_fini(&tags);
	}
	for (size_t i = first; i < house->conn_count; i++)
		leave_unread(house, house->conns[i]);
	house->now += STALL_US;
	for (size_t i = first; i < house->conn_count; i++)
		leave_unread(house, house->conns[i]);
}

/* ---- looks ---- */

static char *
render_leaks(const struct snapshot *snapshot)
{
	return api_leaks(snapshot);
}

static char *
render_report(const struct snapshot *snapshot)
{
	return report_text(snapshot, REPORT_DEFAULT_COLUMNS);
}

static char *
render_metrics(const struct snapshot *snapshot)
{
	return metrics_text(snapshot, METRICS_TEXT);
}

static const struct look {
	const char *path;
	struct snapshot_query query;
	char *(*render)(const struct snapshot *snapshot);
} looks[] = {
    {"/api/leaks", {.wants_rhythm = true}, render_leaks},
    {"/api/leaks?limit=100", {.wants_rhythm = true, .page = {.limit = 100}},
	render_leaks},
    {"/report",
	{.wants_refusals = true, .wants_captures = true, .wants_rhythm = true},
	render_report},
    {"/metrics", {.is_brief = true}, render_metrics},
    {"/api/events", {.is_brief = true}, api_summary},
};

struct cost {
	double copied_us; /* by the worker */
	double sealed_us; /* by the admin thread, and so below */
	double rendered_us;
	double freed_us;
	size_t bytes;
};

static struct cost
take_look(struct house *house, const struct look *look)
{
	struct snapshot *whole = snapshot_new();
	struct snapshot *part;
	struct cost cost;
	double at[5];
	char *text;

	at[0] = cpu_us();
	part = ledger_snapshot(
	    house->ledger, &look->query, EPOCH_US + house->now, house->now);
	at[1] = cpu_us();
	snapshot_merge(whole, &part);
	snapshot_seal(whole, &look->query);
	at[2] = cpu_us();
	text = look->render(whole);
	at[3] = cpu_us();
	cost.bytes = strlen(text);
	free(text);
	snapshot_free(whole);
	at[4] = cpu_us();
	cost.copied_us = at[1] - at[0];
	cost.sealed_us = at[2] - at[1];
	cost.rendered_us = at[3] - at[2];
	cost.freed_us = at[4] - at[3];
	return cost;
}

static double
total_us(const struct cost *cost)
{
	return cost->copied_us + cost->sealed_us + cost->rendered_us +
	    cost->freed_us;
}

static void
show_looks(struct house *house)
{
	printf("\n%-21s %10s %8s %8s %8s %8s %9s\n", "ms of CPU", "worker",
	    "merged", "rendered", "freed", "in all", "KiB");
	for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
		struct cost least = take_look(house, &looks[i]);

		for (int round = 1; round < ROUNDS; round++) {
			struct cost cost = take_look(house, &looks[i]);

			if (total_us(&cost) < total_us(&least))
				least = cost;
		}
		printf("%-21s %10.2f %8.2f %8.2f %8.2f %8.2f %9.1f\n",
		    looks[i].path, least.copied_us / 1e3, least.sealed_us / 1e3,
		    least.rendered_us / 1e3, least.freed_us / 1e3,
		    total_us(&least) / 1e3, (double)least.bytes / 1024);
	}
}

/* ---- growth ---- */

static void
show_exchanges(struct house *house, size_t count)
{
	size_t before = heap_bytes();
	double began_us;

	printf("%-21s %10s %14s\n", "exchanges", "ns each", "KiB of heap");
	for (size_t done = 0, next = count / 100; done < count; next *= 10) {
		began_us = cpu_us();
		exchange(house, next - done);
		printf("%-21zu %10.0f %14.1f\n", next,
		    (cpu_us() - began_us) * 1e3 / (double)(next - done),
		    (double)(heap_bytes() - before) / 1024);
		done = next;
	}
}

/* ---- shards ---- */

struct shard {
	pthread_t thread;
	struct house house;
	size_t exchanges;
	double ns; /* of its thread's CPU time, for each exchange */
};

static void *
run_shard(void *arg)
{
	struct shard *shard = arg;
	struct timespec before;
	struct timespec after;

	exchange(&shard->house, shard->exchanges / 10); /* to warm up */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	exchange(&shard->house, shard->exchanges);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	shard->ns = ((double)(after.tv_sec - before.tv_sec) * 1e9 +
			(double)(after.tv_nsec - before.tv_nsec)) /
	    (double)shard->exchanges;
	return NULL;
}

/* Returns what an exchange costs where so many shards are told of some. */
static double
measure_shards(struct house *common, size_t count, size_t exchanges)
{
	struct shard shards[MAX_SHARDS] = {0};
	double ns = 0;

	for (size_t i = 0; i < count; i++) {
		shards[i].house = (struct house){
		    .callers = common->callers, .suspicion = common->suspicion};
		shards[i].exchanges = exchanges;
		open_house(&shards[i].house, i, count);
	}
	for (size_t i = 0; i < count; i++) {
		if (pthread_create(
			&shards[i].thread, NULL, run_shard, &shards[i]) != 0)
			abort();
	}
	for (size_t i = 0; i < count; i++) {
		pthread_join(shards[i].thread, NULL);
		ns += shards[i].ns / (double)count;
		close_house(&shards[i].house);
	}
	return ns;
}

static void
show_shards(struct house *common, size_t exchanges)
{
	double least[MAX_SHARDS + 1];

	for (size_t count = 1; count <= MAX_SHARDS; count++)
		least[count] = measure_shards(common, count, exchanges);
	for (int round = 1; round < ROUNDS; round++) {
		for (size_t count = 1; count <= MAX_SHARDS; count++) {
			double ns = measure_shards(common, count, exchanges);

			if (ns < least[count])
				least[count] = ns;
		}
	}
	printf("\n%-21s %10s %14s\n", "shards at a time", "ns each", "ratio");
	for (size_t count = 1; count <= MAX_SHARDS; count++)
		printf("%-21zu %10.0f %14.2f\n", count, least[count],
		    least[count] / least[1]);
}

static void
show_leaks(struct house *house, size_t count)
{
	size_t before = heap_bytes();

	leak(house, count);
	printf("\n%zu leaks, of one held response each: %.2f KiB of heap for "
	       "each\n",
	    count, (double)(heap_bytes() - before) / 1024 / (double)count);
}

int
main(int argc, char **argv)
{
	size_t exchanges = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	size_t leaks = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
	struct house house = {
	    .callers = callers_new(),
	    .suspicion = suspicion_new(),
	};

	open_house(&house, 0, 1);
	show_exchanges(&house, exchanges);
	show_leaks(&house, leaks);
	show_looks(&house);
	show_shards(&house, exchanges / 10);
	close_house(&house);
	callers_free(house.callers);
	suspicion_free(house.suspicion);
	return 0;
}
