/* SPDX-License-Identifier: MIT */

/*
 * A service that makes a new http.Transport for each request grows as one
 * that forgets Close does, and drains every body; an engineer who is told of
 * no leak must be told of this.
 */

#include "accounting/reuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/habits.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void
test_entries_by_origin_and_tags(void **state)
{
	struct reuse_table *table = reuse_table_new();
	struct tags job = {0};
	static const struct tags none = {0};
	struct reuse *first;
	struct reuse *copies;
	size_t count;

	assert_true(tags_set(&job, "job", "x", 1));
	first = reuse_find(table, "http://a.test:80", &none);
	first->connections = 2;
	assert_ptr_equal(reuse_find(table, "http://a.test:80", &none), first);
	assert_ptr_not_equal(
	    reuse_find(table, "http://a.test:80", &job), first);
	assert_ptr_not_equal(
	    reuse_find(table, "http://b.test:80", &none), first);

	copies = reuse_copy(table, &count);
	assert_int_equal(count, 3);
	qsort(copies, count, sizeof(*copies), reuse_rank);
	assert_int_equal(copies[0].connections, 2);
	assert_string_equal(copies[0].origin, "http://a.test:80");
	for (size_t i = 0; i < count; i++)
		reuse_fini(&copies[i]);
	free(copies);
	tags_fini(&job);
	reuse_table_free(table);
}

static void
test_the_table_is_bounded(void **state)
{
	struct reuse_table *table = reuse_table_new();
	static const struct tags none = {0};
	struct reuse *copies;
	struct reuse *other;
	size_t count;
	char origin[32];

	for (int i = 0; i < REUSE_MAX + 10; i++) {
		snprintf(origin, sizeof(origin), "http://h%d.test:80", i);
		reuse_find(table, origin, &none)->connections++;
	}
	other = reuse_find(table, "http://new.test:80", &none);
	assert_string_equal(other->origin, "other");
	assert_int_equal(other->connections, 10);
	copies = reuse_copy(table, &count);
	assert_int_equal(count, REUSE_MAX + 1);
	for (size_t i = 0; i < count; i++)
		reuse_fini(&copies[i]);
	free(copies);
	reuse_table_free(table);
}

static void
test_shards_are_added(void **state)
{
	struct reuse into = {.origin = strdup("http://a.test:80"),
	    .connections = 1,
	    .exchanges = 2,
	    .one_shot = 3,
	    .closed_after_one = 4,
	    .early_closes = 5,
	    .half_sent = 6};
	struct reuse from = into;

	from.origin = strdup(into.origin);
	assert_true(reuse_is_same(&into, &from));
	reuse_absorb(&into, &from);
	assert_int_equal(into.connections, 2);
	assert_int_equal(into.exchanges, 4);
	assert_int_equal(into.one_shot, 6);
	assert_int_equal(into.closed_after_one, 8);
	assert_int_equal(into.early_closes, 10);
	assert_int_equal(into.half_sent, 12);
	reuse_fini(&into);
}

static void
test_sentences(void **state)
{
	static const struct {
		struct reuse reuse;
		const char *says;
		bool is_poor;
	} rows[] = {
	    {{.connections = 10, .exchanges = 500}, "Connections are reused",
		false},
	    {{.connections = 4, .one_shot = 4}, "Too few", false},
	    {{.connections = 10, .one_shot = 6}, "new http.Transport", true},
	    {{.connections = 10, .one_shot = 5}, "Connections are reused",
		false},
	    {{.connections = 10, .closed_after_one = 9},
		"keep-alive is "
		"switched off",
		false},
	    {{.connections = 10, .early_closes = 9, .one_shot = 9},
		"closed before their end", true},
	    {{.connections = 10, .half_sent = 9, .early_closes = 9},
		"the rest never came", true},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_non_null(
		    strstr(habits_sentence(&rows[i].reuse), rows[i].says));
		assert_int_equal(
		    habits_are_poor(&rows[i].reuse), rows[i].is_poor);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_entries_by_origin_and_tags),
	    cmocka_unit_test(test_the_table_is_bounded),
	    cmocka_unit_test(test_shards_are_added),
	    cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
