/* SPDX-License-Identifier: MIT */

/*
 * Two long random walks.  In the first, facts come in any order that the
 * ledger's contract allows, sensible or not, and after each one the books must
 * balance.  In the second, simulated callers of every kind behave as DESIGN §1
 * measured real ones, while their responses are sampled, probed and judged:
 * whatever the timing, no drained response may ever be called undrained, and
 * at the end every held one must have been.  Seeds are fixed, and are printed
 * where a walk goes wrong.
 */

#include "accounting/ledger.h"

#include <stdio.h>

#include "accounting/memory.h"
#include "tests/unit/ledger_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

#define WALKS 8
#define WALK_STEPS 1500
#define WALK_CONNS 12

static uint64_t random_state;

static void
seed(uint64_t number)
{
	random_state = number * 0x9E3779B97F4A7C15u + 1;
}

/* xorshift64*: the same walk on every machine. */
static unsigned
draw(unsigned below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (unsigned)((random_state * 2685821657736338717u) >> 33) % below;
}

static bool
flip(void)
{
	return draw(2) == 0;
}

/* ---- any facts ---- */

enum stage { STAGE_IDLE, STAGE_ASKED, STAGE_ANSWERED };

struct walker {
	struct ledger_conn *conn;
	struct ledger_exchange *x;
	enum stage stage;
	bool is_probed;
	struct delivery seen; /* last */
};

static const char *const urls[] = {SCENE_URL, SCENE_ORIGIN "/v2/b/blobs/x",
    SCENE_ORIGIN "/token?service=a", SCENE_ORIGIN};

static struct scene_get
draw_get(void)
{
	static const char *const methods[] = {"GET", "HEAD", "POST"};
	static const char *const jobs[] = {NULL, "imagecheck", "gc"};
	static const int statuses[] = {200, 401, 404};

	return (struct scene_get){
	    .method = methods[draw(COUNT_OF(methods))],
	    .url = urls[draw(COUNT_OF(urls))],
	    .job = jobs[draw(COUNT_OF(jobs))],
	    .status = statuses[draw(COUNT_OF(statuses))],
	    .body_bytes = 1 + draw(100000),
	    .has_no_body = draw(8) == 0,
	    .says_close = draw(4) == 0,
	    .is_pipelined = draw(4) == 0,
	};
}

static void
open_walker(struct scene *scene, struct walker *walker)
{
	static const char *const addresses[] = {
	    "10.0.0.7:1", "10.0.0.8:2", "[fd00::1]:3"};
	struct conn_record *record;

	*walker = (struct walker){.seen = {.unread_bytes = -1}};
	walker->conn =
	    scene_open_from(scene, addresses[draw(COUNT_OF(addresses))]);
	record = ledger_conn_record(walker->conn);
	record->transport = flip() ? TRANSPORT_PLAIN : TRANSPORT_INTERCEPTED;
	if (flip()) {
		record->owner->pid = 1 + (pid_t)draw(3);
		record->owner->process = process_new("caller", NULL, NULL);
		ledger_owner_found(walker->conn);
	}
}

/* Most samples show nothing new. */
static void
see_anything(struct scene *scene, struct walker *walker)
{
	if (draw(3) == 0)
		walker->seen =
		    (struct delivery){.waiting_bytes = draw(3) * 1000,
			.acked_bytes = draw(4) * 1000,
			.unread_bytes = (int64_t)draw(4) * 500 - 1,
			.window_bytes = (int64_t)draw(3) * 4096 - 1,
			.rtt_us = draw(5000)};
	scene_see(scene, walker->conn, &walker->seen);
}

/* The next fact of the exchange under way. */
static void
go_on(struct scene *scene, struct walker *walker)
{
	static const enum response_end ends[] = {RESPONSE_COMPLETE,
	    RESPONSE_COMPLETE, RESPONSE_COMPLETE, RESPONSE_TRUNCATED,
	    RESPONSE_ABANDONED};
	struct scene_get get = draw_get();

	switch (walker->stage) {
	case STAGE_IDLE:
		if (walker->is_probed)
			return;
		walker->x = scene_request(scene, walker->conn, &get);
		walker->stage = STAGE_ASKED;
		break;
	case STAGE_ASKED:
		get.is_escalated = get.says_close =
		    ledger_wants_close(walker->x, get.status);
		scene_respond(scene, walker->x, &get);
		walker->stage = STAGE_ANSWERED;
		break;
	case STAGE_ANSWERED:
		scene_end(scene, &walker->x, ends[draw(COUNT_OF(ends))]);
		walker->stage = STAGE_IDLE;
		break;
	}
}

static void
close_walker(struct scene *scene, struct walker *walker)
{
	if (flip())
		ledger_delivery_ended(walker->conn,
		    &(struct delivery){
			.waiting_bytes = draw(2), .unread_bytes = -1});
	if (draw(4) == 0)
		ledger_owner_exited(walker->conn);
	scene_close(scene, &walker->conn,
	    (enum close_reason)(
		CLOSE_CLIENT_FIN + draw(CLOSE_COUNT - CLOSE_CLIENT_FIN)));
}

static void
step(struct scene *scene, struct walker *walker)
{
	unsigned what = draw(20);

	scene->now += (mono_us)draw(12) * US_PER_S;
	if (walker->conn == NULL) {
		open_walker(scene, walker);
	} else if (what < 10) {
		go_on(scene, walker);
	} else if (what < 16) {
		see_anything(scene, walker);
	} else if (what < 18 && walker->stage == STAGE_IDLE &&
	    !walker->is_probed) {
		scene_probe(scene, walker->conn);
		walker->is_probed = true;
	} else if (what == 19) {
		close_walker(scene, walker);
	}
}

static void
test_the_books_balance_whatever_happens(void **state)
{
	uint64_t seen[VERDICT_COUNT] = {0};
	uint64_t recovered = 0;

	for (uint64_t walk = 1; walk <= WALKS; walk++) {
		struct scene *scene = scene_new();
		struct walker walkers[WALK_CONNS] = {{0}};
		struct totals totals;

		print_message("walk %d\n", (int)walk);
		seed(walk);
		for (int i = 0; i < WALK_STEPS; i++)
			step(scene, &walkers[draw(WALK_CONNS)]);
		for (size_t i = 0; i < WALK_CONNS; i++) {
			if (walkers[i].conn != NULL)
				close_walker(scene, &walkers[i]);
		}
		totals = scene_totals(scene);
		assert_int_equal(totals.by_verdict[VERDICT_OPEN], 0);
		assert_int_equal(totals.held_now, 0);
		recovered += totals.recovered;
		for (size_t i = 0; i < VERDICT_COUNT; i++)
			seen[i] += totals.by_verdict[i];
		scene_free(scene);
	}
	/* The walks came by everywhere, and not just the short way. */
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		if (i != VERDICT_OPEN && seen[i] == 0)
			fail_msg("no walk ended at %s",
			    verdict_word((enum verdict)i));
	}
	assert_true(recovered > 0);
}

/* ---- callers as they are ---- */

/* How a caller answers our FIN once it owes no read. */
enum manner {
	MANNER_WATCHES, /* at once */
	MANNER_TIMER,   /* by a timer of its own, some seconds later */
	MANNER_DEAF,    /* when its pool next looks: never, here */
};

/* What it does with a response. */
enum reading {
	READING_ALL,
	READING_SLOWLY,  /* all of it, with pauses shorter than a stall */
	READING_NOTHING, /* held */
	READING_IN_PART, /* held: the library has the rest in its buffer */
	READING_COUNT
};

struct kind {
	const char *user_agent;
	enum manner manner;
	bool is_local;
};

static const struct kind kinds[] = {
    {"go", MANNER_WATCHES, true},
    {"go, remote", MANNER_WATCHES, false},
    {"java", MANNER_TIMER, true},
    {"java, remote", MANNER_TIMER, false},
    {"requests", MANNER_DEAF, true},
    {"requests, remote", MANNER_DEAF, false},
};

/* A connection with one response, and the truth about it. */
struct actor {
	const struct kind *kind;
	struct ledger_conn *conn; /* NULL: none, or over */
	uint64_t conn_id;
	enum reading reading;
	bool is_escalated;
	bool is_large;
	bool is_reading; /* slowly, and not through yet */
	mono_us served_at;
	mono_us reads_at; /* the slow reader's next read */
	mono_us probed_at;
	int64_t acked_bytes;
	int64_t waiting_bytes;
	int64_t unread_bytes;
};

static bool
holds(const struct actor *actor)
{
	return actor->reading == READING_NOTHING ||
	    actor->reading == READING_IN_PART;
}

/* Shorter than a stall; told to close, shorter than the grace. */
static mono_us
draw_pause(const struct actor *actor)
{
	return (mono_us)(actor->is_escalated ? draw(4) : draw(20)) * US_PER_S;
}

static void
enter(struct scene *scene, struct actor *actor)
{
	const struct scene_get get = {.body_bytes = 300000};
	struct response_facts response = {.status = 200, .has_body = true};
	struct ledger_exchange *x;

	*actor = (struct actor){.kind = &kinds[draw(COUNT_OF(kinds))],
	    .reading = (enum reading)draw(READING_COUNT),
	    .is_large = flip(),
	    .served_at = scene->now};
	actor->conn = scene_open(scene);
	actor->conn_id = scene_id(actor->conn);
	ledger_user_agent_seen(
	    actor->conn, scene_span(actor->kind->user_agent));
	x = scene_request(scene, actor->conn, &get);
	response.is_escalated = response.says_close =
	    ledger_wants_close(x, 200);
	actor->is_escalated = response.is_escalated;
	ledger_response_began(x, &response, scene->now);
	ledger_response_body_came(x, actor->is_large ? 300000 : 1000);
	ledger_response_ended(&x, RESPONSE_COMPLETE, scene->now);
	actor->is_reading = actor->reading == READING_SLOWLY;
	/* A remote one that reads a small body slowly cannot be told from one
	 * that holds it, until it has; such are left out. */
	if (actor->is_reading && !actor->kind->is_local)
		actor->is_large = true;
	actor->reads_at = scene->now + draw_pause(actor);
	if (actor->is_large && (holds(actor) || actor->is_reading))
		actor->waiting_bytes = 54000;
	if (actor->reading == READING_NOTHING || actor->is_reading)
		actor->unread_bytes = 1000;
	actor->acked_bytes = 246000;
}

/* It takes a little, or the last of it. */
static void
read_slowly(struct scene *scene, struct actor *actor)
{
	int64_t taken;

	if (!actor->is_reading || scene->now < actor->reads_at)
		return;
	actor->reads_at = scene->now + draw_pause(actor);
	if (draw(10) == 0) {
		taken = actor->waiting_bytes;
		actor->unread_bytes = 0;
		actor->is_reading = false;
	} else {
		taken = actor->waiting_bytes > 1000 ? 1000 : 0;
		actor->unread_bytes -= actor->unread_bytes > 1;
	}
	actor->waiting_bytes -= taken;
	actor->acked_bytes += taken;
}

static void
sample(struct scene *scene, struct actor *actor)
{
	scene_see(scene, actor->conn,
	    &(struct delivery){.waiting_bytes = actor->waiting_bytes,
		.acked_bytes = actor->acked_bytes,
		.unread_bytes =
		    actor->kind->is_local ? actor->unread_bytes : -1,
		.window_bytes = -1,
		.rtt_us = 1000});
}

/* A caller that has read all closes after our FIN, each kind in its way. */
static bool
is_answer_due(const struct actor *actor, mono_us now)
{
	if (actor->probed_at == 0 || holds(actor) || actor->is_reading)
		return false;
	if (actor->is_escalated)
		return true;
	switch (actor->kind->manner) {
	case MANNER_WATCHES:
		return true;
	case MANNER_TIMER:
		return now - actor->probed_at >= 8 * US_PER_S;
	case MANNER_DEAF:
		return false;
	}
	abort();
}

static struct judgement
judged(const struct scene *scene, const struct actor *actor)
{
	return scene_record(scene, actor->conn_id, 1).judgement;
}

static void
answer(struct scene *scene, struct actor *actor)
{
	scene_close(scene, &actor->conn,
	    actor->is_escalated ? CLOSE_CLIENT_FIN : CLOSE_PROBE_ANSWERED);
}

static bool
is_probe_due(const struct actor *actor, mono_us now)
{
	struct conn_standing standing;

	ledger_conn_standing(actor->conn, &standing);
	if (actor->probed_at != 0 || actor->waiting_bytes > 0)
		return false;
	return actor->is_escalated ||
	    (now - standing.idle_since >= SCENE_STALL_US &&
		now - standing.progress_at >= SCENE_STALL_US);
}

/* One sweep over one connection, as the proxy makes them. */
static void
sweep(struct scene *scene, struct actor *actor)
{
	read_slowly(scene, actor);
	if (is_answer_due(actor, scene->now)) {
		answer(scene, actor);
	} else {
		sample(scene, actor);
		if (is_probe_due(actor, scene->now)) {
			scene_probe(scene, actor->conn);
			actor->probed_at = scene->now;
			if (is_answer_due(actor, scene->now))
				answer(scene, actor);
		}
	}
	if (!holds(actor) && judged(scene, actor).verdict == VERDICT_UNDRAINED)
		fail_msg("%s, reading %d: falsely accused by %s",
		    actor->kind->user_agent, actor->reading,
		    verdict_evidence_word(judged(scene, actor).evidence));
}

/* What can be known of a held response, is. */
static void
check_found(const struct scene *scene, const struct actor *actor)
{
	struct judgement got = judged(scene, actor);
	bool is_seen = actor->is_escalated || actor->waiting_bytes > 0 ||
	    (actor->kind->is_local && actor->unread_bytes > 0);

	if (got.verdict == VERDICT_UNDRAINED)
		return;
	if (is_seen || got.verdict != VERDICT_SUSPECTED)
		fail_msg("%s, reading %d: held, and called %s",
		    actor->kind->user_agent, actor->reading,
		    verdict_word(got.verdict));
}

static void
test_no_false_accusation_and_no_leak_overlooked(void **state)
{
	unsigned accused = 0;
	unsigned suspected = 0;

	for (uint64_t walk = 1; walk <= WALKS; walk++) {
		struct scene *scene = scene_new();
		struct actor actors[WALK_CONNS * 2] = {{0}};

		print_message("walk %d\n", (int)walk);
		scene->is_bulk = true;
		seed(1000 + walk);
		for (int second = 0; second < 600; second++) {
			struct actor *actor = &actors[draw(COUNT_OF(actors))];

			scene->now += US_PER_S;
			if (actor->conn == NULL)
				enter(scene, actor);
			for (size_t i = 0; i < COUNT_OF(actors); i++) {
				if (actors[i].conn != NULL)
					sweep(scene, &actors[i]);
			}
		}
		scene->now += 60 * US_PER_S;
		for (size_t i = 0; i < COUNT_OF(actors); i++) {
			if (actors[i].conn == NULL)
				continue;
			if (holds(&actors[i])) {
				sample(scene, &actors[i]);
				scene->now += SCENE_GRACE_US;
				sample(scene, &actors[i]);
				check_found(scene, &actors[i]);
			}
			scene_close(scene, &actors[i].conn, CLOSE_SHUTDOWN);
		}
		scene_audit(scene);
		accused +=
		    (unsigned)scene_totals(scene).by_verdict[VERDICT_UNDRAINED];
		suspected +=
		    (unsigned)scene_totals(scene).by_verdict[VERDICT_UNPROVEN];
		scene_free(scene);
	}
	assert_true(accused > WALKS);
	assert_true(suspected > WALKS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_books_balance_whatever_happens),
	    cmocka_unit_test(test_no_false_accusation_and_no_leak_overlooked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
