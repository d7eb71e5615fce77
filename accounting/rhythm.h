/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_RHYTHM_H
#define ACCOUNTING_RHYTHM_H

/*
 * Is a leak load, or a background job?  Pure.
 *
 * The period is the bursts' (bursts.h, period.h).  The load's part is Pearson's
 * coefficient of correlation, over equal bins of the time from the leak's first
 * response to its last, of its responses with all other requests; a job of its
 * own pace shows none.  It is said to follow the load where the coefficient is
 * at least RHYTHM_LOAD_MIN and, by Student's t, no work of chance (K. Pearson,
 * "Regression, heredity and panmixia", 1896; Student, "Probable error of a
 * correlation coefficient", Biometrika 6, 1908).
 *
 * The slope is responses over hours, with Garwood's interval (chance.h) for the
 * number of bursts, times the responses in a burst: responses that come twelve
 * at a time are not twelve independent events, and an interval that took them
 * for such would be too narrow (a compound Poisson process; D. Cox and P.
 * Lewis, "The Statistical Analysis of Series of Events", 1966, ch. 7).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/arrivals.h"
#include "accounting/bursts.h"
#include "accounting/period.h"
#include "accounting/timeline.h"

#define RHYTHM_LOAD_MIN 0.6

/* Fewer responses, or bins of time, are too little to say. */
#define RHYTHM_MIN_ARRIVALS 10
#define RHYTHM_MIN_BINS 8

struct rhythm_facts {
	const struct arrivals *arrivals; /* of the leak's responses */
	const struct timeline *timeline; /* of all requests */
	uint64_t undrained;              /* in all; 0: no slope */
	int64_t watched_us;
};

struct rhythm {
	size_t bursts; /* among the arrivals that are known; 0: no arrivals */
	struct period period; /* period_s is 0 where there is none */
	bool has_correlation;
	double load_correlation;
	bool follows_load;
	bool has_slope;
	double slope_per_hour;
	double slope_low; /* 95 % confidence interval */
	double slope_high;
};

/* Fills in *rhythm, and *bursts; free these with bursts_fini(). */
void rhythm_find(struct rhythm *rhythm, struct bursts *bursts,
    const struct rhythm_facts *facts);

#endif
