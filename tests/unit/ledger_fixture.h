/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_LEDGER_FIXTURE_H
#define TESTS_UNIT_LEDGER_FIXTURE_H

/*
 * One ledger with invented time, told facts as the proxy would tell them.
 * After each fact the books are audited: whatever happened, each exchange is
 * in exactly one verdict, and totals, leaks and records agree.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/ledger.h"
#include "accounting/memory.h"

/* 2026-11-24 02:03:04 UTC, when the invented monotonic clock stood at 0. */
#define SCENE_EPOCH INT64_C(1795485784000000)
#define SCENE_START (1000 * US_PER_S)
#define SCENE_STALL_US (30 * US_PER_S)
#define SCENE_GRACE_US (5 * US_PER_S)
#define SCENE_ORIGIN "http://registry.test"
#define SCENE_URL SCENE_ORIGIN "/v2/library/alpine/manifests/latest"
#define SCENE_CALLER "10.0.0.7:41234"

struct scene {
	struct callers *callers;     /* owned */
	struct suspicion *suspicion; /* owned */
	struct ledger *ledger;       /* owned */
	mono_us now;
	bool is_bulk; /* audits are left to the end: there are too many facts */
};

static inline wall_us
scene_wall(const struct scene *scene)
{
	return SCENE_EPOCH + scene->now;
}

static inline struct scene *
scene_new(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct ledger_config config = {
	    .patience = {.stall_after_us = SCENE_STALL_US,
		.probe_grace_us = SCENE_GRACE_US},
	    .shard_count = 1,
	};

	assert_non_null(scene);
	scene->callers = config.callers = callers_new();
	scene->suspicion = config.suspicion = suspicion_new();
	scene->now = SCENE_START;
	scene->ledger = ledger_new(&config, scene_wall(scene), scene->now);
	return scene;
}

static inline void
scene_free(struct scene *scene)
{
	ledger_free(scene->ledger);
	callers_free(scene->callers);
	suspicion_free(scene->suspicion);
	free(scene);
}

/* Free with snapshot_free(). */
static inline struct snapshot *
scene_look(const struct scene *scene, const struct snapshot_query *query)
{
	struct snapshot *snapshot = ledger_snapshot(
	    scene->ledger, query, scene_wall(scene), scene->now);

	snapshot_seal(snapshot, query);
	return snapshot;
}

static inline struct snapshot *
scene_look_at_all(const struct scene *scene)
{
	return scene_look(scene,
	    &(struct snapshot_query){
		.wants_conns = true, .wants_exchanges = true});
}

static inline struct totals
scene_totals(const struct scene *scene)
{
	struct snapshot *snapshot =
	    scene_look(scene, &(struct snapshot_query){0});
	struct totals totals = snapshot->totals;

	snapshot_free(snapshot);
	return totals;
}

/* ---- the audit ---- */

static inline void
scene_audit_arrivals(const struct arrivals *arrivals, uint64_t responses)
{
	assert_int_equal(arrivals->count,
	    responses < ARRIVALS_MAX ? responses : ARRIVALS_MAX);
	for (size_t i = 1; i < arrivals->count; i++)
		assert_true(arrivals->at[i - 1] <= arrivals->at[i]);
}

static inline void
scene_audit_timeline(const struct snapshot *snapshot)
{
	const struct timeline *timeline = &snapshot->timeline;
	uint64_t requests = 0;
	uint64_t undrained = 0;
	int64_t held = 0;

	assert_true(timeline->axis.current < TIMELINE_BINS);
	for (size_t i = 0; i <= timeline->axis.current; i++) {
		requests += timeline->bins[i].requests;
		undrained += timeline->bins[i].undrained;
		held += timeline->bins[i].held_change;
		assert_true(held >= 0);
	}
	assert_int_equal(requests, snapshot->totals.exchanges);
	assert_int_equal(
	    undrained, snapshot->totals.by_verdict[VERDICT_UNDRAINED]);
	assert_int_equal(held, snapshot->totals.held_now);
}

/* What is held now is where the leak's line ends, and it never went below
 * nothing. */
static inline void
scene_audit_held(const struct leak *leak)
{
	int64_t held[LEVELS_BINS] = {0};
	size_t count = levels_read(&leak->held, held);

	assert_true(count > 0 && count <= LEVELS_BINS);
	for (size_t i = 0; i < count; i++)
		assert_true(held[i] >= 0);
	assert_int_equal(held[count - 1], leak->held_now);
}

static inline void
scene_audit_leaks(const struct snapshot *snapshot)
{
	uint64_t undrained = 0;
	uint64_t suspected = 0;
	uint64_t held = 0;

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		const struct leak *leak = &snapshot->leaks[i];
		uint64_t by_evidence = 0;

		for (size_t j = 0; j < EVIDENCE_COUNT; j++)
			by_evidence += leak->by_evidence[j];
		assert_int_equal(by_evidence, leak->undrained);
		assert_true(leak->held_now <= leak->undrained);
		assert_true(leak->held_bytes >= 0);
		assert_true(leak->first_seen <= leak->last_seen);
		assert_true(leak->undrained + leak->suspected > 0);
		scene_audit_held(leak);
		scene_audit_arrivals(
		    &leak->arrivals, leak->undrained + leak->suspected);
		undrained += leak->undrained;
		suspected += leak->suspected;
		held += leak->held_now;
	}
	assert_int_equal(
	    undrained, snapshot->totals.by_verdict[VERDICT_UNDRAINED]);
	assert_int_equal(
	    suspected, snapshot->totals.by_verdict[VERDICT_SUSPECTED]);
	assert_int_equal(held, snapshot->totals.held_now);
	scene_audit_timeline(snapshot);
}

static inline void
scene_audit_records(const struct snapshot *snapshot)
{
	uint64_t by_verdict[VERDICT_COUNT] = {0};
	uint64_t evicted = snapshot->counters.evicted_exchanges;
	uint64_t held = 0;

	for (size_t i = 0; i < snapshot->exchange_count; i++) {
		const struct exchange_record *x = &snapshot->exchanges[i];

		by_verdict[x->judgement.verdict]++;
		held += x->is_held;
		if (x->is_held) {
			assert_int_equal(
			    x->judgement.verdict, VERDICT_UNDRAINED);
			assert_int_equal(x->facts.ending, ENDING_NOT_YET);
		}
		assert_non_null(x->route);
	}
	assert_int_equal(held, snapshot->totals.held_now);
	assert_int_equal(
	    snapshot->exchange_count + evicted, snapshot->totals.exchanges);
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		uint64_t total = snapshot->totals.by_verdict[i];

		assert_true(by_verdict[i] <= total);
		assert_true(total <= by_verdict[i] + evicted);
	}
}

static inline void
scene_audit(const struct scene *scene)
{
	struct snapshot *snapshot = scene_look_at_all(scene);
	const struct totals *totals = &snapshot->totals;
	const struct gauges *gauges = &snapshot->gauges;
	uint64_t sum = 0;
	size_t live = 0;

	for (size_t i = 0; i < VERDICT_COUNT; i++)
		sum += totals->by_verdict[i];
	assert_int_equal(totals->exchanges, sum);
	assert_int_equal(totals->recovered, snapshot->counters.recovered);
	for (size_t i = 0; i < snapshot->conn_count; i++)
		live += snapshot->conns[i].state != CONN_CLOSED;
	assert_int_equal(live,
	    gauges->client_active + gauges->client_idle +
		gauges->client_watched);
	scene_audit_leaks(snapshot);
	scene_audit_records(snapshot);
	snapshot_free(snapshot);
}

static inline void
scene_told(const struct scene *scene)
{
	if (!scene->is_bulk)
		scene_audit(scene);
}

/* ---- facts ---- */

static inline struct ledger_conn *
scene_open_from(struct scene *scene, const char *address)
{
	struct ledger_conn *conn = ledger_conn_opened(
	    scene->ledger, address, scene_wall(scene), scene->now);

	scene_told(scene);
	return conn;
}

static inline struct ledger_conn *
scene_open(struct scene *scene)
{
	return scene_open_from(scene, SCENE_CALLER);
}

/* What one exchange looks like; zero stands for the first value named. */
struct scene_get {
	const char *method;      /* GET */
	const char *url;         /* SCENE_URL */
	const char *job;         /* no tag */
	const char *user_agent;  /* none */
	const char *traceparent; /* none */
	const char *error;       /* none */
	int status;              /* 200 */
	size_t body_bytes;       /* 1000, unless has_no_body */
	bool has_no_body;
	bool says_close;
	bool is_escalated;
	bool is_pipelined;
};

static inline struct span
scene_span(const char *text)
{
	return (struct span){text, text == NULL ? 0 : strlen(text)};
}

static inline struct ledger_exchange *
scene_request(
    struct scene *scene, struct ledger_conn *conn, const struct scene_get *get)
{
	struct tags tags = {0};
	struct request_facts request = {
	    .method = scene_span(get->method == NULL ? "GET" : get->method),
	    .url = get->url == NULL ? SCENE_URL : get->url,
	    .origin = SCENE_ORIGIN,
	    .user_agent = scene_span(get->user_agent),
	    .traceparent = scene_span(get->traceparent),
	    .tags = &tags,
	    .is_pipelined = get->is_pipelined,
	};
	struct ledger_exchange *x;

	if (get->job != NULL)
		assert_true(tags_set(&tags, "job", get->job, strlen(get->job)));
	x = ledger_request_began(conn, &request, scene_wall(scene), scene->now);
	tags_fini(&tags);
	scene_told(scene);
	return x;
}

static inline void
scene_respond(
    struct scene *scene, struct ledger_exchange *x, const struct scene_get *get)
{
	struct response_facts response = {
	    .status = get->status == 0 ? 200 : get->status,
	    .has_body = !get->has_no_body,
	    .says_close = get->says_close,
	    .is_escalated = get->is_escalated,
	    .error = get->error,
	};

	ledger_response_began(x, &response, scene->now);
	scene_told(scene);
	if (!get->has_no_body)
		ledger_response_body_came(
		    x, get->body_bytes == 0 ? 1000 : get->body_bytes);
}

static inline void
scene_end(
    struct scene *scene, struct ledger_exchange **x, enum response_end end)
{
	ledger_response_ended(x, end, scene->now);
	assert_null(*x);
	scene_told(scene);
}

/* Request, response and body, all handed over. */
static inline void
scene_serve(
    struct scene *scene, struct ledger_conn *conn, const struct scene_get *get)
{
	struct ledger_exchange *x = scene_request(scene, conn, get);

	scene_respond(scene, x, get);
	scene_end(scene, &x, RESPONSE_COMPLETE);
}

static inline void
scene_see(struct scene *scene, struct ledger_conn *conn,
    const struct delivery *delivery)
{
	ledger_delivery_seen(conn, delivery, scene->now);
	scene_told(scene);
}

/* What is seen of a remote caller whose kernel has acknowledged all. */
static inline void
scene_see_delivered(struct scene *scene, struct ledger_conn *conn)
{
	scene_see(scene, conn,
	    &(struct delivery){.acked_bytes = 1200,
		.unread_bytes = -1,
		.window_bytes = 65536,
		.rtt_us = 1000});
}

/* ... and of a local one that leaves `unread` bytes in its socket. */
static inline void
scene_see_unread(struct scene *scene, struct ledger_conn *conn, int64_t unread)
{
	scene_see(scene, conn,
	    &(struct delivery){.acked_bytes = 1200,
		.unread_bytes = unread,
		.window_bytes = 65536,
		.rtt_us = 1000});
}

static inline void
scene_probe(struct scene *scene, struct ledger_conn *conn)
{
	ledger_conn_probed(conn, scene->now);
	scene_told(scene);
}

static inline void
scene_close(
    struct scene *scene, struct ledger_conn **conn, enum close_reason reason)
{
	ledger_conn_closed(conn, reason, scene_wall(scene), scene->now);
	assert_null(*conn);
	scene_told(scene);
}

/* Serves one response, and lets the local caller leave it unread. */
static inline struct ledger_conn *
scene_hold(struct scene *scene, const struct scene_get *get, int64_t unread)
{
	struct ledger_conn *conn = scene_open(scene);

	scene_serve(scene, conn, get);
	scene_see_unread(scene, conn, unread);
	scene->now += SCENE_STALL_US;
	scene_see_unread(scene, conn, unread);
	return conn;
}

/* ---- what the ledger says ---- */

static inline uint64_t
scene_id(struct ledger_conn *conn)
{
	return ledger_conn_record(conn)->id;
}

/* The one record of this exchange, by value: its strings are gone. */
static inline struct exchange_record
scene_record(const struct scene *scene, uint64_t conn_id, uint32_t ordinal)
{
	struct snapshot *snapshot = scene_look(scene,
	    &(struct snapshot_query){.wants_exchanges = true,
		.conn_id = conn_id,
		.ordinal = ordinal});
	struct exchange_record record;

	assert_int_equal(snapshot->exchange_count, 1);
	record = snapshot->exchanges[0];
	snapshot_free(snapshot);
	return record;
}

static inline void
scene_expect(const struct scene *scene, uint64_t conn_id, uint32_t ordinal,
    enum verdict verdict, enum evidence evidence)
{
	struct judgement got = scene_record(scene, conn_id, ordinal).judgement;

	if (got.verdict != verdict || got.evidence != evidence)
		fail_msg("c%dx%d: %s by %s, wanted %s by %s", (int)conn_id,
		    (int)ordinal, verdict_word(got.verdict),
		    verdict_evidence_word(got.evidence), verdict_word(verdict),
		    verdict_evidence_word(evidence));
}

#endif
