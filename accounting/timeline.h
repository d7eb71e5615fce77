/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_TIMELINE_H
#define ACCOUNTING_TIMELINE_H

/*
 * Counts over time, in TIMELINE_BINS bins that are always enough: when the
 * last is full, neighbours become one and each is twice as long.  A request
 * costs one comparison and one increment.  6 KiB, inside its owner.
 */

#include <stddef.h>
#include <stdint.h>

#include "accounting/units.h"

#define TIMELINE_BINS 512
#define TIMELINE_FIRST_BIN_US (100 * US_PER_MS)

struct timeline_bin {
	uint32_t requests;
	uint32_t undrained;  /* of them, as is known by now */
	int32_t held_change; /* responses held at its end, less at its start */
};

struct timeline {
	mono_us starts_at;
	mono_us bin_us;
	mono_us current_ends_at;
	size_t current; /* the bin that is not over yet */
	struct timeline_bin bins[TIMELINE_BINS];
};

void timeline_begin(struct timeline *timeline, mono_us now);

/* Opens bins up to the one in which `now` is. */
void timeline_advance(struct timeline *timeline, mono_us now);

/* A request came. */
static inline void
timeline_request(struct timeline *timeline, mono_us now)
{
	if (now >= timeline->current_ends_at)
		timeline_advance(timeline, now);
	timeline->bins[timeline->current].requests++;
}

/* One that came at `at` was called undrained (step 1), or no more (-1). */
void timeline_undrained(struct timeline *timeline, mono_us at, int step);

/* One more response is held (step 1), or one less (-1). */
void timeline_held(struct timeline *timeline, mono_us now, int step);

/* Adds the counts of `from`, another shard's over much the same time. */
void timeline_absorb(struct timeline *into, const struct timeline *from);

#endif
