/* SPDX-License-Identifier: MIT */

/*
 * "When did the caller last take something?" decides every stall, and only
 * samples can answer it: bytes acknowledged, bytes unread, a window that
 * opens.  A sign of life that is overlooked makes an accusation that is false;
 * one that is imagined lets a leak go.  Here samples are invented one after the
 * other, and what the ledger makes of each is compared; and so is what it
 * shows of its records to those who look.
 */

#include "accounting/ledger.h"

#include "accounting/memory.h"
#include "tests/unit/ledger_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const struct scene_get plain = {0};

/* ---- progress ---- */

struct seen {
	int64_t waiting;
	int64_t acked;
	int64_t unread;
	int64_t window;
};

static const struct {
	const char *story;
	struct seen before;
	struct seen after;
	bool is_progress;
} sample_rows[] = {
    {"nothing changed", {0, 1200, -1, 60000}, {0, 1200, -1, 60000}, false},
    {"nothing changed, all unread", {0, 1200, 1000, 60000},
	{0, 1200, 1000, 60000}, false},
    {"more was acknowledged", {800, 1200, -1, 0}, {600, 1400, -1, 0}, true},
    {"more was handed over, none acknowledged", {600, 1200, -1, 0},
	{800, 1200, -1, 0}, false},
    {"bytes wait now: a read is owed from now on", {0, 1200, -1, 60000},
	{600, 1200, -1, 60000}, true},
    {"bytes lie unread now, just acknowledged", {0, 1200, 0, 60000},
	{0, 2200, 1000, 60000}, true},
    {"more acknowledged, and all of it unread", {0, 1200, 1000, 60000},
	{0, 2200, 2000, 60000}, false},
    {"more acknowledged, and some of it read", {0, 1200, 1000, 60000},
	{0, 2200, 1999, 60000}, true},
    {"less lies unread", {0, 1200, 1000, 60000}, {0, 1200, 999, 60000}, true},
    {"all was read", {0, 1200, 1000, 60000}, {0, 1200, 0, 60000}, true},
    {"a remote window opens", {600, 1200, -1, 0}, {600, 1200, -1, 4096}, true},
    {"a remote window opens, all acknowledged", {0, 1200, -1, 30000},
	{0, 1200, -1, 60000}, true},
    {"a remote window shuts", {600, 1200, -1, 4096}, {600, 1200, -1, 0}, false},
    {"a local window opens: its queue says better", {0, 1200, 1000, 0},
	{0, 1200, 1000, 60000}, false},
    {"a local window opens, and nothing lies unread", {0, 1200, 0, 0},
	{0, 1200, 0, 60000}, false},
    {"one byte waits now", {0, 1200, -1, 60000}, {1, 1200, -1, 60000}, true},
    {"one byte waited, and now one more", {1, 1200, -1, 60000},
	{2, 1200, -1, 60000}, false},
    {"one byte lies unread now", {0, 1200, 0, 60000}, {0, 1201, 1, 60000},
	true},
    {"one byte lay unread, and now one more", {0, 1200, 1, 60000},
	{0, 1201, 2, 60000}, false},
    {"the one byte was read", {0, 1200, 1, 60000}, {0, 1200, 0, 60000}, true},
    {"a window that is not known", {600, 1200, -1, -1}, {600, 1200, -1, -1},
	false},
    {"the local caller can be asked now, and owes nothing",
	{0, 1200, -1, 60000}, {0, 1200, 0, 60000}, false},
    {"the local caller can be asked no more", {0, 1200, 0, 60000},
	{0, 1200, -1, 60000}, false},
};

static struct delivery
deliver(const struct seen *seen)
{
	return (struct delivery){.waiting_bytes = seen->waiting,
	    .acked_bytes = seen->acked,
	    .unread_bytes = seen->unread,
	    .window_bytes = seen->window,
	    .rtt_us = 1000};
}

static mono_us
last_progress(const struct ledger_conn *conn)
{
	struct conn_standing standing;

	ledger_conn_standing(conn, &standing);
	assert_true(standing.is_unproven);
	return standing.progress_at;
}

static void
test_what_counts_as_progress(void **state)
{
	for (size_t i = 0; i < COUNT_OF(sample_rows); i++) {
		struct scene *scene = scene_new();
		struct ledger_conn *conn = scene_open(scene);
		struct delivery before = deliver(&sample_rows[i].before);
		struct delivery after = deliver(&sample_rows[i].after);
		mono_us wanted;

		scene_serve(scene, conn, &plain);
		scene_see(scene, conn, &before);
		wanted = last_progress(conn);
		scene->now += US_PER_S;
		scene_see(scene, conn, &after);
		if (sample_rows[i].is_progress)
			wanted = scene->now;
		if (last_progress(conn) != wanted)
			fail_msg("%s", sample_rows[i].story);
		/* once: the same sample again says nothing new */
		scene->now += US_PER_S;
		scene_see(scene, conn, &after);
		if (last_progress(conn) != wanted)
			fail_msg("%s, twice", sample_rows[i].story);
		scene_close(scene, &conn, CLOSE_SHUTDOWN);
		scene_free(scene);
	}
}

/* A slow reader takes a little every 20 s: slow, and no leak, however long. */
static void
test_a_slow_reader_is_never_accused(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct ledger_exchange *x = scene_request(scene, conn, &plain);
	uint64_t id = scene_id(conn);

	scene_respond(scene, x, &plain);
	for (int i = 0; i < 200; i++) {
		scene->now += 20 * US_PER_S;
		scene_see(scene, conn,
		    &(struct delivery){.waiting_bytes = 54321,
			.acked_bytes = 1000 + i,
			.unread_bytes = -1});
		scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	}
	scene_end(scene, &x, RESPONSE_COMPLETE);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

/* Two pipelined responses: what is taken may be of either. */
static void
test_progress_belongs_to_every_response_of_the_connection(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);
	struct delivery delivery = {.waiting_bytes = 10, .unread_bytes = -1};

	scene_serve(scene, conn, &plain);
	scene_serve(scene, conn, &(struct scene_get){.is_pipelined = true});
	scene_see(scene, conn, &delivery);
	scene->now += SCENE_STALL_US;
	scene_see(scene, conn, &delivery);
	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_STALLED);
	scene_expect(scene, id, 2, VERDICT_UNDRAINED, EVIDENCE_STALLED);
	delivery.acked_bytes = 1;
	scene_see(scene, conn, &delivery);
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_expect(scene, id, 2, VERDICT_OPEN, EVIDENCE_NOTHING);
	assert_int_equal(scene_totals(scene).recovered, 2);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

static void
test_delivered_bytes_never_fall(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct ledger_exchange *x = scene_request(scene, conn, &plain);
	uint64_t id = scene_id(conn);
	struct delivery delivery = {.unread_bytes = -1};

	scene_respond(scene, x, &plain);
	delivery.waiting_bytes = 1100; /* the head waits too */
	scene_see(scene, conn, &delivery);
	assert_int_equal(scene_record(scene, id, 1).delivered_bytes, 0);
	delivery.waiting_bytes = 300;
	scene_see(scene, conn, &delivery);
	assert_int_equal(scene_record(scene, id, 1).delivered_bytes, 700);
	delivery.waiting_bytes = 800;
	scene_see(scene, conn, &delivery);
	assert_int_equal(scene_record(scene, id, 1).delivered_bytes, 700);
	scene_end(scene, &x, RESPONSE_COMPLETE);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

/* The last sample cannot ask a socket that is gone: what lay unread before is
 * still the best that is known. */
static void
test_unread_bytes_stay_as_seen_last(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);

	scene_serve(scene, conn, &plain);
	assert_int_equal(scene_record(scene, id, 1).facts.unread_bytes, -1);
	scene_see_unread(scene, conn, 77);
	ledger_delivery_ended(conn, &(struct delivery){.unread_bytes = -1});
	assert_int_equal(scene_record(scene, id, 1).facts.unread_bytes, 77);
	scene_see_unread(scene, conn, 0);
	assert_int_equal(scene_record(scene, id, 1).facts.unread_bytes, 0);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

/* A caller sends a long request body and reads nothing meanwhile, not even the
 * 100 that lies in its socket.  No response, no leak; and a verdict under
 * status 0 would be taken back from a group that never had it. */
static void
test_there_is_nothing_to_hold_before_the_head(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct ledger_exchange *x = scene_request(scene, conn, &plain);
	struct delivery delivery = {.waiting_bytes = 25, .unread_bytes = 25};
	uint64_t id = scene_id(conn);
	struct exchange_record record;

	for (int i = 0; i < 3; i++) {
		scene_see(scene, conn, &delivery);
		scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
		scene->now += SCENE_STALL_US;
	}
	record = scene_record(scene, id, 1);
	assert_int_equal(record.facts.waiting_bytes, 0);
	assert_int_equal(record.facts.unread_bytes, -1);
	/* patience begins with the head, not with the request */
	scene_respond(scene, x, &plain);
	scene_see(scene, conn, &delivery);
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_end(scene, &x, RESPONSE_COMPLETE);
	scene_serve(scene, conn, &plain);
	assert_int_equal(scene_totals(scene).recovered, 0);

	x = scene_request(scene, conn, &plain);
	scene_see(scene, conn, &delivery);
	scene->now += SCENE_STALL_US;
	ledger_owner_exited(conn);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene_expect(scene, id, 3, VERDICT_ABANDONED, EVIDENCE_RESET);
	scene_free(scene);
}

/* ---- what the proxy is told to look at ---- */

static void
test_standing(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	mono_us opened_at = scene->now;
	struct ledger_exchange *x;
	struct conn_standing standing;

	scene->now += US_PER_S;
	ledger_conn_standing(conn, &standing);
	assert_false(standing.is_unproven);
	assert_false(standing.is_complete);
	assert_false(standing.is_held);
	assert_int_equal(standing.idle_since, opened_at);
	assert_int_equal(standing.progress_at, opened_at);
	assert_int_equal(standing.probed_at, 0);

	x = scene_request(scene, conn, &plain);
	ledger_conn_standing(conn, &standing);
	assert_int_equal(standing.progress_at, scene->now);
	scene->now += US_PER_S;
	scene_respond(scene, x, &plain);
	ledger_conn_standing(conn, &standing);
	assert_true(standing.is_unproven);
	assert_false(standing.is_complete);
	assert_int_equal(standing.progress_at, scene->now);

	scene->now += US_PER_S;
	scene_end(scene, &x, RESPONSE_COMPLETE);
	scene_see_unread(scene, conn, 1000);
	ledger_conn_standing(conn, &standing);
	assert_true(standing.is_complete);
	assert_false(standing.is_held);
	assert_int_equal(standing.idle_since, scene->now);

	scene->now += SCENE_STALL_US;
	scene_see_unread(scene, conn, 1000);
	scene_probe(scene, conn);
	ledger_conn_standing(conn, &standing);
	assert_true(standing.is_held);
	assert_int_equal(standing.idle_since, scene->now - SCENE_STALL_US);
	assert_int_equal(standing.progress_at, scene->now - SCENE_STALL_US);
	assert_int_equal(standing.probed_at, scene->now);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

static void
test_a_response_without_a_body_leaves_nothing_unproven(void **state)
{
	const struct scene_get empty = {.status = 204, .has_no_body = true};
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct conn_standing standing;

	scene->now += US_PER_S;
	scene_serve(scene, conn, &empty);
	ledger_conn_standing(conn, &standing);
	assert_false(standing.is_unproven);
	assert_int_equal(standing.idle_since, scene->now);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

/* ---- what a snapshot shows ---- */

static void
check_gauges(
    const struct scene *scene, uint64_t active, uint64_t idle, uint64_t watched)
{
	struct snapshot *snapshot =
	    scene_look(scene, &(struct snapshot_query){0});

	assert_int_equal(snapshot->gauges.client_active, active);
	assert_int_equal(snapshot->gauges.client_idle, idle);
	assert_int_equal(snapshot->gauges.client_watched, watched);
	snapshot_free(snapshot);
}

static void
test_gauges_follow_the_connection(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *other = scene_open(scene);
	struct ledger_conn *conn = scene_open(scene);
	struct ledger_exchange *x;

	check_gauges(scene, 0, 2, 0);
	x = scene_request(scene, conn, &plain);
	check_gauges(scene, 1, 1, 0);
	scene_respond(scene, x, &plain);
	check_gauges(scene, 1, 1, 0);
	scene_end(scene, &x, RESPONSE_COMPLETE);
	check_gauges(scene, 0, 2, 0);
	scene_probe(scene, conn);
	check_gauges(scene, 0, 1, 1);
	scene_close(scene, &conn, CLOSE_PROBE_ANSWERED);
	check_gauges(scene, 0, 1, 0);
	scene_close(scene, &other, CLOSE_CLIENT_FIN);
	check_gauges(scene, 0, 0, 0);
	assert_int_equal(scene_totals(scene).connections, 2);
	assert_int_equal(ledger_counters(scene->ledger)->connections, 2);
	scene_free(scene);
}

static void
test_an_exchange_as_it_is_shown(void **state)
{
	const struct scene_get get = {.method = "POST",
	    .url = SCENE_ORIGIN "/v2/a/blobs/x?token=hunter2",
	    .job = "imagecheck",
	    .user_agent = "Go-http-client/1.1",
	    .traceparent = "00-1-2-01",
	    .error = "dns_error",
	    .status = 404};
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	wall_us began_at = scene_wall(scene);
	struct ledger_exchange *x = scene_request(scene, conn, &get);
	const struct exchange_record *record;
	struct snapshot *snapshot;

	ledger_request_body_came(x, 30);
	ledger_request_body_came(x, 12);
	snapshot = scene_look_at_all(scene);
	record = &snapshot->exchanges[0];
	assert_int_equal(record->status, 0);
	assert_int_equal(record->first_byte_us, -1);
	assert_int_equal(record->duration_us, -1);
	assert_int_equal(record->owner.pid, -1);
	assert_int_equal(record->owner.fd, -1);
	snapshot_free(snapshot);

	scene->now += 250;
	scene_respond(scene, x, &get);
	scene->now += 750;
	scene_end(scene, &x, RESPONSE_COMPLETE);
	scene->now += 5000;
	snapshot = scene_look_at_all(scene);
	record = &snapshot->exchanges[0];
	assert_string_equal(record->method, "POST");
	assert_string_equal(
	    record->url, SCENE_ORIGIN "/v2/a/blobs/x?token=REDACTED");
	assert_string_equal(record->origin, SCENE_ORIGIN);
	assert_string_equal(record->route, "/v2/{}/blobs/{}");
	assert_string_equal(tags_get(&record->tags, "job"), "imagecheck");
	assert_string_equal(record->client_address, SCENE_CALLER);
	assert_string_equal(record->user_agent, "Go-http-client/1.1");
	assert_string_equal(record->traceparent, "00-1-2-01");
	assert_string_equal(record->error, "dns_error");
	assert_int_equal(record->status, 404);
	assert_int_equal(record->request_bytes, 42);
	assert_int_equal(record->body_bytes, 1000);
	assert_int_equal(record->began_at, began_at);
	assert_int_equal(record->first_byte_us, 250);
	assert_int_equal(record->duration_us, 1000);
	assert_int_equal(record->age_us, 5750);
	snapshot_free(snapshot);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

static void
check_owner(const struct scene *scene, uint64_t conn_id)
{
	struct snapshot *snapshot = scene_look(scene,
	    &(struct snapshot_query){
		.wants_exchanges = true, .conn_id = conn_id});

	assert_int_equal(snapshot->exchange_count, 1);
	assert_int_equal(snapshot->exchanges[0].owner.pid, 4242);
	assert_int_equal(snapshot->exchanges[0].owner.fd, 37);
	assert_string_equal(snapshot->exchanges[0].owner.command, "coderd");
	snapshot_free(snapshot);
}

static void
test_the_owner_is_known_after_the_end(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	uint64_t id = scene_id(conn);
	struct snapshot *snapshot;

	scene_serve(scene, conn, &plain);
	ledger_conn_record(conn)->owner =
	    (struct owner){4242, 37, 1000, xstrdup("coderd")};
	scene_see_unread(scene, conn, 1000);
	scene->now += SCENE_STALL_US;
	scene_see_unread(scene, conn, 1000);
	check_owner(scene, id);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].caller_count, 1);
	assert_int_equal(snapshot->leaks[0].callers[0].pid, 4242);
	assert_string_equal(
	    snapshot->leaks[0].callers[0].client_host, "10.0.0.7");
	assert_int_equal(snapshot->leaks[0].callers[0].fd_count, 1);
	assert_int_equal(snapshot->leaks[0].callers[0].fds[0], 37);
	assert_non_null(snapshot->leaks[0].example);
	assert_int_equal(snapshot->leaks[0].example->conn_id, id);
	assert_int_equal(snapshot->leaks[0].example->age_us, SCENE_STALL_US);
	snapshot_free(snapshot);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	check_owner(scene, id);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].caller_count, 1);
	assert_non_null(snapshot->leaks[0].example);
	/* its descriptor may be another's by now */
	assert_int_equal(snapshot->leaks[0].callers[0].fd_count, 0);
	snapshot_free(snapshot);
	scene_free(scene);
}

/* Who looks at a leak wants to see one, not a suspicion. */
static void
test_the_example_is_the_best_there_is(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *suspected = scene_open(scene);
	struct ledger_conn *held = scene_open(scene);
	struct ledger_conn *later = scene_open(scene);
	uint64_t held_id = scene_id(held);
	struct snapshot *snapshot;

	scene_serve(scene, suspected, &plain);
	scene_see_delivered(scene, suspected);
	scene_probe(scene, suspected);
	scene_serve(scene, held, &plain);
	scene_see_unread(scene, held, 1000);
	scene_serve(scene, later, &plain);
	scene_see_unread(scene, later, 1000);
	scene->now += SCENE_GRACE_US;
	scene_see_delivered(scene, suspected);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].suspected, 1);
	assert_int_equal(
	    snapshot->leaks[0].example->judgement.verdict, VERDICT_SUSPECTED);
	snapshot_free(snapshot);

	scene->now += SCENE_STALL_US;
	scene_see_unread(scene, held, 1000);
	scene_see_unread(scene, later, 1000);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].suspected, 1);
	assert_int_equal(snapshot->leaks[0].undrained, 2);
	assert_int_equal(snapshot->leaks[0].example->conn_id, held_id);
	snapshot_free(snapshot);
	scene_close(scene, &suspected, CLOSE_SHUTDOWN);
	scene_close(scene, &held, CLOSE_SHUTDOWN);
	scene_close(scene, &later, CLOSE_SHUTDOWN);
	scene_free(scene);
}

static void
test_routes_of_any_url(void **state)
{
	static const struct {
		const char *url;
		const char *route;
	} rows[] = {
	    {SCENE_ORIGIN "/v2/a/blobs/x?n=1", "/v2/{}/blobs/{}"},
	    {SCENE_ORIGIN, "/"},
	    {SCENE_ORIGIN "/", "/"},
	    {"http://user:secret@registry.test/x", "/x"},
	    {"/v2/a/blobs/x", "/v2/{}/blobs/{}"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct scene *scene = scene_new();
		struct ledger_conn *conn = scene_open(scene);
		struct snapshot *snapshot;

		scene_serve(
		    scene, conn, &(struct scene_get){.url = rows[i].url});
		snapshot = scene_look_at_all(scene);
		assert_string_equal(
		    snapshot->exchanges[0].route, rows[i].route);
		snapshot_free(snapshot);
		scene_close(scene, &conn, CLOSE_SHUTDOWN);
		scene_free(scene);
	}
}

static void
test_a_snapshot_outlives_what_it_shows(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct snapshot *snapshot;

	scene_serve(scene, conn, &plain);
	scene->now += 7 * US_PER_S;
	snapshot = scene_look_at_all(scene);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_free(scene);
	assert_int_equal(snapshot->since, SCENE_EPOCH + SCENE_START);
	assert_int_equal(snapshot->taken_at - snapshot->since, 7 * US_PER_S);
	assert_int_equal(snapshot->seconds_us, 7 * US_PER_S);
	assert_int_equal(snapshot->conn_count, 1);
	assert_string_equal(snapshot->conns[0].client_address, SCENE_CALLER);
	assert_int_equal(snapshot->conns[0].state, CONN_IDLE);
	assert_int_equal(snapshot->conns[0].age_us, 7 * US_PER_S);
	assert_int_equal(snapshot->conns[0].opened_at, snapshot->since);
	assert_int_equal(snapshot->conns[0].exchange_count, 1);
	assert_string_equal(snapshot->exchanges[0].url, SCENE_URL);
	snapshot_free(snapshot);
}

static void
test_a_closed_connection_as_it_is_shown(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct snapshot *snapshot;

	scene->now += 3 * US_PER_S;
	scene_close(scene, &conn, CLOSE_TLS_REFUSED);
	scene->now += 60 * US_PER_S;
	snapshot = scene_look_at_all(scene);
	assert_int_equal(snapshot->conns[0].state, CONN_CLOSED);
	assert_int_equal(snapshot->conns[0].close_reason, CLOSE_TLS_REFUSED);
	assert_int_equal(snapshot->conns[0].age_us, 3 * US_PER_S);
	assert_int_equal(snapshot->conns[0].closed_at,
	    SCENE_EPOCH + SCENE_START + 3 * US_PER_S);
	snapshot_free(snapshot);
	scene_free(scene);
}

static void
test_a_snapshot_shows_what_was_asked_for(void **state)
{
	struct snapshot_query query = {0};
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct snapshot *snapshot;

	scene_serve(scene, conn, &plain);
	scene_serve(scene, conn, &plain);
	snapshot = scene_look(scene, &query);
	assert_int_equal(snapshot->conn_count, 0);
	assert_int_equal(snapshot->exchange_count, 0);
	assert_int_equal(snapshot->totals.exchanges, 2);
	snapshot_free(snapshot);
	query.wants_exchanges = true;
	query.has_verdict = true;
	query.verdict = VERDICT_DRAINED;
	snapshot = scene_look(scene, &query);
	assert_int_equal(snapshot->exchange_count, 1);
	assert_int_equal(snapshot->exchanges[0].ordinal, 1);
	snapshot_free(snapshot);
	query.has_verdict = false;
	query.max_exchanges = 1;
	snapshot = scene_look(scene, &query);
	assert_int_equal(snapshot->exchange_count, 1);
	assert_int_equal(snapshot->exchanges[0].ordinal, 2);
	snapshot_free(snapshot);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_counts_as_progress),
	    cmocka_unit_test(test_a_slow_reader_is_never_accused),
	    cmocka_unit_test(
		test_progress_belongs_to_every_response_of_the_connection),
	    cmocka_unit_test(test_delivered_bytes_never_fall),
	    cmocka_unit_test(test_unread_bytes_stay_as_seen_last),
	    cmocka_unit_test(test_there_is_nothing_to_hold_before_the_head),
	    cmocka_unit_test(test_standing),
	    cmocka_unit_test(
		test_a_response_without_a_body_leaves_nothing_unproven),
	    cmocka_unit_test(test_gauges_follow_the_connection),
	    cmocka_unit_test(test_an_exchange_as_it_is_shown),
	    cmocka_unit_test(test_the_owner_is_known_after_the_end),
	    cmocka_unit_test(test_the_example_is_the_best_there_is),
	    cmocka_unit_test(test_routes_of_any_url),
	    cmocka_unit_test(test_a_snapshot_outlives_what_it_shows),
	    cmocka_unit_test(test_a_closed_connection_as_it_is_shown),
	    cmocka_unit_test(test_a_snapshot_shows_what_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
