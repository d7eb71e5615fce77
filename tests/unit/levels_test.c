/* SPDX-License-Identifier: MIT */

/*
 * How many are held, over a minute or over months: whatever is folded and
 * merged, each level is what the steps before it add up to.
 */

#include "accounting/levels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BEGIN (77 * US_PER_S)

static int64_t levels[LEVELS_BINS];

static void
test_not_begun(void **state)
{
	struct levels none = {0};

	levels_advance(&none, BEGIN);
	assert_int_equal(levels_read(&none, levels), 0);
}

static void
test_steps(void **state)
{
	static const int64_t wanted[] = {1, 1, 3, 3, 2, 2};
	struct levels held;

	levels_begin(&held, BEGIN);
	levels_step(&held, BEGIN + 250 * US_PER_MS, 1);
	levels_step(&held, BEGIN + 299 * US_PER_MS, 1);
	levels_step(&held, BEGIN + 400 * US_PER_MS, -1);
	/* proven late, of a time that is over */
	levels_step(&held, BEGIN + 20 * US_PER_MS, 1);
	levels_advance(&held, BEGIN + 550 * US_PER_MS);
	assert_int_equal(levels_read(&held, levels), 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(levels[i], wanted[i]);
}

/* One more each second, for weeks. */
static void
test_bins_double(void **state)
{
	struct levels held;
	mono_us end = 20 * 24 * 3600 * US_PER_S;
	int64_t steps = 0;
	size_t count;

	levels_begin(&held, BEGIN);
	for (mono_us at = 0; at <= end; at += US_PER_S, steps++)
		levels_step(&held, BEGIN + at, 1);
	count = levels_read(&held, levels);
	assert_in_range(count, LEVELS_BINS / 2, LEVELS_BINS);
	assert_int_equal(levels[count - 1], steps);
	for (size_t i = 0; i + 1 < count; i++)
		assert_int_equal(levels[i],
		    ((mono_us)(i + 1) * held.axis.bin_us + US_PER_S - 1) /
			US_PER_S);
}

/* Shards begin within moments of each other; one may be folded and the other
 * not yet, and either may come first. */
static void
test_shards_add_up(void **state)
{
	for (size_t turn = 0; turn < 2; turn++) {
		struct levels whole = {0};
		struct levels early;
		struct levels late;
		size_t count;

		levels_begin(&early, BEGIN);
		levels_begin(&late, BEGIN + 5 * US_PER_MS);
		for (mono_us at = 1; at <= 64; at++) {
			levels_step(&early, BEGIN + at * US_PER_S, 2);
			levels_step(&late, BEGIN + at * US_PER_S / 8, 1);
		}
		levels_absorb(&whole, turn == 0 ? &early : &late);
		levels_absorb(&whole, turn == 0 ? &late : &early);
		levels_absorb(&whole, &(struct levels){0});
		count = levels_read(&whole, levels);
		assert_int_equal(levels[count - 1], 3 * 64);
		for (size_t i = 1; i < count; i++)
			assert_true(levels[i] >= levels[i - 1]);
		assert_int_equal(whole.axis.bin_us, early.axis.bin_us);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_not_begun),
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_bins_double),
	    cmocka_unit_test(test_shards_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
