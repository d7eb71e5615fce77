/* SPDX-License-Identifier: MIT */

/*
 * The ledger as others see it: copies, taken in the worker's thread, a step at
 * a time.
 *
 *      GROUPS --> LIVE --> CLOSED --> EVIDENCE --> ORDINARY --> OVER
 *
 * Records go on living meanwhile.  A group keeps its number for ever; a
 * connection or an exchange that leaves its list takes the view on to the next
 * (ledger_view_pass_...), and goes to the end of a list whose turn is later,
 * so that nothing is missed and some may come twice.  What is new is not waited
 * for: it may come faster than it is copied.
 */

#include "accounting/ledger_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

#define FIRST_SIZE 64

/* No place: a group that was not copied. */
#define NOWHERE SIZE_MAX

enum view_state {
	VIEW_GROUPS,
	VIEW_LIVE,
	VIEW_CLOSED,
	VIEW_EVIDENCE,
	VIEW_ORDINARY,
	VIEW_OVER,
};

struct ledger_view {
	/* owned */
	struct snapshot *snapshot;
	size_t *places; /* of each group, among the snapshot's leaks */

	/* borrowed */
	struct ledger *ledger;
	const struct snapshot_query *query;
	struct ledger_conn *conn;  /* the next of its list; NULL: the end */
	struct ledger_exchange *x; /* likewise */

	enum view_state state;
	size_t group;          /* the next */
	size_t group_count;    /* when it began */
	uint64_t next_conn_id; /* that of none, when it began */
	size_t left;           /* of a list but the live, at most */
	size_t conn_size;      /* of the snapshot's lists */
	size_t exchange_size;
	bool asks_for_route;
	LIST_ENTRY(ledger_view) link;
};

struct exchange_record
ledger_show(const struct ledger_exchange *x, mono_us now)
{
	struct exchange_record shown = x->record;

	if (x->record.first_byte_us >= 0)
		shown.age_us = now - ledger_response_at(x);
	return shown;
}

/* Makes room for one more in a list of `count`. */
static void *
grow(void *list, size_t count, size_t *size, size_t each)
{
	if (count < *size)
		return list;
	*size = *size == 0 ? FIRST_SIZE : 2 * *size;
	return xreallocarray(list, *size, each);
}

/* ---- exchanges ---- */

static void
copy_exchange(struct ledger_view *view, const struct exchange_record *shown)
{
	struct snapshot *snapshot = view->snapshot;
	struct exchange_record *copy;

	snapshot->exchanges =
	    grow(snapshot->exchanges, snapshot->exchange_count,
		&view->exchange_size, sizeof(*snapshot->exchanges));
	copy = &snapshot->exchanges[snapshot->exchange_count++];
	record_copy_exchange(copy, shown);
	if (view->query->wants_captures)
		copy->capture = capture_copy(shown->capture);
}

static void
list_exchange(struct ledger_view *view, struct ledger_exchange *x, mono_us now)
{
	struct ledger *ledger = view->ledger;
	struct exchange_record shown;

	if (!view->query->wants_exchanges)
		return;
	if (view->asks_for_route)
		ledger_ensure_route(ledger, &x->record);
	shown = ledger_show(x, now);
	if (!snapshot_query_matches(view->query, &shown))
		return;
	ledger_ensure_route(ledger, &x->record);
	shown.route = x->record.route;
	copy_exchange(view, &shown);
}

/* Of what the leak says itself the example says nothing: nearly all of a
 * copy's cost were its texts. */
static void
show_example(struct ledger_view *view, struct leak *leak,
    const struct exchange_record *record)
{
	struct exchange_record shown = *record;

	shown.origin = NULL;
	shown.route = NULL;
	shown.user_agent = NULL;
	shown.traceparent = NULL;
	shown.client_address = NULL;
	shown.error = NULL;
	shown.tags = (struct tags){0};
	shown.owner = NULL;
	if (leak->example != NULL)
		record_fini_exchange(leak->example);
	else
		leak->example = xcalloc(1, sizeof(*leak->example));
	record_copy_exchange(leak->example, &shown);
	if (view->query->wants_captures)
		leak->example->capture = capture_copy(record->capture);
}

/* Returns where the leak is that the exchange is counted under; NULL where it
 * is none, or one that is newer than the view. */
static struct leak *
leak_of(struct ledger_view *view, const struct exchange_record *record)
{
	size_t number;

	if (record->judgement.verdict != VERDICT_UNDRAINED &&
	    record->judgement.verdict != VERDICT_SUSPECTED)
		return NULL;
	number = groups_number(view->ledger->groups, record);
	if (number >= view->group_count || view->places[number] == NOWHERE)
		return NULL;
	return &view->snapshot->leaks[view->places[number]];
}

/* Adds to its leak what only the exchange in memory knows. */
static void
illustrate(
    struct ledger_view *view, const struct ledger_exchange *x, mono_us now)
{
	const struct exchange_record *record = &x->record;
	struct exchange_record seen;
	struct leak *leak;

	if (view->query->is_brief)
		return;
	leak = leak_of(view, record);
	if (leak == NULL)
		return;
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
	show_example(view, leak, &seen);
}

/* ---- connections ---- */

static void
count_gauge(struct gauges *gauges, enum conn_state state)
{
	switch (state) {
	case CONN_ACTIVE:
		gauges->client_active++;
		break;
	case CONN_IDLE:
		gauges->client_idle++;
		break;
	case CONN_WATCHED:
		gauges->client_watched++;
		break;
	case CONN_CLOSED:
		break;
	}
}

static bool
is_wanted(const struct snapshot_query *query, const struct ledger_conn *conn)
{
	return query->wants_conns ||
	    (query->wants_refusals && conn->record.trust_refused != NULL);
}

static void
list_conn(struct ledger_view *view, const struct ledger_conn *conn)
{
	/* The origin is known by the count of its connections. */
	struct conn_record seen = conn->record;
	struct snapshot *snapshot = view->snapshot;

	if (!is_wanted(view->query, conn))
		return;
	if (conn->reuse != NULL && !reuse_is_other(conn->reuse))
		seen.origin = conn->reuse->origin;
	if (!snapshot_query_matches_conn(view->query, &seen))
		return;
	snapshot->conns = grow(snapshot->conns, snapshot->conn_count,
	    &view->conn_size, sizeof(*snapshot->conns));
	record_copy_conn(&snapshot->conns[snapshot->conn_count++], &seen);
}

static void
look_at_live(struct ledger_view *view, struct ledger_conn *conn, mono_us now)
{
	struct ledger_exchange *x;

	conn->record.age_us = now - conn->opened_at;
	count_gauge(&view->snapshot->gauges, conn->record.state);
	list_conn(view, conn);
	TAILQ_FOREACH (x, &conn->unproven, link) {
		illustrate(view, x, now);
		list_exchange(view, x, now);
	}
}

/* ---- steps ---- */

static void
set_state(struct ledger_view *view, enum view_state next)
{
	struct ledger *ledger = view->ledger;

	view->state = next;
	view->conn = NULL;
	view->x = NULL;
	if (next == VIEW_LIVE) {
		view->conn = TAILQ_FIRST(&ledger->live);
	} else if (next == VIEW_CLOSED) {
		view->conn = TAILQ_FIRST(&ledger->closed);
		view->left = ledger->closed_count;
	} else if (next == VIEW_EVIDENCE) {
		view->x = TAILQ_FIRST(&ledger->evidence.list);
		view->left = ledger->evidence.count;
	} else if (next == VIEW_ORDINARY) {
		view->x = TAILQ_FIRST(&ledger->ordinary.list);
		view->left = ledger->ordinary.count;
	}
}

static void
take_group(struct ledger_view *view, mono_us now)
{
	struct snapshot *snapshot = view->snapshot;
	struct leak *leak = &snapshot->leaks[snapshot->leak_count];
	bool is_counted =
	    groups_copy(view->ledger->groups, view->group, now, leak);

	view->places[view->group++] =
	    is_counted ? snapshot->leak_count : NOWHERE;
	if (!is_counted)
		return;
	snapshot->leak_count++;
	snapshot->totals.held_now += leak->held_now;
}

static void
take_conn(struct ledger_view *view, mono_us now)
{
	struct ledger_conn *conn = view->conn;

	view->conn = TAILQ_NEXT(conn, link);
	if (view->state == VIEW_LIVE) {
		look_at_live(view, conn, now);
		return;
	}
	view->left--;
	list_conn(view, conn);
}

static void
take_exchange(struct ledger_view *view, mono_us now)
{
	struct ledger_exchange *x = view->x;

	view->x = TAILQ_NEXT(x, link);
	view->left--;
	if (view->state == VIEW_EVIDENCE)
		illustrate(view, x, now);
	list_exchange(view, x, now);
}

/* Whether there is something in the list for this query. */
static bool
has_more(const struct ledger_view *view)
{
	const struct snapshot_query *query = view->query;
	bool illustrates = !query->is_brief && view->snapshot->leak_count > 0;

	switch (view->state) {
	case VIEW_GROUPS:
		return view->group < view->group_count;
	case VIEW_LIVE:
		return view->conn != NULL &&
		    view->conn->record.id < view->next_conn_id;
	case VIEW_CLOSED:
		return view->conn != NULL && view->left > 0 &&
		    (query->wants_conns || query->wants_refusals);
	case VIEW_EVIDENCE:
		return view->x != NULL && view->left > 0 &&
		    (query->wants_exchanges || illustrates);
	case VIEW_ORDINARY:
		return view->x != NULL && view->left > 0 &&
		    query->wants_exchanges;
	case VIEW_OVER:
		break;
	}
	return false;
}

bool
ledger_view_step(struct ledger_view *view, mono_us now)
{
	for (size_t taken = 0; taken < LEDGER_VIEW_RECORDS;) {
		if (view->state == VIEW_OVER)
			return false;
		if (!has_more(view)) {
			set_state(view, view->state + 1);
			continue;
		}
		taken++;
		if (view->state == VIEW_GROUPS)
			take_group(view, now);
		else if (view->conn != NULL)
			take_conn(view, now);
		else
			take_exchange(view, now);
	}
	return true;
}

void
ledger_view_pass_conn(struct ledger *ledger, struct ledger_conn *conn)
{
	struct ledger_view *view;

	LIST_FOREACH (view, &ledger->views, link) {
		if (view->conn == conn)
			view->conn = TAILQ_NEXT(conn, link);
	}
}

void
ledger_view_pass_exchange(struct ledger *ledger, struct ledger_exchange *x)
{
	struct ledger_view *view;

	LIST_FOREACH (view, &ledger->views, link) {
		if (view->x == x)
			view->x = TAILQ_NEXT(x, link);
	}
}

/* ---- begin and end ---- */

struct ledger_view *
ledger_view_begin(struct ledger *ledger, const struct snapshot_query *query,
    wall_us wall, mono_us now)
{
	struct ledger_view *view = xcalloc(1, sizeof(*view));
	struct snapshot *snapshot = snapshot_new();

	view->ledger = ledger;
	view->query = query;
	view->snapshot = snapshot;
	view->group_count = groups_count(ledger->groups);
	view->next_conn_id = ledger_next_conn_id(ledger);
	view->places = xcalloc(view->group_count + 1, sizeof(*view->places));
	view->asks_for_route = filter_asks_for(query->filter, FILTER_ROUTE);
	LIST_INSERT_HEAD(&ledger->views, view, link);
	snapshot->taken_at = wall;
	snapshot->since = ledger->since;
	snapshot->taken_mono = now;
	timeline_advance(&ledger->timeline, now);
	snapshot->timeline = ledger->timeline;
	snapshot->seconds_us = now - ledger->since_mono;
	snapshot->totals = ledger->totals;
	snapshot->counters = ledger->counters;
	snapshot->leaks =
	    xcalloc(view->group_count + 1, sizeof(*snapshot->leaks));
	snapshot->reuse = reuse_copy(ledger->reuse, &snapshot->reuse_count);
	return view;
}

struct snapshot *
ledger_view_finish(struct ledger_view **viewp)
{
	struct ledger_view *view = *viewp;
	struct snapshot *snapshot = view->snapshot;

	*viewp = NULL;
	assert(view->state == VIEW_OVER);
	LIST_REMOVE(view, link);
	free(view->places);
	free(view);
	return snapshot;
}

bool
ledger_is_viewed(const struct ledger *ledger)
{
	return !LIST_EMPTY(&ledger->views);
}

struct snapshot *
ledger_snapshot(struct ledger *ledger, const struct snapshot_query *query,
    wall_us wall, mono_us now)
{
	struct ledger_view *view = ledger_view_begin(ledger, query, wall, now);

	while (ledger_view_step(view, now))
		continue;
	return ledger_view_finish(&view);
}
