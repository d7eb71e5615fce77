/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SIMULATION_H
#define TESTS_UNIT_SIMULATION_H

/*
 * Series of arrivals to try the detective on: at random, or of jobs.  Each
 * series has its own fixed seed, so a failing one can be looked at.
 */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "accounting/units.h"

#define SERIES_MAX 8192

struct series {
	uint64_t seed;
	mono_us at[SERIES_MAX];
	size_t count;
};

static inline void
series_begin(struct series *series, uint64_t seed)
{
	/* Neighbouring seeds shall not resemble each other (splitmix64). */
	seed = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	series->seed = (seed ^ seed >> 27) | 1;
	series->count = 0;
}

/* In [0, 1); xorshift64*. */
static inline double
uniform(struct series *series)
{
	series->seed ^= series->seed >> 12;
	series->seed ^= series->seed << 25;
	series->seed ^= series->seed >> 27;
	return (double)((series->seed * UINT64_C(2685821657736338717)) >> 11) /
	    9007199254740992.0;
}

static inline double
between(struct series *series, double low, double high)
{
	return low + (high - low) * uniform(series);
}

/* 0 to count - 1. */
static inline size_t
one_of(struct series *series, size_t count)
{
	return (size_t)(uniform(series) * (double)count);
}

/* Of mean 1. */
static inline double
exponential(struct series *series)
{
	return -log1p(-uniform(series));
}

/* Of mean 0 and standard deviation 1 (Box and Muller). */
static inline double
normal(struct series *series)
{
	double radius = sqrt(2 * exponential(series));

	return radius * cos(2 * M_PI * uniform(series));
}

/* Adds an arrival; the clock starts at 1000 s. */
static inline void
arrive(struct series *series, double at_s)
{
	if (series->count < SERIES_MAX)
		series->at[series->count++] =
		    (mono_us)((at_s + 1000) * (double)US_PER_S);
}

/* Adds a burst: one arrival at its start, and others within `width_s`. */
static inline void
arrive_together(
    struct series *series, double at_s, size_t count, double width_s)
{
	arrive(series, at_s);
	for (size_t i = 1; i < count; i++)
		arrive(series, at_s + width_s * uniform(series));
}

static inline int
series_earlier_first(const void *a, const void *b)
{
	const mono_us *left = a;
	const mono_us *right = b;

	return (*left > *right) - (*left < *right);
}

static inline void
series_sort(struct series *series)
{
	qsort(series->at, series->count, sizeof(*series->at),
	    series_earlier_first);
}

#endif
