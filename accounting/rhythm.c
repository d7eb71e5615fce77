/* SPDX-License-Identifier: MIT */

/*
 * Period, load and slope of one leak.
 */

#include "accounting/rhythm.h"

#include <math.h>

#include "accounting/chance.h"

#define S_PER_HOUR 3600.0

/* Gaps between bursts that must be alike, for a period to be sought. */
#define PERIODIC_GAPS (PERIOD_MIN_BURSTS - 1)

/* For the correlation: on average, so many of the leak's responses in a bin,
 * lest it drown in their noise; and no more bins than that. */
#define ARRIVALS_IN_A_BIN 4
#define MOST_BINS 48

/* Student's t, at some thousandth for the fewest bins. */
#define SURE_T 4.0

/* ---- load ---- */

/* Consecutive bins of the timeline, taken together. */
struct bins {
	double leaks[MOST_BINS];
	double others[MOST_BINS];
	size_t count;
};

static size_t
number_of_bins(size_t arrivals, size_t available)
{
	size_t count = arrivals / ARRIVALS_IN_A_BIN;

	if (count < RHYTHM_MIN_BINS)
		count = RHYTHM_MIN_BINS;
	if (count > MOST_BINS)
		count = MOST_BINS;
	return count < available ? count : available;
}

/*
 * Fills in the bins from the leak's first known response to its last, of those
 * that are over: when a service is started or stopped, jobs and load come and
 * go together, and that is no correlation.
 */
static void
count_bins(const struct rhythm_facts *facts, struct bins *bins)
{
	const struct timeline *timeline = facts->timeline;
	const struct arrivals *arrivals = facts->arrivals;
	size_t first = axis_bin(&timeline->axis, arrivals->at[0]);
	size_t end =
	    axis_bin(&timeline->axis, arrivals->at[arrivals->count - 1]) + 1;
	size_t next = 0;
	size_t width;

	*bins = (struct bins){0};
	if (arrivals->is_partial) /* its beginning is not known */
		first++;
	if (end > timeline->axis.current)
		end = timeline->axis.current;
	if (first >= end)
		return;
	bins->count = number_of_bins(arrivals->count, end - first);
	width = (end - first) / bins->count;
	first = end - width * bins->count;
	for (size_t i = 0; i < width * bins->count; i++) {
		mono_us starts_at = timeline->axis.starts_at +
		    (mono_us)(first + i) * timeline->axis.bin_us;
		double leaks = 0;

		while (next < arrivals->count && arrivals->at[next] < starts_at)
			next++;
		for (; next < arrivals->count &&
		     arrivals->at[next] < starts_at + timeline->axis.bin_us;
		     next++)
			leaks++;
		bins->leaks[i / width] += leaks;
		bins->others[i / width] +=
		    (double)timeline->bins[first + i].requests - leaks;
	}
}

/* Returns Pearson's coefficient, or NAN where one of the two never varies. */
static double
correlate(const struct bins *bins)
{
	double count = (double)bins->count;
	double mean_x = 0;
	double mean_y = 0;
	double xx = 0;
	double yy = 0;
	double xy = 0;

	for (size_t i = 0; i < bins->count; i++) {
		mean_x += bins->leaks[i] / count;
		mean_y += bins->others[i] / count;
	}
	for (size_t i = 0; i < bins->count; i++) {
		double x = bins->leaks[i] - mean_x;
		double y = bins->others[i] - mean_y;

		xx += x * x;
		yy += y * y;
		xy += x * y;
	}
	if (xx < 1e-9 || yy < 1e-9)
		return NAN;
	return xy / sqrt(xx * yy);
}

static void
find_load(struct rhythm *rhythm, const struct rhythm_facts *facts)
{
	struct bins bins;
	double r;

	if (facts->arrivals->count < RHYTHM_MIN_ARRIVALS ||
	    facts->timeline->axis.bin_us == 0)
		return;
	count_bins(facts, &bins);
	if (bins.count < RHYTHM_MIN_BINS)
		return;
	r = correlate(&bins);
	if (isnan(r))
		return;
	rhythm->has_correlation = true;
	rhythm->load_correlation = r;
	rhythm->follows_load = r >= RHYTHM_LOAD_MIN &&
	    r * sqrt((double)bins.count - 2) >=
		SURE_T * sqrt(fmax(0, 1 - r * r));
}

/* ---- slope ---- */

static void
find_slope(struct rhythm *rhythm, const struct rhythm_facts *facts)
{
	double hours =
	    (double)facts->watched_us / (double)US_PER_S / S_PER_HOUR;
	double in_a_burst;
	double bursts;

	if (facts->undrained == 0 || hours <= 0 || rhythm->bursts == 0)
		return;
	in_a_burst = (double)facts->arrivals->count / (double)rhythm->bursts;
	bursts = fmax(1, round((double)facts->undrained / in_a_burst));
	in_a_burst = (double)facts->undrained / bursts;
	chance_poisson_interval(
	    (uint64_t)bursts, &rhythm->slope_low, &rhythm->slope_high);
	rhythm->slope_low *= in_a_burst / hours;
	rhythm->slope_high *= in_a_burst / hours;
	rhythm->slope_per_hour = (double)facts->undrained / hours;
	rhythm->has_slope = true;
}

void
rhythm_find(struct rhythm *rhythm, struct bursts *bursts,
    const struct rhythm_facts *facts)
{
	const struct arrivals *arrivals = facts->arrivals;

	*rhythm = (struct rhythm){0};
	bursts_find(bursts, arrivals->at, arrivals->count, PERIODIC_GAPS);
	if (!period_find(bursts, &rhythm->period) && bursts->merged_us == 0) {
		/* Too few bursts for a period may be bursts all the same. */
		bursts_fini(bursts);
		bursts_find(bursts, arrivals->at, arrivals->count, 1);
	}
	rhythm->bursts = bursts->count;
	find_load(rhythm, facts);
	find_slope(rhythm, facts);
}
