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
count_live(const struct ledger *ledger)
{
	const struct ledger_conn *conn;
	const struct ledger_exchange *x;
	size_t exchanges = 0;

	TAILQ_FOREACH (conn, &ledger->live, link) {
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
	size_t max = count_live(ledger) + ledger->ordinary.count +
	    ledger->evidence.count;

	snapshot->exchanges = xcalloc(max + 1, sizeof(*snapshot->exchanges));
	TAILQ_FOREACH (conn, &ledger->live, link)
		copy_matching(snapshot, ledger, &conn->unproven, query, now);
	copy_matching(snapshot, ledger, &ledger->evidence.list, query, now);
	copy_matching(snapshot, ledger, &ledger->ordinary.list, query, now);
}

static bool
is_wanted(const struct snapshot_query *query, const struct ledger_conn *conn)
{
	return query->wants_conns || conn->record.trust_refused != NULL;
}

static size_t
count_wanted(const struct conn_list *list, const struct snapshot_query *query)
{
	const struct ledger_conn *conn;
	size_t count = 0;

	TAILQ_FOREACH (conn, list, link)
		count += is_wanted(query, conn);
	return count;
}

static void
copy_conn(struct snapshot *snapshot, const struct ledger_conn *conn,
    const struct snapshot_query *query)
{
	/* The origin is known by the count of its connections. */
	struct conn_record seen = conn->record;

	if (conn->reuse != NULL && !reuse_is_other(conn->reuse))
		seen.origin = conn->reuse->origin;
	if (snapshot_query_matches_conn(query, &seen))
		record_copy_conn(
		    &snapshot->conns[snapshot->conn_count++], &seen);
}

static void
copy_wanted(struct snapshot *snapshot, struct conn_list *list,
    const struct snapshot_query *query)
{
	struct ledger_conn *conn;

	TAILQ_FOREACH (conn, list, link) {
		if (is_wanted(query, conn))
			copy_conn(snapshot, conn, query);
	}
}

static void
copy_conns(struct snapshot *snapshot, struct ledger *ledger,
    const struct snapshot_query *query, mono_us now)
{
	struct ledger_conn *conn;
	size_t max = count_wanted(&ledger->live, query) +
	    count_wanted(&ledger->closed, query);

	snapshot->conns = xcalloc(max + 1, sizeof(*snapshot->conns));
	TAILQ_FOREACH (conn, &ledger->live, link)
		conn->record.age_us = now - conn->opened_at;
	copy_wanted(snapshot, &ledger->live, query);
	copy_wanted(snapshot, &ledger->closed, query);
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
	leak = &snapshot->leaks[groups_place(ledger->groups, record)];
	seen = ledger_show(x, now);
	leak_add_caller(leak, &seen);
	if (record->is_held) {
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

	snapshot->leaks =
	    groups_copy(ledger->groups, now, &snapshot->leak_count);
	for (size_t i = 0; i < snapshot->leak_count; i++)
		snapshot->totals.held_now += snapshot->leaks[i].held_now;
	if (snapshot->leak_count == 0 || query->is_brief)
		return;
	TAILQ_FOREACH (conn, &ledger->live, link) {
		TAILQ_FOREACH (x, &conn->unproven, link)
			illustrate(snapshot, ledger, x, query, now);
	}
	TAILQ_FOREACH (x, &ledger->evidence.list, link)
		illustrate(snapshot, ledger, x, query, now);
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
	if (query->wants_conns || query->wants_refusals)
		copy_conns(snapshot, ledger, query, now);
	if (query->wants_exchanges)
		copy_exchanges(snapshot, ledger, query, now);
	return snapshot;
}
