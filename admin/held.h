/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_HELD_H
#define ADMIN_HELD_H

/*
 * leakproxy_responses_held: one series a leak, with its tags as labels.
 */

#include "accounting/snapshot.h"
#include "admin/exposition.h"

/* Leaks with a series of their own: those that hold most.  The others are
 * summed in the series with origin="other". */
#define HELD_MAX_SERIES 50

/* Tag keys that become labels, from the leaks that hold most. */
#define HELD_MAX_TAG_KEYS 16

void held_put(struct exposition *exposition, const struct snapshot *snapshot);

#endif
