/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SUSPECT_H
#define ACCOUNTING_SUSPECT_H

/*
 * Which job leaks: the bursts of a leak held against the marks of each job.
 * Pure.
 *
 * A mark explains a burst that begins within a window after it.  Windows of
 * several lengths are tried, parts of the job's interval.  By chance, each
 * burst would fall into one with the probability that is the windows' share of
 * the time; so many or more would with that of the binomial distribution's
 * tail, and as every job, phase and window was tried, it is multiplied with
 * their number (C. Bonferroni, 1936).  A suspect is named where that is at most
 * SUSPECT_MAX_CHANCE, and at least half of the bursts are explained.
 *
 * Chance is not the only alternative: jobs that run in step explain the same
 * bursts equally well.  So every other job is asked whether the bursts come at
 * a steady time after its marks, whatever time that is; where they do for
 * nearly as many bursts, nobody is named.  Intervals without a common factor
 * (primes) part such jobs in a few runs.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/bursts.h"
#include "accounting/marks.h"
#include "accounting/units.h"

#define SUSPECT_MAX_CHANCE 0.01
#define SUSPECT_MIN_BURSTS 3
#define SUSPECT_MIN_MARKS 3

/* Jobs and phases that are looked at, in the order of their first marks. */
#define SUSPECT_MAX_JOBS 64

#define SUSPECT_MAX_RIVALS 3

enum suspect_outcome {
	SUSPECT_UNMARKED, /* no job has announced itself */
	SUSPECT_TOO_FEW,  /* bursts or marks */
	SUSPECT_UNLIKELY, /* nobody's marks explain them better than chance */
	SUSPECT_ALIKE,    /* several jobs' do, and equally well */
	SUSPECT_NAMED,
};

struct suspect {
	enum suspect_outcome outcome;
	/* of the likeliest, where NAMED or ALIKE: */
	char mark[MARK_NAME_BYTES];
	enum mark_phase phase;
	size_t bursts_explained;
	size_t bursts; /* that it could have explained */
	double chance; /* that so many are explained by nothing */
	/* where ALIKE, others that explain them as well: */
	char rivals[SUSPECT_MAX_RIVALS][MARK_NAME_BYTES];
	size_t rival_count; /* may be more than there is room for */
};

struct suspect_facts {
	const struct bursts *bursts;
	bool is_partial;          /* the first may have begun earlier */
	const struct mark *marks; /* oldest first */
	size_t mark_count;
	mono_us until; /* the end of the time that was watched */
};

void suspect_find(struct suspect *suspect, const struct suspect_facts *facts);

#endif
