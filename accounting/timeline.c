/* SPDX-License-Identifier: MIT */

/*
 * Bins that double.
 */

#include "accounting/timeline.h"

#include <string.h>

void
timeline_begin(struct timeline *timeline, mono_us now)
{
	*timeline = (struct timeline){
	    .starts_at = now,
	    .bin_us = TIMELINE_FIRST_BIN_US,
	    .current_ends_at = now + TIMELINE_FIRST_BIN_US,
	};
}

static void
add_bin(struct timeline_bin *to, const struct timeline_bin *from)
{
	to->requests += from->requests;
	to->undrained += from->undrained;
	to->held_change += from->held_change;
}

static void
double_bins(struct timeline *timeline)
{
	for (size_t i = 0; i < TIMELINE_BINS / 2; i++) {
		timeline->bins[i] = timeline->bins[2 * i];
		add_bin(&timeline->bins[i], &timeline->bins[2 * i + 1]);
	}
	memset(&timeline->bins[TIMELINE_BINS / 2], 0,
	    TIMELINE_BINS / 2 * sizeof(*timeline->bins));
	timeline->bin_us *= 2;
}

void
timeline_advance(struct timeline *timeline, mono_us now)
{
	mono_us age = now - timeline->starts_at;

	while (age / timeline->bin_us >= TIMELINE_BINS)
		double_bins(timeline);
	timeline->current = age < 0 ? 0 : (size_t)(age / timeline->bin_us);
	timeline->current_ends_at = timeline->starts_at +
	    (mono_us)(timeline->current + 1) * timeline->bin_us;
}

static struct timeline_bin *
bin_at(struct timeline *timeline, mono_us at)
{
	size_t index;

	if (at >= timeline->current_ends_at)
		timeline_advance(timeline, at);
	index = at < timeline->starts_at
	    ? 0
	    : (size_t)((at - timeline->starts_at) / timeline->bin_us);
	return &timeline->bins[index];
}

void
timeline_undrained(struct timeline *timeline, mono_us at, int step)
{
	bin_at(timeline, at)->undrained += (uint32_t)step;
}

void
timeline_held(struct timeline *timeline, mono_us now, int step)
{
	bin_at(timeline, now)->held_change += step;
}

void
timeline_absorb(struct timeline *into, const struct timeline *from)
{
	if (from->bin_us == 0)
		return;
	if (into->bin_us == 0) {
		*into = *from;
		return;
	}
	/* Workers start within moments of each other; a bin goes where its
	 * middle is. */
	for (size_t i = 0; i <= from->current; i++)
		add_bin(bin_at(into,
			    from->starts_at + (mono_us)i * from->bin_us +
				from->bin_us / 2),
		    &from->bins[i]);
}
