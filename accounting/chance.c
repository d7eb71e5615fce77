/* SPDX-License-Identifier: MIT */

/*
 * Tails of distributions.
 */

#include "accounting/chance.h"

#include <math.h>

#define TAIL 0.025 /* on each side of a 95 % interval */
#define NORMAL_QUANTILE 1.959964
#define EXACT_MAX 300 /* beyond, the approximation is as good */
#define BISECTIONS 60

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

/* Returns the probability of at most `count` where `mean` is the mean. */
static double
poisson_at_most(uint64_t count, double mean)
{
	double sum = 0;

	for (uint64_t k = 0; k <= count; k++)
		sum += exp(
		    (double)k * log(mean) - mean - log_gamma((double)k + 1));
	return sum;
}

/* Returns the mean at which at most `count` is seen with this probability. */
static double
mean_of(uint64_t count, double probability)
{
	double low = 0;
	double high = 2 * (double)count + 20;

	for (int i = 0; i < BISECTIONS; i++) {
		double mean = (low + high) / 2;

		if (poisson_at_most(count, mean) > probability)
			low = mean;
		else
			high = mean;
	}
	return (low + high) / 2;
}

static double
byar(double count, double z)
{
	return count * pow(1 - 1 / (9 * count) + z / (3 * sqrt(count)), 3);
}

void
chance_poisson_interval(uint64_t count, double *low, double *high)
{
	if (count > EXACT_MAX) {
		*low = byar((double)count, -NORMAL_QUANTILE);
		*high = byar((double)count + 1, NORMAL_QUANTILE);
		return;
	}
	*low = count == 0 ? 0 : mean_of(count - 1, 1 - TAIL);
	*high = mean_of(count, TAIL);
}
