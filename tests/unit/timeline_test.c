/* SPDX-License-Identifier: MIT */

/*
 * A timeline for a proxy that may run for a minute or for months: no count is
 * lost when bins double, and shards that do not start together add up.
 */

#include "accounting/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN (77 * US_PER_S)

static struct timeline timeline;
static struct timeline other;

struct sums {
	uint64_t requests;
	uint64_t undrained;
	int64_t held;
};

static struct sums
sum(const struct timeline *of)
{
	struct sums sums = {0};

	for (size_t i = 0; i <= of->axis.current; i++) {
		sums.requests += of->bins[i].requests;
		sums.undrained += of->bins[i].undrained;
		sums.held += of->bins[i].held_change;
	}
	return sums;
}

static void
test_bins_double(void **state)
{
	uint64_t requests = 0;

	timeline_begin(&timeline, BEGIN);
	for (mono_us at = 0; at < 40 * 24 * 3600 * US_PER_S;
	     at = at * 5 / 4 + 30 * US_PER_MS) {
		timeline_request(&timeline, BEGIN + at);
		requests++;
		assert_true(timeline.axis.current < TIMELINE_BINS);
		assert_int_equal(
		    timeline.axis.current, at / timeline.axis.bin_us);
	}
	assert_int_equal(sum(&timeline).requests, requests);
	/* no coarser than it must be */
	assert_true(timeline.axis.current >= TIMELINE_BINS / 2);
}

static void
test_what_is_where(void **state)
{
	timeline_begin(&timeline, BEGIN);
	timeline_request(&timeline, BEGIN);
	timeline_request(&timeline, BEGIN + 99 * US_PER_MS);
	timeline_request(&timeline, BEGIN + 100 * US_PER_MS);
	timeline_undrained(&timeline, BEGIN + 150 * US_PER_MS, 1);
	timeline_held(&timeline, BEGIN + 950 * US_PER_MS, 1);
	timeline_undrained(&timeline, BEGIN + 20 * US_PER_MS, 1);
	timeline_undrained(&timeline, BEGIN + 20 * US_PER_MS, -1);
	assert_int_equal(timeline.bins[0].requests, 2);
	assert_int_equal(timeline.bins[0].undrained, 0);
	assert_int_equal(timeline.bins[1].requests, 1);
	assert_int_equal(timeline.bins[1].undrained, 1);
	assert_int_equal(timeline.bins[9].held_change, 1);
	assert_int_equal(timeline.axis.current, 9);
	/* of before the beginning, by a clock read a moment ago */
	timeline_undrained(&timeline, BEGIN - 1, 1);
	assert_int_equal(timeline.bins[0].undrained, 1);
}

static void
test_shards_add_up(void **state)
{
	struct timeline whole = {0};
	struct sums sums;

	timeline_begin(&timeline, BEGIN);
	timeline_begin(&other, BEGIN + 5 * US_PER_MS);
	for (size_t i = 0; i < 1000; i++) {
		timeline_request(
		    &timeline, BEGIN + (mono_us)i * 10 * US_PER_MS);
		timeline_request(&other, BEGIN + (mono_us)i * 200 * US_PER_MS);
	}
	timeline_undrained(&other, BEGIN + 100 * US_PER_S, 1);
	timeline_held(&other, BEGIN + 120 * US_PER_S, 1);
	timeline_absorb(&whole, &timeline);
	timeline_absorb(&whole, &other);
	sums = sum(&whole);
	assert_int_equal(sums.requests, 2000);
	assert_int_equal(sums.undrained, 1);
	assert_int_equal(sums.held, 1);
	assert_int_equal(whole.axis.bin_us, other.axis.bin_us);
	assert_int_equal(
	    whole.bins[(100 * US_PER_S - 1) / whole.axis.bin_us].undrained, 1);
	/* the other way round, finer into coarser */
	whole = (struct timeline){0};
	timeline_absorb(&whole, &other);
	timeline_absorb(&whole, &timeline);
	assert_int_equal(sum(&whole).requests, 2000);
	/* an empty part is no part */
	timeline_absorb(&whole, &(struct timeline){0});
	assert_int_equal(sum(&whole).requests, 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bins_double),
	    cmocka_unit_test(test_what_is_where),
	    cmocka_unit_test(test_shards_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
