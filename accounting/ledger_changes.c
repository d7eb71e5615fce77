/* SPDX-License-Identifier: MIT */

/*
 * The ledger as others hear of it: for the store what has changed since the
 * last time, for the outbox what has settled.  Copied in the worker's thread.
 */

#include "accounting/ledger_parts.h"

#include <string.h>

#include "accounting/memory.h"

void
ledger_note_change(struct ledger *ledger, struct ledger_exchange *x)
{
	if (!ledger->config.keeps_changes || x->is_changed)
		return;
	x->is_changed = true;
	LIST_INSERT_HEAD(&ledger->changes, x, change_link);
}

static void
take_totals(struct ledger *ledger, struct totals *change)
{
	const struct totals *taken = &ledger->taken;

	*change = ledger->totals;
	change->connections -= taken->connections;
	change->exchanges -= taken->exchanges;
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		change->by_verdict[i] -= taken->by_verdict[i];
	change->recovered -= taken->recovered;
	ledger->taken = ledger->totals;
}

static void
take_exchanges(struct ledger *ledger, struct batch *batch)
{
	struct ledger_exchange *x;

	while ((x = LIST_FIRST(&ledger->changes)) != NULL) {
		struct exchange_record *record = &x->record;

		ledger_ensure_route(ledger, record);
		batch_add_exchange(batch, record);
		LIST_REMOVE(x, change_link);
		x->is_changed = false;
	}
}

struct batch *
ledger_take_changes(struct ledger *ledger, wall_us wall)
{
	struct batch *batch = batch_new();

	batch->taken_at = wall;
	take_totals(ledger, &batch->totals);
	batch->leaks = groups_take_changes(ledger->groups, &batch->leak_count);
	if (ledger->config.keeps_changes)
		exposures_move(&batch->exposures, &ledger->exposures);
	take_exchanges(ledger, batch);
	return batch;
}

void
ledger_send_out(struct ledger *ledger, struct ledger_exchange *x, mono_us now)
{
	const struct filter *filter = ledger->config.outbox_filter;
	struct exchange_record shown;

	if (ledger->outbox == NULL)
		return;
	if (filter_asks_for(filter, FILTER_ROUTE))
		ledger_ensure_route(ledger, &x->record);
	shown = ledger_show(x, now);
	if (!x->was_sent_out && !filter_passes_exchange(filter, &shown))
		return;
	x->was_sent_out = true;
	if (!outbox_put(ledger->outbox, &shown))
		ledger->counters.capture_dropped++;
}

struct outbox_block *
ledger_take_outbox(struct ledger *ledger)
{
	return ledger->outbox == NULL ? NULL : outbox_take(ledger->outbox);
}
