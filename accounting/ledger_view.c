/* SPDX-License-Identifier: MIT */

/*
 * The ledger as others see it: copies, taken in the worker's thread.
 */

#include "accounting/ledger_parts.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

struct exchange_record
ledger_show(const struct ledger_exchange *x, mono_us now)
{
	struct exchange_record shown = x->record;

	if (x->response_at != 0)
		shown.age_us = now - x->response_at;
	if (x->conn != NULL && shown.owner.pid < 0)
		shown.owner = x->conn->record.owner;
	return shown;
}

static void
copy_exchange(struct snapshot *snapshot, const struct exchange_record *shown,
    const struct snapshot_query *query)
{
	struct exchange_record *copy =
	    &snapshot->exchanges[snapshot->exchange_count++];

	record_copy_exchange(copy, shown);
	if (query->wants_captures)
		copy->capture = capture_copy(shown->capture);
}

static void
copy_matching(struct snapshot *snapshot, struct ledger *ledger,
    struct exchange_list *list, const struct snapshot_query *query, mono_us now)
{
	bool asks_for_route = filter_asks_for(query->filter, FILTER_ROUTE);
	struct ledger_exchange *x;

	TAILQ_FOREACH (x, list, link) {
		struct exchange_record shown;

		if (asks_for_route)
			ledger_ensure_route(ledger, &x->record);
		shown = ledger_show(x, now);
		if (!snapshot_query_matches(query, &shown))
			continue;
		ledger_ensure_route(ledger, &x->record);
		shown.route = x->record.route;
		copy_exchange(snapshot, &shown, query);
	}
}

static size_t
count_live(const struct ledger *ledger, size_t *conns)
{
	const struct ledger_conn *conn;
	const struct ledger_exchange *x;
	size_t exchanges = 0;

	*conns = 0;
	TAILQ_FOREACH (conn, &ledger->live, link) {
		(*conns)++;
		TAILQ_FOREACH (x, &conn->unproven, link)
			exchanges++;
	}
	return exchanges;
}

static void
copy_exchanges(struct snapshot *snapshot, struct ledger *ledger,
    const struct snapshot_query *query, mono_us now)
{
	struct ledger_conn *conn;
	size_t conns;
	size_t max = count_live(ledger, &conns) + ledger->ordinary.count +
	    ledger->evidence.count;

	snapshot->exchanges = xcalloc(max + 1, sizeof(*snapshot->exchanges));
	TAILQ_FOREACH (conn, &ledger->live, link)
		copy_matching(snapshot, ledger, &conn->unproven, query, now);
	copy_matching(snapshot, ledger, &ledger->evidence.list, query, now);
	copy_matching(snapshot, ledger, &ledger->ordinary.list, query, now);
}

static void
copy_conns(struct snapshot *snapshot, struct ledger *ledger, mono_us now)
{
	struct ledger_conn *conn;
	size_t live;

	count_live(ledger, &live);
	snapshot->conns =
	    xcalloc(live + ledger->closed_count + 1, sizeof(*snapshot->conns));
	TAILQ_FOREACH (conn, &ledger->live, link) {
		conn->record.age_us = now - conn->opened_at;
		record_copy_conn(
		    &snapshot->conns[snapshot->conn_count++], &conn->record);
	}
	TAILQ_FOREACH (conn, &ledger->closed, link)
		record_copy_conn(
		    &snapshot->conns[snapshot->conn_count++], &conn->record);
}

static struct leak *
find_leak(struct snapshot *snapshot, struct groups *groups,
    const struct exchange_record *record)
{
	const char *id = groups_leak_id(groups, record);

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		if (strcmp(snapshot->leaks[i].id, id) == 0)
			return &snapshot->leaks[i];
	}
	return NULL;
}

static void
show_example(struct leak *leak, const struct exchange_record *record,
    const struct snapshot_query *query)
{
	if (leak->example != NULL)
		record_fini_exchange(leak->example);
	else
		leak->example = xcalloc(1, sizeof(*leak->example));
	record_copy_exchange(leak->example, record);
	if (query->wants_captures)
		leak->example->capture = capture_copy(record->capture);
}

/* Adds to its leak what only the exchange in memory knows. */
static void
illustrate(struct snapshot *snapshot, struct ledger *ledger,
    const struct ledger_exchange *x, const struct snapshot_query *query,
    mono_us now)
{
	const struct exchange_record *record = &x->record;
	struct exchange_record seen;
	struct leak *leak;

	if (record->judgement.verdict != VERDICT_UNDRAINED &&
	    record->judgement.verdict != VERDICT_SUSPECTED)
		return;
	leak = find_leak(snapshot, ledger->groups, record);
	if (leak == NULL)
		return;
	seen = ledger_show(x, now);
	leak_add_caller(leak, &seen);
	if (record->is_held) {
		leak->held_now++;
		leak->held_bytes +=
		    record->body_bytes - record->delivered_bytes;
		if (record->facts.unread_bytes > 0)
			leak->held_bytes += record->facts.unread_bytes;
	}
	if (leak->example != NULL &&
	    (record->judgement.verdict != VERDICT_UNDRAINED ||
		leak->example->judgement.verdict == VERDICT_UNDRAINED))
		return;
	show_example(leak, &seen, query);
}

static void
copy_leaks(struct snapshot *snapshot, struct ledger *ledger,
    const struct snapshot_query *query, mono_us now)
{
	struct ledger_conn *conn;
	struct ledger_exchange *x;

	snapshot->leaks = groups_copy(ledger->groups, &snapshot->leak_count);
	if (snapshot->leak_count == 0)
		return;
	TAILQ_FOREACH (conn, &ledger->live, link) {
		TAILQ_FOREACH (x, &conn->unproven, link)
			illustrate(snapshot, ledger, x, query, now);
	}
	TAILQ_FOREACH (x, &ledger->evidence.list, link)
		illustrate(snapshot, ledger, x, query, now);
	for (size_t i = 0; i < snapshot->leak_count; i++)
		snapshot->totals.held_now += snapshot->leaks[i].held_now;
}

static void
count_gauges(struct snapshot *snapshot, const struct ledger *ledger)
{
	const struct ledger_conn *conn;

	TAILQ_FOREACH (conn, &ledger->live, link) {
		switch (conn->record.state) {
		case CONN_ACTIVE:
			snapshot->gauges.client_active++;
			break;
		case CONN_IDLE:
			snapshot->gauges.client_idle++;
			break;
		case CONN_WATCHED:
			snapshot->gauges.client_watched++;
			break;
		case CONN_CLOSED:
			break;
		}
	}
}

struct snapshot *
ledger_snapshot(struct ledger *ledger, const struct snapshot_query *query,
    wall_us wall, mono_us now)
{
	struct snapshot *snapshot = snapshot_new();

	snapshot->taken_at = wall;
	snapshot->since = ledger->since;
	snapshot->taken_mono = now;
	timeline_advance(&ledger->timeline, now);
	snapshot->timeline = ledger->timeline;
	snapshot->seconds_us = now - ledger->since_mono;
	snapshot->totals = ledger->totals;
	snapshot->counters = ledger->counters;
	count_gauges(snapshot, ledger);
	copy_leaks(snapshot, ledger, query, now);
	snapshot->reuse = reuse_copy(ledger->reuse, &snapshot->reuse_count);
	if (query->wants_conns)
		copy_conns(snapshot, ledger, now);
	if (query->wants_exchanges)
		copy_exchanges(snapshot, ledger, query, now);
	return snapshot;
}
