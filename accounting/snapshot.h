/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SNAPSHOT_H
#define ACCOUNTING_SNAPSHOT_H

/*
 * What the ledger shards look like at one moment, copied, so that another
 * thread can render it at leisure.  Each worker fills one; they are merged.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/filter.h"
#include "accounting/leak.h"
#include "accounting/marks.h"
#include "accounting/record.h"
#include "accounting/reuse.h"
#include "accounting/timeline.h"
#include "accounting/shipping.h"
#include "accounting/units.h"

/* Counts by verdict, each exchange in exactly one: exchanges is their sum. */
struct totals {
	uint64_t connections;
	uint64_t exchanges;
	uint64_t by_verdict[VERDICT_COUNT];
	uint64_t recovered;
	uint64_t held_now;
};

struct counters {
#define COUNTER(name, metric, help) uint64_t name;
#include "accounting/counters.def"
#undef COUNTER
};

/* Connections that are there now. */
struct gauges {
	uint64_t client_active;
	uint64_t client_idle;
	uint64_t client_watched;
	uint64_t upstream_active;
	uint64_t upstream_idle;
};

/* The orders in which a list can be asked for. */
enum snapshot_sort {
#define SORT(name, word, list) SORT_##name,
#include "accounting/sorts.def"
#undef SORT
	SORT_COUNT
};

/* One page of the list that is asked for: of the connections or exchanges where
 * these are wanted, else of the leaks.  All zero: the whole list. */
struct snapshot_page {
	size_t limit; /* 0: all */
	size_t offset;
	enum snapshot_sort sort;
};

/* What to copy.  All zero: totals, counters, gauges and leaks alone. */
struct snapshot_query {
	bool is_brief; /* of leaks the counts and series alone: costs little */
	bool wants_conns;
	bool wants_refusals; /* of the connections, those that refused our
	                        certificate */
	bool wants_exchanges;
	bool wants_captures; /* with the exchanges, and the examples */
	bool wants_rhythm;   /* of each leak, and its suspect; and the marks */
	bool wants_marks;    /* alone, for snapshot_investigate() */
	struct filter *filter; /* owned; of exchanges, leaks or connections;
	                          NULL: all */
	bool has_state;        /* of connections: */
	enum conn_state state;
	uint64_t conn_id;            /* of exchanges; 0: any */
	uint32_t ordinal;            /* of exchanges; 0: any */
	char leak_id[LEAK_ID_BYTES]; /* of leaks; "": any */
	struct snapshot_page page;   /* of what was filtered */
};

struct snapshot {
	wall_us taken_at;
	mono_us taken_mono;
	wall_us since;      /* when the ledger was opened */
	int64_t seconds_us; /* taken_at - since, by the monotonic clock */
	struct totals totals;
	struct counters counters;
	struct gauges gauges;
	struct timeline timeline;
	struct mark *marks; /* owned, oldest first; given by the asker */
	size_t mark_count;
	/* given by the asker too: */
	const char *service;         /* --service; borrowed; NULL: not said */
	const char *service_version; /* of that; the same */
	struct shipping shipping;
	unsigned max_connections; /* of callers; 0: no bound, or not known;
	                             given by the asker too */
	struct leak *leaks;       /* owned, leak_count, ranked by leak_rank() */
	size_t leak_count;
	size_t leak_total; /* that passed, before they were paged; so below */
	size_t leaks_left_out; /* by snapshot_filter_leaks() */
	struct reuse *reuse;   /* owned, reuse_count, ranked by reuse_rank() */
	size_t reuse_count;
	struct conn_record *conns; /* owned, oldest first; a page is in the
	                              order that was asked for */
	size_t conn_count;
	size_t conn_total;
	struct exchange_record *exchanges; /* owned, newest first */
	size_t exchange_count;
	size_t exchange_total;
};

/* Returns an empty snapshot.  Free with snapshot_free(). */
struct snapshot *snapshot_new(void);
void snapshot_free(struct snapshot *snapshot);

/* Moves all of *part into `whole` and frees part: *part is NULL then.  Leaks
 * with the same id become one. */
void snapshot_merge(struct snapshot *whole, struct snapshot **part);

/* Drops the leaks that do not pass, and counts them.  Totals stay totals. */
void snapshot_filter_leaks(
    struct snapshot *snapshot, const struct filter *filter);

/* Drops the leaks that do not pass the query's filter, and sorts what merging
 * left unsorted: leaks by weight, connections and exchanges by age; leaves the
 * page that is asked for; and finds each leak's rhythm and suspect where they
 * are wanted.  Call once, at the end. */
void snapshot_seal(
    struct snapshot *snapshot, const struct snapshot_query *query);

/* Finds the rhythm and the suspect of one of its leaks, where they were not
 * wanted of all. */
void snapshot_investigate(const struct snapshot *snapshot, struct leak *leak);

void snapshot_query_copy(
    struct snapshot_query *to, const struct snapshot_query *from);
void snapshot_query_fini(struct snapshot_query *query);

/* Returns whether the query asks for the exchange, whose route must be known
 * where its filter asks for that. */
bool snapshot_query_matches(
    const struct snapshot_query *query, const struct exchange_record *exchange);

/* Likewise the connection, whose origin must be known. */
bool snapshot_query_matches_conn(
    const struct snapshot_query *query, const struct conn_record *conn);

#endif
