/* SPDX-License-Identifier: MIT */

/*
 * Snapshots: filled by each shard, merged, then sealed by whoever asked.
 */

#include "accounting/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"
#include "accounting/paging.h"

struct snapshot *
snapshot_new(void)
{
	return xcalloc(1, sizeof(struct snapshot));
}

void
snapshot_free(struct snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	for (size_t i = 0; i < snapshot->leak_count; i++)
		leak_fini(&snapshot->leaks[i]);
	for (size_t i = 0; i < snapshot->reuse_count; i++)
		reuse_fini(&snapshot->reuse[i]);
	for (size_t i = 0; i < snapshot->conn_count; i++)
		record_fini_conn(&snapshot->conns[i]);
	for (size_t i = 0; i < snapshot->exchange_count; i++)
		record_fini_exchange(&snapshot->exchanges[i]);
	free(snapshot->marks);
	free(snapshot->leaks);
	free(snapshot->reuse);
	free(snapshot->conns);
	free(snapshot->exchanges);
	free(snapshot);
}

static void
add_totals(struct totals *to, const struct totals *from)
{
	to->connections += from->connections;
	to->exchanges += from->exchanges;
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		to->by_verdict[i] += from->by_verdict[i];
	to->recovered += from->recovered;
	to->held_now += from->held_now;
}

static void
add_counters(struct counters *to, const struct counters *from)
{
#define COUNTER(name, metric, help) to->name += from->name;
#include "accounting/counters.def"
#undef COUNTER
}

static void
add_gauges(struct gauges *to, const struct gauges *from)
{
	to->client_active += from->client_active;
	to->client_idle += from->client_idle;
	to->client_watched += from->client_watched;
	to->upstream_active += from->upstream_active;
	to->upstream_idle += from->upstream_idle;
}

/* Where in a list a leak is. */
struct place {
	const char *id; /* borrowed */
	size_t at;
	UT_hash_handle hh;
};

static struct place *
index_leaks(const struct snapshot *snapshot, struct place *places)
{
	struct place *index = NULL;

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		places[i].id = snapshot->leaks[i].id;
		places[i].at = i;
		HASH_ADD_KEYPTR(
		    hh, index, places[i].id, strlen(places[i].id), &places[i]);
	}
	return index;
}

/* Adds `part`'s leaks, which it keeps nothing of. */
static void
take_leaks(struct snapshot *whole, struct snapshot *part)
{
	struct place *places;
	struct place *index;

	if (whole->leak_count == 0) {
		free(whole->leaks);
		whole->leaks = part->leaks;
		whole->leak_count = part->leak_count;
		part->leaks = NULL;
		part->leak_count = 0;
		return;
	}
	whole->leaks = xreallocarray(whole->leaks,
	    whole->leak_count + part->leak_count + 1, sizeof(*whole->leaks));
	places = xcalloc(whole->leak_count + 1, sizeof(*places));
	index = index_leaks(whole, places);
	for (size_t i = 0; i < part->leak_count; i++) {
		struct leak *leak = &part->leaks[i];
		struct place *known;

		HASH_FIND_STR(index, leak->id, known);
		if (known != NULL)
			leak_absorb(&whole->leaks[known->at], leak);
		else
			whole->leaks[whole->leak_count++] = *leak;
	}
	part->leak_count = 0;
	HASH_CLEAR(hh, index);
	free(places);
}

static void
take_reuse(struct snapshot *whole, struct snapshot *part)
{
	size_t known = whole->reuse_count;

	whole->reuse = xreallocarray(
	    whole->reuse, known + part->reuse_count + 1, sizeof(*whole->reuse));
	for (size_t i = 0; i < part->reuse_count; i++) {
		struct reuse *reuse = &part->reuse[i];
		size_t at = 0;

		while (at < known && !reuse_is_same(&whole->reuse[at], reuse))
			at++;
		if (at < known)
			reuse_absorb(&whole->reuse[at], reuse);
		else
			whole->reuse[whole->reuse_count++] = *reuse;
	}
	part->reuse_count = 0;
}

static void
take_conns(struct snapshot *whole, struct snapshot *part)
{
	whole->conns = xreallocarray(whole->conns,
	    whole->conn_count + part->conn_count + 1, sizeof(*whole->conns));
	if (part->conn_count > 0)
		memcpy(&whole->conns[whole->conn_count], part->conns,
		    part->conn_count * sizeof(*part->conns));
	whole->conn_count += part->conn_count;
	part->conn_count = 0;
}

static void
take_exchanges(struct snapshot *whole, struct snapshot *part)
{
	whole->exchanges = xreallocarray(whole->exchanges,
	    whole->exchange_count + part->exchange_count + 1,
	    sizeof(*whole->exchanges));
	if (part->exchange_count > 0)
		memcpy(&whole->exchanges[whole->exchange_count],
		    part->exchanges,
		    part->exchange_count * sizeof(*part->exchanges));
	whole->exchange_count += part->exchange_count;
	part->exchange_count = 0;
}

void
snapshot_merge(struct snapshot *whole, struct snapshot **part)
{
	struct snapshot *from = *part;

	*part = NULL;
	if (whole->since == 0 || from->since < whole->since) {
		whole->since = from->since;
		whole->seconds_us = from->seconds_us;
	}
	if (from->taken_at > whole->taken_at)
		whole->taken_at = from->taken_at;
	if (from->taken_mono > whole->taken_mono)
		whole->taken_mono = from->taken_mono;
	timeline_absorb(&whole->timeline, &from->timeline);
	add_totals(&whole->totals, &from->totals);
	add_counters(&whole->counters, &from->counters);
	add_gauges(&whole->gauges, &from->gauges);
	take_leaks(whole, from);
	take_reuse(whole, from);
	take_conns(whole, from);
	take_exchanges(whole, from);
	snapshot_free(from);
}

static int
older_conn_first(const void *a, const void *b)
{
	const struct conn_record *left = a;
	const struct conn_record *right = b;

	if (left->opened_at != right->opened_at)
		return left->opened_at < right->opened_at ? -1 : 1;
	return left->id < right->id ? -1 : left->id > right->id;
}

static int
newer_exchange_first(const void *a, const void *b)
{
	const struct exchange_record *left = a;
	const struct exchange_record *right = b;

	if (left->began_at != right->began_at)
		return left->began_at > right->began_at ? -1 : 1;
	if (left->conn_id != right->conn_id)
		return left->conn_id > right->conn_id ? -1 : 1;
	return left->ordinal > right->ordinal ? -1
					      : left->ordinal < right->ordinal;
}

/* A record that moved while it was copied may have come twice (ledger.h). */
static void
drop_doubles(struct snapshot *snapshot)
{
	size_t kept = 0;

	for (size_t i = 0; i < snapshot->conn_count; i++) {
		struct conn_record *conn = &snapshot->conns[i];

		if (kept > 0 &&
		    older_conn_first(&snapshot->conns[kept - 1], conn) == 0)
			record_fini_conn(conn);
		else
			snapshot->conns[kept++] = *conn;
	}
	snapshot->conn_count = kept;
	kept = 0;
	for (size_t i = 0; i < snapshot->exchange_count; i++) {
		struct exchange_record *x = &snapshot->exchanges[i];

		if (kept > 0 &&
		    newer_exchange_first(&snapshot->exchanges[kept - 1], x) ==
			0)
			record_fini_exchange(x);
		else
			snapshot->exchanges[kept++] = *x;
	}
	snapshot->exchange_count = kept;
}

void
snapshot_investigate(const struct snapshot *snapshot, struct leak *leak)
{
	struct bursts bursts;

	rhythm_find(&leak->rhythm, &bursts,
	    &(struct rhythm_facts){
		.arrivals = &leak->arrivals,
		.timeline = &snapshot->timeline,
		.undrained = leak->undrained,
		.watched_us = snapshot->seconds_us,
	    });
	suspect_find(&leak->suspect,
	    &(struct suspect_facts){
		.bursts = &bursts,
		.is_partial = leak->arrivals.is_partial,
		.marks = snapshot->marks,
		.mark_count = snapshot->mark_count,
		.until = snapshot->taken_mono,
	    });
	bursts_fini(&bursts);
}

void
snapshot_filter_leaks(struct snapshot *snapshot, const struct filter *filter)
{
	size_t count = snapshot->leak_count;

	snapshot->leak_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (filter_passes_leak(filter, &snapshot->leaks[i]))
			snapshot->leaks[snapshot->leak_count++] =
			    snapshot->leaks[i];
		else
			leak_fini(&snapshot->leaks[i]);
	}
	snapshot->leaks_left_out += count - snapshot->leak_count;
	snapshot->leak_total = snapshot->leak_count;
}

void
snapshot_seal(struct snapshot *snapshot, const struct snapshot_query *query)
{
	snapshot_filter_leaks(snapshot, query->filter);
	if (snapshot->leak_count > 0)
		qsort(snapshot->leaks, snapshot->leak_count,
		    sizeof(*snapshot->leaks), leak_rank);
	if (snapshot->reuse_count > 0)
		qsort(snapshot->reuse, snapshot->reuse_count,
		    sizeof(*snapshot->reuse), reuse_rank);
	if (snapshot->conn_count > 0)
		qsort(snapshot->conns, snapshot->conn_count,
		    sizeof(*snapshot->conns), older_conn_first);
	if (snapshot->exchange_count > 0)
		qsort(snapshot->exchanges, snapshot->exchange_count,
		    sizeof(*snapshot->exchanges), newer_exchange_first);
	drop_doubles(snapshot);
	paging_leaks(snapshot, query);
	paging_conns(snapshot, query);
	paging_exchanges(snapshot, query);
	for (size_t i = 0; query->wants_rhythm && i < snapshot->leak_count; i++)
		snapshot_investigate(snapshot, &snapshot->leaks[i]);
}

void
snapshot_query_copy(
    struct snapshot_query *to, const struct snapshot_query *from)
{
	*to = *from;
	to->filter = filter_copy(from->filter);
}

void
snapshot_query_fini(struct snapshot_query *query)
{
	filter_free(query->filter);
}

bool
snapshot_query_matches(
    const struct snapshot_query *query, const struct exchange_record *exchange)
{
	if (query->conn_id != 0 && query->conn_id != exchange->conn_id)
		return false;
	if (query->ordinal != 0 && query->ordinal != exchange->ordinal)
		return false;
	return filter_passes_exchange(query->filter, exchange);
}

bool
snapshot_query_matches_conn(
    const struct snapshot_query *query, const struct conn_record *conn)
{
	if (query->has_state && conn->state != query->state)
		return false;
	return filter_passes_conn(query->filter, conn);
}
