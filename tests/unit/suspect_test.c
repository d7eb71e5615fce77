/* SPDX-License-Identifier: MIT */

/*
 * Whom to accuse.  Four jobs, as in the founding story; one of them leaks at
 * some time after its start.  At prime intervals it is named, and never
 * another; where all have the same interval nobody is, whether they start
 * together or one after the other; and a leak that has nothing to do with any
 * of them accuses nobody.
 */

#include "accounting/suspect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/simulation.h"

#define JOBS 4
#define MARKS_ROOM 4096

static const char *const names[JOBS] = {"gc", "imagecheck", "backup", "sync"};
static const double primes_s[JOBS] = {53, 47, 59, 67};
static const double alike_s[JOBS] = {47, 47, 47, 47};

static struct series series;
static struct mark marks[MARKS_ROOM];
static size_t mark_count;

static void
mark(const char *name, enum mark_phase phase, double at_s)
{
	struct mark *new = &marks[mark_count++];

	assert_true(mark_count <= MARKS_ROOM);
	*new = (struct mark){
	    .phase = phase, .mono_at = (mono_us)((at_s + 1000) * 1e6)};
	strcpy(new->name, name);
}

static int
older_first(const void *a, const void *b)
{
	const struct mark *left = a;
	const struct mark *right = b;

	return (left->mono_at > right->mono_at) -
	    (left->mono_at < right->mono_at);
}

/* Runs the jobs; the culprit (JOBS: nobody) leaks `lag_s` after its start. */
static void
run_jobs(const double *intervals_s, const double *offsets_s, size_t culprit,
    double seconds)
{
	double lag_s = between(&series, 0.1, 5);

	mark_count = 0;
	for (size_t i = 0; i < JOBS; i++) {
		for (double at_s = offsets_s[i]; at_s < seconds;
		     at_s += intervals_s[i]) {
			double late_s = at_s + 0.2 * uniform(&series);

			mark(names[i], MARK_START, late_s);
			mark(names[i], MARK_STOP,
			    late_s + between(&series, 6, 9));
			if (i == culprit)
				arrive_together(&series,
				    late_s + lag_s * between(&series, 0.8, 1.2),
				    1 + one_of(&series, 3), 0.3);
		}
	}
	qsort(marks, mark_count, sizeof(*marks), older_first);
}

static struct suspect
suspect_at(double seconds)
{
	struct suspect suspect;
	struct bursts bursts;

	series_sort(&series);
	bursts_find(&bursts, series.at, series.count, 4);
	suspect_find(&suspect,
	    &(struct suspect_facts){.bursts = &bursts,
		.marks = marks,
		.mark_count = mark_count,
		.until = (mono_us)((seconds + 1000) * 1e6)});
	bursts_fini(&bursts);
	return suspect;
}

static void
draw_offsets(double *offsets_s)
{
	bool together = uniform(&series) < 0.5;

	for (size_t i = 0; i < JOBS; i++)
		offsets_s[i] = together ? 0 : between(&series, 0, 60);
}

static void
test_the_right_job_is_named(void **state)
{
	size_t right = 0;
	size_t wrong = 0;

	for (uint64_t i = 0; i < 400; i++) {
		size_t culprit = i % JOBS;
		double offsets_s[JOBS];
		double seconds;
		struct suspect suspect;

		series_begin(&series, i);
		seconds = between(&series, 12, 60) * 47;
		draw_offsets(offsets_s);
		run_jobs(primes_s, offsets_s, culprit, seconds);
		suspect = suspect_at(seconds);
		if (suspect.outcome != SUSPECT_NAMED)
			continue;
		assert_true(suspect.chance <= SUSPECT_MAX_CHANCE);
		if (strcmp(suspect.mark, names[culprit]) == 0 &&
		    suspect.phase == MARK_START)
			right++;
		else
			wrong++;
	}
	print_message(
	    "prime intervals: %zu of 400 named, %zu wrongly\n", right, wrong);
	assert_int_equal(wrong, 0);
	assert_true(right >= 390);
}

static void
test_jobs_in_step(void **state)
{
	for (uint64_t i = 0; i < 200; i++) {
		double offsets_s[JOBS];
		struct suspect suspect;

		series_begin(&series, 1000 + i);
		draw_offsets(offsets_s);
		run_jobs(alike_s, offsets_s, i % JOBS, 20 * 47);
		suspect = suspect_at(20 * 47);
		assert_int_equal(suspect.outcome, SUSPECT_ALIKE);
		assert_int_equal(suspect.rival_count, JOBS - 1);
	}
}

static void
test_nobody_is_accused(void **state)
{
	size_t named = 0;

	for (uint64_t i = 0; i < 1000; i++) {
		double offsets_s[JOBS];
		double at_s = 0;

		series_begin(&series, 5000 + i);
		draw_offsets(offsets_s);
		run_jobs(primes_s, offsets_s, JOBS, 1500);
		while ((at_s += 40 * exponential(&series)) < 1500)
			arrive(&series, at_s);
		named += suspect_at(1500).outcome == SUSPECT_NAMED;
	}
	print_message("a leak at random: %zu of 1000 accusations\n", named);
	assert_true(named < 10);
}

/* A job at a prime interval of its own that does not announce itself. */
static void
test_an_unmarked_culprit(void **state)
{
	for (uint64_t i = 0; i < 200; i++) {
		double offsets_s[JOBS];
		double at_s;

		series_begin(&series, 9000 + i);
		draw_offsets(offsets_s);
		run_jobs(primes_s, offsets_s, JOBS, 2400);
		at_s = between(&series, 0, 40);
		for (; at_s < 2400; at_s += 43)
			arrive(&series, at_s + uniform(&series));
		assert_int_equal(suspect_at(2400).outcome, SUSPECT_UNLIKELY);
	}
}

static void
test_a_stop_can_be_the_cause(void **state)
{
	struct suspect suspect;

	series_begin(&series, 1);
	mark_count = 0;
	for (size_t i = 0; i < 20; i++) {
		double at_s = 100.0 * (double)i;

		mark("gc", MARK_START, at_s);
		/* it runs for anything up to half a minute */
		at_s += between(&series, 1, 30);
		mark("gc", MARK_STOP, at_s);
		arrive(&series, at_s + 0.5);
	}
	suspect = suspect_at(2000);
	assert_int_equal(suspect.outcome, SUSPECT_NAMED);
	assert_int_equal(suspect.phase, MARK_STOP);
	assert_int_equal(suspect.bursts_explained, 20);
	assert_int_equal(suspect.bursts, 20);
}

/* Not all of the leak is the job's. */
static void
test_a_part_is_explained(void **state)
{
	struct suspect suspect;

	series_begin(&series, 1);
	mark_count = 0;
	for (size_t i = 0; i < 20; i++) {
		mark("gc", MARK_START, 100.0 * (double)i);
		arrive(&series, 100.0 * (double)i + 0.5);
		if (i % 3 == 0)
			arrive(&series, 100.0 * (double)i + 70);
	}
	suspect = suspect_at(2000);
	assert_int_equal(suspect.outcome, SUSPECT_NAMED);
	assert_int_equal(suspect.bursts_explained, 20);
	assert_int_equal(suspect.bursts, 27);
}

static void
test_too_little_to_say(void **state)
{
	series_begin(&series, 1);
	mark_count = 0;
	arrive(&series, 100.5);
	arrive(&series, 200.5);
	arrive(&series, 300.5);
	assert_int_equal(suspect_at(400).outcome, SUSPECT_UNMARKED);
	mark("gc", MARK_START, 100);
	mark("gc", MARK_START, 200);
	assert_int_equal(suspect_at(400).outcome, SUSPECT_TOO_FEW);
	mark("gc", MARK_START, 300);
	assert_int_not_equal(suspect_at(400).outcome, SUSPECT_TOO_FEW);
	/* bursts of before the first mark are nobody's */
	mark_count = 0;
	for (size_t i = 4; i < 9; i++)
		mark("gc", MARK_START, 100.0 * (double)i);
	assert_int_equal(suspect_at(1000).outcome, SUSPECT_TOO_FEW);
}

/* All at one moment, the last of the watch; and more jobs than are kept. */
static void
test_odd_marks(void **state)
{
	series_begin(&series, 1);
	mark_count = 0;
	for (size_t i = 0; i < 10; i++) {
		mark("gc", MARK_START, 100);
		arrive(&series, 100);
	}
	assert_int_not_equal(suspect_at(100).outcome, SUSPECT_NAMED);
	mark_count = 0;
	for (size_t i = 0; i < 10; i++)
		arrive(&series, 1000.0 + 10 * (double)i);
	for (size_t i = 0; i < 400; i++) {
		char name[16];

		snprintf(name, sizeof(name), "job%zu", i % 100);
		mark(name, MARK_START, 4.0 * (double)i);
	}
	assert_int_not_equal(suspect_at(1600).outcome, SUSPECT_NAMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_right_job_is_named),
	    cmocka_unit_test(test_jobs_in_step),
	    cmocka_unit_test(test_nobody_is_accused),
	    cmocka_unit_test(test_an_unmarked_culprit),
	    cmocka_unit_test(test_a_stop_can_be_the_cause),
	    cmocka_unit_test(test_a_part_is_explained),
	    cmocka_unit_test(test_too_little_to_say),
	    cmocka_unit_test(test_odd_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
