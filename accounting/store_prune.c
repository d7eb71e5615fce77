/* SPDX-License-Identifier: MIT */

/*
 * What is kept, and for how long.
 *
 * Too old goes first; then, of too much, in the order of `slices`, a slice at
 * a time, until the rest fits.  Leaks themselves go last, with their run.
 */

#include "accounting/store_parts.h"

#include <stddef.h>

#include "accounting/ship.h"

/* To be below the bound for a while, it is pruned to this part of it. */
#define ROOM_PERCENT 90

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static bool
run_with(struct store *store, const char *sql, int64_t parameter)
{
	struct statement *statement = store_prepare(store, sql);
	struct binder binder = {store, statement, 0};
	bool is_good;

	store_bind_number(&binder, parameter);
	is_good = store_step(store, statement);
	store_free(store, statement);
	return is_good;
}

/* ---- runs ---- */

static bool
forget_run(struct store *store, int64_t run)
{
	static const char *const tables[] = {
	    "DELETE FROM count WHERE run = ?1",
	    "DELETE FROM leak WHERE run = ?1",
	    "DELETE FROM evidence WHERE run = ?1",
	    "DELETE FROM exchange WHERE run = ?1",
	    "DELETE FROM exposure WHERE run = ?1",
	    "DELETE FROM mark WHERE run = ?1",
	    "DELETE FROM timeline WHERE run = ?1",
	    "DELETE FROM shipped WHERE run = ?1",
	    "DELETE FROM run WHERE run = ?1",
	};

	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		if (!run_with(store, tables[i], run))
			return false;
	}
	return true;
}

/* Forgets the oldest run last written before that time, and not the one that
 * is written now.  *is_done says that there is none. */
static bool
forget_oldest_run(struct store *store, wall_us before, bool *is_done)
{
	struct statement *statement = store_prepare(store,
	    "SELECT run FROM run WHERE seen < ?1 AND run <> ?2"
	    " ORDER BY run LIMIT 1");
	struct binder binder = {store, statement, 0};
	struct reader row = {store, statement};
	int64_t run = 0;
	enum row found;

	store_bind_number(&binder, before);
	store_bind_number(&binder, store->run);
	found = store_next(store, statement);
	if (found == ROW_READ)
		run = store_number(&row, 0);
	store_free(store, statement);
	*is_done = found == ROW_END;
	return *is_done || (found == ROW_READ && forget_run(store, run));
}

/* Kinds that nothing refers to any more. */
static bool
forget_kinds(struct store *store)
{
	return store_run_sql(store,
	    "DELETE FROM kind WHERE kind NOT IN (SELECT kind FROM leak)"
	    " AND kind NOT IN (SELECT kind FROM exposure)"
	    " AND kind NOT IN (SELECT kind FROM exchange);"
	    "DELETE FROM kind_tag WHERE kind NOT IN (SELECT kind FROM kind)");
}

/* ---- age ---- */

static bool
forget_old(struct store *store, wall_us before)
{
	bool is_done = false;
	bool is_good =
	    run_with(
		store, "DELETE FROM exchange WHERE began_at < ?1", before) &&
	    run_with(store, "DELETE FROM mark WHERE at < ?1", before) &&
	    run_with(store, "DELETE FROM timeline WHERE at < ?1", before);

	while (is_good && !is_done)
		is_good = forget_oldest_run(store, before, &is_done);
	return is_good;
}

/* ---- size ---- */

/* ?1 is the run that is written now. */
static const char *const slices[] = {
    /* proven harmless */
    "DELETE FROM exchange WHERE (run, conn, ordinal) IN (SELECT run, conn,"
    " ordinal FROM exchange WHERE ?1 = ?1"
    " AND verdict NOT IN ('undrained', 'suspected')"
    " ORDER BY began_at LIMIT 2000)",
    /* kinds that never leaked, in runs that are over */
    "DELETE FROM exposure WHERE (run, kind) IN (SELECT run, kind FROM"
    " exposure WHERE run <> ?1 AND kind NOT IN (SELECT kind FROM leak)"
    " ORDER BY run LIMIT 2000)",
    "DELETE FROM timeline WHERE (run, at) IN (SELECT run, at FROM timeline"
    " WHERE run <> ?1 ORDER BY at LIMIT 2000)",
    "DELETE FROM mark WHERE rowid IN (SELECT rowid FROM mark"
    " WHERE run <> ?1 ORDER BY at LIMIT 2000)",
    /* not proven */
    "DELETE FROM exchange WHERE (run, conn, ordinal) IN (SELECT run, conn,"
    " ordinal FROM exchange WHERE ?1 = ?1 AND verdict = 'suspected'"
    " ORDER BY began_at LIMIT 2000)",
    /* evidence: each of these is in the counts of its leak */
    "DELETE FROM exchange WHERE (run, conn, ordinal) IN (SELECT run, conn,"
    " ordinal FROM exchange WHERE ?1 = ?1 ORDER BY began_at LIMIT 2000)",
    "DELETE FROM timeline WHERE (run, at) IN (SELECT run, at FROM timeline"
    " WHERE ?1 = ?1 ORDER BY at LIMIT 2000)",
    "DELETE FROM mark WHERE rowid IN (SELECT rowid FROM mark"
    " WHERE ?1 = ?1 ORDER BY at LIMIT 2000)",
};

/* The file without the pages that are free in it. */
static bool
measure(struct store *store, int64_t *bytes)
{
	int64_t pages;
	int64_t free_pages;
	int64_t page_bytes;

	if (!store_read_number(store, "PRAGMA page_count", &pages) ||
	    !store_read_number(store, "PRAGMA freelist_count", &free_pages) ||
	    !store_read_number(store, "PRAGMA page_size", &page_bytes))
		return false;
	*bytes = (pages - free_pages) * page_bytes;
	return true;
}

/* Deletes one kind of rows until the rest fits, or none are left. */
static bool
cut_slice(struct store *store, const char *sql, int64_t max_bytes, bool *fits)
{
	int64_t bytes = 0;

	for (;;) {
		if (!measure(store, &bytes))
			return false;
		*fits = bytes <= max_bytes;
		if (*fits)
			return true;
		if (!run_with(store, sql, store->run))
			return false;
		if (store_changes(store) == 0)
			return true;
	}
}

static bool
cut_runs(struct store *store, int64_t max_bytes, bool *fits)
{
	bool is_done = false;
	int64_t bytes = 0;

	while (!*fits && !is_done) {
		if (!forget_oldest_run(store, INT64_MAX, &is_done) ||
		    !forget_kinds(store) || !measure(store, &bytes))
			return false;
		*fits = bytes <= max_bytes;
	}
	return true;
}

static bool
cut(struct store *store, int64_t max_bytes)
{
	int64_t room = max_bytes / 100 * ROOM_PERCENT;
	int64_t bytes;
	bool fits = false;

	if (!measure(store, &bytes))
		return false;
	if (bytes <= max_bytes)
		return true;
	for (size_t i = 0; i < COUNT_OF(slices) && !fits; i++) {
		if (!cut_slice(store, slices[i], room, &fits))
			return false;
	}
	return cut_runs(store, room, &fits) && forget_kinds(store);
}

static bool
prune(struct store *store, const struct store_bounds *bounds, wall_us now)
{
	if (bounds->max_age_us > 0 &&
	    (!forget_old(store, now - bounds->max_age_us) ||
		!forget_kinds(store)))
		return false;
	return cut(store, bounds->max_bytes);
}

/* Within the transaction, so that nothing is sent on meanwhile. */
static bool
prune_and_count(
    struct store *store, const struct store_bounds *bounds, wall_us now)
{
	int64_t before;
	int64_t after;

	if (bounds->unshipped == NULL)
		return prune(store, bounds, now);
	if (!ship_count_waiting(store, &before) || !prune(store, bounds, now) ||
	    !ship_count_waiting(store, &after))
		return false;
	*bounds->unshipped += (uint64_t)(before - after);
	return true;
}

bool
store_prune(struct store *store, const struct store_bounds *bounds, wall_us now)
{
	if (!store_begin(store) ||
	    !store_finish(store, prune_and_count(store, bounds, now)))
		return false;
	/* Gives free pages back to the file system. */
	return store_run_sql(store, "PRAGMA incremental_vacuum");
}
