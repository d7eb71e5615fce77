/* SPDX-License-Identifier: MIT */

/*
 * What was recorded under a signed URL is asked for under another signature,
 * by another host name, or once too often: it should be found all the same,
 * and never in place of what fits better.
 */

#include "accounting/tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static void
add(struct tape *tape, const char *method, const char *host, const char *target,
    int status)
{
	struct tape_answer answer = {
	    .method = xstrdup(method),
	    .host = xstrdup(host),
	    .target = xstrdup(target),
	    .status = status,
	    .reason = xstrdup(""),
	};

	tape_add(tape, &answer);
}

static int
play(
    struct tape *tape, const char *method, const char *host, const char *target)
{
	const struct tape_answer *answer =
	    tape_play(tape, &(struct tape_request){method, host, target});

	return answer == NULL ? 0 : answer->status;
}

static void
test_fitness(void **state)
{
	static const struct {
		const char *method;
		const char *host;
		const char *target;
		int wanted;
	} rows[] = {
	    {"GET", "a.test", "/x?n=1", 201},
	    {"GET", "A.TEST", "/x?n=2", 202},
	    {"GET", NULL, "/x?n=2", 202},
	    {"GET", "b.test", "/x?n=3", 203},
	    {"GET", "b.test", "/x?n=1", 201}, /* the query before the host */
	    {"GET", "b.test", "/x", 203},
	    {"POST", "a.test", "/x", 204},
	    {"HEAD", "a.test", "/x?n=1", 201},
	    {"HEAD", "a.test", "/y", 206},
	    {"PUT", "a.test", "/x?n=1", 0},
	    {"get", "a.test", "/x?n=1", 0},
	    {"GET", "a.test", "/x/", 0},
	    {"GET", "a.test", "/", 0},
	    {"GET", "a.test", "", 0},
	};
	struct tape *tape = tape_new();

	assert_int_equal(play(tape, "GET", "a.test", "/x"), 0);
	add(tape, "GET", "a.test", "/x?n=1", 201);
	add(tape, "GET", "a.test", "/x?n=2", 202);
	add(tape, "GET", "b.test", "/x?n=4", 203);
	add(tape, "POST", "a.test", "/x", 204);
	add(tape, "GET", "a.test", "/y", 205);
	add(tape, "HEAD", "a.test", "/y", 206);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(
		    play(tape, rows[i].method, rows[i].host, rows[i].target),
		    rows[i].wanted);
	tape_free(tape);
	tape_free(NULL);
}

static void
test_turns(void **state)
{
	struct tape *tape = tape_new();

	add(tape, "GET", "a.test", "/x", 401);
	add(tape, "GET", "a.test", "/x", 307);
	add(tape, "GET", "a.test", "/x", 200);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(play(tape, "GET", "a.test", "/x"), 401);
		assert_int_equal(play(tape, "GET", "a.test", "/x"), 307);
		assert_int_equal(play(tape, "GET", "a.test", "/x"), 200);
	}
	tape_free(tape);
}

static void
test_list(void **state)
{
	struct tape *tape = tape_new();
	char *list = tape_list(tape);
	char target[16];

	assert_string_equal(list, "");
	free(list);
	add(tape, "GET", "a.test", "/x?n=1", 200);
	add(tape, "GET", "b.test", "/x?n=1", 200);
	add(tape, "POST", "a.test", "/x?n=1", 200);
	list = tape_list(tape);
	assert_string_equal(list, "GET /x?n=1, POST /x?n=1");
	free(list);
	for (int i = 0; i < 30; i++) {
		snprintf(target, sizeof(target), "/%d", i);
		add(tape, "GET", "a.test", target, 200);
	}
	list = tape_list(tape);
	assert_non_null(strstr(list, "GET /17 and 12 others"));
	free(list);
	tape_free(tape);
}

/* The lines of --capture-dir say of a leak how it was, and how it became. */
static void
test_the_last_of_the_same_id_counts(void **state)
{
	static const struct {
		const char *id; /* NULL: none */
		int status;
	} rows[] = {{"1/c1x1", 200}, {"1/c1x2", 201}, {NULL, 202},
	    {"1/c1x1", 203}, {NULL, 202}, {"2/c1x1", 204}, {"1/c1x1", 205}};
	static const int left[] = {201, 202, 202, 204, 205};
	struct tape *tape = tape_new();

	tape_drop_superseded(tape);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		add(tape, "GET", "a", "/", rows[i].status);
		tape->answers[i].id = xstrdup_or_null(rows[i].id);
	}
	tape_drop_superseded(tape);
	assert_int_equal(tape->count, COUNT_OF(left));
	for (size_t i = 0; i < COUNT_OF(left); i++)
		assert_int_equal(tape->answers[i].status, left[i]);
	tape_free(tape);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fitness),
	    cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_the_last_of_the_same_id_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
