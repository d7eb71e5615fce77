/* SPDX-License-Identifier: MIT */

/*
 * A period that is not there sends an engineer after the wrong job; one that
 * is missed leaves the night's work to him.  So both are counted, over
 * thousands of simulated series: arrivals at random, in bursts at random, with
 * the load of a day, of two jobs; and jobs with jitter of each interval or of
 * their schedule, with bursts missed and doubled.
 *
 * Jitter is the standard deviation of one interval over the period.  How near
 * the truth a period can be found is bounded: of N intervals that jitter by
 * 10 %, the mean itself strays by 10 %/sqrt(N).  Two percent is asked for where
 * the data can give it.
 */

#include "accounting/period.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/simulation.h"

#define RANDOM_SERIES 2500 /* of each kind */
#define JOB_SERIES 600     /* of each kind and length */

static struct series series;

static bool
find(struct period *period)
{
	struct bursts bursts;
	bool found;

	series_sort(&series);
	bursts_find(&bursts, series.at, series.count, PERIOD_MIN_BURSTS - 1);
	found = period_find(&bursts, period);
	bursts_fini(&bursts);
	return found;
}

/* ---- no period ---- */

static const size_t lengths[] = {
    5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 80, 120, 250, 500};
#define SHORT_LENGTHS 7
#define LENGTHS (sizeof(lengths) / sizeof(*lengths))

static void
at_random(size_t length)
{
	double mean_s = exp(between(&series, -3, 7));
	double at_s = 0;

	for (size_t i = 0; i < length; i++)
		arrive(&series, at_s += mean_s * exponential(&series));
}

static void
in_bursts_at_random(size_t length)
{
	double width_s = between(&series, 0, uniform(&series) < 0.5 ? 2 : 20);
	double at_s = 0;

	for (size_t i = 0; i < length; i++) {
		at_s += 30 * exponential(&series);
		arrive_together(
		    &series, at_s, 1 + one_of(&series, 12), width_s);
	}
}

/* One to seven days, or part of one. */
static void
with_the_load(size_t length)
{
	double day_s = (double)length * 10 / between(&series, 0.7, 7);
	double depth = between(&series, 0.5, 1);
	double phase = between(&series, 0, 2 * M_PI);
	double at_s = 0;

	while (series.count < length) {
		at_s += 5 * exponential(&series);
		if (uniform(&series) <
		    (1 + depth * sin(2 * M_PI * at_s / day_s + phase)) / 2)
			arrive(&series, at_s);
	}
}

static void
job(double period_s, double jitter, double until_s, size_t size)
{
	double at_s = period_s * uniform(&series);

	while (at_s < until_s) {
		arrive_together(&series, at_s, size, 0.5);
		at_s += period_s * (1 + jitter * normal(&series));
	}
}

/*
 * Two jobs in one leak, each at least six times.  Their periods differ by more
 * than a seventh: two of much the same period that take turns are, for some
 * dozen bursts, one of half the period for all that anybody can see.
 */
static double periods_s[2];

static void
of_two_jobs(size_t length)
{
	double jitter = between(&series, 0, 0.1);
	size_t size = 1 + one_of(&series, 4);
	double longer_s;
	double until_s;

	do {
		periods_s[0] = between(&series, 20, 80);
		periods_s[1] = between(&series, 20, 80);
		longer_s = fmax(periods_s[0], periods_s[1]);
	} while (longer_s / fmin(periods_s[0], periods_s[1]) < 1.15);
	until_s = (double)length / (1 / periods_s[0] + 1 / periods_s[1]);
	until_s = fmax(until_s, 6 * longer_s);
	job(periods_s[0], jitter, until_s, size);
	job(periods_s[1], jitter, until_s, size);
}

static bool
is_of_one_job(const struct period *period)
{
	return fabs(period->period_s / periods_s[0] - 1) < 0.03 ||
	    fabs(period->period_s / periods_s[1] - 1) < 0.03;
}

/* Returns in how many series of the kind a period was claimed. */
static size_t
count_claims(void (*fill)(size_t length), uint64_t seed, size_t length_count)
{
	size_t claims = 0;

	for (uint64_t i = 0; i < RANDOM_SERIES; i++) {
		struct period period;

		series_begin(&series, seed + i);
		fill(lengths[i % length_count]);
		if (find(&period) &&
		    (fill != of_two_jobs || !is_of_one_job(&period)))
			claims++;
	}
	return claims;
}

static void
test_no_period_is_invented(void **state)
{
	static const struct {
		const char *name;
		void (*fill)(size_t length);
	} kinds[] = {{"at random", at_random}, {"bursts", in_bursts_at_random},
	    {"load", with_the_load}, {"two jobs", of_two_jobs}};
	size_t all = 0;

	for (size_t i = 0; i < 4; i++) {
		size_t claims =
		    count_claims(kinds[i].fill, 100000 * i, LENGTHS);

		print_message("%s: %zu false claims in %d series\n",
		    kinds[i].name, claims, RANDOM_SERIES);
		assert_true(claims * 100 < RANDOM_SERIES);
		all += claims;
	}
	assert_true(all * 100 < 4 * RANDOM_SERIES);
}

/* Chance has it easiest where there is least: the promise holds there too. */
static void
test_no_period_is_invented_of_little(void **state)
{
	size_t claims = count_claims(at_random, 7000000, SHORT_LENGTHS) +
	    count_claims(in_bursts_at_random, 8000000, SHORT_LENGTHS);

	print_message("5 to 12 arrivals or bursts: %zu false claims in %d "
		      "series\n",
	    claims, 2 * RANDOM_SERIES);
	assert_true(claims * 100 < 2 * RANDOM_SERIES);
	assert_true(claims > 0); /* else the bound is not what it says */
}

/* ---- periods ---- */

struct trial {
	bool is_schedule; /* late on a schedule; else each interval jitters */
	bool has_exceptions; /* none to two missed, none to two doubled */
	size_t bursts;
	double most_jitter; /* drawn from 0 to this */
	double least_jitter;
};

static double truth_s;
static double jitter;

static void
run_job(const struct trial *trial)
{
	double at_s[512];
	size_t count = 0;
	size_t size = uniform(&series) < 0.5 ? 1 : 1 + one_of(&series, 12);
	size_t missed = trial->has_exceptions ? one_of(&series, 3) : 0;
	size_t doubled = trial->has_exceptions ? one_of(&series, 3) : 0;
	double next_s = 0;

	truth_s = exp(between(&series, -1.2, 8));
	jitter = between(&series, trial->least_jitter, trial->most_jitter);
	while (count < trial->bursts + missed) {
		/* Two late ones make an interval: its variance is theirs. */
		if (trial->is_schedule)
			next_s = truth_s *
			    ((double)count +
				jitter * M_SQRT1_2 * normal(&series));
		else
			next_s += truth_s * (1 + jitter * normal(&series));
		at_s[count++] = next_s;
	}
	for (size_t i = 0; i < missed; i++) {
		size_t gone = 1 + one_of(&series, count - 2);

		memmove(&at_s[gone], &at_s[gone + 1],
		    (count - gone - 1) * sizeof(*at_s));
		count--;
	}
	for (size_t i = 0; i < doubled; i++) {
		at_s[count] = at_s[one_of(&series, count)] +
		    truth_s * between(&series, 0.05, 0.45);
		count++;
	}
	for (size_t i = 0; i < count; i++)
		arrive_together(&series, at_s[i], size, 0.03 * truth_s);
}

static void
test_periods_are_found(void **state)
{
	static const struct trial trials[] = {{false, false, 6, 0.1, 0},
	    {false, false, 6, 0.1, 0.1}, {true, false, 6, 0.1, 0},
	    {true, false, 6, 0.1, 0.1}, {false, false, 8, 0.1, 0},
	    {true, false, 8, 0.1, 0}, {false, true, 14, 0.1, 0},
	    {true, true, 14, 0.1, 0}, {false, true, 30, 0.1, 0.1},
	    {true, true, 30, 0.1, 0.1}, {false, true, 100, 0.1, 0},
	    {true, true, 100, 0.1, 0}, {false, true, 250, 0.1, 0},
	    {true, true, 250, 0.1, 0}};
	size_t found = 0;
	size_t near = 0;

	for (size_t i = 0; i < sizeof(trials) / sizeof(*trials); i++) {
		const struct trial *trial = &trials[i];
		size_t found_before = found;
		size_t near_before = near;

		for (uint64_t j = 0; j < JOB_SERIES; j++) {
			struct period period;
			double error;

			series_begin(&series, 1000000 * (i + 1) + j);
			run_job(trial);
			if (!find(&period))
				continue;
			found++;
			error = fabs(period.period_s / truth_s - 1);
			near +=
			    error <= fmax(0.02,
					 2.6 * jitter * 1.1 /
					     sqrt((double)trial->bursts - 1));
		}
		print_message(
		    "%s, %3zu bursts%s: %.1f %% found, %.1f %% near\n",
		    trial->is_schedule ? "schedule" : "interval", trial->bursts,
		    trial->has_exceptions ? ", missed and doubled" : "",
		    100.0 * (double)(found - found_before) / JOB_SERIES,
		    100.0 * (double)(near - near_before) / JOB_SERIES);
		assert_true((found - found_before) * 100 > JOB_SERIES * 98);
		assert_true((near - near_before) * 100 > JOB_SERIES * 97);
	}
	assert_true(
	    found * 100 > 99 * JOB_SERIES * sizeof(trials) / sizeof(*trials));
}

/* Where the data can give it: within two percent, nearly always. */
static void
test_periods_are_right(void **state)
{
	static const struct trial trials[] = {{false, true, 30, 0.03, 0},
	    {true, true, 30, 0.1, 0}, {false, true, 200, 0.1, 0},
	    {true, false, 12, 0.06, 0}, {false, false, 6, 0.015, 0}};

	for (size_t i = 0; i < sizeof(trials) / sizeof(*trials); i++) {
		size_t right = 0;

		for (uint64_t j = 0; j < JOB_SERIES; j++) {
			struct period period;

			series_begin(&series, 50000000 * (i + 1) + j);
			run_job(&trials[i]);
			right += find(&period) &&
			    fabs(period.period_s / truth_s - 1) <= 0.02;
		}
		print_message("trial %zu: %.1f %% within two percent\n", i,
		    100.0 * (double)right / JOB_SERIES);
		assert_true(right * 100 > JOB_SERIES * 99);
	}
}

/* ---- by hand ---- */

static void
expect_period(double period_s, double tolerance, size_t missed, size_t extra)
{
	struct period period;

	assert_true(find(&period));
	assert_true(fabs(period.period_s - period_s) <= tolerance);
	assert_int_equal(period.missed, missed);
	assert_int_equal(period.extra, extra);
	assert_true(period.chance <= PERIOD_MAX_CHANCE);
}

static void
test_the_founding_story(void **state)
{
	/* Every 47 minutes, give or take 9 s, a dozen times. */
	series_begin(&series, 7);
	for (size_t i = 0; i < 12; i++)
		arrive_together(
		    &series, 2820.0 * (double)i + 9 * normal(&series), 3, 1);
	expect_period(2820, 10, 0, 0);
}

static void
test_missed_and_doubled(void **state)
{
	static const double at_s[] = {
	    0, 10, 20, 40, 50, 60, 64, 70, 80, 90, 110, 120, 130};

	series_begin(&series, 0);
	for (size_t i = 0; i < sizeof(at_s) / sizeof(*at_s); i++)
		arrive(&series, at_s[i]);
	expect_period(10, 0.1, 2, 1);
}

static void
test_too_little_to_say(void **state)
{
	struct period period;

	series_begin(&series, 0);
	assert_false(find(&period));
	for (size_t i = 0; i < 4; i++) {
		arrive(&series, 10.0 * (double)i);
		assert_false(find(&period));
	}
	arrive(&series, 40);
	expect_period(10, 1e-6, 0, 0);
	/* all at one moment */
	series.count = 0;
	for (size_t i = 0; i < 20; i++)
		arrive(&series, 5);
	assert_false(find(&period));
	assert_true(period.period_s == 0);
}

static void
test_two_jobs_that_take_turns(void **state)
{
	struct period period;

	/* Each of 60 s, not quite half a period apart: not one of 30 s. */
	series_begin(&series, 3);
	for (size_t i = 0; i < 24; i++) {
		arrive(&series, 60.0 * (double)i + normal(&series));
		arrive(&series, 27 + 60.0 * (double)i + normal(&series));
	}
	assert_false(find(&period));
}

/* Where bursts fill most of the time, their starts are regular by need: that
 * counts for less. */
static void
test_long_bursts_prove_less(void **state)
{
	struct period narrow;
	struct period wide;

	for (size_t i = 0; i < 2; i++) {
		series_begin(&series, 5);
		for (size_t j = 0; j < 10; j++) {
			double at_s = 10.0 * (double)j + 0.4 * normal(&series);

			arrive(&series, at_s);
			for (size_t k = 1; k < 6 && i == 1; k++)
				arrive(&series, at_s + (double)k);
		}
		assert_true(find(i == 0 ? &narrow : &wide));
	}
	assert_true(fabs(wide.period_s - narrow.period_s) < 0.01);
	assert_true(wide.chance > 100 * narrow.chance);
}

/* Far from random, and yet nothing to set a clock by. */
static void
test_regular_is_not_periodic(void **state)
{
	for (uint64_t i = 0; i < 50; i++) {
		struct period period;
		double at_s = 0;

		series_begin(&series, i);
		for (size_t j = 0; j < 150; j++)
			arrive(&series, at_s += between(&series, 5, 15));
		assert_false(find(&period));
	}
}

/* ---- bursts ---- */

static void
test_bursts(void **state)
{
	static const struct {
		mono_us at_ms[12];
		size_t count;
		size_t min_gaps;
		size_t bursts;
		mono_us merged_ms;
	} cases[] = {
	    {{0}, 0, 1, 0, 0},
	    {{5}, 1, 1, 1, 0},
	    {{5, 9000}, 2, 1, 2, 0},
	    {{0, 100, 200, 9000, 9100}, 5, 1, 2, 100},
	    {{0, 100, 200, 9000, 9100}, 5, 4, 5, 0},
	    {{0, 100, 9000, 9100, 18000, 18100, 27000, 36000}, 8, 4, 5, 100},
	    {{0, 100, 9000, 9100, 18000, 18100, 27000, 36000}, 8, 5, 8, 0},
	    /* a bit less regular is not of two kinds */
	    {{0, 100, 300, 350, 500, 740, 800}, 7, 1, 7, 0},
	    /* what the network does */
	    {{0, 0, 0, 1000, 1000, 2000, 3000, 4000}, 8, 4, 5, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		mono_us at[12];
		struct bursts bursts;
		unsigned arrivals = 0;

		for (size_t j = 0; j < cases[i].count; j++)
			at[j] = cases[i].at_ms[j] * US_PER_MS;
		bursts_find(&bursts, at, cases[i].count, cases[i].min_gaps);
		assert_int_equal(bursts.count, cases[i].bursts);
		assert_int_equal(
		    bursts.merged_us, cases[i].merged_ms * US_PER_MS);
		for (size_t j = 0; j < bursts.count; j++)
			arrivals += bursts.list[j].count;
		assert_int_equal(arrivals, cases[i].count);
		bursts_fini(&bursts);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_period_is_invented),
	    cmocka_unit_test(test_no_period_is_invented_of_little),
	    cmocka_unit_test(test_periods_are_found),
	    cmocka_unit_test(test_periods_are_right),
	    cmocka_unit_test(test_the_founding_story),
	    cmocka_unit_test(test_missed_and_doubled),
	    cmocka_unit_test(test_too_little_to_say),
	    cmocka_unit_test(test_two_jobs_that_take_turns),
	    cmocka_unit_test(test_long_bursts_prove_less),
	    cmocka_unit_test(test_regular_is_not_periodic),
	    cmocka_unit_test(test_bursts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
