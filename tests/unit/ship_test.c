/* SPDX-License-Identifier: MIT */

/*
 * From one store to another.  Both are SQLite here; that it is the same with
 * PostgreSQL, tests/e2e/test_fleet.py shows.
 */

#include "accounting/ship.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounting/store_parts.h"
#include "tests/unit/store_fixture.h"

/* A spool and where it is sent. */
struct route {
	struct desk spool;
	struct desk shared;
	struct ship *ship;
};

static void
route_init(struct route *route)
{
	desk_init(&route->spool);
	desk_open(&route->spool);
	desk_init(&route->shared);
	desk_open(&route->shared);
	route->ship = ship_new(route->spool.store, route->shared.store);
}

static void
route_fini(struct route *route)
{
	ship_free(route->ship);
	desk_fini(&route->spool);
	desk_fini(&route->shared);
}

/* Sends all that there is; returns how many rows. */
static uint64_t
send_all(struct route *route)
{
	enum ship_result result;
	uint64_t rows = 0;

	while ((result = ship_next(route->ship, &rows)) == SHIP_MORE)
		;
	if (result == SHIP_FAILED)
		fail_msg("%s", ship_error(route->ship)->text);
	return rows;
}

static void
assert_same(const struct route *route, const char *sql)
{
	assert_int_equal(
	    desk_number(&route->shared, sql), desk_number(&route->spool, sql));
}

static void
assert_all_same(const struct route *route)
{
	assert_same(route, "SELECT count(*) FROM run");
	assert_same(route, "SELECT sum(value) FROM count");
	assert_same(route, "SELECT sum(undrained) FROM leak");
	assert_same(route, "SELECT sum(value) FROM evidence");
	assert_same(route, "SELECT sum(settled) FROM exposure");
	assert_same(route, "SELECT count(*) FROM exchange");
	assert_same(route, "SELECT count(*) FROM mark");
	assert_same(route, "SELECT count(*) FROM kind");
	assert_same(route, "SELECT count(*) FROM kind_tag");
	assert_same(route, "SELECT max(rev) FROM run");
}

static void
add_mark(struct desk *desk, wall_us at)
{
	struct batch *batch = batch_new();

	batch->taken_at = at;
	batch_add_mark(batch, "gc", "start", at);
	assert_stored(desk, store_write(desk->store, batch));
	batch_free(batch);
}

/* What was sent is not sent again, and what has changed is. */
static void
test_sent_once(void **state)
{
	struct route route;

	route_init(&route);
	desk_begin(&route.spool, "before", DESK_EPOCH);
	assert_int_equal(send_all(&route), 0);
	desk_write(&route.spool, 1, 3, 10);
	add_mark(&route.spool, DESK_EPOCH + US_PER_S);
	assert_true(send_all(&route) > 0);
	assert_all_same(&route);
	assert_int_equal(send_all(&route), 0);

	desk_write(&route.spool, 20, 2, 1);
	assert_stored(&route.spool,
	    store_end_run(route.spool.store, DESK_EPOCH + 60 * US_PER_S));
	send_all(&route);
	assert_all_same(&route);
	assert_same(&route, "SELECT sum(ended) FROM run");
	assert_int_equal(
	    desk_number(&route.shared, "SELECT count(*) FROM mark"), 1);
	route_fini(&route);
}

/* The spool has not heard that the other has committed: killed in between,
 * or the answer was lost.  The other knows. */
static void
test_what_was_committed_unheard(void **state)
{
	struct route route;

	route_init(&route);
	desk_begin(&route.spool, "before", DESK_EPOCH);
	desk_write(&route.spool, 1, 3, 10);
	add_mark(&route.spool, DESK_EPOCH + US_PER_S);
	send_all(&route);
	desk_sql(&route.spool, "DELETE FROM shipped");
	assert_int_equal(send_all(&route), 0);
	assert_all_same(&route);

	desk_sql(&route.spool, "DELETE FROM shipped");
	add_mark(&route.spool, DESK_EPOCH + 2 * US_PER_S);
	assert_int_equal(send_all(&route), 1);
	assert_all_same(&route);
	route_fini(&route);
}

/* A server that crashed, or came back from a backup, has less than it had. */
static void
test_what_the_server_lost(void **state)
{
	struct route route;

	route_init(&route);
	desk_begin(&route.spool, "before", DESK_EPOCH);
	desk_write(&route.spool, 1, 3, 10);
	desk_write(&route.spool, 20, 2, 0);
	send_all(&route);
	desk_sql(&route.shared,
	    "DELETE FROM exchange WHERE conn >= 20; UPDATE run SET rev = 2;"
	    "UPDATE leak SET undrained = 3");
	assert_int_equal(send_all(&route), 0);
	/* It hears of it when it connects again. */
	ship_free(route.ship);
	route.ship = ship_new(route.spool.store, route.shared.store);
	assert_true(send_all(&route) > 0);
	assert_all_same(&route);

	/* What was deleted there stays deleted. */
	desk_sql(&route.shared, "DELETE FROM run; DELETE FROM exchange");
	ship_free(route.ship);
	route.ship = ship_new(route.spool.store, route.shared.store);
	assert_int_equal(send_all(&route), 0);
	route_fini(&route);
}

/* Where another store stands under the same name, all is sent again. */
static void
test_another_store(void **state)
{
	struct route route;

	route_init(&route);
	desk_begin(&route.spool, "before", DESK_EPOCH);
	desk_write(&route.spool, 1, 3, 10);
	send_all(&route);
	desk_sql(&route.spool, "UPDATE shipped SET store = 'another'");
	desk_sql(&route.shared,
	    "DELETE FROM run; DELETE FROM exchange; DELETE FROM leak;"
	    "DELETE FROM evidence; DELETE FROM count; DELETE FROM exposure;"
	    "DELETE FROM kind; DELETE FROM kind_tag");
	ship_free(route.ship);
	route.ship = ship_new(route.spool.store, route.shared.store);
	send_all(&route);
	assert_all_same(&route);
	route_fini(&route);
}

/* Two machines have kinds in common, under numbers that differ. */
static void
test_two_spools(void **state)
{
	struct route route;
	struct desk other;
	struct store_run run;
	struct snapshot *snapshot;
	uint64_t rows = 0;
	struct ship *ship;

	route_init(&route);
	desk_begin(&route.spool, "one", DESK_EPOCH);
	desk_write(&route.spool, 1, 3, 10);
	send_all(&route);

	desk_init(&other);
	desk_open(&other);
	desk_begin(&other, "two", DESK_EPOCH);
	desk_sql(&other, "INSERT INTO kind VALUES(41, 'x', '', '', '', 0, '')");
	desk_write(&other, 1, 2, 20);
	ship = ship_new(other.store, route.shared.store);
	while (ship_next(ship, &rows) == SHIP_MORE)
		;
	ship_free(ship);
	desk_fini(&other);

	assert_int_equal(
	    desk_number(&route.shared, "SELECT count(*) FROM kind"), 1);
	desk_find(&route.shared, "all", &run);
	assert_int_equal(run.runs, 2);
	assert_int_equal(run.exchanges, 35);
	snapshot = store_read_snapshot(route.shared.store, &run, NULL);
	assert_int_equal(snapshot->leak_count, 1);
	assert_int_equal(snapshot->leaks[0].undrained, 5);
	assert_int_equal(snapshot->leaks[0].held_now, 5);
	assert_string_equal(
	    tags_get(&snapshot->leaks[0].tags, "job"), "imagecheck");
	snapshot_free(snapshot);
	store_run_fini(&run);
	route_fini(&route);
}

/* Much of it goes in parts, and each part is whole. */
static void
test_in_parts(void **state)
{
	struct route route;
	uint64_t rows = 0;
	int parts = 1;

	route_init(&route);
	desk_begin(&route.spool, "long", DESK_EPOCH);
	for (uint64_t at = 0; at < 50; at++)
		desk_write(&route.spool, 1 + 100 * at, 100, 0);
	while (ship_next(route.ship, &rows) == SHIP_MORE) {
		assert_true(desk_number(&route.shared,
				"SELECT count(*) FROM exchange") >= 2000);
		parts++;
	}
	assert_in_range(parts, 3, 5);
	assert_all_same(&route);
	route_fini(&route);
}

/* What goes before it was sent is counted; what went after is not. */
static void
test_what_is_lost(void **state)
{
	struct route route;
	uint64_t unshipped = 0;
	struct store_bounds bounds = {
	    .max_age_us = US_PER_S,
	    .max_bytes = 1 << 30,
	    .unshipped = &unshipped,
	};
	int64_t waiting;

	route_init(&route);
	desk_begin(&route.spool, "before", DESK_EPOCH);
	desk_write(&route.spool, 1, 3, 0);
	send_all(&route);
	desk_write(&route.spool, 10, 4, 0);
	assert_stored(
	    &route.spool, ship_count_waiting(route.spool.store, &waiting));
	assert_int_equal(waiting, 4);
	assert_stored(&route.spool,
	    store_prune(
		route.spool.store, &bounds, DESK_EPOCH + 3600 * US_PER_S));
	assert_int_equal(unshipped, 4);
	/* The counts are there all the same. */
	send_all(&route);
	assert_int_equal(
	    desk_number(&route.shared, "SELECT undrained FROM leak"), 7);
	assert_int_equal(
	    desk_number(&route.shared, "SELECT count(*) FROM exchange"), 3);
	route_fini(&route);
}

/* ---- what happens in the spool while the server is asked ---- */

static const struct desk *disturbed;
static const char *disturbance;

static void
disturb(void)
{
	desk_sql(disturbed, disturbance);
}

static enum row
step_disturbed(struct statement *statement)
{
	disturb();
	return engine_sqlite.step(statement);
}

static bool
run_disturbed(struct store *store, const char *sql)
{
	disturb();
	return engine_sqlite.run(store, sql);
}

/* From now on, `sql` comes between us and each answer. */
static void
disturb_with(
    struct route *route, struct engine *engine, const char *sql, bool at_step)
{
	*engine = engine_sqlite;
	if (at_step)
		engine->step = step_disturbed;
	else
		engine->run = run_disturbed;
	route->shared.store->engine = engine;
	disturbed = &route->spool;
	disturbance = sql;
}

/* The proxy writes on while it is looked up there what was lost. */
static void
test_written_while_it_is_checked(void **state)
{
	struct route route;
	struct engine engine;

	route_init(&route);
	desk_begin(&route.spool, "before", DESK_EPOCH);
	desk_write(&route.spool, 1, 3, 10);
	desk_write(&route.spool, 20, 2, 0);
	send_all(&route);
	desk_sql(&route.shared,
	    "DELETE FROM exchange WHERE conn >= 20; UPDATE run SET rev = 2");
	ship_free(route.ship);
	route.ship = ship_new(route.spool.store, route.shared.store);
	disturb_with(&route, &engine, "UPDATE run SET seen = seen + 1", true);
	assert_true(send_all(&route) > 0);
	route.shared.store->engine = &engine_sqlite;
	assert_all_same(&route);
	route_fini(&route);
}

/* A run that is pruned as it is sent is no trouble of anybody's. */
static void
test_pruned_while_it_is_sent(void **state)
{
	struct route route;
	struct engine engine;
	uint64_t rows = 0;

	route_init(&route);
	desk_begin(&route.spool, "before", DESK_EPOCH);
	desk_write(&route.spool, 1, 3, 10);
	disturb_with(&route, &engine, "DELETE FROM run", false);
	assert_int_equal(ship_next(route.ship, &rows), SHIP_FAILED);
	assert_int_equal(ship_error(route.ship)->result, STORE_BUSY);
	assert_non_null(strstr(ship_error(route.ship)->text, "that passes"));
	route.shared.store->engine = &engine_sqlite;
	assert_int_equal(send_all(&route), 0);
	assert_int_equal(
	    desk_number(&route.shared, "SELECT count(*) FROM run"), 0);
	route_fini(&route);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sent_once),
	    cmocka_unit_test(test_what_was_committed_unheard),
	    cmocka_unit_test(test_what_the_server_lost),
	    cmocka_unit_test(test_another_store),
	    cmocka_unit_test(test_two_spools),
	    cmocka_unit_test(test_in_parts),
	    cmocka_unit_test(test_what_is_lost),
	    cmocka_unit_test(test_written_while_it_is_checked),
	    cmocka_unit_test(test_pruned_while_it_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
