/* SPDX-License-Identifier: MIT */

/*
 * The ledger as the store hears of it: what has changed since the last time,
 * copied in the worker's thread.
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
		struct exchange_record seen;

		ledger_ensure_route(ledger, record);
		seen = *record;
		if (x->conn != NULL && seen.owner.pid < 0)
			seen.owner = x->conn->record.owner;
		batch_add_exchange(batch, &seen);
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
