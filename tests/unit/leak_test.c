/* SPDX-License-Identifier: MIT */

/*
 * A leak is found again tomorrow, in another run and by another shard, by its
 * id; it names who leaks, for people who will go and look; and where a timeout
 * of the caller hides it, its ends come at a constant age.  Two leaks that
 * share an id are one wrong number, a caller that is named twice is two wrong
 * suspects, and scattered ends that pass for a deadline are a wrong remedy.
 */

#include "accounting/leak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"
#include "tests/unit/owner_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ---- ids ---- */

struct key {
	const char *origin;
	const char *method;
	const char *route;
	int status;
	const char *tags; /* a dictionary */
};

static void
id_of(const struct key *key, char id[LEAK_ID_BYTES])
{
	struct exchange_record record = {.status = key->status};

	record.origin = xstrdup(key->origin);
	record.method = xstrdup(key->method);
	record.route = xstrdup(key->route);
	assert_true(
	    tags_add_dictionary(&record.tags, key->tags, strlen(key->tags)));
	leak_id(id, &record);
	record_fini_exchange(&record);
}

static void
test_every_part_of_the_key_makes_another_leak(void **state)
{
	static const struct key keys[] = {
	    {"https://a:443", "GET", "/x", 200, ""},
	    {"https://b:443", "GET", "/x", 200, ""},
	    {"https://a:443", "PUT", "/x", 200, ""},
	    {"https://a:443", "GET", "/y", 200, ""},
	    {"https://a:443", "GET", "/x", 404, ""},
	    {"https://a:443", "GET", "/x", 20, ""},
	    {"https://a:443", "GET", "/x", 0, ""},
	    {"https://a:443", "GET", "/x", 200, "job=a"},
	    {"https://a:443", "GET", "/x", 200, "job=b"},
	    {"https://a:443", "GET", "/x", 200, "jo=ba"},
	    {"https://a:443", "GET", "/x", 200, "job=a, run=a"},
	    {"https://a:443", "GET", "/x", 200, "job=a, run=b"},
	    /* the same letters, cut elsewhere */
	    {"https://a:443G", "ET", "/x", 200, ""},
	    {"https://a:443", "GET/", "x", 200, ""},
	    {"https://a:443", "GET", "/x2", 0, ""},
	};
	char ids[COUNT_OF(keys)][LEAK_ID_BYTES];

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		char again[LEAK_ID_BYTES];

		id_of(&keys[i], ids[i]);
		id_of(&keys[i], again);
		assert_string_equal(ids[i], again);
		assert_int_equal(strlen(ids[i]), LEAK_ID_BYTES - 1);
		assert_int_equal(
		    strspn(ids[i], "0123456789abcdef"), LEAK_ID_BYTES - 1);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(ids[i], ids[j]) == 0)
				fail_msg("keys %zu and %zu", j, i);
		}
	}
}

/* Ids are kept in people's notes and in the database: they may not change. */
static void
test_the_id_is_the_same_in_every_run(void **state)
{
	char id[LEAK_ID_BYTES];

	id_of(&(struct key){"https://registry.test:443", "GET",
		  "/v2/{}/manifests/{}", 401, "job=imagecheck"},
	    id);
	assert_string_equal(id, "f3015038e8e6fb3b");
	/* the order in which tags were sent is no part of it */
	id_of(&(struct key){"o", "GET", "/", 200, "b=1, a=2"}, id);
	assert_string_equal(id, "fac97b08b1255a6f");
	id_of(&(struct key){"o", "GET", "/", 200, "a=2, b=1"}, id);
	assert_string_equal(id, "fac97b08b1255a6f");
}

/* ---- callers ---- */

static void
add_caller(struct leak *leak, const char *address, const char *user_agent,
    pid_t pid, int fd)
{
	struct exchange_record record = {.is_held = true,
	    .owner = fixture_owner(pid, fd, -1, pid > 0 ? "coderd" : NULL)};

	record.client_address = xstrdup(address);
	record.user_agent = xstrdup_or_null(user_agent);
	leak_add_caller(leak, &record);
	record_fini_exchange(&record);
}

static void
test_a_caller_is_named_once(void **state)
{
	struct leak leak = {0};

	add_caller(&leak, "127.0.0.1:1111", "Go-http-client/1.1", 4242, 37);
	add_caller(&leak, "127.0.0.1:2222", "Go-http-client/1.1", 4242, 41);
	assert_int_equal(leak.caller_count, 1);
	assert_string_equal(leak.callers[0].client_host, "127.0.0.1");
	assert_string_equal(leak.callers[0].user_agent, "Go-http-client/1.1");
	assert_string_equal(leak.callers[0].command, "coderd");
	assert_int_equal(leak.callers[0].pid, 4242);
	assert_int_equal(leak.callers[0].fd_count, 2);
	assert_int_equal(leak.callers[0].fds[0], 37);
	assert_int_equal(leak.callers[0].fds[1], 41);
	leak_fini(&leak);
}

static void
test_other_callers_are_others(void **state)
{
	struct leak leak = {0};

	add_caller(&leak, "127.0.0.1:1", "Go", 1, -1);
	add_caller(&leak, "127.0.0.1:1", "Go", 2, -1);
	add_caller(&leak, "127.0.0.1:1", "Go", -1, -1);
	add_caller(&leak, "127.0.0.1:1", "Java", 1, -1);
	add_caller(&leak, "127.0.0.1:1", NULL, 1, -1);
	add_caller(&leak, "[::1]:1", "Go", 1, -1);
	add_caller(&leak, "[::1]:1", NULL, 1, -1);
	assert_int_equal(leak.caller_count, 7);
	assert_null(leak.callers[2].command);
	assert_null(leak.callers[4].user_agent);
	assert_int_equal(leak.callers[0].fd_count, 0);
	leak_fini(&leak);
}

static void
test_hosts(void **state)
{
	static const struct {
		const char *address;
		const char *host;
	} rows[] = {
	    {"127.0.0.1:4242", "127.0.0.1"},
	    {"[::1]:4242", "::1"},
	    {"[fe80::1%eth0]:1", "fe80::1%eth0"},
	    {"somebody", "somebody"},
	    {"", ""},
	    {":1", ""},
	    {"[]:1", ""},
	    {"[:1", "["},
	    {"[a:1", "[a"},
	    {"a]:1", "a]"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct leak leak = {0};

		add_caller(&leak, rows[i].address, NULL, -1, -1);
		assert_string_equal(leak.callers[0].client_host, rows[i].host);
		leak_fini(&leak);
	}
}

/* Descriptors of connections that are gone may be anybody's by now. */
static void
test_only_held_descriptors_are_named(void **state)
{
	struct exchange_record record = {
	    .owner = fixture_owner(1, 37, -1, NULL)};
	struct leak leak = {0};

	record.client_address = xstrdup("127.0.0.1:1");
	leak_add_caller(&leak, &record);
	assert_int_equal(leak.caller_count, 1);
	assert_int_equal(leak.callers[0].fd_count, 0);
	record.is_held = true;
	record.owner->fd = 0;
	leak_add_caller(&leak, &record);
	assert_int_equal(leak.callers[0].fd_count, 1);
	record_fini_exchange(&record);
	leak_fini(&leak);
}

static void
test_callers_and_descriptors_are_bounded(void **state)
{
	struct leak leak = {0};

	for (int i = 0; i < LEAK_MAX_FDS + 5; i++)
		add_caller(&leak, "127.0.0.1:1", "Go", 1, i);
	for (int i = 0; i < LEAK_MAX_CALLERS + 5; i++)
		add_caller(&leak, "127.0.0.1:1", "Go", 2 + i, 3);
	assert_int_equal(leak.caller_count, LEAK_MAX_CALLERS);
	assert_int_equal(leak.callers[0].fd_count, LEAK_MAX_FDS);
	assert_int_equal(
	    leak.callers[0].fds[LEAK_MAX_FDS - 1], LEAK_MAX_FDS - 1);
	leak_fini(&leak);
}

/* ---- one of two ---- */

/* Numbers that differ in every field, from `base` on. */
static void
fill(struct leak *leak, uint64_t base)
{
	*leak = (struct leak){.undrained = base,
	    .suspected = base + 1,
	    .held_now = base + 2,
	    .held_to_exit = base + 7,
	    .held_bytes = (int64_t)base + 3,
	    .releases = {base + 4, (double)base + 5, (double)base + 6}};
	for (size_t i = 0; i < EVIDENCE_COUNT; i++)
		leak->by_evidence[i] = base + 10 + i;
	leak->origin = xstrdup("o");
	leak->method = xstrdup("GET");
	leak->route = xstrdup("/");
	assert_true(tags_set(&leak->tags, "job", "a", 1));
}

static struct exchange_record *
example(uint64_t conn_id)
{
	struct exchange_record *record = xcalloc(1, sizeof(*record));

	record->conn_id = conn_id;
	record->url = xstrdup("http://a/");
	return record;
}

static void
test_two_shards_make_one_leak(void **state)
{
	struct leak into;
	struct leak from;

	fill(&into, 100);
	fill(&from, 5000);
	into.first_seen = 50;
	into.last_seen = 60;
	from.first_seen = 40;
	from.last_seen = 70;
	add_caller(&into, "127.0.0.1:1", "Go", 1, 3);
	add_caller(&from, "127.0.0.1:2", "Go", 1, 4);
	add_caller(&from, "127.0.0.1:3", "Go", 2, 5);
	from.example = example(9);
	leak_absorb(&into, &from);
	assert_int_equal(into.undrained, 5100);
	assert_int_equal(into.suspected, 5102);
	assert_int_equal(into.held_now, 5104);
	assert_int_equal(into.held_to_exit, 5114);
	assert_int_equal(into.held_bytes, 5106);
	assert_int_equal(into.releases.count, 5108);
	assert_float_equal(into.releases.sum_s, 5110, 0);
	assert_float_equal(into.releases.sum_squares_s, 5112, 0);
	for (size_t i = 0; i < EVIDENCE_COUNT; i++)
		assert_int_equal(into.by_evidence[i], 5120 + 2 * i);
	assert_int_equal(into.first_seen, 40);
	assert_int_equal(into.last_seen, 70);
	assert_int_equal(into.caller_count, 2);
	assert_int_equal(into.callers[0].fd_count, 2);
	assert_int_equal(into.callers[0].fds[1], 4);
	assert_int_equal(into.callers[1].pid, 2);
	assert_non_null(into.example);
	assert_int_equal(into.example->conn_id, 9);
	leak_fini(&into);
}

static void
test_absorbing_keeps_what_is_there(void **state)
{
	struct leak into;
	struct leak from;

	fill(&into, 1);
	fill(&from, 2);
	into.first_seen = 10;
	into.last_seen = 90;
	into.example = example(7);
	from.first_seen = 20;
	from.last_seen = 80;
	from.example = example(8);
	for (int i = 0; i < LEAK_MAX_CALLERS; i++) {
		add_caller(&into, "127.0.0.1:1", "Go", 1 + i, -1);
		add_caller(&from, "127.0.0.1:1", "Go", 100 + i, -1);
	}
	leak_absorb(&into, &from);
	assert_int_equal(into.first_seen, 10);
	assert_int_equal(into.last_seen, 90);
	assert_int_equal(into.example->conn_id, 7);
	assert_int_equal(into.caller_count, LEAK_MAX_CALLERS);
	assert_int_equal(into.callers[0].pid, 1);
	leak_fini(&into);
}

/* ---- deadlines ---- */

static struct leak
released(const double *ages, size_t count)
{
	struct leak leak = {0};

	for (size_t i = 0; i < count; i++) {
		leak.releases.count++;
		leak.releases.sum_s += ages[i];
		leak.releases.sum_squares_s += ages[i] * ages[i];
	}
	return leak;
}

static void
test_deadlines(void **state)
{
	static const struct {
		double ages[4];
		size_t count;
		bool is_deadline;
		double age_s;
	} rows[] = {
	    {{0}, 0, false, 0},
	    {{30}, 1, false, 0},
	    {{30, 30}, 2, false, 0},
	    {{30, 30, 30}, 3, true, 30},
	    {{29.9, 30, 30.1, 30}, 4, true, 30},
	    /* within a twentieth, and just beyond */
	    {{28.6, 31.4, 28.6, 31.4}, 4, true, 30},
	    {{28.4, 31.6, 28.4, 31.6}, 4, false, 0},
	    /* short ones: within 50 ms, and beyond */
	    {{0.16, 0.24, 0.16, 0.24}, 4, true, 0.2},
	    {{0.14, 0.26, 0.14, 0.26}, 4, false, 0},
	    {{1, 30, 90, 600}, 4, false, 0},
	    {{0, 0, 0, 0}, 4, true, 0},
	    /* a long one: its variance is lost in the squares */
	    {{1e9, 1e9, 1e9, 1e9}, 4, true, 1e9},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct leak leak = released(rows[i].ages, rows[i].count);
		double age_s = -1;

		if (leak_has_deadline(&leak, &age_s) != rows[i].is_deadline)
			fail_msg("row %zu", i);
		if (rows[i].is_deadline)
			assert_float_equal(age_s, rows[i].age_s, 0.01);
		else
			assert_float_equal(age_s, -1, 0);
	}
}

/* ---- rank ---- */

static void
test_the_worst_comes_first(void **state)
{
	/* the worst first, and their ids against the order */
	static const char wanted[] = "abfedc";
	struct leak leaks[] = {
	    {.id = "e", .undrained = 1, .suspected = 3},
	    {.id = "c", .undrained = 0, .suspected = 500},
	    {.id = "a", .undrained = 7, .suspected = 0},
	    {.id = "d", .undrained = 1, .suspected = 2},
	    {.id = "b", .undrained = 7, .suspected = 0},
	    {.id = "f", .undrained = 1, .suspected = 4},
	};

	qsort(leaks, COUNT_OF(leaks), sizeof(*leaks), leak_rank);
	for (size_t i = 0; i < COUNT_OF(leaks); i++)
		assert_int_equal(leaks[i].id[0], wanted[i]);
	assert_int_equal(leak_rank(&leaks[0], &leaks[0]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_part_of_the_key_makes_another_leak),
	    cmocka_unit_test(test_the_id_is_the_same_in_every_run),
	    cmocka_unit_test(test_a_caller_is_named_once),
	    cmocka_unit_test(test_other_callers_are_others),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_only_held_descriptors_are_named),
	    cmocka_unit_test(test_callers_and_descriptors_are_bounded),
	    cmocka_unit_test(test_two_shards_make_one_leak),
	    cmocka_unit_test(test_absorbing_keeps_what_is_there),
	    cmocka_unit_test(test_deadlines),
	    cmocka_unit_test(test_the_worst_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
