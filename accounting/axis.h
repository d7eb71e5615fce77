/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_AXIS_H
#define ACCOUNTING_AXIS_H

/*
 * Time in bins that are always enough: when the last is full, neighbours
 * become one and each is twice as long.  The bins themselves are their
 * owner's; the axis says in which of them a moment is, and when to fold.
 * Axes that begin together have the same bins, or one has halves of the
 * other's.
 */

#include <stddef.h>

#include "accounting/units.h"

#define AXIS_FIRST_BIN_US (100 * US_PER_MS)

struct axis {
	mono_us starts_at;
	mono_us bin_us; /* 0: not begun */
	mono_us current_ends_at;
	size_t current; /* the bin that is not over yet */
	size_t bin_count;
};

/* Begins with `bin_count` bins, an even number. */
void axis_begin(struct axis *axis, size_t bin_count, mono_us now);

/* Opens bins up to the one in which `now` is.  Returns how often neighbours
 * became one meanwhile: so often the owner folds. */
unsigned axis_advance(struct axis *axis, mono_us now) MUST_CHECK;

/* Returns the bin of a moment before the current bin's end: the first for what
 * was before the beginning. */
size_t axis_bin(const struct axis *axis, mono_us at);

/* Returns the moment in the middle of a bin. */
mono_us axis_middle(const struct axis *axis, size_t bin);

/* Returns how many bins have begun. */
size_t axis_length(const struct axis *axis);

#endif
