/* SPDX-License-Identifier: MIT */

/*
 * What the ledger hands to the store: differences that add up to what it
 * counts itself, and nothing where nothing happened.
 */

#include "tests/unit/ledger_fixture.h"

#include <stdio.h>

#include "accounting/memory.h"

/* A scene whose ledger is made anew, with what `more` adds to its config. */
static struct scene *
scene_with(const struct ledger_config *more)
{
	struct scene *scene = scene_new();
	struct ledger_config config = *more;

	config.patience = (struct patience){
	    .stall_after_us = SCENE_STALL_US, .probe_grace_us = SCENE_GRACE_US};
	config.callers = scene->callers;
	config.suspicion = scene->suspicion;
	config.shard_count = 1;
	ledger_free(scene->ledger);
	scene->ledger = ledger_new(&config, scene_wall(scene), scene->now);
	return scene;
}

static struct scene *
keeping_scene(void)
{
	return scene_with(&(struct ledger_config){.keeps_changes = true});
}

static struct batch *
take(struct scene *scene)
{
	return ledger_take_changes(scene->ledger, scene_wall(scene));
}

/* Adds what has changed to what was known. */
static void
follow(struct scene *scene, struct batch *known)
{
	struct batch *part = take(scene);

	batch_merge(known, &part);
}

/* The sum of all differences is what the ledger says now. */
static void
expect_sums(struct scene *scene, const struct batch *known)
{
	struct snapshot *snapshot =
	    scene_look(scene, &(struct snapshot_query){0});
	uint64_t settled = 0;

	assert_memory_equal(known->totals.by_verdict,
	    snapshot->totals.by_verdict, sizeof(known->totals.by_verdict));
	assert_int_equal(known->totals.exchanges, snapshot->totals.exchanges);
	for (size_t i = 0; i < snapshot->leak_count; i++) {
		const struct leak *leak = &snapshot->leaks[i];
		const struct leak *same = NULL;

		for (size_t j = 0; j < known->leak_count; j++) {
			if (strcmp(known->leaks[j].id, leak->id) == 0)
				same = &known->leaks[j];
		}
		assert_non_null(same);
		assert_int_equal(same->undrained, leak->undrained);
		assert_int_equal(same->suspected, leak->suspected);
		assert_int_equal(same->releases.count, leak->releases.count);
		assert_memory_equal(same->by_evidence, leak->by_evidence,
		    sizeof(leak->by_evidence));
	}
	for (const struct exposure *exposure = known->exposures.table;
	     exposure != NULL; exposure = exposure->hh.next)
		settled += exposure->settled;
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		if (exposures_is_settled((enum verdict)i))
			settled -= snapshot->totals.by_verdict[i];
	}
	assert_int_equal(settled, 0);
	snapshot_free(snapshot);
}

/* ---- nothing leaks ---- */

static void
test_nothing_happened(void **state)
{
	struct scene *scene = keeping_scene();
	struct batch *batch = take(scene);

	assert_true(batch_is_empty(batch));
	batch_free(batch);
	scene_free(scene);
}

static void
test_what_is_drained_is_a_count(void **state)
{
	struct scene *scene = keeping_scene();
	struct ledger_conn *conn = scene_open(scene);
	struct batch *batch;

	for (int i = 0; i < 5; i++)
		scene_serve(scene, conn, &(struct scene_get){0});
	batch = take(scene);
	assert_int_equal(batch->exchange_count, 0);
	assert_int_equal(batch->leak_count, 0);
	assert_int_equal(HASH_COUNT(batch->exposures.table), 1);
	/* The last may still be held. */
	assert_int_equal(batch->exposures.table->settled, 4);
	assert_string_equal(
	    batch->exposures.table->route, "/v2/{}/manifests/{}");
	batch_free(batch);
	batch = take(scene);
	assert_true(batch_is_empty(batch));
	batch_free(batch);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	batch = take(scene);
	assert_int_equal(batch->exposures.table->settled, 1);
	batch_free(batch);
	scene_free(scene);
}

/* Without a store, nobody asks and nothing piles up. */
static void
test_without_a_store(void **state)
{
	struct scene *scene = scene_new();
	struct ledger_conn *conn = scene_hold(scene, &(struct scene_get){0}, 9);
	struct batch *batch = take(scene);

	assert_int_equal(batch->exchange_count, 0);
	assert_null(batch->exposures.table);
	batch_free(batch);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_free(scene);
}

/* ---- something does ---- */

static void
test_a_leak_and_its_end(void **state)
{
	struct scene *scene = keeping_scene();
	struct batch *known = batch_new();
	struct ledger_conn *conn = scene_hold(
	    scene, &(struct scene_get){.job = "x", .status = 404}, 157);

	follow(scene, known);
	assert_int_equal(known->exchange_count, 1);
	assert_true(known->exchanges[0].is_held);
	assert_string_equal(tags_get(&known->exchanges[0].tags, "job"), "x");
	assert_int_equal(known->exchanges[0].facts.unread_bytes, 157);
	expect_sums(scene, known);
	/* Nothing new: nothing is told twice. */
	follow(scene, known);
	assert_int_equal(known->exchange_count, 1);

	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	follow(scene, known);
	assert_int_equal(known->exchange_count, 2);
	assert_false(known->exchanges[1].is_held);
	assert_int_equal(
	    known->exchanges[1].judgement.verdict, VERDICT_UNDRAINED);
	expect_sums(scene, known);
	batch_free(known);
	scene_free(scene);
}

/* It was called undrained, and read on: the store hears that too, and the
 * differences go below 0 and add up. */
static void
test_a_verdict_that_is_taken_back(void **state)
{
	struct scene *scene = keeping_scene();
	struct batch *known = batch_new();
	struct ledger_conn *conn =
	    scene_hold(scene, &(struct scene_get){0}, 157);

	follow(scene, known);
	assert_int_equal(known->leaks[0].undrained, 1);
	scene_see_unread(scene, conn, 0);
	scene_serve(scene, conn, &(struct scene_get){0});
	follow(scene, known);
	assert_int_equal(known->leaks[0].undrained, 0);
	assert_int_equal(known->totals.recovered, 1);
	assert_int_equal(
	    known->exchanges[known->exchange_count - 1].judgement.verdict,
	    VERDICT_DRAINED);
	expect_sums(scene, known);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	follow(scene, known);
	expect_sums(scene, known);
	batch_free(known);
	scene_free(scene);
}

/* It is evidence no more, and the ring of what is ordinary is short: it waits
 * until the store has heard. */
static void
test_what_was_taken_back_is_not_forgotten(void **state)
{
	struct scene *scene = keeping_scene();
	struct ledger_conn *conn;
	struct batch *batch;

	scene->is_bulk = true;
	conn = scene_hold(scene, &(struct scene_get){0}, 157);
	batch_free(take(scene));
	scene_see_unread(scene, conn, 0);
	for (int i = 0; i < LEDGER_MAX_ORDINARY + 10; i++)
		scene_serve(scene, conn, &(struct scene_get){0});
	batch = take(scene);
	assert_int_equal(batch->exchange_count, 1);
	assert_int_equal(
	    batch->exchanges[0].judgement.verdict, VERDICT_DRAINED);
	batch_free(batch);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_free(scene);
}

/* More evidence than memory holds: counts stay exact, and no record that has
 * gone is told. */
static void
test_evidence_that_is_evicted(void **state)
{
	struct scene *scene = keeping_scene();
	struct batch *batch;
	uint64_t undrained = 0;

	scene->is_bulk = true;
	for (int i = 0; i < LEDGER_MAX_EVIDENCE + 100; i++) {
		struct ledger_conn *conn =
		    scene_hold(scene, &(struct scene_get){0}, 157);

		scene_close(scene, &conn, CLOSE_SHUTDOWN);
		undrained++;
	}
	batch = take(scene);
	assert_true(batch->exchange_count <= LEDGER_MAX_EVIDENCE);
	assert_int_equal(batch->leaks[0].undrained, undrained);
	batch_free(batch);
	scene_free(scene);
}

/* ---- bounds ---- */

static void
test_kinds_are_bounded(void **state)
{
	struct scene *scene = keeping_scene();
	struct ledger_conn *conn;
	struct batch *batch;

	scene->is_bulk = true;
	conn = scene_open(scene);
	for (int i = 0; i < EXPOSURES_MAX + 100; i++) {
		char job[16];

		snprintf(job, sizeof(job), "job%d", i);
		scene_serve(scene, conn, &(struct scene_get){.job = job});
	}
	batch = take(scene);
	assert_int_equal(HASH_COUNT(batch->exposures.table), EXPOSURES_MAX);
	batch_free(batch);
	/* They make room for others. */
	scene_serve(scene, conn, &(struct scene_get){.job = "a"});
	scene_serve(scene, conn, &(struct scene_get){.job = "b"});
	batch = take(scene);
	assert_int_equal(HASH_COUNT(batch->exposures.table), 2);
	batch_free(batch);
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	scene_free(scene);
}

/* While nothing can be written, a batch stays within its bounds, keeps the
 * newest, and says what it dropped. */
static void
test_what_waits_is_bounded(void **state)
{
	struct batch *whole = batch_new();
	const size_t count = BATCH_MAX_EXCHANGES + 5000;

	for (size_t i = 1; i <= count; i++) {
		struct exchange_record x = {.conn_id = i, .ordinal = 1};

		batch_add_exchange(whole, &x);
		batch_add_mark(whole, "m", "start", (wall_us)i);
	}
	assert_true(whole->exchange_count <= BATCH_MAX_EXCHANGES);
	assert_int_equal(
	    whole->exchanges[whole->exchange_count - 1].conn_id, count);
	assert_int_equal(whole->mark_count, BATCH_MAX_MARKS);
	assert_int_equal(whole->dropped,
	    count - whole->exchange_count + count - BATCH_MAX_MARKS);
	batch_free(whole);
}

/* ---- the outbox ---- */

/* What has come out: "c1x1 drained, c1x2 undrained".  Free with free(). */
static char *
sent_out(struct scene *scene)
{
	struct outbox_block *blocks = ledger_take_outbox(scene->ledger);
	struct outbox_block *block = blocks;
	const struct exchange_record *x;
	char *list = xstrdup("");
	size_t at = 0;

	while ((x = outbox_next(&block, &at)) != NULL) {
		char id[EXCHANGE_ID_BYTES];
		char *longer;

		record_exchange_id(x, id);
		longer = xasprintf("%s%s%s %s", list, *list == '\0' ? "" : ", ",
		    id, verdict_word(x->judgement.verdict));
		free(list);
		list = longer;
	}
	outbox_free_blocks(blocks);
	return list;
}

static void
expect_sent_out(struct scene *scene, const char *wanted)
{
	char *list = sent_out(scene);

	assert_string_equal(list, wanted);
	free(list);
}

/* A settled one goes out once; a leak when it is judged, and when it ends. */
static void
test_what_settles_goes_out(void **state)
{
	struct scene *scene =
	    scene_with(&(struct ledger_config){.outbox_bytes = 1 << 20});
	struct ledger_conn *conn = scene_open(scene);

	expect_sent_out(scene, "");
	scene_serve(scene, conn, &(struct scene_get){0});
	expect_sent_out(scene, "");
	scene_serve(scene, conn, &(struct scene_get){.has_no_body = true});
	expect_sent_out(scene, "c1x1 drained, c1x2 none");
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	expect_sent_out(scene, "");
	conn = scene_hold(scene, &(struct scene_get){0}, 157);
	expect_sent_out(scene, "c2x1 undrained");
	scene_close(scene, &conn, CLOSE_SHUTDOWN);
	expect_sent_out(scene, "c2x1 undrained");
	scene_free(scene);
}

/* What was said of one that passed must not stay, when it passes no more. */
static void
test_only_what_passes_goes_out(void **state)
{
	struct filter *filter = filter_new(FILTER_EXCHANGES);
	struct scene *scene = scene_with(&(struct ledger_config){
	    .outbox_bytes = 1 << 20, .outbox_filter = filter});
	struct ledger_conn *conn;

	assert_null(filter_add(filter, "verdict=undrained route=/v2/*"));
	conn = scene_hold(scene, &(struct scene_get){0}, 157);
	expect_sent_out(scene, "c1x1 undrained");
	scene_see_unread(scene, conn, 0);
	expect_sent_out(scene, "");
	scene_serve(scene, conn, &(struct scene_get){0});
	expect_sent_out(scene, "c1x1 drained");
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	expect_sent_out(scene, "");
	scene_free(scene);
	filter_free(filter);
}

static void
test_what_does_not_go_out_is_counted(void **state)
{
	struct scene *scene =
	    scene_with(&(struct ledger_config){.outbox_bytes = 70000});
	struct ledger_conn *conn = scene_open(scene);
	uint64_t dropped;

	scene->is_bulk = true;
	for (int i = 0; i < 1000; i++)
		scene_serve(scene, conn, &(struct scene_get){0});
	dropped = ledger_counters(scene->ledger)->capture_dropped;
	assert_in_range(dropped, 1, 998);
	/* Taken, it has room again. */
	free(sent_out(scene));
	scene_close(scene, &conn, CLOSE_CLIENT_FIN);
	assert_int_equal(
	    ledger_counters(scene->ledger)->capture_dropped, dropped);
	scene_free(scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_happened),
	    cmocka_unit_test(test_what_is_drained_is_a_count),
	    cmocka_unit_test(test_without_a_store),
	    cmocka_unit_test(test_a_leak_and_its_end),
	    cmocka_unit_test(test_a_verdict_that_is_taken_back),
	    cmocka_unit_test(test_what_was_taken_back_is_not_forgotten),
	    cmocka_unit_test(test_evidence_that_is_evicted),
	    cmocka_unit_test(test_kinds_are_bounded),
	    cmocka_unit_test(test_what_waits_is_bounded),
	    cmocka_unit_test(test_what_settles_goes_out),
	    cmocka_unit_test(test_only_what_passes_goes_out),
	    cmocka_unit_test(test_what_does_not_go_out_is_counted),
	};

	return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
