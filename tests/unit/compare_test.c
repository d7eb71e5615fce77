/* SPDX-License-Identifier: MIT */

/*
 * Did the fix work?  Limits against published ones and against simulation,
 * words by table, and whole runs.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "accounting/compare.h"
#include "accounting/memory.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* ---- limits ---- */

/*
 * From the binomial limits that R's binom.test() gives for `after` of the
 * sum, as odds, times before_size / after_size: what poisson.test() prints.
 */
static void
test_limits_are_the_exact_ones(void **state)
{
	static const struct {
		uint64_t before;
		double before_size;
		uint64_t after;
		double after_size;
		double low;
		double high;
	} cases[] = {
	    /* binom.test(5, 10): 0.1870860 to 0.8129140 */
	    {5, 1, 5, 1, 0.2301428, 4.3451264},
	    /* binom.test(0, 10): 0 to 0.3084971 */
	    {10, 1, 0, 1, 0, 0.4461254},
	    {10, 100, 0, 50, 0, 0.8922508},
	    /* binom.test(1, 20): 0.001265089 to 0.2487328 */
	    {19, 1, 1, 1, 0.001266692, 0.3310884},
	    /* the example of R's manual:
	     * poisson.test(c(11, 6+8+7), c(800, 1083+1050+878)) */
	    {21, 3011, 11, 800, 0.8584264, 4.2772659},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		double limits[2];

		compare_interval(cases[i].before, cases[i].before_size,
		    cases[i].after, cases[i].after_size, limits);
		assert_true(fabs(limits[0] - cases[i].low) <=
		    1e-5 * (1 + cases[i].low));
		assert_true(fabs(limits[1] - cases[i].high) <=
		    1e-5 * (1 + cases[i].high));
	}
}

static void
test_limits_of_none_and_of_many(void **state)
{
	double limits[2];

	compare_interval(0, 10, 5, 10, limits);
	assert_true(limits[0] > 0 && isinf(limits[1]));
	/* A million on both sides: the ratio is known to a few thousandths. */
	compare_interval(1000000, 1e6, 1000000, 1e6, limits);
	assert_true(limits[0] > 0.997 && limits[0] < 1);
	assert_true(limits[1] < 1.003 && limits[1] > 1);
	compare_interval(1, 1e9, 1000000, 1, limits);
	assert_true(limits[0] > 1e13 && isfinite(limits[1]));
}

/* xorshift64*, so that a failure can be had again. */
static double
uniform(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (double)((*seed * UINT64_C(2685821657736338717)) >> 11) *
	    0x1p-53;
}

/* Knuth's: a Poisson number is how many uniforms it takes. */
static uint64_t
poisson(uint64_t *seed, double mean)
{
	double limit = exp(-mean);
	double product = uniform(seed);
	uint64_t count = 0;

	while (product > limit) {
		product *= uniform(seed);
		count++;
	}
	return count;
}

static uint64_t
binomial(uint64_t *seed, int64_t n, double p)
{
	uint64_t count = 0;

	for (int64_t i = 0; i < n; i++)
		count += uniform(seed) < p;
	return count;
}

/* The true ratio lies within the limits at least 95 times of 100. */
static void
test_the_limits_cover(void **state)
{
	static const double ratios[] = {0.1, 0.5, 1, 2, 10};
	static const double means[] = {2, 8, 30};
	const int runs = 2000;
	uint64_t seed = 20261126;

	for (size_t i = 0; i < COUNT_OF(ratios); i++) {
		for (size_t j = 0; j < COUNT_OF(means); j++) {
			int covered = 0;

			for (int k = 0; k < runs; k++) {
				double limits[2];

				compare_interval(poisson(&seed, means[j]), 100,
				    poisson(&seed, means[j] * ratios[i] * 0.7),
				    70, limits);
				covered += limits[0] <= ratios[i] &&
				    ratios[i] <= limits[1];
			}
			/* 3 deviations of the simulation's own. */
			assert_true(covered >= runs * 0.95 - 30);
		}
	}
}

/* ---- words ---- */

struct scene {
	struct compare_side before;
	struct compare_side after;
	enum change change;
};

static const struct scene scenes[] = {
    /* Each response leaked; after the fix, as many were fine. */
    {{12, 0, 12, 1}, {0, 0, 12, 1}, CHANGE_GONE},
    {{12, 0, 12, 1}, {0, 0, 40, 9}, CHANGE_GONE},
    /* Not asked for again, or hardly. */
    {{12, 0, 12, 1}, {0, 0, 0, 1}, CHANGE_NOT_EXERCISED},
    {{3, 0, 3000, 1}, {0, 0, 100, 1}, CHANGE_NOT_EXERCISED},
    {{3, 0, 3000, 1}, {0, 0, 9000, 1}, CHANGE_GONE},
    {{1, 0, 1, 1}, {0, 0, 1, 1}, CHANGE_NOT_EXERCISED},
    {{1, 0, 1, 1}, {0, 0, 20, 1}, CHANGE_GONE},
    /* How often is not known: by the hour it may look well. */
    {{50, 0, -1, 1}, {0, 0, -1, 1}, CHANGE_NOT_EXERCISED},
    {{50, 0, -1, 1}, {0, 0, 5000, 1}, CHANGE_NOT_EXERCISED},
    {{50, 0, -1, 1}, {5, 0, -1, 1}, CHANGE_BETTER},
    /* What is but suspected is not gone. */
    {{12, 0, 12, 1}, {0, 12, 12, 1}, CHANGE_UNCHANGED},
    {{40, 0, 40, 1}, {0, 1, 40, 1}, CHANGE_BETTER},
    /* Rates, whatever the load. */
    {{100, 0, 1000, 1}, {10, 0, 1000, 1}, CHANGE_BETTER},
    {{100, 0, 1000, 1}, {100, 0, 10000, 1}, CHANGE_BETTER},
    {{100, 0, 1000, 1}, {1000, 0, 10000, 1}, CHANGE_UNCHANGED},
    {{100, 0, 1000, 1}, {90, 0, 1000, 1}, CHANGE_UNCHANGED},
    {{10, 0, 1000, 1}, {100, 0, 1000, 1}, CHANGE_WORSE},
    {{10, 0, 1000, 1}, {10, 0, 100, 1}, CHANGE_WORSE},
    {{10, 0, 1000, 1}, {100, 900, 1000, 1}, CHANGE_WORSE},
    {{100, 0, 1000, 1}, {20, 900, 1000, 1}, CHANGE_UNCHANGED},
    /* New, and whether it could have been seen before is said beside. */
    {{0, 0, 1000, 1}, {1, 0, 1000, 1}, CHANGE_NEW},
    {{0, 0, 0, 1}, {5, 0, 5, 1}, CHANGE_NEW},
};

static void
test_words(void **state)
{
	for (size_t i = 0; i < COUNT_OF(scenes); i++) {
		struct comparison comparison;

		compare_sides(&scenes[i].before, &scenes[i].after, &comparison);
		if (comparison.change != scenes[i].change)
			fail_msg("scene %zu: %s, wanted %s", i,
			    compare_word(comparison.change),
			    compare_word(scenes[i].change));
	}
}

static void
test_words_are_found_again(void **state)
{
	for (size_t i = 0; i < CHANGE_COUNT; i++) {
		enum change change = CHANGE_COUNT;

		assert_true(
		    compare_from_word(compare_word((enum change)i), &change));
		assert_int_equal(change, i);
		assert_true(strlen(compare_meaning(change)) > 0);
	}
	assert_false(compare_from_word("fixed", &(enum change){0}));
}

/* Exactly as many as are asked for make it gone. */
static void
test_what_is_needed_is_enough(void **state)
{
	for (size_t i = 0; i < COUNT_OF(scenes); i++) {
		struct compare_side after = {.hours = 1};
		struct comparison comparison;

		compare_sides(&scenes[i].before, &after, &comparison);
		if (comparison.needed < 0)
			continue;
		after.settled = comparison.needed;
		compare_sides(&scenes[i].before, &after, &comparison);
		assert_int_equal(comparison.change, CHANGE_GONE);
		after.settled--;
		compare_sides(&scenes[i].before, &after, &comparison);
		assert_int_equal(comparison.change, CHANGE_NOT_EXERCISED);
	}
}

/* It is also enough that at the rate before, none would be seen with a
 * probability below 5 %. */
static void
test_gone_is_more_than_unlucky(void **state)
{
	for (uint64_t leaks = 1; leaks <= 40; leaks++) {
		for (int64_t n = (int64_t)leaks; n < 100000; n = n * 3 + 1) {
			struct compare_side before = {leaks, 0, n, 1};
			struct compare_side after = {0, 0, 0, 1};
			struct comparison comparison;
			double rate = (double)leaks / (double)n;

			compare_sides(&before, &after, &comparison);
			assert_true(comparison.needed > 0);
			assert_true(
			    pow(1 - rate, (double)comparison.needed) < 0.05);
		}
	}
}

/* Nothing was fixed, and yet "gone" is said: less than 5 times of 100. */
static void
test_gone_is_rarely_wrong(void **state)
{
	static const double rates[] = {0.002, 0.05, 0.5, 0.95};
	const int runs = 3000;
	uint64_t seed = 4;

	for (size_t i = 0; i < COUNT_OF(rates); i++) {
		int wrong = 0;

		for (int k = 0; k < runs; k++) {
			struct compare_side before = {
			    binomial(&seed, 300, rates[i]), 0, 300, 1};
			struct compare_side after = {
			    binomial(&seed, 400, rates[i]), 0, 400, 1};
			struct comparison comparison;

			compare_sides(&before, &after, &comparison);
			wrong += comparison.change == CHANGE_GONE;
		}
		assert_true(wrong <= runs * 0.05);
	}
}

/* ---- whole runs ---- */

static struct compare_kind *
add(struct compare_run *run, const char *route, int status,
    const struct compare_side *side)
{
	struct compare_kind *kind;

	run->kinds =
	    xreallocarray(run->kinds, run->count + 1, sizeof(*run->kinds));
	kind = &run->kinds[run->count++];
	*kind = (struct compare_kind){
	    .origin = xstrdup("https://registry.test:443"),
	    .method = xstrdup("GET"),
	    .route = xstrdup(route),
	    .status = status,
	    .side = *side,
	};
	return kind;
}

static void
tag(struct compare_kind *kind, const char *key, const char *value)
{
	assert_true(tags_set(&kind->tags, key, value, strlen(value)));
}

static const struct compared *
find(const struct compared *list, size_t count, const char *route)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].kind->route, route) == 0)
			return &list[i];
	}
	fail_msg("no %s", route);
	return NULL;
}

static void
test_runs_are_compared_by_kind(void **state)
{
	struct compare_run before = {.hours = 2, .counts_exposure = true};
	struct compare_run after = {.hours = 1, .counts_exposure = true};
	struct compared *list;
	size_t count;

	add(&before, "/fixed", 404, &(struct compare_side){20, 0, 20, 0});
	add(&before, "/dropped", 404, &(struct compare_side){20, 0, 20, 0});
	add(&before, "/fine", 200, &(struct compare_side){0, 0, 500, 0});
	add(&before, "/broken", 200, &(struct compare_side){0, 0, 500, 0});
	add(&after, "/broken", 200, &(struct compare_side){30, 0, 500, 0});
	add(&after, "/fixed", 404, &(struct compare_side){0, 0, 20, 0});
	add(&after, "/fixed", 200, &(struct compare_side){0, 0, 900, 0});
	add(&after, "/fine", 200, &(struct compare_side){0, 3, 500, 0});
	list = compare_runs(&before, &after, "version", &count);
	assert_int_equal(count, 3);
	assert_string_equal(list[0].kind->route, "/broken");
	assert_int_equal(list[0].comparison.change, CHANGE_NEW);
	assert_int_equal(list[0].before.settled, 500);
	assert_int_equal(
	    find(list, count, "/fixed")->comparison.change, CHANGE_GONE);
	assert_int_equal(find(list, count, "/dropped")->comparison.change,
	    CHANGE_NOT_EXERCISED);
	assert_true(list[0].before.hours == 2 && list[0].after.hours == 1);
	free(list);
	compare_run_fini(&before);
	compare_run_fini(&after);
}

/* The tag "version" is what differs between runs: it is no other leak.  Any
 * other tag is another caller. */
static void
test_versions_are_the_same_leak(void **state)
{
	static const struct compare_side bad = {10, 0, 10, 0};
	static const struct compare_side good = {0, 0, 30, 0};
	struct compare_run before = {.counts_exposure = true};
	struct compare_run after = {.counts_exposure = true};
	struct compared *list;
	size_t count;

	tag(add(&before, "/x", 404, &bad), "version", "1.4");
	tag(add(&before, "/x", 404, &bad), "version", "1.5");
	tag(add(&after, "/x", 404, &good), "version", "1.6");
	tag(add(&after, "/x", 404, &bad), "job", "other");
	list = compare_runs(&before, &after, "version", &count);
	assert_int_equal(count, 2);
	assert_int_equal(list[0].comparison.change, CHANGE_NEW);
	assert_string_equal(tags_get(&list[0].kind->tags, "job"), "other");
	assert_int_equal(list[1].comparison.change, CHANGE_GONE);
	assert_int_equal(list[1].before.undrained, 20);
	assert_int_equal(list[1].before.settled, 20);
	free(list);
	compare_run_fini(&before);
	compare_run_fini(&after);
}

/* A run of an older leakproxy, which did not count. */
static void
test_a_run_without_exposure(void **state)
{
	struct compare_run before = {.counts_exposure = true};
	struct compare_run after = {.hours = 1};
	struct compared *list;
	size_t count;

	add(&before, "/x", 404, &(struct compare_side){20, 0, 20, 0});
	list = compare_runs(&before, &after, NULL, &count);
	assert_int_equal(count, 1);
	assert_int_equal(list[0].after.settled, -1);
	assert_int_equal(list[0].comparison.change, CHANGE_NOT_EXERCISED);
	free(list);
	compare_run_fini(&before);
	compare_run_fini(&after);
	list = compare_runs(&before, &after, NULL, &count);
	assert_int_equal(count, 0);
	free(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limits_are_the_exact_ones),
	    cmocka_unit_test(test_limits_of_none_and_of_many),
	    cmocka_unit_test(test_the_limits_cover),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_words_are_found_again),
	    cmocka_unit_test(test_what_is_needed_is_enough),
	    cmocka_unit_test(test_gone_is_more_than_unlucky),
	    cmocka_unit_test(test_gone_is_rarely_wrong),
	    cmocka_unit_test(test_runs_are_compared_by_kind),
	    cmocka_unit_test(test_versions_are_the_same_leak),
	    cmocka_unit_test(test_a_run_without_exposure),
	};

	return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
