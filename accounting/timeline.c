/* SPDX-License-Identifier: MIT */

/*
 * Requests, undrained and held responses, bin by bin.
 */

#include "accounting/timeline.h"

#include <string.h>

void
timeline_begin(struct timeline *timeline, mono_us now)
{
	*timeline = (struct timeline){0};
	axis_begin(&timeline->axis, TIMELINE_BINS, now);
}

static void
add_bin(struct timeline_bin *to, const struct timeline_bin *from)
{
	to->requests += from->requests;
	to->undrained += from->undrained;
	to->held_change += from->held_change;
}

static void
fold(struct timeline *timeline)
{
	for (size_t i = 0; i < TIMELINE_BINS / 2; i++) {
		timeline->bins[i] = timeline->bins[2 * i];
		add_bin(&timeline->bins[i], &timeline->bins[2 * i + 1]);
	}
	memset(&timeline->bins[TIMELINE_BINS / 2], 0,
	    TIMELINE_BINS / 2 * sizeof(*timeline->bins));
}

void
timeline_advance(struct timeline *timeline, mono_us now)
{
	for (unsigned n = axis_advance(&timeline->axis, now); n > 0; n--)
		fold(timeline);
}

static struct timeline_bin *
bin_at(struct timeline *timeline, mono_us at)
{
	if (at >= timeline->axis.current_ends_at)
		timeline_advance(timeline, at);
	return &timeline->bins[axis_bin(&timeline->axis, at)];
}

void
timeline_undrained(struct timeline *timeline, mono_us at, int step)
{
	bin_at(timeline, at)->undrained += (uint32_t)step;
}

void
timeline_held(struct timeline *timeline, mono_us at, int step)
{
	bin_at(timeline, at)->held_change += step;
}

void
timeline_absorb(struct timeline *into, const struct timeline *from)
{
	if (into->axis.bin_us == 0) {
		*into = *from;
		return;
	}
	/* Workers start within moments of each other; a bin goes where its
	 * middle is. */
	for (size_t i = 0; i < axis_length(&from->axis); i++)
		add_bin(
		    bin_at(into, axis_middle(&from->axis, i)), &from->bins[i]);
}
