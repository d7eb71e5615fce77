/* SPDX-License-Identifier: MIT */

/*
 * Batches: what the store is told, merged while it cannot write.
 */

#include "accounting/batch.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

struct batch *
batch_new(void)
{
	return xcalloc(1, sizeof(struct batch));
}

static void
fini_mark(struct batch_mark *mark)
{
	free(mark->name);
	free(mark->phase);
}

void
batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	for (size_t i = 0; i < batch->leak_count; i++)
		leak_fini(&batch->leaks[i]);
	for (size_t i = 0; i < batch->exchange_count; i++)
		record_fini_exchange(&batch->exchanges[i]);
	for (size_t i = 0; i < batch->mark_count; i++)
		fini_mark(&batch->marks[i]);
	exposures_fini(&batch->exposures);
	free(batch->leaks);
	free(batch->exchanges);
	free(batch->marks);
	free(batch);
}

bool
batch_is_empty(const struct batch *batch)
{
	const struct totals *totals = &batch->totals;

	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		if (totals->by_verdict[i] != 0)
			return false;
	}
	return batch->leak_count == 0 && batch->exchange_count == 0 &&
	    batch->mark_count == 0 && batch->exposures.table == NULL &&
	    totals->connections == 0 && totals->exchanges == 0 &&
	    totals->recovered == 0;
}

/* Half of the oldest go at once, so that this is rare. */
static void
make_room_for_exchanges(struct batch *batch)
{
	size_t gone = batch->exchange_count / 2;

	for (size_t i = 0; i < gone; i++)
		record_fini_exchange(&batch->exchanges[i]);
	batch->exchange_count -= gone;
	memmove(batch->exchanges, batch->exchanges + gone,
	    batch->exchange_count * sizeof(*batch->exchanges));
	batch->dropped += gone;
}

static struct exchange_record *
next_exchange(struct batch *batch)
{
	if (batch->exchange_count == BATCH_MAX_EXCHANGES)
		make_room_for_exchanges(batch);
	if (batch->exchange_count == batch->exchange_max) {
		batch->exchange_max = 2 * batch->exchange_max + 16;
		batch->exchanges = xreallocarray(batch->exchanges,
		    batch->exchange_max, sizeof(*batch->exchanges));
	}
	return &batch->exchanges[batch->exchange_count++];
}

void
batch_add_exchange(struct batch *batch, const struct exchange_record *exchange)
{
	record_copy_exchange(next_exchange(batch), exchange);
}

/* Takes what *mark owns. */
static void
take_mark(struct batch *batch, struct batch_mark *mark)
{
	if (batch->mark_count == BATCH_MAX_MARKS) {
		fini_mark(mark);
		batch->dropped++;
		return;
	}
	batch->marks = xreallocarray(
	    batch->marks, batch->mark_count + 1, sizeof(*batch->marks));
	batch->marks[batch->mark_count++] = *mark;
}

void
batch_add_mark(
    struct batch *batch, const char *name, const char *phase, wall_us at)
{
	struct batch_mark mark = {at, xstrdup(name), xstrdup(phase)};

	take_mark(batch, &mark);
}

/* Takes what *leak owns. */
static void
take_leak(struct batch *batch, struct leak *leak)
{
	for (size_t i = 0; i < batch->leak_count; i++) {
		if (strcmp(batch->leaks[i].id, leak->id) == 0) {
			leak_absorb(&batch->leaks[i], leak);
			return;
		}
	}
	if (batch->leak_count == BATCH_MAX_LEAKS) {
		leak_fini(leak);
		batch->dropped++;
		return;
	}
	batch->leaks = xreallocarray(
	    batch->leaks, batch->leak_count + 1, sizeof(*batch->leaks));
	batch->leaks[batch->leak_count++] = *leak;
}

static void
add_totals(struct totals *to, const struct totals *from)
{
	to->connections += from->connections;
	to->exchanges += from->exchanges;
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		to->by_verdict[i] += from->by_verdict[i];
	to->recovered += from->recovered;
}

static void
take_exposures(struct batch *whole, struct batch *part)
{
	size_t count = HASH_COUNT(part->exposures.table);

	if (HASH_COUNT(whole->exposures.table) + count > BATCH_MAX_EXPOSURES)
		whole->dropped += count;
	else
		exposures_move(&whole->exposures, &part->exposures);
}

void
batch_merge(struct batch *whole, struct batch **part)
{
	struct batch *from = *part;

	*part = NULL;
	if (from->taken_at > whole->taken_at)
		whole->taken_at = from->taken_at;
	add_totals(&whole->totals, &from->totals);
	for (size_t i = 0; i < from->leak_count; i++)
		take_leak(whole, &from->leaks[i]);
	from->leak_count = 0;
	for (size_t i = 0; i < from->exchange_count; i++)
		*next_exchange(whole) = from->exchanges[i];
	from->exchange_count = 0;
	for (size_t i = 0; i < from->mark_count; i++)
		take_mark(whole, &from->marks[i]);
	from->mark_count = 0;
	take_exposures(whole, from);
	whole->dropped += from->dropped;
	batch_free(from);
}
