/* SPDX-License-Identifier: MIT */

/*
 * One number over time, kept as its changes: they add up when bins are folded,
 * and when shards are merged.
 */

#include "accounting/levels.h"

#include <string.h>

void
levels_begin(struct levels *levels, mono_us now)
{
	*levels = (struct levels){0};
	axis_begin(&levels->axis, LEVELS_BINS, now);
}

static void
fold(struct levels *levels)
{
	int32_t *changes = levels->changes;

	for (size_t i = 0; i < LEVELS_BINS / 2; i++)
		changes[i] = changes[2 * i] + changes[2 * i + 1];
	memset(
	    &changes[LEVELS_BINS / 2], 0, LEVELS_BINS / 2 * sizeof(*changes));
}

void
levels_advance(struct levels *levels, mono_us now)
{
	if (levels->axis.bin_us == 0)
		return;
	for (unsigned n = axis_advance(&levels->axis, now); n > 0; n--)
		fold(levels);
}

void
levels_step(struct levels *levels, mono_us at, int step)
{
	if (at >= levels->axis.current_ends_at)
		levels_advance(levels, at);
	levels->changes[axis_bin(&levels->axis, at)] += step;
}

void
levels_absorb(struct levels *into, const struct levels *from)
{
	if (into->axis.bin_us == 0) {
		*into = *from;
		return;
	}
	for (size_t i = 0; i < axis_length(&from->axis); i++)
		levels_step(
		    into, axis_middle(&from->axis, i), from->changes[i]);
}

size_t
levels_read(const struct levels *levels, int64_t numbers[LEVELS_BINS])
{
	size_t length = axis_length(&levels->axis);
	int64_t level = 0;

	for (size_t i = 0; i < length; i++) {
		level += levels->changes[i];
		numbers[i] = level;
	}
	return length;
}
