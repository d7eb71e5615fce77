/* SPDX-License-Identifier: MIT */

/*
 * A ledger that loses count is worse than none: "12 leaks" is believed, acted
 * upon, and must be 12.  Here records live their lives by the public calls
 * alone, with invented times: what the next request proves and what it does
 * not, which responses have nothing to drain, what is held and what was, what
 * counts as the caller taking something, and what stays exact when memory is
 * full.
 */

#include "accounting/ledger.h"

#include "accounting/memory.h"
#include "tests/unit/ledger_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const struct scene_get plain = {0};

/* ---- segments ---- */

static bool
wants_segment(
    struct scene *scene, struct ledger_conn *conn, const struct scene_get *get)
{
	struct ledger_exchange *x = scene_request(scene, conn, get);
	bool wants;

	scene_respond(scene, x, get);
	wants = ledger_wants_segment(x);
	scene_end(scene, &x, RESPONSE_COMPLETE);
	return wants;
}

/* A body goes by itself to a local caller, until so many of its kind in a row
 * were drained; and again once one is held. */
static void
test_trust_is_earned_and_lost(void **state)
{
	const struct scene_get other = {.status = 404};
	struct scene *scene = scene_new();
	struct ledger_conn *remote = scene_open(scene);
	struct ledger_conn *conn = scene_open(scene);
	struct ledger_conn *held;

	ledger_conn_record(conn)->is_local = true;
	assert_false(wants_segment(scene, remote, &plain));
	for (size_t i = 0; i < EXPOSURES_TRUSTED; i++)
		assert_true(wants_segment(scene, conn, &plain));
	assert_false(wants_segment(scene, conn, &plain));
	assert_true(wants_segment(scene, conn, &other));
	assert_false(wants_segment(scene, conn, &plain));
	held = scene_open(scene);
	scene_serve(scene, held, &plain);
	scene_see_delivered(scene, held);
	scene_probe(scene, held);
	scene->now += SCENE_GRACE_US;
	scene_see_delivered(scene, held);
	scene_expect(
	    scene, scene_id(held), 1, VERDICT_SUSPECTED, EVIDENCE_PROBE);
	/* The last one before it is proven by the first of these. */
	for (size_t i = 1; i < EXPOSURES_TRUSTED; i++)
		assert_true(wants_segment(scene, conn, &plain));
	assert_false(wants_segment(scene, conn, &plain));
	scene_close(scene, &held, CLOSE_SHUTDOWN);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_close(scene, &remote, CLOSE_CLIENT_FIN);
	scene_free(scene);
}

/* ---- what the next request proves ---- */

static void
test_the_next_request_proves_the_response_before(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);

	scene_serve(scene, conn, &plain);
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_serve(scene, conn, &plain);
	scene_expect(scene, id, 1, VERDICT_DRAINED, EVIDENCE_REUSE);
	scene_expect(scene, id, 2, VERDICT_OPEN, EVIDENCE_NOTHING);
	assert_int_equal(scene_record(scene, id, 1).delivered_bytes, 1000);
	scene->now += US_PER_S;
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	assert_int_equal(scene_record(scene, id, 2).facts.ended_at, scene->now);
	scene_expect(scene, id, 1, VERDICT_DRAINED, EVIDENCE_REUSE);
	scene_expect(scene, id, 2, VERDICT_DRAINED, EVIDENCE_CLOSED);
	assert_int_equal(scene_totals(scene).exchanges, 2);
	scene_free(scene);
}

/* The second request was sent before the first response had come: it shows
 * nothing of what became of that.  The third shows both. */
static void
test_a_pipelined_request_proves_nothing(void **state)
{
	const struct scene_get pipelined = {.is_pipelined = true};
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct ledger_exchange *first = scene_request(scene, conn, &plain);
	struct ledger_exchange *second;
	uint64_t id = scene_id(conn);

	scene_respond(scene, first, &plain);
	scene_end(scene, &first, RESPONSE_COMPLETE);
	second = scene_request(scene, conn, &pipelined);
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_respond(scene, second, &pipelined);
	scene_end(scene, &second, RESPONSE_COMPLETE);
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_expect(scene, id, 2, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_serve(scene, conn, &plain);
	scene_expect(scene, id, 1, VERDICT_DRAINED, EVIDENCE_REUSE);
	scene_expect(scene, id, 2, VERDICT_DRAINED, EVIDENCE_REUSE);
	scene_expect(scene, id, 3, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_expect(scene, id, 3, VERDICT_UNPROVEN, EVIDENCE_NOTHING);
	scene_free(scene);
}

/* ... and if the connection ends instead, each is judged by that. */
static void
test_pipelined_responses_end_with_their_connection(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);

	scene_serve(scene, conn, &plain);
	scene_serve(scene, conn, &(struct scene_get){.is_pipelined = true});
	(void)scene_request(
	    scene, conn, &(struct scene_get){.is_pipelined = true});
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_expect(scene, id, 1, VERDICT_DRAINED, EVIDENCE_CLOSED);
	scene_expect(scene, id, 2, VERDICT_DRAINED, EVIDENCE_CLOSED);
	scene_expect(scene, id, 3, VERDICT_ABANDONED, EVIDENCE_EARLY_CLOSE);
	scene_free(scene);
}

/* Our FIN was out when the next request came: it is lost, and proves the
 * response before, if that was whole. */
static void
test_a_request_that_crossed_our_fin_proves_reuse(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);

	scene_serve(scene, conn, &plain);
	scene_probe(scene, conn);
	scene_close(scene, &conn, CLOSE_REQUEST_CROSSED);
	scene_expect(scene, id, 1, VERDICT_DRAINED, EVIDENCE_REUSE);
	assert_int_equal(ledger_counters(scene->ledger)->probes_crossed, 1);
	assert_int_equal(ledger_counters(scene->ledger)->probes_answered, 0);
	scene_free(scene);
}

/* ---- nothing to drain ---- */

static void
test_responses_without_a_body(void **state)
{
	static const struct {
		struct scene_get get;
		size_t body_bytes;
		enum response_end end;
		enum verdict wanted;
	} rows[] = {
	    {{.method = "HEAD", .has_no_body = true}, 0, RESPONSE_COMPLETE,
		VERDICT_NONE},
	    {{.status = 204, .has_no_body = true}, 0, RESPONSE_COMPLETE,
		VERDICT_NONE},
	    {{.status = 304, .has_no_body = true}, 0, RESPONSE_COMPLETE,
		VERDICT_NONE},
	    /* framing that promised a body, and then had none */
	    {{.status = 200}, 0, RESPONSE_COMPLETE, VERDICT_NONE},
	    {{.status = 200}, 1, RESPONSE_COMPLETE, VERDICT_OPEN},
	    {{.status = 200}, 0, RESPONSE_TRUNCATED, VERDICT_OPEN},
	    {{.status = 200}, 0, RESPONSE_ABANDONED, VERDICT_OPEN},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct scene *scene = scene_new();
		struct ledger_conn *conn = scene_open(scene);
		uint64_t id = scene_id(conn);
		struct ledger_exchange *x =
		    scene_request(scene, conn, &rows[i].get);
		struct response_facts response = {.status = rows[i].get.status,
		    .has_body = !rows[i].get.has_no_body};

		ledger_response_began(x, &response, scene->now);
		if (rows[i].get.has_no_body)
			scene_expect(
			    scene, id, 1, VERDICT_NONE, EVIDENCE_NOTHING);
		ledger_response_body_came(x, rows[i].body_bytes);
		scene_end(scene, &x, rows[i].end);
		scene_expect(scene, id, 1, rows[i].wanted, EVIDENCE_NOTHING);
		/* no later fact accuses the caller of what was not there */
		if (rows[i].wanted == VERDICT_NONE) {
			scene_see_unread(scene, conn, 100);
			scene->now += 3600 * US_PER_S;
			scene_see_unread(scene, conn, 100);
			scene_close(scene, &conn, CLOSE_CLIENT_RST);
			scene_expect(
			    scene, id, 1, VERDICT_NONE, EVIDENCE_NOTHING);
		} else {
			scene_close(scene, &conn, CLOSE_SHUTDOWN);
			scene_expect(
			    scene, id, 1, VERDICT_UNPROVEN, EVIDENCE_NOTHING);
		}
		scene_free(scene);
	}
}

static void
test_the_caller_leaves_in_the_middle(void **state)
{
	static const struct {
		enum response_end end;
		enum close_reason reason;
		enum verdict verdict;
		enum evidence evidence;
	} rows[] = {
	    {RESPONSE_ABANDONED, CLOSE_CLIENT_FIN, VERDICT_ABANDONED,
		EVIDENCE_EARLY_CLOSE},
	    {RESPONSE_ABANDONED, CLOSE_CLIENT_RST, VERDICT_ABANDONED,
		EVIDENCE_RESET},
	    {RESPONSE_COMPLETE, CLOSE_CLIENT_RST, VERDICT_ABANDONED,
		EVIDENCE_RESET},
	    {RESPONSE_TRUNCATED, CLOSE_CLIENT_FIN, VERDICT_UNPROVEN,
		EVIDENCE_NOTHING},
	    {RESPONSE_TRUNCATED, CLOSE_UPSTREAM_FAILED, VERDICT_UNPROVEN,
		EVIDENCE_NOTHING},
	    {RESPONSE_COMPLETE, CLOSE_TIMEOUT, VERDICT_UNPROVEN,
		EVIDENCE_NOTHING},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct scene *scene = scene_new();
		struct ledger_conn *conn = scene_open(scene);
		uint64_t id = scene_id(conn);
		struct ledger_exchange *x = scene_request(scene, conn, &plain);

		scene_respond(scene, x, &plain);
		scene_end(scene, &x, rows[i].end);
		scene_close(scene, &conn, rows[i].reason);
		scene_expect(scene, id, 1, rows[i].verdict, rows[i].evidence);
		scene_free(scene);
	}
}

/* Over TLS our FIN is preceded by a close_notify, which a caller that closes
 * need not have read: its kernel resets then, and means no harm. */
static void
test_a_reset_after_our_close_notify(void **state)
{
	static const struct {
		enum transport transport;
		enum verdict verdict;
		enum evidence evidence;
	} rows[] = {
	    {TRANSPORT_PLAIN, VERDICT_ABANDONED, EVIDENCE_RESET},
	    {TRANSPORT_CLEAR, VERDICT_ABANDONED, EVIDENCE_RESET},
	    {TRANSPORT_INTERCEPTED, VERDICT_DRAINED, EVIDENCE_PROBE},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct scene *scene = scene_new();
		struct ledger_conn *conn = scene_open(scene);
		uint64_t id = scene_id(conn);

		ledger_conn_record(conn)->transport = rows[i].transport;
		scene_serve(scene, conn, &plain);
		scene_probe(scene, conn);
		scene_close(scene, &conn, CLOSE_CLIENT_RST);
		scene_expect(scene, id, 1, rows[i].verdict, rows[i].evidence);
		scene_free(scene);
	}
}

/* All was handed to the socket, but the last sample shows that the caller's
 * kernel never acknowledged it: the close was early. */
static void
test_the_last_sample_decides_what_was_delivered(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);
	struct exchange_record record;

	scene_serve(scene, conn, &plain);
	ledger_delivery_ended(
	    conn, &(struct delivery){.waiting_bytes = 400, .unread_bytes = -1});
	scene_audit(scene);
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_expect(scene, id, 1, VERDICT_ABANDONED, EVIDENCE_EARLY_CLOSE);
	record = scene_record(scene, id, 1);
	assert_int_equal(record.body_bytes, 1000);
	assert_int_equal(record.delivered_bytes, 600);
	scene_free(scene);
}

/* ---- held ---- */

static void
test_recovered_is_counted_once(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_hold(scene, &plain, 1000);
	uint64_t id = scene_id(conn);

	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_UNREAD);
	assert_int_equal(scene_totals(scene).recovered, 0);
	for (int i = 0; i < 3; i++) {
		scene_see_unread(scene, conn, 0);
		scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
		assert_int_equal(scene_totals(scene).recovered, 1);
	}
	scene_serve(scene, conn, &plain);
	scene_expect(scene, id, 1, VERDICT_DRAINED, EVIDENCE_REUSE);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	assert_int_equal(scene_totals(scene).recovered, 1);
	assert_int_equal(scene_totals(scene).by_verdict[VERDICT_UNDRAINED], 0);
	scene_free(scene);
}

static void
test_a_change_of_evidence_is_no_recovery(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);
	struct delivery delivery = {
	    .acked_bytes = 600, .waiting_bytes = 600, .unread_bytes = 600};
	struct snapshot *snapshot;

	scene_serve(scene, conn, &plain);
	scene_see(scene, conn, &delivery);
	scene->now += SCENE_STALL_US;
	scene_see(scene, conn, &delivery);
	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_STALLED);
	delivery.acked_bytes = 1200;
	delivery.waiting_bytes = 0;
	delivery.unread_bytes = 1200;
	scene_see(scene, conn, &delivery);
	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_UNREAD);
	assert_true(scene_record(scene, id, 1).is_held);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->totals.recovered, 0);
	assert_int_equal(snapshot->leaks[0].undrained, 1);
	assert_int_equal(snapshot->leaks[0].by_evidence[EVIDENCE_UNREAD], 1);
	assert_int_equal(snapshot->leaks[0].by_evidence[EVIDENCE_STALLED], 0);
	snapshot_free(snapshot);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene_free(scene);
}

static void
test_what_is_held_now(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *unread = scene_hold(scene, &plain, 157);
	struct ledger_conn *stalled = scene_open(scene);
	struct ledger_conn *elsewhere = scene_hold(
	    scene, &(struct scene_get){.url = SCENE_ORIGIN "/elsewhere"}, 1);
	struct delivery delivery = {.waiting_bytes = 400, .unread_bytes = -1};
	struct snapshot *snapshot;

	scene_serve(scene, stalled, &plain);
	scene_see(scene, stalled, &delivery);
	scene->now += SCENE_STALL_US;
	scene_see(scene, stalled, &delivery);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->totals.held_now, 3);
	assert_int_equal(snapshot->leak_count, 2);
	assert_string_equal(snapshot->leaks[0].route, "/v2/{}/manifests/{}");
	assert_int_equal(snapshot->leaks[0].held_now, 2);
	assert_int_equal(snapshot->leaks[0].held_bytes, 157 + 400);
	assert_int_equal(snapshot->leaks[1].held_bytes, 1);
	snapshot_free(snapshot);

	scene_close(scene, &unread, CLOSE_CLIENT_RST);
	scene_close(scene, &elsewhere, CLOSE_CLIENT_RST);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->totals.held_now, 1);
	assert_int_equal(snapshot->totals.by_verdict[VERDICT_UNDRAINED], 3);
	assert_int_equal(snapshot->totals.recovered, 0);
	assert_int_equal(snapshot->leak_count, 2);
	assert_int_equal(snapshot->leaks[0].undrained, 2);
	assert_int_equal(snapshot->leaks[0].held_bytes, 400);
	assert_int_equal(snapshot->leaks[1].undrained, 1);
	assert_int_equal(snapshot->leaks[1].held_now, 0);
	assert_int_equal(snapshot->leaks[1].held_bytes, 0);
	snapshot_free(snapshot);
	scene_close(scene, &stalled, CLOSE_SHUTDOWN);
	assert_int_equal(scene_totals(scene).by_verdict[VERDICT_UNDRAINED], 3);
	scene_free(scene);
}

static void
test_unread_at_the_exit(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);
	struct snapshot *snapshot;

	scene_serve(scene, conn, &plain);
	scene_see_unread(scene, conn, 1000);
	scene->now += SCENE_GRACE_US;
	ledger_delivery_ended(conn, &(struct delivery){.unread_bytes = -1});
	ledger_owner_exited(conn);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_EXIT);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].by_evidence[EVIDENCE_EXIT], 1);
	assert_int_equal(snapshot->totals.held_now, 0);
	/* it was not held first and released then */
	assert_int_equal(snapshot->leaks[0].releases.count, 0);
	assert_int_equal(snapshot->leaks[0].held_to_exit, 1);
	snapshot_free(snapshot);
	scene_free(scene);
}

/* ---- bounds ---- */

static void
test_leaks_stay_exact_when_records_leave(void **state)
{
	enum { EXTRA = 10 };
	struct scene *scene = scene_new();
	struct snapshot *snapshot;
	wall_us began_at = scene_wall(scene);

	scene->is_bulk = true;
	for (size_t i = 0; i < LEDGER_MAX_EVIDENCE + EXTRA; i++) {
		struct ledger_conn *conn = scene_hold(scene, &plain, 1000);

		scene_close(scene, &conn, CLOSE_CLIENT_RST);
	}
	scene_audit(scene);
	snapshot = scene_look_at_all(scene);
	assert_int_equal(snapshot->exchange_count, LEDGER_MAX_EVIDENCE);
	assert_int_equal(snapshot->counters.evicted_exchanges, EXTRA);
	assert_int_equal(snapshot->conn_count, LEDGER_MAX_CLOSED_CONNS);
	assert_int_equal(
	    snapshot->totals.connections, LEDGER_MAX_EVIDENCE + EXTRA);
	assert_int_equal(snapshot->leak_count, 1);
	assert_int_equal(
	    snapshot->leaks[0].undrained, LEDGER_MAX_EVIDENCE + EXTRA);
	assert_int_equal(
	    snapshot->leaks[0].releases.count, LEDGER_MAX_EVIDENCE + EXTRA);
	assert_int_equal(snapshot->leaks[0].first_seen, began_at);
	/* the oldest went, of both */
	assert_int_equal(
	    snapshot->exchanges[LEDGER_MAX_EVIDENCE - 1].conn_id, EXTRA + 1);
	assert_int_equal(snapshot->conns[0].id,
	    LEDGER_MAX_EVIDENCE + EXTRA - LEDGER_MAX_CLOSED_CONNS + 1);
	snapshot_free(snapshot);
	scene_free(scene);
}

/* Drained responses come by the million; they push out their own kind and
 * never the evidence. */
static void
test_ordinary_records_never_push_out_evidence(void **state)
{
	enum { EXTRA = 100 };
	struct scene *scene = scene_new();
	struct ledger_conn *held = scene_hold(scene, &plain, 1000);
	struct ledger_conn *busy = scene_open(scene);
	struct snapshot *snapshot;
	uint64_t id = scene_id(held);

	scene_close(scene, &held, CLOSE_CLIENT_RST);
	scene->is_bulk = true;
	for (size_t i = 0; i < LEDGER_MAX_ORDINARY + EXTRA; i++) {
		scene->now += US_PER_MS;
		scene_serve(scene, busy, &plain);
	}
	scene_close(scene, &busy, CLOSE_CLIENT_FIN);
	scene_audit(scene);
	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_UNREAD);
	snapshot = scene_look_at_all(scene);
	assert_int_equal(snapshot->exchange_count, LEDGER_MAX_ORDINARY + 1);
	assert_int_equal(snapshot->counters.evicted_exchanges, EXTRA);
	assert_int_equal(snapshot->totals.by_verdict[VERDICT_DRAINED],
	    LEDGER_MAX_ORDINARY + EXTRA);
	assert_int_equal(
	    snapshot->exchanges[0].ordinal, LEDGER_MAX_ORDINARY + EXTRA);
	snapshot_free(snapshot);
	scene_free(scene);
}

static void
test_ids_are_unique_across_shards(void **state)
{
	enum { SHARDS = 3, CONNS = 4 };
	bool seen[SHARDS * CONNS + 1] = {false};
	struct callers *callers = callers_new();
	struct suspicion *suspicion = suspicion_new();

	for (unsigned shard = 0; shard < SHARDS; shard++) {
		const struct ledger_config config = {.callers = callers,
		    .suspicion = suspicion,
		    .shard = shard,
		    .shard_count = SHARDS};
		struct ledger *ledger = ledger_new(&config, 1, 1);

		for (size_t i = 0; i < CONNS; i++) {
			struct ledger_conn *conn =
			    ledger_conn_opened(ledger, SCENE_CALLER, 1, 1);
			uint64_t id = scene_id(conn);

			assert_in_range(id, 1, SHARDS * CONNS);
			assert_false(seen[id]);
			seen[id] = true;
			ledger_conn_closed(&conn, CLOSE_CLIENT_FIN, 1, 1);
		}
		ledger_free(ledger);
	}
	callers_free(callers);
	suspicion_free(suspicion);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_trust_is_earned_and_lost),
	    cmocka_unit_test(test_the_next_request_proves_the_response_before),
	    cmocka_unit_test(test_a_pipelined_request_proves_nothing),
	    cmocka_unit_test(
		test_pipelined_responses_end_with_their_connection),
	    cmocka_unit_test(test_a_request_that_crossed_our_fin_proves_reuse),
	    cmocka_unit_test(test_responses_without_a_body),
	    cmocka_unit_test(test_the_caller_leaves_in_the_middle),
	    cmocka_unit_test(test_a_reset_after_our_close_notify),
	    cmocka_unit_test(test_the_last_sample_decides_what_was_delivered),
	    cmocka_unit_test(test_recovered_is_counted_once),
	    cmocka_unit_test(test_a_change_of_evidence_is_no_recovery),
	    cmocka_unit_test(test_what_is_held_now),
	    cmocka_unit_test(test_unread_at_the_exit),
	    cmocka_unit_test(test_leaks_stay_exact_when_records_leave),
	    cmocka_unit_test(test_ordinary_records_never_push_out_evidence),
	    cmocka_unit_test(test_ids_are_unique_across_shards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
