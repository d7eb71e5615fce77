/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_CHANCE_H
#define ACCOUNTING_CHANCE_H

/*
 * What chance alone would do: the few distributions that the detective's
 * claims are measured against.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

/* Returns the logarithm of "n choose k". */
double chance_log_choose(double n, double k);

/* Returns the probability of at least `hits` in `trials`, each with the
 * probability `p`: the upper tail of the binomial distribution. */
double chance_binomial_tail(size_t hits, size_t trials, double p);

/*
 * Writes the 95 % confidence interval of the mean of a Poisson variable of
 * which `count` was seen: Garwood's exact one (F. Garwood, "Fiducial limits
 * for the Poisson distribution", Biometrika 28, 1936), above a few hundred by
 * Byar's approximation to it (N. Breslow and N. Day, "Statistical Methods in
 * Cancer Research II", IARC 1987, p. 69), which is within a thousandth there.
 */
void chance_poisson_interval(uint64_t count, double *low, double *high);

#endif
