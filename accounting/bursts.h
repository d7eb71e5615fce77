/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_BURSTS_H
#define ACCOUNTING_BURSTS_H

/*
 * Bursts: leaked responses that arrived close together, as a job's do that
 * leaks several in one run.  Pure.
 *
 * Where the gaps between arrivals fall into two kinds, short ones and others
 * at least BURSTS_RATIO times as long, the short ones are inside bursts.  The
 * gaps of arrivals at random (exponential ones) are not of two kinds: their
 * longest few differ little from one another, so the place is sought from the
 * longest gap downwards.  Where there is none, each arrival is a burst.
 */

#include <stddef.h>

#include "accounting/units.h"

/* More are not looked at; the newest are. */
#define BURSTS_MAX_ARRIVALS 4096

#define BURSTS_RATIO 3

struct burst {
	mono_us starts_at;
	mono_us ends_at; /* its last arrival */
	unsigned count;
};

struct bursts {
	struct burst *list; /* owned, in order */
	size_t count;
	mono_us merged_us; /* the longest gap inside a burst; 0: no such gap */
};

/*
 * Fills in *bursts from `count` arrivals, which are sorted.  The kind of the
 * longer gaps must have `min_gaps` members: with 1, a single long pause parts
 * two bursts.  Free with bursts_fini().
 */
void bursts_find(struct bursts *bursts, const mono_us *arrivals, size_t count,
    size_t min_gaps);
void bursts_fini(struct bursts *bursts);

#endif
