/* SPDX-License-Identifier: MIT */

/*
 * Bins that double.
 */

#include "accounting/axis.h"

void
axis_begin(struct axis *axis, size_t bin_count, mono_us now)
{
	*axis = (struct axis){
	    .starts_at = now,
	    .bin_us = AXIS_FIRST_BIN_US,
	    .current_ends_at = now + AXIS_FIRST_BIN_US,
	    .bin_count = bin_count,
	};
}

unsigned
axis_advance(struct axis *axis, mono_us now)
{
	unsigned folds = 0;

	while ((now - axis->starts_at) / axis->bin_us >=
	    (mono_us)axis->bin_count) {
		axis->bin_us *= 2;
		folds++;
	}
	axis->current = axis_bin(axis, now);
	axis->current_ends_at =
	    axis->starts_at + (mono_us)(axis->current + 1) * axis->bin_us;
	return folds;
}

size_t
axis_bin(const struct axis *axis, mono_us at)
{
	return at < axis->starts_at
	    ? 0
	    : (size_t)((at - axis->starts_at) / axis->bin_us);
}

mono_us
axis_middle(const struct axis *axis, size_t bin)
{
	return axis->starts_at + (mono_us)bin * axis->bin_us + axis->bin_us / 2;
}

size_t
axis_length(const struct axis *axis)
{
	return axis->bin_us == 0 ? 0 : axis->current + 1;
}
