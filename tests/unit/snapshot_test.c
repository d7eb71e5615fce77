/* SPDX-License-Identifier: MIT */

/*
 * Every worker has its own accounts, and nobody asks for a worker's: what is
 * shown is the sum.  A field that is forgotten in the merge makes a number
 * that is too small on every machine with two cores, and right on the
 * developer's.  So every counter is given another value and looked for; leaks
 * are made one, order is established, bounds and filters are applied.
 */

#include "accounting/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ---- parts ---- */

static void
add_leak(struct snapshot *snapshot, const char *id, uint64_t undrained)
{
	struct leak *leak;

	snapshot->leaks = xreallocarray(snapshot->leaks,
	    snapshot->leak_count + 1, sizeof(*snapshot->leaks));
	leak = &snapshot->leaks[snapshot->leak_count++];
	*leak = (struct leak){.undrained = undrained};
	strncpy(leak->id, id, LEAK_ID_BYTES - 1);
	leak->origin = xstrdup("o");
	leak->method = xstrdup("GET");
	leak->route = xstrdup("/");
}

static void
add_conn(struct snapshot *snapshot, uint64_t id, wall_us opened_at)
{
	struct conn_record *conn;

	snapshot->conns = xreallocarray(snapshot->conns,
	    snapshot->conn_count + 1, sizeof(*snapshot->conns));
	conn = &snapshot->conns[snapshot->conn_count++];
	*conn = (struct conn_record){.id = id, .opened_at = opened_at};
	conn->client_address = xstrdup("127.0.0.1:1");
}

static struct exchange_record *
add_exchange(struct snapshot *snapshot, uint64_t conn_id, uint32_t ordinal,
    wall_us began_at)
{
	struct exchange_record *x;

	snapshot->exchanges = xreallocarray(snapshot->exchanges,
	    snapshot->exchange_count + 1, sizeof(*snapshot->exchanges));
	x = &snapshot->exchanges[snapshot->exchange_count++];
	*x = (struct exchange_record){
	    .conn_id = conn_id, .ordinal = ordinal, .began_at = began_at};
	x->url = xstrdup("http://a/");
	return x;
}

/* Every counter another number, from `base` on. */
static void
fill(struct snapshot *snapshot, uint64_t base)
{
	uint64_t number = base;

	snapshot->totals.connections = number++;
	snapshot->totals.exchanges = number++;
	snapshot->totals.recovered = number++;
	snapshot->totals.held_now = number++;
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		snapshot->totals.by_verdict[i] = number++;
#define COUNTER(name, metric, help) snapshot->counters.name = number++;
#include "accounting/counters.def"
#undef COUNTER
	snapshot->gauges.client_active = number++;
	snapshot->gauges.client_idle = number++;
	snapshot->gauges.client_watched = number++;
	snapshot->gauges.upstream_active = number++;
	snapshot->gauges.upstream_idle = number++;
}

static void
check_filled(const struct snapshot *snapshot, uint64_t sum)
{
	struct snapshot *wanted = snapshot_new();

	/* number + number' = sum + 2 i: fill() with steps of two. */
	fill(wanted, 0);
#define CHECK(field) assert_int_equal(snapshot->field, sum + 2 * wanted->field)
	CHECK(totals.connections);
	CHECK(totals.exchanges);
	CHECK(totals.recovered);
	CHECK(totals.held_now);
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		CHECK(totals.by_verdict[i]);
#define COUNTER(name, metric, help) CHECK(counters.name);
#include "accounting/counters.def"
#undef COUNTER
	CHECK(gauges.client_active);
	CHECK(gauges.client_idle);
	CHECK(gauges.client_watched);
	CHECK(gauges.upstream_active);
	CHECK(gauges.upstream_idle);
#undef CHECK
	snapshot_free(wanted);
}

/* ---- merging ---- */

static void
test_every_number_is_added(void **state)
{
	struct snapshot *whole = snapshot_new();
	struct snapshot *part = snapshot_new();

	fill(whole, 1000);
	fill(part, 70000);
	snapshot_merge(whole, &part);
	assert_null(part);
	check_filled(whole, 71000);
	snapshot_free(whole);
}

static void
test_the_oldest_shard_says_since_when(void **state)
{
	static const struct {
		wall_us since;
		int64_t seconds_us;
		wall_us taken_at;
	} shards[] = {{500, 100, 600}, {400, 210, 610}, {450, 155, 605}};
	struct snapshot *whole = snapshot_new();

	for (size_t i = 0; i < COUNT_OF(shards); i++) {
		struct snapshot *part = snapshot_new();

		part->since = shards[i].since;
		part->seconds_us = shards[i].seconds_us;
		part->taken_at = shards[i].taken_at;
		snapshot_merge(whole, &part);
		if (i == 0) {
			assert_int_equal(whole->since, 500);
			assert_int_equal(whole->seconds_us, 100);
		}
	}
	assert_int_equal(whole->since, 400);
	assert_int_equal(whole->seconds_us, 210);
	assert_int_equal(whole->taken_at, 610);
	snapshot_free(whole);
}

static void
test_the_same_leak_of_two_shards_is_one(void **state)
{
	const struct snapshot_query query = {0};
	struct snapshot *whole = snapshot_new();
	struct snapshot *first = snapshot_new();
	struct snapshot *second = snapshot_new();

	add_leak(first, "aa", 1);
	add_leak(first, "bb", 2);
	add_leak(second, "cc", 4);
	add_leak(second, "bb", 8);
	add_leak(second, "aa", 16);
	snapshot_merge(whole, &first);
	snapshot_merge(whole, &second);
	assert_int_equal(whole->leak_count, 3);
	snapshot_seal(whole, &query);
	assert_string_equal(whole->leaks[0].id, "aa");
	assert_int_equal(whole->leaks[0].undrained, 17);
	assert_string_equal(whole->leaks[1].id, "bb");
	assert_int_equal(whole->leaks[1].undrained, 10);
	assert_string_equal(whole->leaks[2].id, "cc");
	assert_int_equal(whole->leaks[2].undrained, 4);
	snapshot_free(whole);
}

/* Each worker saw every other run of the job, and neither the whole rhythm. */
static void
test_the_rhythm_of_two_shards(void **state)
{
	const struct snapshot_query query = {.wants_rhythm = true};
	struct snapshot *whole = snapshot_new();
	struct snapshot *parts[2] = {snapshot_new(), snapshot_new()};

	for (size_t i = 0; i < 2; i++) {
		struct snapshot *part = parts[i];

		part->since = 1;
		part->seconds_us = 3600 * US_PER_S;
		part->taken_mono = (4000 + (mono_us)i) * US_PER_S;
		timeline_begin(&part->timeline, 400 * US_PER_S);
		add_leak(part, "aa", 10);
		for (size_t j = i; j < 20; j += 2) {
			mono_us at = (500 + 150 * (mono_us)j) * US_PER_S;

			timeline_request(&part->timeline, at);
			arrivals_add(&part->leaks[0].arrivals, at);
		}
		snapshot_merge(whole, &parts[i]);
	}
	whole->marks = xcalloc(20, sizeof(*whole->marks));
	for (size_t i = 0; i < 20; i++) {
		struct mark *mark = &whole->marks[whole->mark_count++];

		strcpy(mark->name, "gc");
		mark->mono_at = (499 + 150 * (mono_us)i) * US_PER_S;
	}
	snapshot_seal(whole, &query);
	assert_int_equal(whole->leak_count, 1);
	assert_int_equal(whole->taken_mono, 4001 * US_PER_S);
	assert_int_equal(whole->leaks[0].rhythm.bursts, 20);
	assert_float_equal(whole->leaks[0].rhythm.period.period_s, 150, 0.001);
	assert_float_equal(whole->leaks[0].rhythm.slope_per_hour, 20, 0.001);
	assert_int_equal(whole->leaks[0].suspect.outcome, SUSPECT_NAMED);
	assert_string_equal(whole->leaks[0].suspect.mark, "gc");
	snapshot_free(whole);
}

static void
test_merging_nothing(void **state)
{
	struct snapshot *whole = snapshot_new();
	struct snapshot *part = snapshot_new();

	snapshot_merge(whole, &part);
	assert_null(part);
	snapshot_seal(whole, &(struct snapshot_query){.page = {.limit = 1}});
	assert_int_equal(whole->leak_count, 0);
	assert_int_equal(whole->conn_count, 0);
	assert_int_equal(whole->exchange_count, 0);
	snapshot_free(whole);
	snapshot_free(NULL);
}

/* ---- sealing ---- */

static void
test_order(void **state)
{
	static const struct {
		uint64_t conn_id;
		uint32_t ordinal;
		wall_us began_at;
	} wanted[] = {
	    {1, 2, 30}, {4, 9, 20}, {4, 8, 20}, {3, 10, 20}, {2, 1, 10}};
	struct snapshot *whole = snapshot_new();
	struct snapshot *first = snapshot_new();
	struct snapshot *second = snapshot_new();

	add_conn(first, 5, 10);
	add_conn(first, 2, 20);
	add_conn(second, 1, 30);
	add_conn(second, 4, 10);
	add_exchange(first, 2, 1, 10);
	add_exchange(first, 4, 8, 20);
	add_exchange(first, 1, 2, 30);
	add_exchange(second, 3, 10, 20);
	add_exchange(second, 4, 9, 20);
	snapshot_merge(whole, &first);
	snapshot_merge(whole, &second);
	snapshot_seal(whole, &(struct snapshot_query){0});
	assert_int_equal(whole->conn_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(whole->conns[i].id, "\4\5\2\1"[i]);
	assert_int_equal(whole->exchange_count, COUNT_OF(wanted));
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		assert_int_equal(
		    whole->exchanges[i].conn_id, wanted[i].conn_id);
		assert_int_equal(
		    whole->exchanges[i].ordinal, wanted[i].ordinal);
	}
	snapshot_free(whole);
}

static void
test_the_newest_are_kept(void **state)
{
	static const struct {
		size_t max;
		size_t kept;
	} rows[] = {{0, 5}, {1, 1}, {4, 4}, {5, 5}, {6, 5}};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct snapshot *snapshot = snapshot_new();

		for (uint32_t j = 1; j <= 5; j++)
			add_exchange(snapshot, 1, j, 100 + j);
		snapshot_seal(snapshot,
		    &(struct snapshot_query){.page = {.limit = rows[i].max}});
		assert_int_equal(snapshot->exchange_count, rows[i].kept);
		for (size_t j = 0; j < rows[i].kept; j++)
			assert_int_equal(snapshot->exchanges[j].ordinal, 5 - j);
		snapshot_free(snapshot);
	}
}

/* ---- queries ---- */

static void
test_queries(void **state)
{
	static const struct {
		const char *filter; /* NULL: none */
		enum filter_subject subject;
		uint64_t conn_id;
		uint32_t ordinal;
		bool matches;
	} rows[] = {
	    {NULL, FILTER_EXCHANGES, 0, 0, true},
	    {"verdict=undrained tag.job", FILTER_EXCHANGES, 0, 0, true},
	    {"verdict=undrained tag.gc", FILTER_EXCHANGES, 0, 0, false},
	    {"status=999", FILTER_LEAKS, 0, 0, true},
	    {NULL, FILTER_EXCHANGES, 17, 0, true},
	    {NULL, FILTER_EXCHANGES, 3, 0, false},
	    {NULL, FILTER_EXCHANGES, 0, 3, true},
	    {NULL, FILTER_EXCHANGES, 0, 17, false},
	    {NULL, FILTER_EXCHANGES, 17, 4, false},
	    {"verdict=undrained", FILTER_EXCHANGES, 17, 3, true},
	    {"verdict=drained", FILTER_EXCHANGES, 17, 3, false},
	    {"verdict=undrained", FILTER_EXCHANGES, 17, 4, false},
	};
	struct exchange_record x = {.conn_id = 17,
	    .ordinal = 3,
	    .judgement = {.verdict = VERDICT_UNDRAINED}};

	assert_true(tags_add_dictionary(&x.tags, "job=imagecheck", 14));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct snapshot_query query = {
		    .conn_id = rows[i].conn_id, .ordinal = rows[i].ordinal};

		if (rows[i].filter != NULL) {
			query.filter = filter_new(rows[i].subject);
			assert_null(filter_add(query.filter, rows[i].filter));
		}
		if (snapshot_query_matches(&query, &x) != rows[i].matches)
			fail_msg("row %zu", i);
		snapshot_query_fini(&query);
	}
	tags_fini(&x.tags);
}

static void
test_a_query_is_copied_deeply(void **state)
{
	struct snapshot_query query = {.wants_conns = true,
	    .wants_exchanges = true,
	    .filter = filter_new(FILTER_EXCHANGES),
	    .conn_id = 5,
	    .ordinal = 6,
	    .page = {.limit = 7}};
	struct exchange_record x = {.conn_id = 5, .ordinal = 6, .status = 404};
	struct snapshot_query copy;

	assert_null(filter_add(query.filter, "status=404 tag.job!=gc,sync"));
	snapshot_query_copy(&copy, &query);
	snapshot_query_fini(&query);
	assert_true(copy.wants_conns);
	assert_true(copy.wants_exchanges);
	assert_int_equal(copy.conn_id, 5);
	assert_int_equal(copy.ordinal, 6);
	assert_int_equal(copy.page.limit, 7);
	assert_true(snapshot_query_matches(&copy, &x));
	assert_true(tags_add_dictionary(&x.tags, "job=sync", 8));
	assert_false(snapshot_query_matches(&copy, &x));
	tags_fini(&x.tags);
	snapshot_query_fini(&copy);
}

/* A report of some leaks is about all that was seen: totals stay. */
static void
test_leaks_are_filtered(void **state)
{
	struct snapshot *snapshot = snapshot_new();
	struct snapshot_query query = {.filter = filter_new(FILTER_LEAKS)};

	snapshot->leaks = xcalloc(2, sizeof(*snapshot->leaks));
	snapshot->leak_count = 2;
	for (size_t i = 0; i < 2; i++) {
		struct leak *leak = &snapshot->leaks[i];

		leak->method = xstrdup("GET");
		leak->origin = xstrdup("https://registry.test:443");
		leak->route = xstrdup("/v2/{}");
		leak->status = i == 0 ? 401 : 404;
		leak->undrained = 2;
	}
	snapshot->totals.by_verdict[VERDICT_UNDRAINED] = 4;
	assert_null(filter_add(query.filter, "status=404"));
	snapshot_seal(snapshot, &query);
	assert_int_equal(snapshot->leak_count, 1);
	assert_int_equal(snapshot->leaks[0].status, 404);
	assert_int_equal(snapshot->totals.by_verdict[VERDICT_UNDRAINED], 4);
	snapshot_query_fini(&query);
	snapshot_free(snapshot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_number_is_added),
	    cmocka_unit_test(test_the_oldest_shard_says_since_when),
	    cmocka_unit_test(test_the_same_leak_of_two_shards_is_one),
	    cmocka_unit_test(test_the_rhythm_of_two_shards),
	    cmocka_unit_test(test_merging_nothing),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_the_newest_are_kept),
	    cmocka_unit_test(test_queries),
	    cmocka_unit_test(test_leaks_are_filtered),
	    cmocka_unit_test(test_a_query_is_copied_deeply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
