/* SPDX-License-Identifier: MIT */

/*
 * An unanswered close probe is a suspicion.  It becomes proof where the caller
 * is known to answer probes at once, always; and one late answer takes back
 * all that rested on that.  A suspicion that stays one is escalated: the
 * group's next responses say Connection: close, until it is either caught or
 * cleared.  Here callers of all manners are probed, and the false accusations
 * that each rule is there to prevent are provoked.
 */

#include "accounting/ledger.h"

#include "accounting/memory.h"
#include "tests/unit/ledger_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

#define ROUND_TRIP_US 1000

static const struct scene_get plain = {0};

/* Who is at the other end; zero: an unknown process at SCENE_CALLER. */
struct caller {
	const char *address;
	const char *user_agent;
	const char *tls_fingerprint;
	pid_t pid;
};

static struct ledger_conn *
open_by(struct scene *scene, const struct caller *caller)
{
	struct ledger_conn *conn = scene_open_from(
	    scene, caller->address == NULL ? SCENE_CALLER : caller->address);
	struct conn_record *record = ledger_conn_record(conn);

	ledger_user_agent_seen(conn, scene_span(caller->user_agent));
	record->tls_fingerprint = xstrdup_or_null(caller->tls_fingerprint);
	if (caller->pid != 0)
		record->owner->pid = caller->pid;
	return conn;
}

/* Serves one response, sees it taken, and sends our FIN. */
static struct ledger_conn *
serve_and_probe(struct scene *scene, const struct caller *caller,
    const struct scene_get *get)
{
	struct ledger_conn *conn = open_by(scene, caller);

	scene_serve(scene, conn, get);
	scene_see_delivered(scene, conn);
	scene->now += US_PER_S;
	scene_probe(scene, conn);
	return conn;
}

static void
answer_after(struct scene *scene, const struct caller *caller, mono_us after)
{
	struct ledger_conn *conn = serve_and_probe(scene, caller, &plain);

	scene->now += after;
	scene_close(scene, &conn, CLOSE_PROBE_ANSWERED);
}

/* Leaves our FIN unanswered for the grace. */
static struct ledger_conn *
ignore_probe(struct scene *scene, const struct caller *caller,
    const struct scene_get *get)
{
	struct ledger_conn *conn = serve_and_probe(scene, caller, get);

	scene->now += SCENE_GRACE_US;
	scene_see_delivered(scene, conn);
	return conn;
}

/* Whether this caller's silence is taken for proof. */
static bool
is_accused_when_silent(struct scene *scene, const struct caller *caller)
{
	struct ledger_conn *conn = ignore_probe(scene, caller, &plain);
	struct judgement got = scene_record(scene, scene_id(conn), 1).judgement;

	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	assert_int_equal(got.evidence, EVIDENCE_PROBE);
	if (got.verdict == VERDICT_SUSPECTED)
		return false;
	assert_int_equal(got.verdict, VERDICT_UNDRAINED);
	assert_int_equal(got.witness, WITNESS_WATCHER);
	return true;
}

/* ---- watchers ---- */

static void
test_two_prompt_answers_make_a_watcher(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_new();

	assert_false(is_accused_when_silent(scene, &caller));
	answer_after(scene, &caller, US_PER_MS);
	assert_false(is_accused_when_silent(scene, &caller));
	answer_after(scene, &caller, US_PER_MS);
	assert_true(is_accused_when_silent(scene, &caller));
	assert_int_equal(ledger_counters(scene->ledger)->probes_answered, 2);
	scene_free(scene);
}

static void
test_prompt_is_within_a_round_trip_more(void **state)
{
	static const struct {
		mono_us after;
		bool is_prompt;
	} rows[] = {
	    {0, true},
	    {CALLERS_PROMPT_US + ROUND_TRIP_US, true},
	    {CALLERS_PROMPT_US + ROUND_TRIP_US + 1, false},
	    {60 * US_PER_S, false},
	};
	const struct caller caller = {0};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct scene *scene = scene_new();

		for (int j = 0; j < CALLERS_PROMPT_ANSWERS; j++)
			answer_after(scene, &caller, rows[i].after);
		assert_int_equal(
		    is_accused_when_silent(scene, &caller), rows[i].is_prompt);
		scene_free(scene);
	}
}

static void
test_a_late_answer_takes_back_what_rested_on_it(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_new();
	struct ledger_conn *first;
	struct ledger_conn *second;
	uint64_t first_id;
	uint64_t second_id;
	struct snapshot *snapshot;

	answer_after(scene, &caller, US_PER_MS);
	answer_after(scene, &caller, US_PER_MS);
	first = ignore_probe(scene, &caller, &plain);
	second = ignore_probe(scene, &caller, &plain);
	first_id = scene_id(first);
	second_id = scene_id(second);
	scene_expect(scene, first_id, 1, VERDICT_UNDRAINED, EVIDENCE_PROBE);
	scene_expect(scene, second_id, 1, VERDICT_UNDRAINED, EVIDENCE_PROBE);
	assert_int_equal(scene_totals(scene).held_now, 2);

	scene_close(scene, &first, CLOSE_PROBE_ANSWERED);
	scene_expect(scene, first_id, 1, VERDICT_DRAINED, EVIDENCE_PROBE);
	scene_see_delivered(scene, second);
	scene_expect(scene, second_id, 1, VERDICT_SUSPECTED, EVIDENCE_PROBE);
	assert_false(is_accused_when_silent(scene, &caller));
	/* for ever: two coincidences more do not earn the name again */
	answer_after(scene, &caller, US_PER_MS);
	answer_after(scene, &caller, US_PER_MS);
	assert_false(is_accused_when_silent(scene, &caller));

	scene_close(scene, &second, CLOSE_PROBE_ANSWERED);
	snapshot = scene_look(scene, &(struct snapshot_query){0});
	assert_int_equal(snapshot->totals.by_verdict[VERDICT_UNDRAINED], 0);
	assert_int_equal(snapshot->totals.recovered, 2);
	assert_int_equal(snapshot->leak_count, 0);
	snapshot_free(snapshot);
	scene_free(scene);
}

/* The sample before the probe is what sees the local body; here the second
 * witness is the queue, whatever the caller's manners. */
static void
test_a_local_body_unread_needs_no_manners(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_new();
	struct ledger_conn *conn = open_by(scene, &caller);
	uint64_t id = scene_id(conn);
	struct exchange_record record;

	scene_serve(scene, conn, &plain);
	scene_see_unread(scene, conn, 1000);
	scene_probe(scene, conn);
	scene->now += SCENE_GRACE_US;
	scene_see_unread(scene, conn, 1000);
	record = scene_record(scene, id, 1);
	assert_int_equal(record.judgement.verdict, VERDICT_UNDRAINED);
	assert_int_equal(record.judgement.witness, WITNESS_UNREAD);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	scene_free(scene);
}

/* ---- what shows no manners ---- */

/* Where the caller has earned its name. */
static struct scene *
scene_with_watcher(const struct caller *caller)
{
	struct scene *scene = scene_new();

	answer_after(scene, caller, US_PER_MS);
	answer_after(scene, caller, US_PER_MS);
	return scene;
}

static void
test_ends_that_show_no_manners(void **state)
{
	static const enum close_reason reasons[] = {CLOSE_REQUEST_CROSSED,
	    CLOSE_SHUTDOWN, CLOSE_IDLE, CLOSE_SOCKET_ERROR};
	const struct caller caller = {0};

	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		struct scene *late = scene_with_watcher(&caller);
		struct scene *prompt = scene_new();
		struct ledger_conn *conn =
		    serve_and_probe(late, &caller, &plain);

		late->now += 60 * US_PER_S;
		scene_close(late, &conn, reasons[i]);
		assert_true(is_accused_when_silent(late, &caller));
		scene_free(late);

		for (int j = 0; j < CALLERS_PROMPT_ANSWERS; j++) {
			conn = serve_and_probe(prompt, &caller, &plain);
			scene_close(prompt, &conn, reasons[i]);
		}
		assert_false(is_accused_when_silent(prompt, &caller));
		scene_free(prompt);
	}
}

/* Closes of its own accord, however many, are no answers to a probe. */
static void
test_closing_without_a_probe_shows_no_manners(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_new();

	for (int i = 0; i < 10; i++) {
		struct ledger_conn *conn = open_by(scene, &caller);

		scene_serve(scene, conn, &plain);
		scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	}
	assert_false(is_accused_when_silent(scene, &caller));
	assert_int_equal(ledger_counters(scene->ledger)->probes_answered, 0);
	scene_free(scene);
}

/* Told to close, every client closes at once, also those that never look at
 * idle connections. */
static void
test_closing_when_told_to_shows_no_manners(void **state)
{
	const struct scene_get told = {.says_close = true};
	const struct caller caller = {0};
	struct scene *scene = scene_new();

	for (int i = 0; i < 10; i++) {
		struct ledger_conn *conn =
		    serve_and_probe(scene, &caller, &told);
		uint64_t id = scene_id(conn);

		scene_close(scene, &conn, CLOSE_CLIENT_FIN);
		scene_expect(scene, id, 1, VERDICT_DRAINED, EVIDENCE_CLOSED);
	}
	assert_false(is_accused_when_silent(scene, &caller));
	assert_int_equal(ledger_counters(scene->ledger)->probes_answered, 0);
	scene_free(scene);
}

/* It held the body, which was seen, and let go an hour later: that is how
 * leaks end, not how pools answer. */
static void
test_the_end_of_a_leak_shows_no_manners(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_with_watcher(&caller);
	struct ledger_conn *conn = open_by(scene, &caller);

	scene_serve(scene, conn, &plain);
	scene_see_unread(scene, conn, 1000);
	scene_probe(scene, conn);
	scene->now += 3600 * US_PER_S;
	scene_see_unread(scene, conn, 1000);
	scene_close(scene, &conn, CLOSE_CLIENT_RST);
	assert_true(is_accused_when_silent(scene, &caller));
	scene_free(scene);
}

/* The end of a process closes all its connections, late, and says nothing
 * about the others that it held. */
static void
test_the_end_of_the_process_shows_no_manners(void **state)
{
	const struct caller caller = {.pid = 4242};
	struct scene *scene = scene_with_watcher(&caller);
	struct ledger_conn *first = ignore_probe(scene, &caller, &plain);
	struct ledger_conn *second = ignore_probe(scene, &caller, &plain);
	uint64_t first_id = scene_id(first);
	uint64_t second_id = scene_id(second);

	ledger_owner_exited(first);
	scene_close(scene, &first, CLOSE_CLIENT_FIN);
	scene_see_delivered(scene, second);
	ledger_owner_exited(second);
	scene_close(scene, &second, CLOSE_CLIENT_FIN);
	scene_expect(scene, first_id, 1, VERDICT_UNDRAINED, EVIDENCE_PROBE);
	scene_expect(scene, second_id, 1, VERDICT_UNDRAINED, EVIDENCE_PROBE);
	assert_int_equal(scene_totals(scene).held_now, 0);
	scene_free(scene);
}

/* An idle connection whose every response is proven is probed too, and its
 * answers count. */
static void
test_an_answer_with_nothing_unproven_counts(void **state)
{
	const struct scene_get empty = {.status = 204, .has_no_body = true};
	const struct caller caller = {0};
	struct scene *scene = scene_new();

	for (int i = 0; i < CALLERS_PROMPT_ANSWERS; i++) {
		struct ledger_conn *conn =
		    serve_and_probe(scene, &caller, &empty);

		scene_close(scene, &conn, CLOSE_PROBE_ANSWERED);
	}
	assert_true(is_accused_when_silent(scene, &caller));
	scene_free(scene);
}

/* ---- who is who ---- */

static void
test_manners_are_the_caller_s_own(void **state)
{
	static const struct {
		struct caller watcher;
		struct caller other;
		bool is_same;
	} rows[] = {
	    {{.address = "10.0.0.7:1"}, {.address = "10.0.0.7:2"}, true},
	    {{.address = "10.0.0.7:1"}, {.address = "10.0.0.8:1"}, false},
	    {{.address = "10.0.0.7:1"}, {.address = "10.0.0.77:1"}, false},
	    {{.address = "[::1]:1"}, {.address = "[::1]:2"}, true},
	    {{.address = "[::1]:1"}, {.address = "[::2]:1"}, false},
	    {{.user_agent = "Go-http-client/1.1"},
		{.user_agent = "Go-http-client/1.1"}, true},
	    {{.user_agent = "Go-http-client/1.1"}, {.user_agent = "Java/17"},
		false},
	    {{.user_agent = "Go-http-client/1.1"}, {0}, false},
	    {{.tls_fingerprint = "aa"}, {.tls_fingerprint = "aa"}, true},
	    {{.tls_fingerprint = "aa"}, {.tls_fingerprint = "bb"}, false},
	    {{.user_agent = "aa"}, {.tls_fingerprint = "aa"}, false},
	    {{.pid = 1}, {.pid = 1}, true},
	    {{.pid = 1}, {.pid = 2}, false},
	    {{.pid = 1}, {0}, false},
	    {{0}, {.pid = 1}, false},
	    {{.pid = 1, .address = "127.0.0.1:1"},
		{.pid = 1, .address = "[::1]:1"}, true},
	    {{.pid = 1, .user_agent = "a"}, {.pid = 1, .user_agent = "b"},
		false},
	    {{.pid = 1, .tls_fingerprint = "a"},
		{.pid = 1, .tls_fingerprint = "b"}, false},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct scene *scene = scene_with_watcher(&rows[i].watcher);

		if (is_accused_when_silent(scene, &rows[i].other) !=
		    rows[i].is_same)
			fail_msg("row %zu", i);
		scene_free(scene);
	}
}

/* ---- escalation ---- */

/* Whether the next such response would be told to close. */
static bool
wants_close(struct scene *scene, const struct caller *caller,
    const struct scene_get *get)
{
	struct ledger_conn *conn = open_by(scene, caller);
	struct ledger_exchange *x = scene_request(scene, conn, get);
	bool wants =
	    ledger_wants_close(x, get->status == 0 ? 200 : get->status);

	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	return wants;
}

static void
test_a_suspected_response_escalates_its_group(void **state)
{
	static const struct {
		struct caller caller;
		struct scene_get get;
		bool wanted;
	} rows[] = {
	    {{0}, {0}, true},
	    {{.address = "10.0.0.7:5"}, {0}, true},
	    /* another repository, the same route */
	    {{0}, {.url = SCENE_ORIGIN "/v2/b/manifests/1"}, true},
	    {{.pid = 4242}, {0}, true},
	    /* a job beside it is another caller */
	    {{0}, {.job = "imagecheck"}, false},
	    {{0}, {.status = 404}, false},
	    {{0}, {.method = "PUT"}, false},
	    {{0}, {.url = SCENE_ORIGIN "/v2/b/blobs/x"}, false},
	    {{.address = "10.0.0.8:41234"}, {0}, false},
	    {{.user_agent = "another"}, {0}, false},
	};
	struct scene *scene = scene_new();
	struct ledger_conn *conn;

	assert_false(wants_close(scene, &rows[0].caller, &rows[0].get));
	conn = serve_and_probe(scene, &rows[0].caller, &plain);
	assert_false(wants_close(scene, &rows[0].caller, &rows[0].get));
	scene->now += SCENE_GRACE_US;
	scene_see_delivered(scene, conn);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (wants_close(scene, &rows[i].caller, &rows[i].get) !=
		    rows[i].wanted)
			fail_msg("row %zu", i);
	}
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	assert_true(wants_close(scene, &rows[0].caller, &rows[0].get));
	scene_free(scene);
}

static void
test_a_proven_leak_is_not_escalated(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_with_watcher(&caller);
	struct ledger_conn *conn = ignore_probe(scene, &caller, &plain);

	scene_expect(
	    scene, scene_id(conn), 1, VERDICT_UNDRAINED, EVIDENCE_PROBE);
	assert_false(wants_close(scene, &caller, &plain));
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	scene_free(scene);
}

/* Raises a suspicion, and leaves it. */
static void
raise(struct scene *scene, const struct caller *caller)
{
	struct ledger_conn *conn = ignore_probe(scene, caller, &plain);

	scene_expect(
	    scene, scene_id(conn), 1, VERDICT_SUSPECTED, EVIDENCE_PROBE);
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
}

/* Serves one response that is told to close, and sees it closed. */
static void
close_properly(
    struct scene *scene, const struct caller *caller, bool is_escalated)
{
	const struct scene_get told = {
	    .says_close = true, .is_escalated = is_escalated};
	struct ledger_conn *conn = serve_and_probe(scene, caller, &told);

	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
}

static void
test_proper_answers_clear_a_group(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_new();

	raise(scene, &caller);
	for (int i = 0; i < SUSPICION_CLEARED_BY; i++) {
		assert_true(wants_close(scene, &caller, &plain));
		close_properly(scene, &caller, true);
	}
	assert_false(wants_close(scene, &caller, &plain));
	/* it rests: a caller that does not watch is not asked for ever */
	raise(scene, &caller);
	assert_false(wants_close(scene, &caller, &plain));
	scene->now += SUSPICION_REST_US;
	assert_false(wants_close(scene, &caller, &plain));
	raise(scene, &caller);
	assert_true(wants_close(scene, &caller, &plain));
	scene_free(scene);
}

/* The caller itself asked for the close: other responses than the suspected
 * ones may well be drained. */
static void
test_only_escalated_answers_clear(void **state)
{
	const struct caller caller = {0};
	struct scene *scene = scene_new();

	raise(scene, &caller);
	for (int i = 0; i < 2 * SUSPICION_CLEARED_BY; i++)
		close_properly(scene, &caller, false);
	assert_true(wants_close(scene, &caller, &plain));
	scene_free(scene);
}

static void
test_a_leak_caught_by_escalation_starts_the_count_again(void **state)
{
	const struct scene_get told = {
	    .says_close = true, .is_escalated = true};
	const struct caller caller = {0};
	struct scene *scene = scene_new();
	struct ledger_conn *conn;
	uint64_t id;

	raise(scene, &caller);
	for (int i = 0; i < SUSPICION_CLEARED_BY - 1; i++)
		close_properly(scene, &caller, true);
	conn = ignore_probe(scene, &caller, &told);
	id = scene_id(conn);
	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_CLOSE);
	assert_true(scene_record(scene, id, 1).is_escalated);
	for (int i = 0; i < SUSPICION_CLEARED_BY - 1; i++)
		close_properly(scene, &caller, true);
	assert_true(wants_close(scene, &caller, &plain));
	close_properly(scene, &caller, true);
	assert_false(wants_close(scene, &caller, &plain));
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_expect(scene, id, 1, VERDICT_UNDRAINED, EVIDENCE_CLOSE);
	scene_free(scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_two_prompt_answers_make_a_watcher),
	    cmocka_unit_test(test_prompt_is_within_a_round_trip_more),
	    cmocka_unit_test(test_a_late_answer_takes_back_what_rested_on_it),
	    cmocka_unit_test(test_a_local_body_unread_needs_no_manners),
	    cmocka_unit_test(test_ends_that_show_no_manners),
	    cmocka_unit_test(test_closing_without_a_probe_shows_no_manners),
	    cmocka_unit_test(test_closing_when_told_to_shows_no_manners),
	    cmocka_unit_test(test_the_end_of_a_leak_shows_no_manners),
	    cmocka_unit_test(test_the_end_of_the_process_shows_no_manners),
	    cmocka_unit_test(test_an_answer_with_nothing_unproven_counts),
	    cmocka_unit_test(test_manners_are_the_caller_s_own),
	    cmocka_unit_test(test_a_suspected_response_escalates_its_group),
	    cmocka_unit_test(test_a_proven_leak_is_not_escalated),
	    cmocka_unit_test(test_proper_answers_clear_a_group),
	    cmocka_unit_test(test_only_escalated_answers_clear),
	    cmocka_unit_test(
		test_a_leak_caught_by_escalation_starts_the_count_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
