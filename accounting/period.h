/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_PERIOD_H
#define ACCOUNTING_PERIOD_H

/*
 * The period of a series of bursts, or that it has none.  Pure.
 *
 * The fit.  For each candidate period P, the chain of bursts is sought that
 * fits it best: a gap g between two kept bursts counts n = round(g / P) >= 1
 * periods (n > 1: bursts were missed) and costs the residual (g/P - n)^2 / n;
 * a burst that is left out (a doubled one) has a price.  The cheapest chain
 * comes by dynamic programming (R. Bellman and R. Roth, "Curve fitting by
 * segmented straight lines", JASA 64, 1969).  The period is the slope of the
 * least-squares line through it, which is the best estimate where a schedule
 * jitters and nearly so where each interval does.  The residuals are those of
 * intervals, not of phases: a job that sleeps between its runs drifts, and a
 * periodogram (Rayleigh's test; K. Mardia and P. Jupp, "Directional
 * Statistics", Wiley 2000, ch. 6) would lose it after some dozen runs.
 *
 * The significance.  Arrivals at random are a Poisson process: given the first
 * and the last of N + 1, the N gaps divided by their sum are uniform on a
 * simplex (R. Pyke, "Spacings", JRSS B 27, 1965).  So the probability that
 * residuals within rho come out for a given pattern n_1..n_N, sum K, is the
 * volume of an ellipsoid over that of the simplex, exactly
 *
 *     (N-1)! V(N-1, rho) sqrt(n_1 * ... * n_N) / K^(N - 1/2)
 *
 * with V the volume of a ball; where all n are 1 it is the lower tail of
 * Greenwood's statistic, the sum of the squared spacings (M. Greenwood, "The
 * statistical study of infectious diseases", JRSS 109, 1946; P. Moran, JRSS B
 * 9, 1947).  Times the number of patterns with as many missed bursts, and of
 * the ways to leave out as many bursts, it bounds the probability of a fit as
 * good by chance, whatever was tried; the allowed probability is shared out
 * over the numbers of missed and of left out bursts, most of it to none.  It
 * is a union bound, so no correction for the search is left to make.  Gaps
 * shorter than those inside bursts cannot be seen; what is longer is still
 * exponential (A. Renyi, "On the theory of order statistics", 1953), so the
 * simplex shrinks by the time that bursts take.
 *
 * Arrivals at random are not the only ones without a period.  Two jobs of
 * different periods in one leak are more regular than chance, so a fit must
 * also be good by itself: intervals that spread by at most PERIOD_MAX_JITTER,
 * more where few leave that uncertain; at most a fifth of all periods missed,
 * and one burst in six left out; and no turns (long, short, long, short),
 * seen by the autocorrelation at lag 2.  What remains undecidable: two jobs of
 * much the same period, half a period apart, are for a dozen bursts one job of
 * half that period.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/bursts.h"

/* A fit as good may come by chance this often, and no oftener. */
#define PERIOD_MAX_CHANCE 0.0045

/* Of one interval, its standard deviation as a part of the period. */
#define PERIOD_MAX_JITTER 0.10

#define PERIOD_MIN_BURSTS 5

/* The newest bursts that are looked at. */
#define PERIOD_MAX_BURSTS 256

struct period {
	double period_s;
	double jitter_s; /* standard deviation of one interval */
	double chance;   /* of a fit as good, in arrivals at random */
	size_t missed;   /* periods without a burst */
	size_t extra;    /* bursts that are none of the series */
};

/* Returns whether the bursts have a period, and fills in *period then. */
bool period_find(const struct bursts *bursts, struct period *period);

#endif
