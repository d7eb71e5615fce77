/* SPDX-License-Identifier: MIT */

/*
 * One leak before and after: limits of a ratio, and the word for it.
 */

#include "accounting/compare.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define TAIL 0.025      /* on either side of an interval of 95 % */
#define SURE_BELOW 0.05 /* the probability at which "gone" is said */
#define FRACTION_STEPS 500
#define HALVINGS 100
#define MOST_NEEDED INT64_C(1000000000)

/* ---- the beta distribution ---- */

static double
log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign); /* lgamma() writes a global */
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by
 * Lentz's method. */
static double
beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1;
	double d = 1 - (a + b) * x / (a + 1);
	double value;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	value = d;
	for (int m = 1; m <= FRACTION_STEPS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x /
		    ((a + 2 * m) * (a + 2 * m + 1));
		double delta;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		value *= d * c;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		delta = d * c;
		value *= delta;
		if (fabs(delta - 1) < 1e-14)
			break;
	}
	return value;
}

/* The distribution function of Beta(a, b) at x. */
static double
beta_below(double a, double b, double x)
{
	double front;

	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) +
	    a * log(x) + b * log1p(-x));
	/* The fraction converges fast on this side of the mean. */
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* Where the distribution function of Beta(a, b) is `p`; as odds, x / (1 - x),
 * whose logarithm is halved: limits near 0 and 1 lose no digits. */
static double
beta_odds(double a, double b, double p)
{
	double low = -700;
	double high = 700;

	for (int i = 0; i < HALVINGS; i++) {
		double middle = (low + high) / 2;
		double x = 1 / (1 + exp(-middle));

		if (beta_below(a, b, x) < p)
			low = middle;
		else
			high = middle;
	}
	return exp((low + high) / 2);
}

void
compare_interval(uint64_t before, double before_size, uint64_t after,
    double after_size, double limits[2])
{
	double scale = before_size / after_size;
	double b = (double)before;
	double a = (double)after;

	limits[0] = after == 0 ? 0 : scale * beta_odds(a, b + 1, TAIL);
	limits[1] =
	    before == 0 ? INFINITY : scale * beta_odds(a + 1, b, 1 - TAIL);
}

/* ---- words ---- */

static const struct {
	const char *word;
	const char *meaning;
} changes[] = {
#define CHANGE(name, word, meaning) [CHANGE_##name] = {word, meaning},
#include "accounting/changes.def"
#undef CHANGE
};

const char *
compare_word(enum change change)
{
	assert(change < CHANGE_COUNT);
	return changes[change].word;
}

const char *
compare_meaning(enum change change)
{
	assert(change < CHANGE_COUNT);
	return changes[change].meaning;
}

bool
compare_from_word(const char *word, enum change *change)
{
	for (size_t i = 0; i < CHANGE_COUNT; i++) {
		if (strcmp(changes[i].word, word) == 0) {
			*change = (enum change)i;
			return true;
		}
	}
	return false;
}

/* ---- a leak ---- */

static double
log_choose(double n, double k)
{
	return log_gamma(n + 1) - log_gamma(k + 1) - log_gamma(n - k + 1);
}

/* The probability that all `leaks` fall among the `before` responses and none
 * among the `after`, if they may fall anywhere. */
static double
chance_of_none(uint64_t leaks, int64_t before, int64_t after)
{
	double n = (double)before + (double)after;

	return exp(log_choose((double)before, (double)leaks) -
	    log_choose(n, (double)leaks));
}

/* How many responses without a leak make it gone. */
static int64_t
count_needed(uint64_t leaks, int64_t before)
{
	int64_t low = 0;
	int64_t high = 1;

	while (chance_of_none(leaks, before, high) >= SURE_BELOW) {
		if (high > MOST_NEEDED)
			return -1;
		low = high;
		high *= 2;
	}
	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;

		if (chance_of_none(leaks, before, middle) >= SURE_BELOW)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* Leaks are responses too: a count that says less has lost some. */
static int64_t
sound(const struct compare_side *side)
{
	int64_t least = (int64_t)side->undrained;

	return side->settled >= 0 && side->settled < least ? least
							   : side->settled;
}

/*
 * The leaks afterwards, as the claim that is looked at counts them: what is
 * but suspected stands against an improvement, and proves no harm.
 */
static void
measure(const struct compare_side *before, const struct compare_side *after,
    uint64_t after_count, struct comparison *comparison)
{
	double sizes[2] = {(double)sound(before), (double)sound(after)};
	double limits[2];

	if (sizes[1] < (double)after_count)
		sizes[1] = (double)after_count;
	comparison->is_by_hour = before->settled < 0 || after->settled < 0;
	if (comparison->is_by_hour) {
		sizes[0] = before->hours;
		sizes[1] = after->hours;
	}
	comparison->has_ratio = sizes[0] > 0 && sizes[1] > 0 &&
	    (before->undrained > 0 || after_count > 0);
	if (!comparison->has_ratio)
		return;
	compare_interval(
	    before->undrained, sizes[0], after_count, sizes[1], limits);
	comparison->ratio = before->undrained == 0
	    ? INFINITY
	    : ((double)after_count / sizes[1]) /
		((double)before->undrained / sizes[0]);
	comparison->low = limits[0];
	comparison->high = limits[1];
}

static enum change
choose(const struct compare_side *before, const struct compare_side *after,
    const struct comparison *comparison, bool is_worse)
{
	if (before->undrained == 0)
		return after->undrained > 0 ? CHANGE_NEW : CHANGE_UNCHANGED;
	if (after->undrained == 0 && after->suspected == 0)
		return comparison->needed >= 0 && after->settled >= 0 &&
			after->settled >= comparison->needed
		    ? CHANGE_GONE
		    : CHANGE_NOT_EXERCISED;
	if (is_worse)
		return CHANGE_WORSE;
	return comparison->has_ratio && comparison->high < 1 ? CHANGE_BETTER
							     : CHANGE_UNCHANGED;
}

void
compare_sides(const struct compare_side *before,
    const struct compare_side *after, struct comparison *comparison)
{
	bool is_worse;

	*comparison = (struct comparison){.needed = -1};
	if (before->undrained > 0 && before->settled >= 0)
		comparison->needed =
		    count_needed(before->undrained, sound(before));
	measure(before, after, after->undrained, comparison);
	is_worse = comparison->has_ratio && comparison->low > 1;
	if (!is_worse && after->suspected > 0)
		measure(before, after, after->undrained + after->suspected,
		    comparison);
	comparison->change = choose(before, after, comparison, is_worse);
}
