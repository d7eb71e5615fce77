/* SPDX-License-Identifier: MIT */

/*
 * A copy of a full ledger takes so long that nobody may wait for it, so it is
 * made in steps, and between two of them the ledger lives on: what the view
 * comes to next may be closed, evicted and freed.
 */

#include "tests/unit/ledger_fixture.h"

#define CONNS 600
#define MANY_STEPS 1000

/* After so many a view of the crowd is among the live connections. */
#define STEPS_TO_LIVE (CONNS / LEDGER_VIEW_RECORDS + 1)

static const struct scene_get plain = {0};

static const struct snapshot_query all = {
    .wants_conns = true, .wants_exchanges = true};

struct crowd {
	struct scene *scene;
	struct ledger_conn *conns[CONNS]; /* NULL once closed */
	uint64_t ids[CONNS];
};

/* Each connection holds a response that is a leak of its own. */
static void
gather(struct crowd *crowd)
{
	struct scene *scene = scene_new();

	crowd->scene = scene;
	scene->is_bulk = true;
	for (size_t i = 0; i < CONNS; i++) {
		const struct scene_get get = {.status = 200 + (int)i};

		crowd->conns[i] = scene_open(scene);
		crowd->ids[i] = ledger_conn_record(crowd->conns[i])->id;
		scene_serve(scene, crowd->conns[i], &get);
		scene_see_unread(scene, crowd->conns[i], 10);
	}
	scene->now += SCENE_STALL_US;
	for (size_t i = 0; i < CONNS; i++)
		scene_see_unread(scene, crowd->conns[i], 10);
}

static void
disperse(struct crowd *crowd)
{
	for (size_t i = 0; i < CONNS; i++) {
		if (crowd->conns[i] != NULL)
			scene_close(
			    crowd->scene, &crowd->conns[i], CLOSE_CLIENT_FIN);
	}
	scene_audit(crowd->scene);
	scene_free(crowd->scene);
}

static struct ledger_view *
begin(const struct crowd *crowd)
{
	return ledger_view_begin(crowd->scene->ledger, &all,
	    scene_wall(crowd->scene), crowd->scene->now);
}

/* Takes the view. */
static struct snapshot *
finish(struct ledger_view *view)
{
	struct snapshot *snapshot = ledger_view_finish(&view);

	assert_null(view);
	snapshot_seal(snapshot, &all);
	return snapshot;
}

static size_t
count_conn(const struct snapshot *snapshot, uint64_t id)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->conn_count; i++)
		count += snapshot->conns[i].id == id;
	return count;
}

static size_t
count_exchange(
    const struct snapshot *snapshot, uint64_t conn_id, uint32_t ordinal)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->exchange_count; i++)
		count += snapshot->exchanges[i].conn_id == conn_id &&
		    snapshot->exchanges[i].ordinal == ordinal;
	return count;
}

/* Steps are small, and together show what one look shows. */
static void
test_steps_make_a_whole(void **state)
{
	struct crowd crowd;
	struct ledger_view *view;
	struct snapshot *stepped;
	struct snapshot *whole;
	size_t steps = 1;

	gather(&crowd);
	view = begin(&crowd);
	while (ledger_view_step(view, crowd.scene->now))
		steps++;
	assert_true(ledger_is_viewed(crowd.scene->ledger));
	assert_true(steps > 2 * CONNS / LEDGER_VIEW_RECORDS);
	stepped = finish(view);
	assert_false(ledger_is_viewed(crowd.scene->ledger));
	whole = scene_look_at_all(crowd.scene);
	assert_int_equal(stepped->leak_count, CONNS);
	assert_int_equal(stepped->leak_count, whole->leak_count);
	assert_int_equal(stepped->conn_count, whole->conn_count);
	assert_int_equal(stepped->exchange_count, whole->exchange_count);
	assert_int_equal(stepped->totals.held_now, whole->totals.held_now);
	assert_int_equal(
	    stepped->gauges.client_idle, whole->gauges.client_idle);
	for (size_t i = 0; i < CONNS; i++) {
		assert_string_equal(stepped->leaks[i].id, whole->leaks[i].id);
		assert_int_equal(stepped->leaks[i].held_bytes, 10);
		assert_int_equal(stepped->leaks[i].caller_count, 1);
		assert_non_null(stepped->leaks[i].example);
	}
	snapshot_free(stepped);
	snapshot_free(whole);
	disperse(&crowd);
}

/* Closes a connection, and reuses another, which proves its response drained
 * after all. */
static void
move(struct crowd *crowd, size_t step)
{
	size_t ends = step * 37 % CONNS;
	size_t goes_on = step * 53 % CONNS;

	if (crowd->conns[ends] != NULL && step % 3 == 0)
		scene_close(
		    crowd->scene, &crowd->conns[ends], CLOSE_CLIENT_RST);
	if (crowd->conns[goes_on] != NULL)
		scene_serve(crowd->scene, crowd->conns[goes_on], &plain);
}

/* Whatever moves while a view is under way is seen in its old place or in its
 * new one, and once. */
static void
test_what_moves_is_seen_once(void **state)
{
	struct crowd crowd;
	struct ledger_view *view;
	struct snapshot *snapshot;
	size_t step = 0;

	gather(&crowd);
	view = begin(&crowd);
	while (ledger_view_step(view, crowd.scene->now)) {
		for (size_t i = 0; i < 10; i++)
			move(&crowd, step++);
	}
	snapshot = finish(view);
	for (size_t i = 0; i < CONNS; i++) {
		assert_int_equal(count_conn(snapshot, crowd.ids[i]), 1);
		assert_int_equal(count_exchange(snapshot, crowd.ids[i], 1), 1);
	}
	snapshot_free(snapshot);
	disperse(&crowd);
}

/* So many that all of them are still known once they are closed. */
#define FEW (LEDGER_MAX_CLOSED_CONNS - 16)

/* The connection that comes next is closed: those behind it still come.  One of
 * two neighbours is it. */
static void
test_what_is_next_may_end(void **state)
{
	for (size_t parity = 0; parity < 2; parity++) {
		struct crowd crowd;
		struct ledger_view *view;
		struct snapshot *snapshot;

		gather(&crowd);
		for (size_t i = FEW; i < CONNS; i++)
			scene_close(
			    crowd.scene, &crowd.conns[i], CLOSE_CLIENT_FIN);
		view = begin(&crowd);
		for (size_t i = 0; i < STEPS_TO_LIVE; i++)
			assert_true(ledger_view_step(view, crowd.scene->now));
		for (size_t i = parity; i < FEW; i += 2)
			scene_close(
			    crowd.scene, &crowd.conns[i], CLOSE_CLIENT_FIN);
		while (ledger_view_step(view, crowd.scene->now))
			continue;
		snapshot = finish(view);
		for (size_t i = 0; i < FEW; i++)
			assert_int_equal(count_conn(snapshot, crowd.ids[i]), 1);
		snapshot_free(snapshot);
		disperse(&crowd);
	}
}

/* Every record that a view could come to next goes: live connections, those
 * that were closed before, and the exchanges in the rings. */
static void
test_what_goes_is_passed(void **state)
{
	struct crowd crowd;
	struct ledger_view *views[2];
	struct snapshot *snapshot;
	struct ledger_conn *busy;
	bool has_more[2] = {true, true};

	gather(&crowd);
	busy = scene_open(crowd.scene);
	for (size_t i = 0; i < CONNS / 2; i++)
		scene_close(crowd.scene, &crowd.conns[i], CLOSE_CLIENT_FIN);
	views[0] = begin(&crowd);
	for (size_t i = 0; i < 3; i++)
		assert_true(ledger_view_step(views[0], crowd.scene->now));
	views[1] = begin(&crowd);
	for (size_t step = CONNS / 2; has_more[0] || has_more[1]; step++) {
		assert_true(step < MANY_STEPS);
		for (size_t i = 0; i < 2; i++)
			has_more[i] = has_more[i] &&
			    ledger_view_step(views[i], crowd.scene->now);
		/* none of the first half is left to close */
		for (size_t i = step * 20; i < (step + 1) * 20; i++) {
			size_t at = CONNS / 2 + i % (CONNS / 2);

			if (crowd.conns[at] != NULL)
				scene_close(crowd.scene, &crowd.conns[at],
				    CLOSE_CLIENT_FIN);
		}
		/* more than the ring of the ordinary has room for */
		for (size_t i = 0; i < LEDGER_MAX_ORDINARY + 10; i++)
			scene_serve(crowd.scene, busy, &plain);
	}
	for (size_t i = 0; i < 2; i++) {
		snapshot = finish(views[i]);
		assert_true(snapshot->exchange_count >= CONNS);
		snapshot_free(snapshot);
	}
	scene_close(crowd.scene, &busy, CLOSE_CLIENT_FIN);
	disperse(&crowd);
}

/* A leak that is new is not in a view that began before, nor does its response
 * land in another's. */
static void
test_new_leaks_wait(void **state)
{
	struct crowd crowd;
	const struct scene_get get = {.status = 999};
	struct ledger_view *view;
	struct ledger_conn *late;
	struct snapshot *snapshot;

	gather(&crowd);
	view = begin(&crowd);
	late = scene_hold(crowd.scene, &get, 77);
	while (ledger_view_step(view, crowd.scene->now))
		continue;
	snapshot = finish(view);
	assert_int_equal(snapshot->leak_count, CONNS);
	for (size_t i = 0; i < CONNS; i++) {
		assert_int_not_equal(snapshot->leaks[i].status, 999);
		assert_int_equal(snapshot->leaks[i].held_bytes, 10);
	}
	snapshot_free(snapshot);
	scene_close(crowd.scene, &late, CLOSE_CLIENT_FIN);
	disperse(&crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_steps_make_a_whole),
	    cmocka_unit_test(test_what_moves_is_seen_once),
	    cmocka_unit_test(test_what_is_next_may_end),
	    cmocka_unit_test(test_what_goes_is_passed),
	    cmocka_unit_test(test_new_leaks_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
