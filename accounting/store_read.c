/* SPDX-License-Identifier: MIT */

/*
 * Runs as they were: reported, compared.
 */

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/store_parts.h"

#define OTHER "other" /* what groups.c counts under when it is full */

/* Of each leak, for its callers and the example. */
#define EXCHANGES_READ_MAX "1000"

bool
store_read_tags(struct store *store, int64_t kind, struct tags *tags)
{
	struct statement *rows = store_prepare(
	    store, "SELECT name, value FROM kind_tag WHERE kind = ?1");
	struct binder binder = {store, rows, 0};
	struct reader row = {store, rows};
	enum row found;

	store_bind_number(&binder, kind);
	while ((found = store_next(store, rows)) == ROW_READ) {
		const char *value = store_text(&row, 1);

		/* What does not fit was no tag of ours. */
		(void)!tags_set(
		    tags, store_text(&row, 0), value, strlen(value));
	}
	store_free(store, rows);
	return found == ROW_END;
}

/* ---- a snapshot ---- */

static void
read_count(struct totals *totals, const char *what, uint64_t value)
{
	enum verdict verdict;

	if (strcmp(what, "connections") == 0)
		totals->connections = value;
	else if (strcmp(what, "exchanges") == 0)
		totals->exchanges = value;
	else if (strcmp(what, "recovered") == 0)
		totals->recovered = value;
	else if (verdict_from_word(what, &verdict))
		totals->by_verdict[verdict] = value;
}

static bool
read_totals(const struct picked *picked, struct totals *totals)
{
	struct binder binder = store_prepare_picked(picked,
	    "SELECT what, sum(value) FROM count WHERE %s GROUP BY what");
	struct reader row = {picked->store, binder.statement};
	enum row found;

	while (
	    (found = store_next(picked->store, binder.statement)) == ROW_READ)
		read_count(totals, store_text(&row, 0),
		    (uint64_t)store_number(&row, 1));
	store_free(picked->store, binder.statement);
	return found == ROW_END;
}

static enum evidence
evidence_of(const char *word)
{
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (strcmp(verdict_evidence_word((enum evidence)i), word) == 0)
			return (enum evidence)i;
	}
	return EVIDENCE_NOTHING;
}

static bool
read_evidence(const struct picked *picked, int64_t kind, struct leak *leak)
{
	struct binder binder = store_prepare_picked(picked,
	    "SELECT word, sum(value) FROM evidence WHERE %s AND kind = ?3"
	    " GROUP BY word");
	struct reader row = {picked->store, binder.statement};
	enum row found;

	store_bind_number(&binder, kind);
	while (
	    (found = store_next(picked->store, binder.statement)) == ROW_READ)
		leak->by_evidence[evidence_of(store_text(&row, 0))] +=
		    (uint64_t)store_number(&row, 1);
	store_free(picked->store, binder.statement);
	return found == ROW_END;
}

/* What was held when it was last written. */
static bool
read_held(const struct picked *picked, int64_t kind, struct leak *leak)
{
	struct binder binder = store_prepare_picked(picked,
	    "SELECT count(*), sum(coalesce(body_bytes, -1) -"
	    " coalesce(delivered_bytes, -1) + coalesce(unread_bytes, 0))"
	    " FROM exchange WHERE %s AND kind = ?3 AND held <> 0"
	    " AND verdict IN ('undrained', 'suspected')");
	struct reader row = {picked->store, binder.statement};
	bool is_good;

	store_bind_number(&binder, kind);
	is_good = store_next(picked->store, binder.statement) == ROW_READ;
	if (is_good) {
		leak->held_now = (uint64_t)store_number(&row, 0);
		leak->held_bytes = store_number(&row, 1);
	}
	store_free(picked->store, binder.statement);
	return is_good;
}

static struct owner *
read_owner(const struct reader *row)
{
	struct process *process = process_new(
	    store_text(row, 9), store_text(row, 14), store_text(row, 15));
	struct owner owner = {.process = process,
	    .pid = (pid_t)store_known(row, 7),
	    .fd = (int)store_known(row, 8),
	    .uid = OWNER_NO_UID};
	struct owner *copy = owner_copy(&owner);

	owner_fini(&owner);
	return copy;
}

static void
read_exchange(const struct reader *row, const struct leak *leak,
    struct exchange_record *exchange)
{
	*exchange = (struct exchange_record){
	    .conn_id = (uint64_t)store_number(row, 0),
	    .ordinal = (uint32_t)store_number(row, 1),
	    .is_held = store_number(row, 3) != 0,
	    .url = store_copy(row, 4),
	    .user_agent = store_copy(row, 5),
	    .client_address = store_copy(row, 6),
	    .owner = read_owner(row),
	    .body_bytes = store_known(row, 10),
	    .delivered_bytes = store_known(row, 11),
	    .facts.unread_bytes = (int32_t)store_known(row, 12),
	    .began_at = store_number(row, 13),
	    .status = leak->status,
	    .method = xstrdup(leak->method),
	    .origin = xstrdup(leak->origin),
	    .route = xstrdup(leak->route),
	};
	tags_copy(&exchange->tags, &leak->tags);
	/* The query asks for known words alone. */
	if (!verdict_from_word(
		store_text(row, 2), &exchange->judgement.verdict))
		exchange->judgement.verdict = VERDICT_SUSPECTED;
}

/* Takes what *exchange owns. */
static void
illustrate(struct leak *leak, struct exchange_record *exchange)
{
	if (exchange->client_address == NULL)
		exchange->client_address = xstrdup("?");
	leak_add_caller(leak, exchange);
	if (leak->example != NULL) {
		record_fini_exchange(exchange);
		return;
	}
	leak->example = xcalloc(1, sizeof(*leak->example));
	*leak->example = *exchange;
}

/* Adds callers and the example: an undrained one, where there is one. */
static bool
read_exchanges(const struct picked *picked, int64_t kind, struct leak *leak)
{
	struct binder binder = store_prepare_picked(picked,
	    "SELECT conn, ordinal, verdict, held, url, user_agent,"
	    " client_address, pid, fd, command, body_bytes, delivered_bytes,"
	    " unread_bytes, began_at, command_line, container FROM exchange "
	    "WHERE %s AND"
	    " kind = ?3 AND verdict IN ('undrained', 'suspected')"
	    " ORDER BY verdict DESC, began_at LIMIT " EXCHANGES_READ_MAX);
	struct reader row = {picked->store, binder.statement};
	struct exchange_record exchange;
	enum row found;

	store_bind_number(&binder, kind);
	while (
	    (found = store_next(picked->store, binder.statement)) == ROW_READ) {
		read_exchange(&row, leak, &exchange);
		illustrate(leak, &exchange);
	}
	store_free(picked->store, binder.statement);
	return found == ROW_END;
}

static bool
read_leak(
    const struct picked *picked, const struct reader *row, struct leak *leak)
{
	int64_t kind = store_number(row, 0);

	*leak = (struct leak){
	    .origin = store_copy(row, 2),
	    .method = store_copy(row, 3),
	    .route = store_copy(row, 4),
	    .status = (int)store_number(row, 5),
	    .undrained = (uint64_t)store_number(row, 6),
	    .suspected = (uint64_t)store_number(row, 7),
	    .held_to_exit = (uint64_t)store_number(row, 8),
	    .releases = {(uint64_t)store_number(row, 9), store_real(row, 10),
		store_real(row, 11)},
	    .first_seen = store_number(row, 12),
	    .last_seen = store_number(row, 13),
	};
	strncpy(leak->id, store_text(row, 1), sizeof(leak->id) - 1);
	return store_read_tags(picked->store, kind, &leak->tags) &&
	    read_evidence(picked, kind, leak) &&
	    read_held(picked, kind, leak) && read_exchanges(picked, kind, leak);
}

static bool
read_leaks(const struct picked *picked, struct snapshot *snapshot)
{
	struct binder binder = store_prepare_picked(picked,
	    "SELECT k.kind, leak_id, origin, method, route, status,"
	    " sum(undrained), sum(suspected), sum(held_to_exit),"
	    " sum(released), sum(released_s), sum(released_squares_s),"
	    " min(first_seen), max(last_seen)"
	    " FROM leak l JOIN kind k ON k.kind = l.kind WHERE l.%s"
	    " AND (undrained > 0 OR suspected > 0)" STORE_OF_VERSION
	    " GROUP BY k.kind, leak_id, origin, method, route, status");
	struct reader row = {picked->store, binder.statement};
	enum row found = ROW_FAILED;
	bool is_good = true;

	while (is_good &&
	    (found = store_next(picked->store, binder.statement)) == ROW_READ) {
		snapshot->leaks = xreallocarray(snapshot->leaks,
		    snapshot->leak_count + 1, sizeof(*snapshot->leaks));
		is_good = read_leak(
		    picked, &row, &snapshot->leaks[snapshot->leak_count++]);
	}
	store_free(picked->store, binder.statement);
	return is_good && found == ROW_END;
}

struct snapshot *
store_read_snapshot(
    struct store *store, const struct store_run *run, const char *version)
{
	struct picked picked = {store, run, version};
	struct snapshot *snapshot = snapshot_new();

	snapshot->taken_at = run->seen;
	snapshot->since = run->started;
	snapshot->seconds_us = run->seen - run->started;
	if (!read_totals(&picked, &snapshot->totals) ||
	    !read_leaks(&picked, snapshot)) {
		snapshot_free(snapshot);
		return NULL;
	}
	for (size_t i = 0; i < snapshot->leak_count; i++)
		snapshot->totals.held_now += snapshot->leaks[i].held_now;
	snapshot_seal(snapshot, &(struct snapshot_query){0});
	return snapshot;
}

/* ---- what is compared ---- */

static bool
read_kind(struct store *store, const struct reader *row, bool counts_exposure,
    struct compare_kind *kind)
{
	*kind = (struct compare_kind){
	    .origin = store_copy(row, 1),
	    .method = store_copy(row, 2),
	    .route = store_copy(row, 3),
	    .status = (int)store_number(row, 4),
	    .side = {.undrained = (uint64_t)store_number(row, 5),
		.suspected = (uint64_t)store_number(row, 6),
		.settled = store_number(row, 7)},
	    .first_seen = store_number(row, 8),
	    .last_seen = store_number(row, 9),
	};
	if (!counts_exposure || strcmp(kind->origin, OTHER) == 0)
		kind->side.settled = -1;
	return store_read_tags(store, store_number(row, 0), &kind->tags);
}

/* How long the runs lasted; or the version, from its first response on in
 * each. */
static bool
read_hours(const struct picked *picked, struct compare_run *kinds)
{
	struct binder binder = store_prepare_picked(picked,
	    "SELECT sum(exposures), sum(CASE WHEN ?2 IS NULL THEN lasted ELSE"
	    " exposed END) FROM (SELECT r.run, r.seen - r.started AS lasted,"
	    " count(e.run) AS exposures, max(e.last_seen) -"
	    " min(e.first_seen) AS exposed FROM run r"
	    " LEFT JOIN (SELECT e.run AS run, first_seen, last_seen FROM"
	    "  exposure e JOIN kind k ON k.kind = e.kind WHERE "
	    "e.%s" STORE_OF_VERSION ") AS e ON e.run = r.run WHERE r.%s"
	    " GROUP BY r.run, r.seen, r.started) AS each_run");
	struct reader row = {picked->store, binder.statement};
	bool is_good;

	is_good = store_next(picked->store, binder.statement) == ROW_READ;
	if (is_good) {
		kinds->counts_exposure =
		    store_number(&row, 0) > 0 || picked->run->undrained == 0;
		kinds->hours =
		    (double)store_number(&row, 1) / (3600.0 * (double)US_PER_S);
	}
	store_free(picked->store, binder.statement);
	return is_good;
}

bool
store_read_kinds(struct store *store, const struct store_run *run,
    const char *version, struct compare_run *kinds)
{
	struct picked picked = {store, run, version};
	struct binder binder;
	struct reader row = {.store = store};
	bool is_good = true;
	enum row found = ROW_FAILED;

	*kinds = (struct compare_run){0};
	if (!read_hours(&picked, kinds))
		return false;
	binder = store_prepare_picked(&picked,
	    "SELECT k.kind, origin, method, route, status, sum(undrained),"
	    " sum(suspected), sum(settled), min(first_seen), max(last_seen)"
	    " FROM (SELECT run, kind, undrained, suspected, 0 AS settled,"
	    " first_seen, last_seen FROM leak WHERE %s UNION ALL"
	    " SELECT run, kind, 0, 0, settled, NULL, NULL FROM exposure"
	    " WHERE %s) AS x JOIN kind k ON k.kind = x.kind"
	    " WHERE (undrained > 0 OR suspected > 0 OR settled > "
	    "0)" STORE_OF_VERSION
	    " GROUP BY k.kind, origin, method, route, status");
	row.statement = binder.statement;
	while (is_good &&
	    (found = store_next(store, binder.statement)) == ROW_READ) {
		kinds->kinds = xreallocarray(
		    kinds->kinds, kinds->count + 1, sizeof(*kinds->kinds));
		is_good = read_kind(store, &row, kinds->counts_exposure,
		    &kinds->kinds[kinds->count++]);
	}
	store_free(store, binder.statement);
	if (is_good && found == ROW_END)
		return true;
	compare_run_fini(kinds);
	return false;
}
