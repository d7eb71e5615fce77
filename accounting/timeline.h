/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_TIMELINE_H
#define ACCOUNTING_TIMELINE_H

/*
 * Counts over time, on an axis whose bins double.  A request costs one
 * comparison and one increment.  6 KiB, inside its owner.
 */

#include <stddef.h>
#include <stdint.h>

#include "accounting/axis.h"
#include "accounting/units.h"

#define TIMELINE_BINS 512

struct timeline_bin {
	uint32_t requests;
	uint32_t undrained;  /* of them, as is known by now */
	int32_t held_change; /* responses held at its end, less at its start */
};

struct timeline {
	struct axis axis;
	struct timeline_bin bins[TIMELINE_BINS];
};

void timeline_begin(struct timeline *timeline, mono_us now);

/* Opens bins up to the one in which `now` is. */
void timeline_advance(struct timeline *timeline, mono_us now);

/* A request came. */
static inline void
timeline_request(struct timeline *timeline, mono_us now)
{
	if (now >= timeline->axis.current_ends_at)
		timeline_advance(timeline, now);
	timeline->bins[timeline->axis.current].requests++;
}

/* One that came at `at` was called undrained (step 1), or no more (-1). */
void timeline_undrained(struct timeline *timeline, mono_us at, int step);

/* Since `at` one more response is held (step 1), or one less (-1). */
void timeline_held(struct timeline *timeline, mono_us at, int step);

/* Adds the counts of `from`, another shard's over much the same time. */
void timeline_absorb(struct timeline *into, const struct timeline *from);

#endif
