/* SPDX-License-Identifier: MIT */

/*
 * Pages: whatever the order, all pages together are the list, each item once;
 * and the total is that of what passes the filters.
 */

#include "accounting/paging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/admin_fixture.h"

#define COUNT_OF(list) (sizeof(list) / sizeof(*(list)))

/* Leaks a to e; their ids end with the letter. */
static struct snapshot *
five_leaks(void)
{
	static const struct {
		const char *route;
		uint64_t undrained;
		uint64_t held;
		wall_us last_seen;
	} rows[] = {{"/e", 5, 0, 30}, {"/d", 4, 4, 10}, {"/c", 3, 3, 50},
	    {"/b", 2, 3, 20}, {"/a", 1, 0, 40}};
	struct snapshot *snapshot = fixture_snapshot();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct leak *leak = fixture_add_leak(snapshot);

		fixture_set(&leak->route, rows[i].route);
		leak->id[LEAK_ID_BYTES - 2] = rows[i].route[1];
		leak->undrained = rows[i].undrained;
		leak->held_now = rows[i].held;
		leak->last_seen = rows[i].last_seen;
		if (i == 2)
			fixture_set(&leak->origin, "http://other:80");
		if (i >= 3)
			fixture_set(&leak->tags.items[0].value, "gc");
	}
	return snapshot;
}

static void
assert_leaks(struct snapshot_query query, const char *wanted, size_t total)
{
	struct snapshot *snapshot = five_leaks();
	char got[8] = "";

	snapshot_seal(snapshot, &query);
	for (size_t i = 0; i < snapshot->leak_count; i++)
		got[i] = snapshot->leaks[i].id[LEAK_ID_BYTES - 2];
	assert_string_equal(got, wanted);
	assert_int_equal(snapshot->leak_total, total);
	snapshot_free(snapshot);
	snapshot_query_fini(&query);
}

static struct filter *
filter_of(enum filter_subject subject, const char *text)
{
	struct filter *filter = filter_new(subject);

	assert_null(filter_add(filter, text));
	return filter;
}

static void
test_leaks_are_sorted_and_paged(void **state)
{
	static const struct {
		enum snapshot_sort sort;
		size_t offset;
		size_t limit;
		const char *wanted;
	} rows[] = {
	    {SORT_WEIGHT, 0, 0, "edcba"},
	    {SORT_WEIGHT, 0, 2, "ed"},
	    {SORT_WEIGHT, 2, 2, "cb"},
	    {SORT_WEIGHT, 4, 2, "a"},
	    {SORT_WEIGHT, 5, 2, ""},
	    {SORT_WEIGHT, SIZE_MAX, 2, ""},
	    {SORT_WEIGHT, 1, SIZE_MAX, "dcba"},
	    {SORT_HELD, 0, 0, "dcbea"},
	    {SORT_HELD, 1, 3, "cbe"},
	    {SORT_RECENT, 0, 0, "caebd"},
	    {SORT_ROUTE, 0, 0, "cabde"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_leaks(
		    (struct snapshot_query){.page = {.limit = rows[i].limit,
						.offset = rows[i].offset,
						.sort = rows[i].sort}},
		    rows[i].wanted, 5);
}

static void
test_leaks_are_filtered(void **state)
{
	static const struct {
		const char *filter;
		struct snapshot_page page;
		const char *wanted;
		size_t total;
	} rows[] = {
	    {"tag.job", {0}, "edcba", 5},
	    {"tag.run", {0}, "", 0},
	    {"tag.job=gc", {0}, "ba", 2},
	    {"tag.job=gc", {.limit = 1, .offset = 1}, "a", 2},
	    {"origin=http://other:80", {0}, "c", 1},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_leaks(
		    (struct snapshot_query){.page = rows[i].page,
			.filter = filter_of(FILTER_LEAKS, rows[i].filter)},
		    rows[i].wanted, rows[i].total);
	assert_leaks(
	    (struct snapshot_query){.leak_id = "00c0ffee00c0ffec"}, "c", 1);
	assert_leaks(
	    (struct snapshot_query){.leak_id = "00c0ffee00c0fff0"}, "", 0);
}

/* A page of another list takes nothing from the leaks. */
static void
test_leaks_beside_a_list_are_whole(void **state)
{
	struct snapshot *snapshot = five_leaks();

	snapshot_seal(snapshot,
	    &(struct snapshot_query){.wants_conns = true, .page.limit = 1});
	assert_int_equal(snapshot->leak_count, 5);
	snapshot_free(snapshot);
}

static void
test_connections_are_sorted_and_paged(void **state)
{
	static const uint32_t exchanges[] = {9, 3, 1, 2, 8};
	static const struct {
		enum snapshot_sort sort;
		size_t offset;
		size_t limit;
		const char *wanted;
	} rows[] = {
	    {SORT_WEIGHT, 0, 0, "12345"}, /* no page: from old to new */
	    {SORT_NEWEST, 0, 3, "543"},
	    {SORT_NEWEST, 3, 3, "21"},
	    {SORT_NEWEST, 9, 3, ""},
	    {SORT_OLDEST, 1, 3, "234"},
	    {SORT_BUSIEST, 0, 5, "15243"},
	    {SORT_HEAVIEST, 0, 5, "54321"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct snapshot *snapshot = fixture_snapshot();
		char got[8] = "";

		for (uint64_t id = 1; id <= 5; id++) {
			struct conn_record *conn =
			    fixture_add_conn(snapshot, id);

			conn->opened_at += (wall_us)id;
			conn->exchange_count = exchanges[id - 1];
			conn->sent_bytes = (int64_t)id;
		}
		snapshot_seal(snapshot,
		    &(struct snapshot_query){.wants_conns = true,
			.page = {.limit = rows[i].limit,
			    .offset = rows[i].offset,
			    .sort = rows[i].sort}});
		for (size_t j = 0; j < snapshot->conn_count; j++)
			got[j] = (char)('0' + snapshot->conns[j].id);
		assert_string_equal(got, rows[i].wanted);
		assert_int_equal(snapshot->conn_total, 5);
		snapshot_free(snapshot);
	}
}

static void
test_connections_are_filtered(void **state)
{
	static const struct {
		const char *filter;
		bool has_state;
		enum conn_state state;
		bool matches;
	} rows[] = {
	    {"", false, CONN_ACTIVE, true},
	    {"", true, CONN_IDLE, true},
	    {"", true, CONN_CLOSED, false},
	    {"origin=https://registry.test:5000", false, CONN_ACTIVE, true},
	    {"origin=registry.test", true, CONN_IDLE, true},
	    {"origin=gc", false, CONN_ACTIVE, false},
	    {"tag.job", false, CONN_ACTIVE, true},
	    {"tag.job=gc", false, CONN_ACTIVE, false},
	    {"origin=registry.test", true, CONN_ACTIVE, false},
	};
	struct snapshot *snapshot = fixture_snapshot();
	struct conn_record *conn = fixture_add_conn(snapshot, 1);
	struct snapshot_query query = {
	    .filter = filter_of(FILTER_CONNS, "origin=*")};

	assert_false(snapshot_query_matches_conn(&query, conn));
	snapshot_query_fini(&query);
	fixture_set(&conn->origin, "https://registry.test:5000");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		query = (struct snapshot_query){
		    .filter = filter_of(FILTER_CONNS, rows[i].filter),
		    .has_state = rows[i].has_state,
		    .state = rows[i].state};
		if (snapshot_query_matches_conn(&query, conn) !=
		    rows[i].matches)
			fail_msg("row %zu", i);
		snapshot_query_fini(&query);
	}
	snapshot_free(snapshot);
}

static void
test_exchanges_are_paged(void **state)
{
	for (size_t offset = 0; offset <= 6; offset++) {
		struct snapshot *snapshot = fixture_snapshot();

		for (uint32_t ordinal = 1; ordinal <= 5; ordinal++)
			fixture_add_exchange(snapshot)->ordinal = ordinal;
		snapshot_seal(snapshot,
		    &(struct snapshot_query){.wants_exchanges = true,
			.page = {.limit = 1, .offset = offset}});
		assert_int_equal(snapshot->exchange_total, 5);
		assert_int_equal(snapshot->exchange_count, offset < 5);
		if (offset < 5)
			assert_int_equal(
			    snapshot->exchanges[0].ordinal, 5 - offset);
		snapshot_free(snapshot);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_leaks_are_sorted_and_paged),
	    cmocka_unit_test(test_leaks_are_filtered),
	    cmocka_unit_test(test_leaks_beside_a_list_are_whole),
	    cmocka_unit_test(test_connections_are_sorted_and_paged),
	    cmocka_unit_test(test_connections_are_filtered),
	    cmocka_unit_test(test_exchanges_are_paged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
