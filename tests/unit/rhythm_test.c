/* SPDX-License-Identifier: MIT */

/*
 * A leak that follows the load and one that keeps its own pace, told apart;
 * and how fast it grows, with how much of that is luck.
 */

#include "accounting/rhythm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/chance.h"
#include "tests/unit/simulation.h"

static struct series series;
static struct timeline timeline;
static struct arrivals arrivals;

#define START_US (1000 * US_PER_S)

/* Requests that come and go with a day of `day_s` seconds, of which a leak
 * takes `share` at random. */
static void
simulate_load(double seconds, double day_s, double share)
{
	double at_s = 0;

	arrivals_fini(&arrivals);
	timeline_begin(&timeline, START_US);
	while ((at_s += exponential(&series) / 20) < seconds) {
		mono_us at = START_US + (mono_us)(at_s * 1e6);

		if (uniform(&series) > (1 - cos(2 * M_PI * at_s / day_s)) / 2)
			continue;
		timeline_request(&timeline, at);
		if (uniform(&series) < share)
			arrivals_add(&arrivals, at);
	}
	timeline_advance(&timeline, START_US + (mono_us)(seconds * 1e6));
}

static void
add_job(double seconds, double period_s, size_t size)
{
	for (double at_s = 1; at_s < seconds; at_s += period_s) {
		for (size_t i = 0; i < size; i++) {
			mono_us at = START_US +
			    (mono_us)((at_s + 0.1 * (double)i) * 1e6);

			timeline_undrained(&timeline, at, 1);
			timeline.bins[(at - START_US) / timeline.axis.bin_us]
			    .requests++;
			arrivals_add(&arrivals, at);
		}
	}
}

static struct rhythm
rhythm_of(uint64_t undrained, double seconds)
{
	struct rhythm rhythm;
	struct bursts bursts;

	rhythm_find(&rhythm, &bursts,
	    &(struct rhythm_facts){.arrivals = &arrivals,
		.timeline = &timeline,
		.undrained = undrained,
		.watched_us = (int64_t)(seconds * 1e6)});
	assert_int_equal(rhythm.bursts, bursts.count);
	bursts_fini(&bursts);
	return rhythm;
}

static void
test_load_is_told_from_a_job(void **state)
{
	size_t follows = 0;
	size_t jobs_follow = 0;
	size_t periods = 0;
	size_t known = 0;

	for (uint64_t i = 0; i < 100; i++) {
		struct rhythm rhythm;

		series_begin(&series, i);
		simulate_load(900, 400, 0.02);
		rhythm = rhythm_of(arrivals.count, 900);
		assert_true(rhythm.has_correlation);
		follows += rhythm.follows_load;
		assert_true(rhythm.period.period_s == 0);

		simulate_load(900, 400, 0);
		add_job(900, between(&series, 17, 60), 4);
		rhythm = rhythm_of(arrivals.count, 900);
		/* unknown where each bin happens to have one burst */
		known += rhythm.has_correlation;
		jobs_follow += rhythm.follows_load;
		periods += rhythm.period.period_s > 0;
	}
	print_message("%zu of 100 leaks by load follow it; of 100 jobs %zu do, "
		      "and %zu have a period\n",
	    follows, jobs_follow, periods);
	assert_true(follows >= 95);
	assert_int_equal(jobs_follow, 0);
	assert_int_equal(periods, 100);
	assert_true(known >= 90);
}

/* As over a whole day and more: only the newest arrivals are known, and the
 * load before them must not count. */
static void
test_load_of_a_busy_leak(void **state)
{
	struct rhythm rhythm;

	series_begin(&series, 1);
	simulate_load(3000, 400, 0.1);
	assert_true(arrivals.is_partial);
	assert_int_equal(arrivals.count, ARRIVALS_MAX);
	rhythm = rhythm_of(6000, 3000);
	assert_true(rhythm.follows_load);
}

/* The service works for a while and then rests, its job as well: that both
 * stopped is no correlation. */
static void
test_a_rest_is_no_correlation(void **state)
{
	struct rhythm rhythm;

	series_begin(&series, 1);
	arrivals_fini(&arrivals);
	timeline_begin(&timeline, START_US);
	for (size_t i = 0; i < 6000; i++)
		timeline_request(
		    &timeline, START_US + (mono_us)i * 100 * US_PER_MS);
	timeline_advance(&timeline, START_US + 900 * US_PER_S);
	add_job(600, 17, 2);
	rhythm = rhythm_of(arrivals.count, 900);
	assert_true(rhythm.period.period_s > 0);
	assert_false(rhythm.follows_load);
}

static void
test_too_little_to_say(void **state)
{
	struct rhythm rhythm;

	series_begin(&series, 1);
	simulate_load(900, 400, 0);
	rhythm = rhythm_of(0, 900);
	assert_int_equal(rhythm.bursts, 0);
	assert_false(rhythm.has_correlation || rhythm.has_slope);
	for (size_t i = 0; i < RHYTHM_MIN_ARRIVALS - 1; i++)
		arrivals_add(&arrivals, START_US + (mono_us)i * 90 * US_PER_S);
	assert_false(rhythm_of(9, 900).has_correlation);
	arrivals_add(&arrivals, START_US + 850 * US_PER_S);
	assert_true(rhythm_of(10, 900).has_correlation);
	/* no more than a bin or two */
	timeline_begin(&timeline, START_US);
	timeline_request(&timeline, START_US);
	assert_false(rhythm_of(10, 900).has_correlation);
	/* a timeline without requests */
	timeline_advance(&timeline, START_US + 900 * US_PER_S);
	timeline.bins[0].requests = 0;
	assert_true(isfinite(rhythm_of(10, 900).load_correlation));
}

/* Ten bursts of twelve an hour are no 120 independent events. */
static void
test_slope(void **state)
{
	struct rhythm rhythm;
	double low;
	double high;

	arrivals_fini(&arrivals);
	timeline_begin(&timeline, START_US);
	timeline_advance(&timeline, START_US + 7200 * US_PER_S);
	add_job(7200, 720, 12);
	chance_poisson_interval(10, &low, &high);
	rhythm = rhythm_of(120, 7200);
	assert_true(rhythm.has_slope);
	assert_int_equal(rhythm.bursts, 10);
	assert_float_equal(rhythm.slope_per_hour, 60, 1e-6);
	assert_float_equal(rhythm.slope_low, low * 12 / 2, 1e-6);
	assert_float_equal(rhythm.slope_high, high * 12 / 2, 1e-6);
	assert_false(rhythm_of(0, 7200).has_slope);
	assert_false(rhythm_of(120, 0).has_slope);
}

/* ---- chance ---- */

/* Garwood's table, as in any book of statistics. */
static void
test_poisson_interval(void **state)
{
	static const struct {
		uint64_t count;
		double low;
		double high;
	} cases[] = {{0, 0, 3.689}, {1, 0.0253, 5.572}, {2, 0.242, 7.225},
	    {5, 1.623, 11.668}, {10, 4.795, 18.390}, {20, 12.217, 30.888},
	    {50, 37.11, 65.92}, {100, 81.36, 121.63}};
	double low;
	double high;
	double next_low;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		chance_poisson_interval(cases[i].count, &low, &high);
		assert_float_equal(low, cases[i].low, 0.006);
		assert_float_equal(high, cases[i].high, 0.006);
	}
	/* where the approximation takes over, nothing jumps */
	chance_poisson_interval(300, &low, &high);
	chance_poisson_interval(301, &next_low, &high);
	assert_float_equal(next_low - low, 0.97, 0.05);
	chance_poisson_interval(UINT64_C(1) << 40, &low, &high);
	assert_true(isfinite(low) && isfinite(high));
}

static void
test_binomial_tail(void **state)
{
	assert_float_equal(chance_binomial_tail(0, 10, 0.3), 1, 1e-12);
	assert_float_equal(chance_binomial_tail(2, 2, 0.5), 0.25, 1e-12);
	assert_float_equal(chance_binomial_tail(1, 2, 0.5), 0.75, 1e-12);
	assert_float_equal(chance_binomial_tail(8, 10, 0.5), 0.0546875, 1e-9);
	assert_float_equal(chance_binomial_tail(3, 10, 0), 0, 1e-12);
	assert_float_equal(chance_binomial_tail(3, 10, 1), 1, 1e-12);
	assert_true(chance_binomial_tail(4000, 4096, 0.01) < 1e-300);
	assert_float_equal(chance_log_choose(10, 3), log(120), 1e-9);
}

/* ---- arrivals ---- */

static void
test_arrivals_stay_in_order(void **state)
{
	struct arrivals some = {0};
	struct arrivals copy;
	size_t i;

	arrivals_add(&some, 30);
	arrivals_add(&some, 10);
	arrivals_add(&some, 20);
	arrivals_add(&some, 20);
	arrivals_remove(&some, 20);
	arrivals_remove(&some, 25); /* was never there */
	assert_int_equal(some.count, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(some.at[i], 10 * (mono_us)(i + 1));
	arrivals_copy(&copy, &some);
	arrivals_absorb(&copy, &some);
	assert_int_equal(copy.count, 6);
	assert_false(copy.is_partial);
	for (i = 0; i < 2 * ARRIVALS_MAX; i++)
		arrivals_add(&some, 100 + (mono_us)i);
	assert_int_equal(some.count, ARRIVALS_MAX);
	assert_true(some.is_partial);
	assert_int_equal(some.at[0], 100 + ARRIVALS_MAX);
	arrivals_add(&some, 1); /* older than all that are kept */
	assert_int_equal(some.at[0], 100 + ARRIVALS_MAX);
	arrivals_absorb(&copy, &some);
	assert_true(copy.is_partial);
	assert_int_equal(copy.count, ARRIVALS_MAX);
	arrivals_fini(&some);
	arrivals_fini(&copy);
}

static int
tear_down(void **state)
{
	arrivals_fini(&arrivals);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_load_is_told_from_a_job),
	    cmocka_unit_test(test_load_of_a_busy_leak),
	    cmocka_unit_test(test_a_rest_is_no_correlation),
	    cmocka_unit_test(test_too_little_to_say),
	    cmocka_unit_test(test_slope),
	    cmocka_unit_test(test_poisson_interval),
	    cmocka_unit_test(test_binomial_tail),
	    cmocka_unit_test(test_arrivals_stay_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
