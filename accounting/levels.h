/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_LEVELS_H
#define ACCOUNTING_LEVELS_H

/*
 * One number over time, as a timeline's but coarser and small enough to be
 * had by every leak: how many of its responses are held.  552 bytes, inside
 * its owner.
 */

#include <stddef.h>
#include <stdint.h>

#include "accounting/axis.h"
#include "accounting/units.h"

#define LEVELS_BINS 128

/* All zero: not begun. */
struct levels {
	struct axis axis;
	int32_t changes[LEVELS_BINS]; /* from a bin's start to its end */
};

void levels_begin(struct levels *levels, mono_us now);

/* Opens bins up to the one in which `now` is; none of one not begun. */
void levels_advance(struct levels *levels, mono_us now);

/* The number grew by `step`, which may be negative, at a moment that may be
 * past. */
void levels_step(struct levels *levels, mono_us at, int step);

/* Adds the numbers of `from`, another shard's over much the same time. */
void levels_absorb(struct levels *into, const struct levels *from);

/* Writes the number at the end of each bin that has begun; returns how many
 * these are. */
size_t levels_read(const struct levels *levels, int64_t numbers[LEVELS_BINS]);

#endif
