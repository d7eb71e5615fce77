/* SPDX-License-Identifier: MIT */

/*
 * Runs as they were: listed, reported, compared.
 */

#include "accounting/store_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

#define VERSIONS_SHOWN_MAX 8
#define OTHER "other" /* what groups.c counts under when it is full */

/* ---- runs ---- */

void
store_run_fini(struct store_run *run)
{
	free(run->name);
	free(run->host);
	free(run->program);
	free(run->versions);
	*run = (struct store_run){0};
}

#define RUN_COLUMNS                                                        \
	"SELECT run, name, host, program, started, seen, ended,"           \
	" (SELECT value FROM count c WHERE c.run = r.run"                  \
	"   AND what = 'connections'),"                                    \
	" (SELECT value FROM count c WHERE c.run = r.run"                  \
	"   AND what = 'exchanges'),"                                      \
	" (SELECT value FROM count c WHERE c.run = r.run"                  \
	"   AND what = 'undrained'),"                                      \
	" (SELECT count(*) FROM leak l WHERE l.run = r.run"                \
	"   AND undrained > 0),"                                           \
	" (SELECT group_concat(version, ', ') FROM (SELECT DISTINCT"       \
	"   version FROM exposure e JOIN kind k ON k.kind = e.kind"        \
	"   WHERE e.run = r.run AND version IS NOT NULL ORDER BY 1 LIMIT " \
	"   8)) FROM run r "

static void
read_run(sqlite3_stmt *row, struct store_run *run)
{
	*run = (struct store_run){
	    .id = sqlite3_column_int64(row, 0),
	    .name = store_column_text(row, 1),
	    .host = store_column_text(row, 2),
	    .program = store_column_text(row, 3),
	    .started = sqlite3_column_int64(row, 4),
	    .seen = sqlite3_column_int64(row, 5),
	    .ended = sqlite3_column_int64(row, 6),
	    .connections = (uint64_t)sqlite3_column_int64(row, 7),
	    .exchanges = (uint64_t)sqlite3_column_int64(row, 8),
	    .undrained = (uint64_t)sqlite3_column_int64(row, 9),
	    .leaks = (uint64_t)sqlite3_column_int64(row, 10),
	    .versions = store_column_text(row, 11),
	};
}

struct store_run *
store_list_runs(struct store *store, size_t *count)
{
	sqlite3_stmt *rows = store_prepare(store, RUN_COLUMNS "ORDER BY run");
	struct store_run *runs = xcalloc(1, sizeof(*runs));
	int result;

	*count = 0;
	while (rows != NULL && (result = sqlite3_step(rows)) == SQLITE_ROW) {
		runs = xreallocarray(runs, *count + 1, sizeof(*runs));
		read_run(rows, &runs[(*count)++]);
	}
	if (rows != NULL && result == SQLITE_DONE) {
		sqlite3_finalize(rows);
		return runs;
	}
	if (rows != NULL)
		store_complain(store);
	sqlite3_finalize(rows);
	while (*count > 0)
		store_run_fini(&runs[--*count]);
	free(runs);
	return NULL;
}

static bool
is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 18 && text[digits] == '\0';
}

static const char *
condition_of(const char *name)
{
	if (strcmp(name, "last") == 0)
		return RUN_COLUMNS "ORDER BY run DESC LIMIT 1";
	if (is_number(name))
		return RUN_COLUMNS "WHERE run = CAST(?1 AS INTEGER)";
	return RUN_COLUMNS "WHERE name = ?1 ORDER BY run DESC LIMIT 1";
}

static bool
find_run(struct store *store, const char *name, struct store_run *run)
{
	sqlite3_stmt *row = store_prepare(store, condition_of(name));
	struct binder binder = {row, 0};
	int result;

	if (row == NULL)
		return false;
	if (sqlite3_bind_parameter_count(row) > 0)
		store_bind_text(&binder, name);
	result = sqlite3_step(row);
	if (result == SQLITE_ROW)
		read_run(row, run);
	else if (result == SQLITE_DONE)
		store_refuse(store, STORE_ABSENT,
		    "has no run \"%.60s\": leakproxy runs lists those there "
		    "are",
		    name);
	else
		store_complain(store);
	sqlite3_finalize(row);
	return result == SQLITE_ROW;
}

bool
store_find_run(struct store *store, const char *reference,
    struct store_run *run, char **version)
{
	const char *at = strchr(reference, '@');
	char *name = xstrndup(reference,
	    at == NULL ? strlen(reference) : (size_t)(at - reference));
	bool is_found = find_run(store, name, run);

	free(name);
	*version = is_found && at != NULL ? xstrdup(at + 1) : NULL;
	return is_found;
}

/* ---- rows of one run and version ---- */

/* What the statements below take: ?1 the run, ?2 the version or NULL. */
static sqlite3_stmt *
prepare_for(
    struct store *store, const char *sql, int64_t run, const char *version)
{
	sqlite3_stmt *rows = store_prepare(store, sql);
	struct binder binder = {rows, 0};

	if (rows == NULL)
		return NULL;
	store_bind_number(&binder, run);
	if (sqlite3_bind_parameter_count(rows) > 1)
		store_bind_text(&binder, version);
	return rows;
}

static bool
finish_rows(struct store *store, sqlite3_stmt *rows, int result)
{
	if (rows != NULL && result != SQLITE_DONE)
		store_complain(store);
	sqlite3_finalize(rows);
	return rows != NULL && result == SQLITE_DONE;
}

static bool
read_tags(struct store *store, int64_t kind, struct tags *tags)
{
	sqlite3_stmt *rows = prepare_for(store,
	    "SELECT name, value FROM kind_tag WHERE kind = ?1", kind, NULL);
	int result = SQLITE_ERROR;

	while (rows != NULL && (result = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *value = (const char *)sqlite3_column_text(rows, 1);

		/* What does not fit was no tag of ours. */
		(void)!tags_set(tags,
		    (const char *)sqlite3_column_text(rows, 0), value,
		    strlen(value));
	}
	return finish_rows(store, rows, result);
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
read_totals(struct store *store, int64_t run, struct totals *totals)
{
	sqlite3_stmt *rows = prepare_for(
	    store, "SELECT what, value FROM count WHERE run = ?1", run, NULL);
	int result = SQLITE_ERROR;

	while (rows != NULL && (result = sqlite3_step(rows)) == SQLITE_ROW)
		read_count(totals, (const char *)sqlite3_column_text(rows, 0),
		    (uint64_t)sqlite3_column_int64(rows, 1));
	return finish_rows(store, rows, result);
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
read_evidence(struct store *store, int64_t run, int64_t kind, struct leak *leak)
{
	sqlite3_stmt *rows = store_prepare(store,
	    "SELECT word, value FROM evidence WHERE run = ?1 AND kind = ?2");
	struct binder binder = {rows, 0};
	int result = SQLITE_ERROR;

	if (rows == NULL)
		return false;
	store_bind_number(&binder, run);
	store_bind_number(&binder, kind);
	while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *word = (const char *)sqlite3_column_text(rows, 0);

		leak->by_evidence[evidence_of(word)] +=
		    (uint64_t)sqlite3_column_int64(rows, 1);
	}
	return finish_rows(store, rows, result);
}

static void
read_exchange(sqlite3_stmt *row, const struct leak *leak,
    struct exchange_record *exchange)
{
	*exchange = (struct exchange_record){
	    .conn_id = (uint64_t)sqlite3_column_int64(row, 0),
	    .ordinal = (uint32_t)sqlite3_column_int64(row, 1),
	    .is_held = sqlite3_column_int64(row, 3) != 0,
	    .url = store_column_text(row, 4),
	    .user_agent = store_column_text(row, 5),
	    .client_address = store_column_text(row, 6),
	    .owner = {.pid = (pid_t)store_column_known(row, 7),
		.fd = (int)store_column_known(row, 8),
		.uid = -1,
		.command = store_column_text(row, 9),
		.command_line = store_column_text(row, 14)},
	    .body_bytes = store_column_known(row, 10),
	    .delivered_bytes = store_column_known(row, 11),
	    .facts.unread_bytes = store_column_known(row, 12),
	    .began_at = sqlite3_column_int64(row, 13),
	    .status = leak->status,
	    .method = xstrdup(leak->method),
	    .origin = xstrdup(leak->origin),
	    .route = xstrdup(leak->route),
	};
	tags_copy(&exchange->tags, &leak->tags);
	if (sqlite3_column_type(row, 15) != SQLITE_NULL)
		strncpy(exchange->owner.container,
		    (const char *)sqlite3_column_text(row, 15),
		    sizeof(exchange->owner.container) - 1);
	/* The query asks for known words alone. */
	if (!verdict_from_word((const char *)sqlite3_column_text(row, 2),
		&exchange->judgement.verdict))
		exchange->judgement.verdict = VERDICT_SUSPECTED;
}

/* Takes what *exchange owns. */
static void
illustrate(struct leak *leak, struct exchange_record *exchange)
{
	if (exchange->client_address == NULL)
		exchange->client_address = xstrdup("?");
	leak_add_caller(leak, exchange);
	if (exchange->is_held) {
		leak->held_now++;
		leak->held_bytes +=
		    exchange->body_bytes - exchange->delivered_bytes;
		if (exchange->facts.unread_bytes > 0)
			leak->held_bytes += exchange->facts.unread_bytes;
	}
	if (leak->example != NULL) {
		record_fini_exchange(exchange);
		return;
	}
	leak->example = xcalloc(1, sizeof(*leak->example));
	*leak->example = *exchange;
}

/* Adds callers, what was held, and the example: an undrained one, where there
 * is one. */
static bool
read_exchanges(
    struct store *store, int64_t run, int64_t kind, struct leak *leak)
{
	sqlite3_stmt *rows = store_prepare(store,
	    "SELECT conn, ordinal, verdict, held, url, user_agent,"
	    " client_address, pid, fd, command, body_bytes, delivered_bytes,"
	    " unread_bytes, began_at, command_line, container FROM exchange "
	    "WHERE run = ?1 AND"
	    " kind = ?2 AND verdict IN ('undrained', 'suspected')"
	    " ORDER BY verdict DESC, began_at");
	struct binder binder = {rows, 0};
	struct exchange_record exchange;
	int result = SQLITE_ERROR;

	if (rows == NULL)
		return false;
	store_bind_number(&binder, run);
	store_bind_number(&binder, kind);
	while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
		read_exchange(rows, leak, &exchange);
		illustrate(leak, &exchange);
	}
	return finish_rows(store, rows, result);
}

static bool
read_leak(
    struct store *store, int64_t run, sqlite3_stmt *row, struct leak *leak)
{
	int64_t kind = sqlite3_column_int64(row, 0);

	*leak = (struct leak){
	    .origin = store_column_text(row, 2),
	    .method = store_column_text(row, 3),
	    .route = store_column_text(row, 4),
	    .status = (int)sqlite3_column_int64(row, 5),
	    .undrained = (uint64_t)sqlite3_column_int64(row, 6),
	    .suspected = (uint64_t)sqlite3_column_int64(row, 7),
	    .held_to_exit = (uint64_t)sqlite3_column_int64(row, 8),
	    .releases = {(uint64_t)sqlite3_column_int64(row, 9),
		sqlite3_column_double(row, 10), sqlite3_column_double(row, 11)},
	    .first_seen = sqlite3_column_int64(row, 12),
	    .last_seen = sqlite3_column_int64(row, 13),
	};
	strncpy(leak->id, (const char *)sqlite3_column_text(row, 1),
	    sizeof(leak->id) - 1);
	return read_tags(store, kind, &leak->tags) &&
	    read_evidence(store, run, kind, leak) &&
	    read_exchanges(store, run, kind, leak);
}

static bool
read_leaks(struct store *store, int64_t run, const char *version,
    struct snapshot *snapshot)
{
	sqlite3_stmt *rows = prepare_for(store,
	    "SELECT k.kind, leak_id, origin, method, route, status,"
	    " undrained, suspected, held_to_exit, released, released_s,"
	    " released_squares_s, first_seen, last_seen"
	    " FROM leak l JOIN kind k ON k.kind = l.kind"
	    " WHERE run = ?1 AND (undrained > 0 OR suspected > 0)"
	    " AND (?2 IS NULL OR version = ?2)",
	    run, version);
	bool is_good = rows != NULL;
	int result = SQLITE_ERROR;

	while (is_good && (result = sqlite3_step(rows)) == SQLITE_ROW) {
		snapshot->leaks = xreallocarray(snapshot->leaks,
		    snapshot->leak_count + 1, sizeof(*snapshot->leaks));
		is_good = read_leak(
		    store, run, rows, &snapshot->leaks[snapshot->leak_count++]);
	}
	if (is_good)
		return finish_rows(store, rows, result);
	sqlite3_finalize(rows);
	return false;
}

struct snapshot *
store_read_snapshot(
    struct store *store, const struct store_run *run, const char *version)
{
	struct snapshot *snapshot = snapshot_new();

	snapshot->taken_at = run->seen;
	snapshot->since = run->started;
	snapshot->seconds_us = run->seen - run->started;
	if (!read_totals(store, run->id, &snapshot->totals) ||
	    !read_leaks(store, run->id, version, snapshot)) {
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
read_kind(struct store *store, sqlite3_stmt *row, bool counts_exposure,
    struct compare_kind *kind)
{
	*kind = (struct compare_kind){
	    .origin = store_column_text(row, 1),
	    .method = store_column_text(row, 2),
	    .route = store_column_text(row, 3),
	    .status = (int)sqlite3_column_int64(row, 4),
	    .side = {.undrained = (uint64_t)sqlite3_column_int64(row, 5),
		.suspected = (uint64_t)sqlite3_column_int64(row, 6),
		.settled = sqlite3_column_int64(row, 7)},
	    .first_seen = sqlite3_column_int64(row, 8),
	    .last_seen = sqlite3_column_int64(row, 9),
	};
	if (!counts_exposure || strcmp(kind->origin, OTHER) == 0)
		kind->side.settled = -1;
	return read_tags(store, sqlite3_column_int64(row, 0), &kind->tags);
}

/* How long the run lasted; or the version, from its first response on. */
static bool
read_hours(struct store *store, const struct store_run *run,
    const char *version, struct compare_run *kinds)
{
	sqlite3_stmt *row = prepare_for(store,
	    "SELECT count(*), min(first_seen), max(last_seen) FROM exposure e"
	    " JOIN kind k ON k.kind = e.kind"
	    " WHERE run = ?1 AND (?2 IS NULL OR version = ?2)",
	    run->id, version);
	wall_us from = run->started;
	wall_us to = run->seen;

	if (row == NULL || sqlite3_step(row) != SQLITE_ROW)
		return finish_rows(store, row, SQLITE_ERROR);
	if (version != NULL) {
		from = sqlite3_column_int64(row, 1);
		to = sqlite3_column_int64(row, 2);
	}
	kinds->hours = (double)(to - from) / (3600.0 * (double)US_PER_S);
	kinds->counts_exposure =
	    sqlite3_column_int64(row, 0) > 0 || run->undrained == 0;
	return finish_rows(store, row, SQLITE_DONE);
}

bool
store_read_kinds(struct store *store, const struct store_run *run,
    const char *version, struct compare_run *kinds)
{
	sqlite3_stmt *rows;
	bool is_good;
	int result = SQLITE_ERROR;

	*kinds = (struct compare_run){0};
	if (!read_hours(store, run, version, kinds))
		return false;
	rows = prepare_for(store,
	    "SELECT k.kind, origin, method, route, status,"
	    " ifnull(undrained, 0), ifnull(suspected, 0), ifnull(settled, 0),"
	    " ifnull(l.first_seen, 0), ifnull(l.last_seen, 0) FROM kind k"
	    " LEFT JOIN leak l ON l.run = ?1 AND l.kind = k.kind"
	    " LEFT JOIN exposure e ON e.run = ?1 AND e.kind = k.kind"
	    " WHERE (undrained > 0 OR suspected > 0 OR settled > 0)"
	    " AND (?2 IS NULL OR version = ?2)",
	    run->id, version);
	is_good = rows != NULL;
	while (is_good && (result = sqlite3_step(rows)) == SQLITE_ROW) {
		kinds->kinds = xreallocarray(
		    kinds->kinds, kinds->count + 1, sizeof(*kinds->kinds));
		is_good = read_kind(store, rows, kinds->counts_exposure,
		    &kinds->kinds[kinds->count++]);
	}
	if (!is_good)
		sqlite3_finalize(rows);
	else
		is_good = finish_rows(store, rows, result);
	if (!is_good)
		compare_run_fini(kinds);
	return is_good;
}

/* ---- marks and timeline ---- */
