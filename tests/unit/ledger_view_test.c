/* SPDX-License-Identifier: MIT */

/*
 * What the ledger shows of its records to those who look: whole, as it was at
 * one moment, long after the worker has gone on.  A leak is of use when it
 * says who, which URL and how much, and when its numbers add up to the totals
 * above them, also where there are more leaks than there is room; and it tells
 * a timeout that hides it from mere chance.
 */

#include "accounting/ledger.h"

#include <stdio.h>

#include "accounting/groups.h"
#include "accounting/memory.h"
#include "tests/unit/ledger_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const struct scene_get plain = {0};

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
	assert_null(record->owner);
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
	assert_int_equal(snapshot->exchanges[0].owner->pid, 4242);
	assert_int_equal(snapshot->exchanges[0].owner->fd, 37);
	assert_string_equal(
	    snapshot->exchanges[0].owner->process->command, "coderd");
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
	*ledger_conn_record(conn)->owner =
	    (struct owner){.process = process_new("coderd", NULL, NULL),
		.pid = 4242,
		.fd = 37,
		.uid = 1000,
		.references = 2};
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

/* What was sampled while the caller was about to read is history then. */
static void
test_a_drained_response_owes_nothing(void **state)
{
	static const int64_t unread[] = {-1, 0, 1, 1000};

	for (size_t i = 0; i < COUNT_OF(unread); i++) {
		struct scene *scene = scene_new();
		struct ledger_conn *conn = scene_open(scene);
		uint64_t id = scene_id(conn);
		struct exchange_record record;

		scene_serve(scene, conn, &plain);
		scene_see(scene, conn,
		    &(struct delivery){
			.waiting_bytes = 300, .unread_bytes = unread[i]});
		scene_serve(scene, conn, &plain);
		record = scene_record(scene, id, 1);
		assert_int_equal(record.judgement.verdict, VERDICT_DRAINED);
		assert_int_equal(record.delivered_bytes, 1000);
		assert_int_equal(
		    record.facts.unread_bytes, unread[i] < 0 ? -1 : 0);
		scene_close(scene, &conn, CLOSE_SHUTDOWN);
		scene_free(scene);
	}
}

/* Proofs come in any order: the leak is as old as its oldest response. */
static void
test_since_when(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conns[3];
	wall_us began_at[3];
	struct snapshot *snapshot;

	for (size_t i = 0; i < COUNT_OF(conns); i++) {
		conns[i] = scene_open(scene);
		began_at[i] = scene_wall(scene);
		scene_serve(scene, conns[i], &plain);
		scene->now += US_PER_S;
	}
	for (size_t i = 0; i < COUNT_OF(conns); i++)
		scene_see_unread(scene, conns[i], 1000);
	scene->now += SCENE_STALL_US;
	scene_see_unread(scene, conns[1], 1000);
	scene_see_unread(scene, conns[2], 1000);
	scene_see_unread(scene, conns[0], 1000);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].undrained, 3);
	assert_int_equal(snapshot->leaks[0].first_seen, began_at[0]);
	assert_int_equal(snapshot->leaks[0].last_seen, began_at[2]);
	snapshot_free(snapshot);
	for (size_t i = 0; i < COUNT_OF(conns); i++)
		scene_close(scene, &conns[i], CLOSE_SHUTDOWN);
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

/* Beyond the bound, leaks are counted as one, and what they hold with them. */
static void
test_more_leaks_than_there_is_room(void **state)
{
	enum { COUNT = GROUPS_MAX + 3 };
	static struct ledger_conn *conns[COUNT];
	struct scene *scene = scene_new();
	const struct leak *other = NULL;
	struct snapshot *snapshot;

	scene->is_bulk = true;
	for (size_t i = 0; i < COUNT; i++) {
		const struct scene_get get = {.status = 100 + (int)i};

		conns[i] = scene_open(scene);
		scene_serve(scene, conns[i], &get);
		scene_see_unread(scene, conns[i], 10);
	}
	scene->now += SCENE_STALL_US;
	for (size_t i = 0; i < COUNT; i++)
		scene_see_unread(scene, conns[i], 10);
	scene_audit(scene);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leak_count, GROUPS_MAX + 1);
	assert_int_equal(snapshot->totals.held_now, COUNT);
	for (size_t i = 0; i < snapshot->leak_count; i++) {
		if (strcmp(snapshot->leaks[i].origin, "other") == 0)
			other = &snapshot->leaks[i];
	}
	assert_non_null(other);
	assert_int_equal(other->undrained, 3);
	assert_int_equal(other->held_now, 3);
	assert_int_equal(other->held_bytes, 30);
	assert_non_null(other->example);
	snapshot_free(snapshot);

	/* released into the same, and back to nothing */
	scene_close(scene, &conns[COUNT - 1], CLOSE_CLIENT_RST);
	scene_see_unread(scene, conns[COUNT - 2], 0);
	scene_audit(scene);
	assert_int_equal(scene_totals(scene).held_now, COUNT - 2);
	for (size_t i = 0; i < COUNT - 1; i++)
		scene_close(scene, &conns[i], CLOSE_SHUTDOWN);
	scene_audit(scene);
	scene_free(scene);
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
	query.filter = filter_new(FILTER_EXCHANGES);
	assert_null(filter_add(query.filter, "verdict=drained route=/*"));
	snapshot = scene_look(scene, &query);
	assert_int_equal(snapshot->exchange_count, 1);
	assert_int_equal(snapshot->exchanges[0].ordinal, 1);
	snapshot_free(snapshot);
	snapshot_query_fini(&query);
	query.filter = NULL;
	query.page.limit = 1;
	snapshot = scene_look(scene, &query);
	assert_int_equal(snapshot->exchange_count, 1);
	assert_int_equal(snapshot->exchanges[0].ordinal, 2);
	snapshot_free(snapshot);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

/* ---- what was held when ---- */

static int64_t
held_at(const struct leak *leak, mono_us since_begin)
{
	int64_t levels[LEVELS_BINS];
	size_t count = levels_read(&leak->held, levels);
	size_t bin = (size_t)(since_begin / leak->held.axis.bin_us);

	assert_true(bin < count);
	return levels[bin];
}

/* It is proven after half a minute, and was held all the while. */
static void
test_a_response_is_held_since_it_came(void **state)
{
	struct scene *scene = scene_new();
	mono_us begin = scene->now;
	struct ledger_conn *conn;
	struct snapshot *snapshot;
	mono_us end;

	scene->now += 10 * US_PER_S;
	conn = scene_hold(scene, &plain, 1000);
	scene->now += 5 * US_PER_S;
	end = scene->now - begin;
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene->now += 5 * US_PER_S;
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(held_at(&snapshot->leaks[0], 8 * US_PER_S), 0);
	assert_int_equal(held_at(&snapshot->leaks[0], 12 * US_PER_S), 1);
	assert_int_equal(held_at(&snapshot->leaks[0], end - 2 * US_PER_S), 1);
	assert_int_equal(held_at(&snapshot->leaks[0], end + 2 * US_PER_S), 0);
	snapshot_free(snapshot);
	scene_free(scene);
}

/* What the summary of each second needs, and nothing that costs. */
static void
test_a_brief_look_has_the_counts(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_hold(scene, &plain, 1000);
	struct snapshot *snapshot =
	    scene_look(scene, &(struct snapshot_query){.is_brief = true});

	assert_int_equal(snapshot->totals.held_now, 1);
	assert_int_equal(snapshot->leaks[0].held_now, 1);
	assert_int_equal(snapshot->leaks[0].undrained, 1);
	assert_int_equal(snapshot->leaks[0].caller_count, 0);
	assert_null(snapshot->leaks[0].example);
	snapshot_free(snapshot);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene_free(scene);
}

/* That of its first exchange, and none before. */
static void
test_a_connection_has_an_origin(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *silent = scene_open(scene);
	struct ledger_conn *conn = scene_hold(scene, &plain, 1000);
	struct snapshot_query query = {
	    .wants_conns = true, .filter = filter_new(FILTER_CONNS)};
	struct snapshot *snapshot;

	assert_null(filter_add(query.filter, "origin=" SCENE_ORIGIN));
	snapshot = scene_look(scene, &query);
	snapshot_query_fini(&query);
	assert_int_equal(snapshot->conn_count, 1);
	assert_int_equal(snapshot->conns[0].id, scene_id(conn));
	assert_string_equal(snapshot->conns[0].origin, SCENE_ORIGIN);
	snapshot_free(snapshot);
	scene_close(scene, &silent, CLOSE_CLIENT_FIN);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene_free(scene);
}

/* ---- ends at a constant age ---- */

static void
test_a_deadline_of_the_caller_shows(void **state)
{
	struct scene *scene = scene_new();
	struct snapshot *snapshot;
	double age_s = 0;

	for (int i = 0; i < 3; i++) {
		struct ledger_conn *conn = scene_hold(scene, &plain, 1000);

		snapshot = scene_look(scene, &(struct snapshot_query){0});
		assert_int_equal(snapshot->leaks[0].releases.count, i);
		assert_false(leak_has_deadline(&snapshot->leaks[0], &age_s));
		snapshot_free(snapshot);
		scene->now += 12500 * US_PER_MS;
		scene_close(scene, &conn, CLOSE_CLIENT_RST);
	}
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].releases.count, 3);
	assert_true(leak_has_deadline(&snapshot->leaks[0], &age_s));
	assert_float_equal(age_s, 42.5, 0.001);
	snapshot_free(snapshot);
	scene_free(scene);
}

/* Held for 40 s, 60 s, 600 s: that is chance, and no timeout. */
static void
test_scattered_ends_are_no_deadline(void **state)
{
	static const mono_us more[] = {10, 30, 570};
	struct scene *scene = scene_new();
	struct snapshot *snapshot;
	double age_s;

	for (size_t i = 0; i < COUNT_OF(more); i++) {
		struct ledger_conn *conn = scene_hold(scene, &plain, 1000);

		scene->now += more[i] * US_PER_S;
		scene_close(scene, &conn, CLOSE_CLIENT_RST);
	}
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].releases.count, 3);
	assert_false(leak_has_deadline(&snapshot->leaks[0], &age_s));
	snapshot_free(snapshot);
	scene_free(scene);
}

/* A job that runs for a minute and leaks, again and again: its ends come at a
 * constant age too, and no timeout hides the leak. */
static void
test_the_end_of_a_process_is_no_deadline(void **state)
{
	enum { TIMES = 4 };
	struct scene *scene = scene_new();
	struct snapshot *snapshot;

	for (int i = 0; i < TIMES; i++) {
		struct ledger_conn *conn = scene_hold(scene, &plain, 1000);

		ledger_owner_exited(conn);
		scene_close(scene, &conn, CLOSE_CLIENT_RST);
	}
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->leaks[0].undrained, TIMES);
	assert_int_equal(snapshot->leaks[0].held_to_exit, TIMES);
	assert_int_equal(snapshot->leaks[0].releases.count, 0);
	snapshot_free(snapshot);
	scene_free(scene);
}

/* It read on, and then closed: nobody's deadline. */
static void
test_a_recovered_response_is_no_release(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_hold(scene, &plain, 1000);
	struct ledger_conn *held = scene_hold(scene, &plain, 1000);
	struct snapshot *snapshot;

	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->totals.recovered, 1);
	assert_int_equal(snapshot->leaks[0].undrained, 1);
	assert_int_equal(snapshot->leaks[0].releases.count, 0);
	snapshot_free(snapshot);
	scene_close(scene, &held, CLOSE_CLIENT_RST);
	scene_free(scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gauges_follow_the_connection),
	    cmocka_unit_test(test_an_exchange_as_it_is_shown),
	    cmocka_unit_test(test_the_owner_is_known_after_the_end),
	    cmocka_unit_test(test_a_drained_response_owes_nothing),
	    cmocka_unit_test(test_since_when),
	    cmocka_unit_test(test_the_example_is_the_best_there_is),
	    cmocka_unit_test(test_routes_of_any_url),
	    cmocka_unit_test(test_a_snapshot_outlives_what_it_shows),
	    cmocka_unit_test(test_a_closed_connection_as_it_is_shown),
	    cmocka_unit_test(test_a_snapshot_shows_what_was_asked_for),
	    cmocka_unit_test(test_more_leaks_than_there_is_room),
	    cmocka_unit_test(test_a_response_is_held_since_it_came),
	    cmocka_unit_test(test_a_brief_look_has_the_counts),
	    cmocka_unit_test(test_a_connection_has_an_origin),
	    cmocka_unit_test(test_a_deadline_of_the_caller_shows),
	    cmocka_unit_test(test_scattered_ends_are_no_deadline),
	    cmocka_unit_test(test_the_end_of_a_process_is_no_deadline),
	    cmocka_unit_test(test_a_recovered_response_is_no_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
