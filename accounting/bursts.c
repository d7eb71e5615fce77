/* SPDX-License-Identifier: MIT */

/*
 * Bursts of arrivals.
 */

#include "accounting/bursts.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

/* Shorter gaps are what a network does, whatever their ratio. */
#define GAP_FLOOR_US (1 * US_PER_MS)

static int
shorter_first(const void *a, const void *b)
{
	const mono_us *left = a;
	const mono_us *right = b;

	return (*left > *right) - (*left < *right);
}

/* Returns the longest gap that is inside a burst, or -1 where none is. */
static mono_us
find_threshold(const mono_us *arrivals, size_t count, size_t min_gaps)
{
	size_t gap_count = count < 2 ? 0 : count - 1;
	mono_us *gaps = xcalloc(gap_count + 1, sizeof(*gaps));
	mono_us threshold = -1;

	for (size_t i = 0; i < gap_count; i++)
		gaps[i] = arrivals[i + 1] - arrivals[i];
	qsort(gaps, gap_count, sizeof(*gaps), shorter_first);
	for (size_t i = gap_count; i-- > 1 && threshold < 0;) {
		mono_us below = gaps[i - 1];

		if (gap_count - i < min_gaps)
			continue;
		if (gaps[i] >= BURSTS_RATIO *
			(below > GAP_FLOOR_US ? below : GAP_FLOOR_US))
			threshold = below;
	}
	free(gaps);
	return threshold;
}

void
bursts_find(struct bursts *bursts, const mono_us *arrivals, size_t count,
    size_t min_gaps)
{
	mono_us threshold;

	if (count > BURSTS_MAX_ARRIVALS) {
		arrivals += count - BURSTS_MAX_ARRIVALS;
		count = BURSTS_MAX_ARRIVALS;
	}
	threshold = find_threshold(arrivals, count, min_gaps);
	*bursts = (struct bursts){0};
	bursts->list = xcalloc(count + 1, sizeof(*bursts->list));
	if (threshold > 0)
		bursts->merged_us = threshold;
	for (size_t i = 0; i < count; i++) {
		struct burst *last = &bursts->list[bursts->count];

		if (i == 0 || arrivals[i] - arrivals[i - 1] > threshold)
			last = &bursts->list[bursts->count++];
		else
			last--;
		if (last->count++ == 0)
			last->starts_at = arrivals[i];
		last->ends_at = arrivals[i];
	}
}

void
bursts_fini(struct bursts *bursts)
{
	free(bursts->list);
	*bursts = (struct bursts){0};
}
