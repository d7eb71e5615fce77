/* SPDX-License-Identifier: MIT */

/*
 * Manners are what turns a caller's silence into proof, so they are earned
 * twice, lost for ever by one late answer, and never lent to another.  All
 * workers learn them in one table, which is bounded: a crowd of strangers may
 * make it forget a caller, and forgetting must err on the side of not
 * accusing.
 */

#include "accounting/callers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

#define THREADS 4
#define THREAD_ROUNDS 20000
#define THREAD_KEYS 64

static void
test_manners(void **state)
{
	static const struct {
		const char *answers; /* p: prompt, l: late */
		bool watches;
	} rows[] = {
	    {"", false},
	    {"p", false},
	    {"pp", true},
	    {"pppppppp", true},
	    {"l", false},
	    {"lpp", false},
	    {"plp", false},
	    {"ppl", false},
	    {"pplpppppppp", false},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct callers *callers = callers_new();

		for (const char *p = rows[i].answers; *p != '\0'; p++)
			callers_probe_answered(callers, "a", *p == 'p');
		if (callers_watch(callers, "a") != rows[i].watches)
			fail_msg("%s", rows[i].answers);
		callers_free(callers);
	}
}

static void
test_manners_are_not_lent(void **state)
{
	struct callers *callers = callers_new();
	char key[] = "10.0.0.7\nGo";

	callers_probe_answered(callers, key, true);
	callers_probe_answered(callers, key, true);
	memset(key, 'x', sizeof(key) - 1); /* the table keeps its own copy */
	assert_true(callers_watch(callers, "10.0.0.7\nGo"));
	assert_false(callers_watch(callers, key));
	assert_false(callers_watch(callers, "10.0.0.7\nG"));
	assert_false(callers_watch(callers, "10.0.0.7\nGo\n"));
	assert_false(callers_watch(callers, ""));
	callers_probe_answered(callers, "10.0.0.8\nGo", false);
	assert_true(callers_watch(callers, "10.0.0.7\nGo"));
	callers_free(callers);
}

static void
hear_of_strangers(struct callers *callers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char key[32];

		snprintf(key, sizeof(key), "stranger %zu", i);
		callers_probe_answered(callers, key, true);
	}
}

static void
test_who_was_heard_of_last_is_remembered(void **state)
{
	struct callers *callers = callers_new();

	for (int i = 0; i < CALLERS_PROMPT_ANSWERS; i++) {
		callers_probe_answered(callers, "old", true);
		callers_probe_answered(callers, "heard of again", true);
	}
	hear_of_strangers(callers, CALLERS_MAX - 2);
	assert_true(callers_watch(callers, "old"));
	callers_probe_answered(callers, "heard of again", true);
	callers_probe_answered(callers, "one too many", true);
	assert_false(callers_watch(callers, "old"));
	assert_true(callers_watch(callers, "heard of again"));
	callers_free(callers);
}

/* Being asked about is not being heard of: else a leaking caller, asked about
 * at each sweep, would push out those that answer. */
static void
test_questions_do_not_keep_anyone(void **state)
{
	struct callers *callers = callers_new();

	callers_probe_answered(callers, "old", true);
	callers_probe_answered(callers, "old", true);
	for (size_t i = 0; i < 2 * CALLERS_MAX; i++)
		assert_false(callers_watch(callers, "never heard of"));
	assert_true(callers_watch(callers, "old"));
	hear_of_strangers(callers, CALLERS_MAX);
	assert_false(callers_watch(callers, "old"));
	callers_free(callers);
}

static void
test_a_forgotten_caller_earns_its_name_anew(void **state)
{
	struct callers *callers = callers_new();

	callers_probe_answered(callers, "late", false);
	hear_of_strangers(callers, CALLERS_MAX);
	callers_probe_answered(callers, "late", true);
	assert_false(callers_watch(callers, "late"));
	callers_probe_answered(callers, "late", true);
	assert_true(callers_watch(callers, "late"));
	callers_free(callers);
}

/* ---- many workers ---- */

static void *
answer_and_ask(void *arg)
{
	struct callers *callers = arg;

	for (int i = 0; i < THREAD_ROUNDS; i++) {
		char key[32];

		snprintf(key, sizeof(key), "caller %d", i % THREAD_KEYS);
		callers_probe_answered(callers, key, true);
		if (i >= 2 * THREAD_KEYS && !callers_watch(callers, key))
			return arg;
	}
	return NULL;
}

static void
test_workers_share_one_table(void **state)
{
	struct callers *callers = callers_new();
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, answer_and_ask, callers),
		    0);
	for (size_t i = 0; i < THREADS; i++) {
		void *fault;

		pthread_join(threads[i], &fault);
		assert_null(fault);
	}
	for (int i = 0; i < THREAD_KEYS; i++) {
		char key[32];

		snprintf(key, sizeof(key), "caller %d", i);
		assert_true(callers_watch(callers, key));
	}
	callers_free(callers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_manners),
	    cmocka_unit_test(test_manners_are_not_lent),
	    cmocka_unit_test(test_who_was_heard_of_last_is_remembered),
	    cmocka_unit_test(test_questions_do_not_keep_anyone),
	    cmocka_unit_test(test_a_forgotten_caller_earns_its_name_anew),
	    cmocka_unit_test(test_workers_share_one_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
