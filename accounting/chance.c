/* SPDX-License-Identifier: MIT */

/*
 * Tails of distributions.
 */

#include "accounting/chance.h"

#include <math.h>

#define TAIL 0.025 /* on each side of a 95 % interval */
#define NORMAL_QUANTILE 1.959964
#define EXACT_MAX 300 /* beyond, the approximation is as good */
#define STEPS 40      /* of Newton's; a handful is what it takes */
#define TOLERANCE 1e-12

/* glibc's lgamma() writes a global that other threads write, too. */
static double
log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

double
chance_log_choose(double n, double k)
{
	return log_gamma(n + 1) - log_gamma(k + 1) - log_gamma(n - k + 1);
}

double
chance_binomial_tail(size_t hits, size_t trials, double p)
{
	double tail = 0;

	if (hits == 0 || p >= 1)
		return 1;
	if (p <= 0)
		return 0;
	for (size_t k = hits; k <= trials; k++)
		tail += exp(chance_log_choose((double)trials, (double)k) +
		    (double)k * log(p) + (double)(trials - k) * log1p(-p));
	return tail < 1 ? tail : 1;
}

static double
byar(double count, double z)
{
	return count * pow(1 - 1 / (9 * count) + z / (3 * sqrt(count)), 3);
}

/*
 * Returns the mean at which at most `count` is seen with this probability, by
 * Newton's method from a guess.  The logarithm of that probability falls in
 * the mean and is concave (as every tail of a log-concave density), so from
 * the second step on the guesses come from one side and cannot overshoot.
 */
static double
mean_of(uint64_t count, double probability, double guess)
{
	double mean = guess;

	for (int i = 0; i < STEPS; i++) {
		double term = exp((double)count * log(mean) - mean -
		    log_gamma((double)count + 1)); /* exactly `count` */
		double at_most = term;
		double step;

		/* The slope of "at most" is the last term, negative. */
		for (double part = term, k = (double)count; k > 0; k--)
			at_most += part *= k / mean;
		step = at_most / term * log(at_most / probability);
		mean += step;
		if (fabs(step) <= TOLERANCE * mean)
			break;
	}
	return mean;
}

void
chance_poisson_interval(uint64_t count, double *low, double *high)
{
	if (count > EXACT_MAX) {
		*low = byar((double)count, -NORMAL_QUANTILE);
		*high = byar((double)count + 1, NORMAL_QUANTILE);
		return;
	}
	*low = count == 0 ? 0
			  : mean_of(count - 1, 1 - TAIL,
				byar((double)count, -NORMAL_QUANTILE));
	*high = mean_of(count, TAIL, byar((double)count + 1, NORMAL_QUANTILE));
}
