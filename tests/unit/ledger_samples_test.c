/* SPDX-License-Identifier: MIT */

/*
 * "When did the caller last take something?" decides every stall, and only
 * samples can answer it: bytes acknowledged, bytes unread, a window that
 * opens.  A sign of life that is overlooked makes an accusation that is false;
 * one that is imagined lets a leak go.  Here samples are invented one after the
 * other, and what the ledger makes of each is compared.
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

/* The response came before its request had ended, and lies unread while the
 * caller sends the rest: nobody reads and writes at once. */
static void
test_who_still_sends_is_not_accused(void **state)
{
	static const struct response_facts early = {.status = 413,
	    .has_body = true,
	    .says_close = true,
	    .is_early = true};
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_open(scene);
	struct ledger_exchange *x = scene_request(scene, conn, &plain);
	struct delivery delivery = {.acked_bytes = 1200, .unread_bytes = 1000};

	ledger_response_began(x, &early, scene->now);
	ledger_response_body_came(x, 1000);
	ledger_response_ended(&x, RESPONSE_COMPLETE, scene->now);
	for (int i = 0; i < 10; i++) {
		scene->now += 20 * US_PER_S;
		delivery.received_bytes += 1000;
		scene_see(scene, conn, &delivery);
		assert_int_equal(
		    scene_totals(scene).by_verdict[VERDICT_UNDRAINED], 0);
	}
	scene->now += 31 * US_PER_S;
	scene_see(scene, conn, &delivery);
	assert_int_equal(scene_totals(scene).by_verdict[VERDICT_UNDRAINED], 1);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene_free(scene);
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

/* Two pipelined responses: what waits may all be the second's, and so only
 * that one is accused. */
static void
test_only_the_newest_of_pipelined_responses_is_accused(void **state)
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
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_expect(scene, id, 2, VERDICT_UNDRAINED, EVIDENCE_STALLED);
	delivery.acked_bytes = 1;
	scene_see(scene, conn, &delivery);
	scene_expect(scene, id, 1, VERDICT_OPEN, EVIDENCE_NOTHING);
	scene_expect(scene, id, 2, VERDICT_OPEN, EVIDENCE_NOTHING);
	assert_int_equal(scene_totals(scene).recovered, 1);
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

/* Finds the same process, read anew, at the connection's other end. */
static const struct process *
find_process(struct ledger_conn *conn, const char *command)
{
	struct owner *owner = ledger_conn_record(conn)->owner;

	owner->pid = 4242;
	owner->process = process_new(command, "coderd server", NULL);
	ledger_owner_found(conn);
	return owner->process;
}

/* Thousands of connections of one process keep its names once, and the names
 * stay for those that are left; so with the user agent. */
static void
test_what_connections_share(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *first = scene_open(scene);
	struct ledger_conn *second = scene_open(scene);
	struct ledger_conn *other = scene_open(scene);
	const struct process *process = find_process(first, "coderd");

	assert_ptr_equal(find_process(second, "coderd"), process);
	assert_ptr_not_equal(find_process(other, "exec"), process);
	ledger_user_agent_seen(first, scene_span("Go-http-client/1.1"));
	ledger_user_agent_seen(second, scene_span("Go-http-client/1.1"));
	ledger_user_agent_seen(second, scene_span(NULL)); /* changes nothing */
	assert_ptr_equal(ledger_conn_record(first)->user_agent,
	    ledger_conn_record(second)->user_agent);
	scene_close(scene, &first, CLOSE_CLIENT_FIN);
	assert_string_equal(
	    ledger_conn_record(second)->owner->process->command, "coderd");
	scene_close(scene, &second, CLOSE_CLIENT_FIN);
	scene_close(scene, &other, CLOSE_CLIENT_FIN);
	scene_free(scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_counts_as_progress),
	    cmocka_unit_test(test_a_slow_reader_is_never_accused),
	    cmocka_unit_test(test_who_still_sends_is_not_accused),
	    cmocka_unit_test(
		test_only_the_newest_of_pipelined_responses_is_accused),
	    cmocka_unit_test(test_delivered_bytes_never_fall),
	    cmocka_unit_test(test_unread_bytes_stay_as_seen_last),
	    cmocka_unit_test(test_there_is_nothing_to_hold_before_the_head),
	    cmocka_unit_test(test_standing),
	    cmocka_unit_test(
		test_a_response_without_a_body_leaves_nothing_unproven),
	    cmocka_unit_test(test_what_connections_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
