/* SPDX-License-Identifier: MIT */

/*
 * A group under suspicion is told to close, response after response.  A group
 * that leaks must be asked until it is caught; one that is innocent must be
 * left in peace soon, for every close costs it a reconnect.  The workers share
 * the set, ask it for each response, and while it is empty that costs next to
 * nothing: so "is anyone?" must be right at all times.
 */

#include "accounting/suspicion.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define START (1000 * US_PER_S)
#define THREADS 4
#define THREAD_ROUNDS 20000
#define THREAD_GROUPS 16

static void
answer(struct suspicion *suspicion, const char *group, int times, mono_us now)
{
	for (int i = 0; i < times; i++)
		suspicion_answered(suspicion, group, now);
}

static void
test_raised_and_held(void **state)
{
	struct suspicion *suspicion = suspicion_new();

	assert_false(suspicion_is_anyone(suspicion));
	assert_false(suspicion_holds(suspicion, "a"));
	suspicion_raised(suspicion, "a", START);
	assert_true(suspicion_is_anyone(suspicion));
	assert_true(suspicion_holds(suspicion, "a"));
	assert_false(suspicion_holds(suspicion, "b"));
	assert_false(suspicion_holds(suspicion, ""));
	suspicion_free(suspicion);
}

static void
test_cleared_by_proper_answers(void **state)
{
	struct suspicion *suspicion = suspicion_new();

	suspicion_raised(suspicion, "a", START);
	suspicion_raised(suspicion, "b", START);
	answer(suspicion, "a", SUSPICION_CLEARED_BY - 1, START);
	assert_true(suspicion_holds(suspicion, "a"));
	answer(suspicion, "a", 1, START);
	assert_false(suspicion_holds(suspicion, "a"));
	assert_true(suspicion_holds(suspicion, "b"));
	assert_true(suspicion_is_anyone(suspicion));
	/* answers on their way when it was cleared */
	answer(suspicion, "a", 3, START);
	assert_true(suspicion_is_anyone(suspicion));
	answer(suspicion, "b", SUSPICION_CLEARED_BY, START);
	assert_false(suspicion_is_anyone(suspicion));
	suspicion_free(suspicion);
}

/* Suspected again meanwhile: the count goes on, for a caller that does not
 * watch its connections is suspected all the time. */
static void
test_another_suspicion_changes_nothing(void **state)
{
	struct suspicion *suspicion = suspicion_new();

	suspicion_raised(suspicion, "a", START);
	answer(suspicion, "a", SUSPICION_CLEARED_BY - 1, START);
	suspicion_raised(suspicion, "a", START);
	answer(suspicion, "a", 1, START);
	assert_false(suspicion_holds(suspicion, "a"));
	assert_false(suspicion_is_anyone(suspicion));
	suspicion_free(suspicion);
}

static void
test_a_confirmation_starts_the_count_again(void **state)
{
	struct suspicion *suspicion = suspicion_new();

	suspicion_raised(suspicion, "a", START);
	answer(suspicion, "a", SUSPICION_CLEARED_BY - 1, START);
	suspicion_confirmed(suspicion, "a");
	answer(suspicion, "a", SUSPICION_CLEARED_BY - 1, START);
	assert_true(suspicion_holds(suspicion, "a"));
	answer(suspicion, "a", 1, START);
	assert_false(suspicion_holds(suspicion, "a"));
	suspicion_free(suspicion);
}

static void
test_a_cleared_group_rests(void **state)
{
	struct suspicion *suspicion = suspicion_new();
	mono_us rested = START + SUSPICION_REST_US;

	suspicion_raised(suspicion, "a", START - 60 * US_PER_S);
	answer(suspicion, "a", SUSPICION_CLEARED_BY, START);
	suspicion_raised(suspicion, "a", rested - 1);
	assert_false(suspicion_holds(suspicion, "a"));
	assert_false(suspicion_is_anyone(suspicion));
	suspicion_raised(suspicion, "a", rested);
	assert_true(suspicion_holds(suspicion, "a"));
	assert_true(suspicion_is_anyone(suspicion));
	/* and has to answer as often as the first time */
	answer(suspicion, "a", SUSPICION_CLEARED_BY - 1, rested);
	assert_true(suspicion_holds(suspicion, "a"));
	answer(suspicion, "a", 1, rested);
	assert_false(suspicion_is_anyone(suspicion));
	suspicion_free(suspicion);
}

static void
test_strangers_answers_mean_nothing(void **state)
{
	struct suspicion *suspicion = suspicion_new();

	answer(suspicion, "a", 2 * SUSPICION_CLEARED_BY, START);
	suspicion_confirmed(suspicion, "a");
	assert_false(suspicion_is_anyone(suspicion));
	suspicion_raised(suspicion, "a", START);
	assert_true(suspicion_holds(suspicion, "a"));
	suspicion_free(suspicion);
}

static void
raise_many(struct suspicion *suspicion, const char *word, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char group[32];

		snprintf(group, sizeof(group), "%s %zu", word, i);
		suspicion_raised(suspicion, group, START);
	}
}

/* Bounded: the group raised first goes, at rest or not, and the count of
 * suspects stays right. */
static void
test_the_oldest_goes(void **state)
{
	struct suspicion *suspicion = suspicion_new();
	char group[32];

	suspicion_raised(suspicion, "rests", START);
	answer(suspicion, "rests", SUSPICION_CLEARED_BY, START);
	raise_many(suspicion, "group", SUSPICION_MAX_GROUPS);
	assert_true(suspicion_holds(suspicion, "group 0"));
	suspicion_raised(suspicion, "rests", START);
	assert_true(suspicion_holds(suspicion, "rests"));
	assert_false(suspicion_holds(suspicion, "group 0"));
	assert_true(suspicion_holds(suspicion, "group 1"));
	for (size_t i = 1; i < SUSPICION_MAX_GROUPS; i++) {
		snprintf(group, sizeof(group), "group %zu", i);
		assert_true(suspicion_holds(suspicion, group));
		answer(suspicion, group, SUSPICION_CLEARED_BY, START);
	}
	assert_true(suspicion_is_anyone(suspicion));
	answer(suspicion, "rests", SUSPICION_CLEARED_BY, START);
	assert_false(suspicion_is_anyone(suspicion));
	suspicion_free(suspicion);
}

/* ---- many workers ---- */

struct work {
	struct suspicion *suspicion;
	int number;
};

/* Raises and clears, again and again, groups that others raise and clear. */
static void *
raise_and_clear(void *arg)
{
	const struct work *work = arg;
	mono_us now = START;

	for (int i = 0; i < THREAD_ROUNDS; i++) {
		char group[32];

		snprintf(group, sizeof(group), "group %d",
		    (i + work->number) % THREAD_GROUPS);
		suspicion_raised(work->suspicion, group, now);
		(void)suspicion_holds(work->suspicion, group);
		if (i % 7 == 0)
			suspicion_confirmed(work->suspicion, group);
		(void)suspicion_is_anyone(work->suspicion);
		answer(work->suspicion, group, SUSPICION_CLEARED_BY, now);
		now += SUSPICION_REST_US;
	}
	return NULL;
}

static void
test_workers_share_one_set(void **state)
{
	struct suspicion *suspicion = suspicion_new();
	pthread_t threads[THREADS];
	struct work works[THREADS];

	for (int i = 0; i < THREADS; i++) {
		works[i] = (struct work){suspicion, i};
		assert_int_equal(pthread_create(&threads[i], NULL,
				     raise_and_clear, &works[i]),
		    0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	/* whatever the interleaving, the count agrees with the groups */
	for (int i = 0; i < THREAD_GROUPS; i++) {
		char group[32];

		snprintf(group, sizeof(group), "group %d", i);
		if (suspicion_holds(suspicion, group))
			assert_true(suspicion_is_anyone(suspicion));
		answer(suspicion, group, SUSPICION_CLEARED_BY, START);
		assert_false(suspicion_holds(suspicion, group));
	}
	assert_false(suspicion_is_anyone(suspicion));
	suspicion_free(suspicion);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_raised_and_held),
	    cmocka_unit_test(test_cleared_by_proper_answers),
	    cmocka_unit_test(test_another_suspicion_changes_nothing),
	    cmocka_unit_test(test_a_confirmation_starts_the_count_again),
	    cmocka_unit_test(test_a_cleared_group_rests),
	    cmocka_unit_test(test_strangers_answers_mean_nothing),
	    cmocka_unit_test(test_the_oldest_goes),
	    cmocka_unit_test(test_workers_share_one_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
