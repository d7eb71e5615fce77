/* SPDX-License-Identifier: MIT */

/*
 * Moments in order.  They come nearly so, hence from the end.
 */

#include "accounting/arrivals.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

#define FIRST_CAPACITY 8

/* Returns where `at` belongs: after all that are not later. */
static size_t
place_of(const struct arrivals *arrivals, mono_us at)
{
	size_t place = arrivals->count;

	while (place > 0 && arrivals->at[place - 1] > at)
		place--;
	return place;
}

static void
take_out(struct arrivals *arrivals, size_t place)
{
	arrivals->count--;
	memmove(&arrivals->at[place], &arrivals->at[place + 1],
	    (arrivals->count - place) * sizeof(*arrivals->at));
}

void
arrivals_add(struct arrivals *arrivals, mono_us at)
{
	size_t place = place_of(arrivals, at);

	if (arrivals->count == ARRIVALS_MAX) {
		arrivals->is_partial = true;
		if (place == 0)
			return;
		take_out(arrivals, 0);
		place--;
	}
	if (arrivals->count == arrivals->capacity) {
		arrivals->capacity = arrivals->capacity == 0
		    ? FIRST_CAPACITY
		    : 2 * arrivals->capacity;
		arrivals->at = xreallocarray(
		    arrivals->at, arrivals->capacity, sizeof(*arrivals->at));
	}
	memmove(&arrivals->at[place + 1], &arrivals->at[place],
	    (arrivals->count - place) * sizeof(*arrivals->at));
	arrivals->at[place] = at;
	arrivals->count++;
}

void
arrivals_remove(struct arrivals *arrivals, mono_us at)
{
	size_t place = place_of(arrivals, at);

	if (place > 0 && arrivals->at[place - 1] == at)
		take_out(arrivals, place - 1);
}

void
arrivals_absorb(struct arrivals *into, const struct arrivals *from)
{
	into->is_partial = into->is_partial || from->is_partial;
	for (size_t i = 0; i < from->count; i++)
		arrivals_add(into, from->at[i]);
}

void
arrivals_copy(struct arrivals *to, const struct arrivals *from)
{
	*to = (struct arrivals){.is_partial = from->is_partial};
	if (from->count == 0)
		return;
	to->capacity = from->count;
	to->count = from->count;
	to->at = xcalloc(to->capacity, sizeof(*to->at));
	memcpy(to->at, from->at, to->count * sizeof(*to->at));
}

void
arrivals_fini(struct arrivals *arrivals)
{
	free(arrivals->at);
	*arrivals = (struct arrivals){0};
}
