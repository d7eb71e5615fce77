/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_ARRIVALS_H
#define ACCOUNTING_ARRIVALS_H

/*
 * When a leak's responses were asked for: the newest ARRIVALS_MAX moments, in
 * order, whatever the order in which they were proven.  Grows to 4 KiB.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/units.h"

#define ARRIVALS_MAX 512

/* All zero: none. */
struct arrivals {
	mono_us *at; /* owned, oldest first */
	size_t count;
	size_t capacity;
	bool is_partial; /* there were older ones */
};

void arrivals_add(struct arrivals *arrivals, mono_us at);

/* Takes back what was added. */
void arrivals_remove(struct arrivals *arrivals, mono_us at);

/* Adds those of `from`, which keeps them. */
void arrivals_absorb(struct arrivals *into, const struct arrivals *from);

void arrivals_copy(struct arrivals *to, const struct arrivals *from);
void arrivals_fini(struct arrivals *arrivals);

#endif
