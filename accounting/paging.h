/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_PAGING_H
#define ACCOUNTING_PAGING_H

/*
 * Pages of a snapshot's lists.  Each function leaves what the query asks for,
 * in the order that it asks for, frees the rest, and sets the list's total: how
 * many passed the filters.  Pure.
 */

#include "accounting/snapshot.h"

/* Of leaks filtered, and sorted by weight. */
void paging_leaks(
    struct snapshot *snapshot, const struct snapshot_query *query);

/* Of connections sorted from old to new, filtered by their shard. */
void paging_conns(
    struct snapshot *snapshot, const struct snapshot_query *query);

/* Of exchanges sorted from new to old, filtered by their shard. */
void paging_exchanges(
    struct snapshot *snapshot, const struct snapshot_query *query);

#endif
