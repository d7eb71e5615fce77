/* SPDX-License-Identifier: MIT */

/*
 * Pages.  Lists come in their usual order, which breaks the ties of any other:
 * so a page shows the same whenever nothing has changed.
 */

#include "accounting/paging.h"

#include <stdlib.h>
#include <string.h>

/* Writes where the page begins and ends in a list of `count`. */
static void
find_page(
    const struct snapshot_page *page, size_t count, size_t *begin, size_t *end)
{
	*begin = page->offset < count ? page->offset : count;
	*end = count;
	if (page->limit > 0 && page->limit < count - *begin)
		*end = *begin + page->limit;
}

/* ---- leaks ---- */

static int
compare_counts(uint64_t left, uint64_t right)
{
	return left == right ? 0 : left > right ? -1 : 1;
}

static int
more_held_first(const void *a, const void *b)
{
	const struct leak *left = a;
	const struct leak *right = b;
	int order = compare_counts(left->held_now, right->held_now);

	return order != 0 ? order : leak_rank(a, b);
}

static int
recent_first(const void *a, const void *b)
{
	const struct leak *left = a;
	const struct leak *right = b;
	int order = compare_counts(
	    (uint64_t)left->last_seen, (uint64_t)right->last_seen);

	return order != 0 ? order : leak_rank(a, b);
}

static int
by_route(const void *a, const void *b)
{
	const struct leak *left = a;
	const struct leak *right = b;
	int order = strcmp(left->origin, right->origin);

	if (order == 0)
		order = strcmp(left->route, right->route);
	return order != 0 ? order : leak_rank(a, b);
}

/* Leaves the one that is asked for by its id, where one is. */
static void
find_leak(struct snapshot *snapshot, const char *id)
{
	size_t kept = 0;

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		struct leak *leak = &snapshot->leaks[i];

		if (strcmp(leak->id, id) == 0)
			snapshot->leaks[kept++] = *leak;
		else
			leak_fini(leak);
	}
	snapshot->leak_count = kept;
}

static void
sort_leaks(struct snapshot *snapshot, enum snapshot_sort sort)
{
	int (*order)(const void *a, const void *b) = leak_rank;

	if (sort == SORT_HELD)
		order = more_held_first;
	else if (sort == SORT_RECENT)
		order = recent_first;
	else if (sort == SORT_ROUTE)
		order = by_route;
	if (order != leak_rank && snapshot->leak_count > 0)
		qsort(snapshot->leaks, snapshot->leak_count,
		    sizeof(*snapshot->leaks), order);
}

void
paging_leaks(struct snapshot *snapshot, const struct snapshot_query *query)
{
	size_t begin;
	size_t end;

	if (query->leak_id[0] != '\0')
		find_leak(snapshot, query->leak_id);
	snapshot->leak_total = snapshot->leak_count;
	if (query->wants_conns || query->wants_exchanges)
		return;
	sort_leaks(snapshot, query->page.sort);
	find_page(&query->page, snapshot->leak_count, &begin, &end);
	for (size_t i = 0; i < snapshot->leak_count; i++) {
		if (i < begin || i >= end)
			leak_fini(&snapshot->leaks[i]);
	}
	if (begin > 0)
		memmove(snapshot->leaks, &snapshot->leaks[begin],
		    (end - begin) * sizeof(*snapshot->leaks));
	snapshot->leak_count = end - begin;
}

/* ---- connections ---- */

static void
reverse_conns(struct snapshot *snapshot)
{
	size_t count = snapshot->conn_count;

	for (size_t i = 0; i < count / 2; i++) {
		struct conn_record *low = &snapshot->conns[i];
		struct conn_record *high = &snapshot->conns[count - 1 - i];
		struct conn_record held = *low;

		*low = *high;
		*high = held;
	}
}

static int
newer_first(const struct conn_record *left, const struct conn_record *right)
{
	int order = compare_counts(
	    (uint64_t)left->opened_at, (uint64_t)right->opened_at);

	return order != 0 ? order : compare_counts(left->id, right->id);
}

static int
busier_first(const void *a, const void *b)
{
	const struct conn_record *left = a;
	const struct conn_record *right = b;
	int order = compare_counts(left->exchange_count, right->exchange_count);

	return order != 0 ? order : newer_first(left, right);
}

static int
heavier_first(const void *a, const void *b)
{
	const struct conn_record *left = a;
	const struct conn_record *right = b;
	int order = compare_counts(
	    (uint64_t)left->sent_bytes, (uint64_t)right->sent_bytes);

	return order != 0 ? order : newer_first(left, right);
}

static void
sort_conns(struct snapshot *snapshot, enum snapshot_sort sort)
{
	if (sort == SORT_BUSIEST || sort == SORT_HEAVIEST) {
		if (snapshot->conn_count > 0)
			qsort(snapshot->conns, snapshot->conn_count,
			    sizeof(*snapshot->conns),
			    sort == SORT_BUSIEST ? busier_first
						 : heavier_first);
	} else if (sort != SORT_OLDEST) {
		reverse_conns(snapshot);
	}
}

void
paging_conns(struct snapshot *snapshot, const struct snapshot_query *query)
{
	size_t begin;
	size_t end;

	snapshot->conn_total = snapshot->conn_count;
	if (query->page.limit == 0)
		return;
	sort_conns(snapshot, query->page.sort);
	find_page(&query->page, snapshot->conn_count, &begin, &end);
	for (size_t i = 0; i < snapshot->conn_count; i++) {
		if (i < begin || i >= end)
			record_fini_conn(&snapshot->conns[i]);
	}
	if (begin > 0)
		memmove(snapshot->conns, &snapshot->conns[begin],
		    (end - begin) * sizeof(*snapshot->conns));
	snapshot->conn_count = end - begin;
}

/* ---- exchanges ---- */

void
paging_exchanges(struct snapshot *snapshot, const struct snapshot_query *query)
{
	size_t begin;
	size_t end;

	snapshot->exchange_total = snapshot->exchange_count;
	find_page(&query->page, snapshot->exchange_count, &begin, &end);
	for (size_t i = 0; i < snapshot->exchange_count; i++) {
		if (i < begin || i >= end)
			record_fini_exchange(&snapshot->exchanges[i]);
	}
	if (begin > 0)
		memmove(snapshot->exchanges, &snapshot->exchanges[begin],
		    (end - begin) * sizeof(*snapshot->exchanges));
	snapshot->exchange_count = end - begin;
}
