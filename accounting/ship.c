/* SPDX-License-Identifier: MIT */

/*
 * Runs, and how far each was sent.
 */

#include "accounting/ship_parts.h"

#include <stdlib.h>

#include "accounting/memory.h"

/* The latest runs, that are looked up there at first. */
#define RUNS_CHECKED_MAX 100

bool
ship_blame(struct ship *ship, const struct store *store)
{
	ship->failed = store;
	return false;
}

/* ---- a run ---- */

/* Reads the row of the run that is sent. */
static bool
read_own(struct ship *ship, struct statement *statement)
{
	enum row found = store_next(ship->from, statement);

	if (found == ROW_END)
		store_refuse(ship->from, STORE_BUSY,
		    "has just lost a run that was to be sent, to "
		    "--store-max-age or --store-max-bytes: that passes");
	return found == ROW_READ || ship_blame(ship, ship->from);
}

/* Beside its number and what changes. */
#define FACTS "uuid, started, name, host, program, pid, service, version"

/* How a run's row there is found or made, and held. */
static const struct hold {
	const char *sql;
	int facts; /* the first of FACTS, which it takes */
} lock_row = {"UPDATE run SET uuid = uuid WHERE uuid = ?1 RETURNING run, rev",
    1},
  put_row = {"INSERT INTO run(" FACTS ", seen, rev) VALUES(?1, ?2, ?3, ?4, ?5,"
	     " ?6, ?7, ?8, ?2, 0) ON CONFLICT(uuid) DO UPDATE SET uuid ="
	     " excluded.uuid RETURNING run, rev",
      8};

/* Runs one of these.  *is_there says whether it gave a row. */
static bool
hold_run(struct ship *ship, const struct hold *how, struct statement *facts,
    struct part *part, bool *is_there)
{
	struct statement *hold = store_prepare(ship->to, how->sql);
	struct binder binder = {ship->to, hold, 0};
	struct reader row = {ship->to, hold};
	enum row found;

	for (int i = 0; i < how->facts; i++) {
		struct value value = ship->from->engine->column(facts, i);

		store_bind_value(&binder, &value);
	}
	found = store_next(ship->to, hold);
	*is_there = found == ROW_READ;
	if (*is_there) {
		part->to_run = store_number(&row, 0);
		part->after = store_number(&row, 1);
		found = store_next(ship->to, hold);
	}
	store_free(ship->to, hold);
	return found == ROW_END || ship_blame(ship, ship->to);
}

/* Holds the run's row there until the transaction ends, so that of two that
 * send the same run one waits, and then sees what the other has sent. */
static bool
lock_run(struct ship *ship, struct part *part)
{
	struct statement *facts = store_prepare(
	    ship->from, "SELECT " FACTS " FROM run WHERE run = ?1");
	struct binder binder = {ship->from, facts, 0};
	bool is_there = false;
	bool is_good;

	store_bind_number(&binder, part->run);
	is_good = read_own(ship, facts);
	if (is_good)
		is_good = hold_run(ship, &lock_row, facts, part, &is_there);
	if (is_good && !is_there)
		is_good = hold_run(ship, &put_row, facts, part, &is_there);
	store_free(ship->from, facts);
	return is_good;
}

/* So many exchanges at a time, and the rest of the run's with the last. */
static bool
choose_last(struct ship *ship, struct part *part)
{
	struct statement *statement = store_prepare(ship->from,
	    "SELECT coalesce((SELECT rev FROM exchange WHERE run = ?1"
	    " AND rev > ?2 ORDER BY rev LIMIT 1 OFFSET 2000),"
	    " (SELECT rev FROM run WHERE run = ?1))");
	struct binder binder = {ship->from, statement, 0};
	struct reader row = {ship->from, statement};
	bool is_good;

	store_bind_number(&binder, part->run);
	store_bind_number(&binder, part->after);
	is_good = store_next(ship->from, statement) == ROW_READ;
	if (is_good)
		part->last = store_number(&row, 0);
	store_free(ship->from, statement);
	/* The spool may be an old copy of itself. */
	if (part->last < part->after)
		part->last = part->after;
	return is_good || ship_blame(ship, ship->from);
}

static bool
end_part(struct ship *ship, const struct part *part)
{
	struct statement *times = store_prepare(
	    ship->from, "SELECT seen, ended FROM run WHERE run = ?1");
	struct statement *update = store_prepare(ship->to,
	    "UPDATE run SET seen = ?2, ended = ?3, rev = ?4 WHERE run = ?1");
	struct binder from = {ship->from, times, 0};
	struct binder to = {ship->to, update, 0};
	bool is_good;

	store_bind_number(&from, part->run);
	is_good = read_own(ship, times);
	if (is_good) {
		struct value seen = ship->from->engine->column(times, 0);
		struct value ended = ship->from->engine->column(times, 1);

		store_bind_number(&to, part->to_run);
		store_bind_value(&to, &seen);
		store_bind_value(&to, &ended);
		store_bind_number(&to, part->last);
		is_good =
		    (store_send(ship->to, update) && store_settle(ship->to)) ||
		    ship_blame(ship, ship->to);
	}
	store_free(ship->from, times);
	store_free(ship->to, update);
	return is_good;
}

static bool
copy_part(struct ship *ship, struct part *part)
{
	return choose_last(ship, part) && ship_rows(ship, part) &&
	    end_part(ship, part);
}

/* All that is read is of one moment, after the run was locked there. */
static bool
copy_moment(struct ship *ship, struct part *part)
{
	bool is_good;

	if (!lock_run(ship, part))
		return false;
	if (!store_run_sql(ship->from, "BEGIN"))
		return ship_blame(ship, ship->from);
	is_good = copy_part(ship, part);
	return (store_run_sql(ship->from, "COMMIT") ||
		   ship_blame(ship, ship->from)) &&
	    is_good;
}

/* ---- what there is to send ---- */

static const char *
identity_of(const struct store *store)
{
	return store->identity == NULL ? store->path : store->identity;
}

static enum row
find_run(struct ship *ship, struct part *part)
{
	struct statement *statement = store_prepare(ship->from,
	    "SELECT r.run FROM run r LEFT JOIN shipped s ON s.run = r.run"
	    " AND s.store = ?1 WHERE r.uuid IS NOT NULL"
	    " AND r.rev > coalesce(s.rev, 0) ORDER BY r.run LIMIT 1");
	struct binder binder = {ship->from, statement, 0};
	struct reader row = {ship->from, statement};
	enum row found;

	store_bind_text(&binder, identity_of(ship->to));
	found = store_next(ship->from, statement);
	if (found == ROW_READ)
		part->run = store_number(&row, 0);
	store_free(ship->from, statement);
	return found;
}

static bool
note_shipped(struct ship *ship, const struct part *part)
{
	struct statement *statement = store_prepare(ship->from,
	    "INSERT INTO shipped(run, store, rev) VALUES(?1, ?2, ?3)"
	    " ON CONFLICT(run) DO UPDATE SET store = excluded.store,"
	    " rev = excluded.rev"
	    " WHERE store <> excluded.store OR rev < excluded.rev");
	struct binder binder = {ship->from, statement, 0};
	bool is_good;

	store_bind_number(&binder, part->run);
	store_bind_text(&binder, identity_of(ship->to));
	store_bind_number(&binder, part->last);
	is_good = store_step(ship->from, statement);
	store_free(ship->from, statement);
	return is_good || ship_blame(ship, ship->from);
}

/* Notes that the run is there up to `rev` alone, and was thought to be there
 * further. */
static bool
take_back(struct ship *ship, int64_t run, int64_t rev)
{
	struct statement *statement = store_prepare(
	    ship->from, "UPDATE shipped SET rev = ?2 WHERE run = ?1");
	struct binder binder = {ship->from, statement, 0};
	bool is_good;

	store_bind_number(&binder, run);
	store_bind_number(&binder, rev);
	is_good = store_step(ship->from, statement);
	store_free(ship->from, statement);
	return is_good || ship_blame(ship, ship->from);
}

/* A run, and how far it is thought to be there. */
struct sent {
	int64_t run;
	int64_t rev;
	char *uuid; /* owned */
};

static bool
check_run(struct ship *ship, const struct sent *sent)
{
	struct statement *statement =
	    store_prepare(ship->to, "SELECT rev FROM run WHERE uuid = ?1");
	struct binder binder = {ship->to, statement, 0};
	struct reader there = {ship->to, statement};
	int64_t rev = INT64_MAX;
	enum row found;

	store_bind_text(&binder, sent->uuid);
	found = store_next(ship->to, statement);
	/* One that is not there was deleted there. */
	if (found == ROW_READ)
		rev = store_number(&there, 0);
	store_free(ship->to, statement);
	if (found == ROW_FAILED)
		return ship_blame(ship, ship->to);
	return rev >= sent->rev || take_back(ship, sent->run, rev);
}

/* Finds the latest run before that one.  Nothing of the spool is held open
 * while the server is asked: with what another process writes meanwhile, an old
 * view of it could not be written. */
static enum row
find_sent(struct ship *ship, struct sent *sent)
{
	struct statement *rows = store_prepare(ship->from,
	    "SELECT r.run, s.rev, r.uuid FROM run r JOIN shipped s ON s.run ="
	    " r.run WHERE s.store = ?1 AND r.run < ?2"
	    " ORDER BY r.run DESC LIMIT 1");
	struct binder binder = {ship->from, rows, 0};
	struct reader row = {ship->from, rows};
	enum row found;

	store_bind_text(&binder, identity_of(ship->to));
	store_bind_number(&binder, sent->run);
	found = store_next(ship->from, rows);
	if (found == ROW_READ)
		*sent = (struct sent){store_number(&row, 0),
		    store_number(&row, 1), store_copy(&row, 2)};
	store_free(ship->from, rows);
	return found;
}

/* A server that has crashed, or come back from a backup, may have lost what it
 * had. */
static bool
check_runs(struct ship *ship)
{
	struct sent sent = {.run = INT64_MAX};
	enum row found = ROW_READ;
	bool is_good = true;

	for (int i = 0; i < RUNS_CHECKED_MAX && is_good; i++) {
		found = find_sent(ship, &sent);
		if (found != ROW_READ)
			break;
		is_good = check_run(ship, &sent);
		free(sent.uuid);
	}
	if (found == ROW_FAILED)
		return ship_blame(ship, ship->from);
	ship->is_checked = is_good;
	return is_good;
}

bool
ship_count_waiting(struct store *from, int64_t *rows)
{
	return store_read_number(from,
	    "SELECT coalesce(sum((SELECT count(*) FROM exchange e WHERE"
	    " e.run = r.run AND e.rev > coalesce(s.rev, 0)) + (SELECT count(*)"
	    " FROM mark m WHERE m.run = r.run AND m.rev > coalesce(s.rev, 0))"
	    "), 0) FROM run r LEFT JOIN shipped s ON s.run = r.run"
	    " WHERE r.uuid IS NOT NULL AND r.rev > coalesce(s.rev, 0)",
	    rows);
}

enum ship_result
ship_next(struct ship *ship, uint64_t *rows)
{
	struct part part = {0};
	enum row found;

	ship->rows = 0;
	if (!ship->is_checked && !check_runs(ship))
		return SHIP_FAILED;
	ship->failed = ship->from;
	found = find_run(ship, &part);
	if (found == ROW_FAILED)
		return SHIP_FAILED;
	if (found == ROW_END)
		return SHIP_DONE;
	ship->failed = ship->to;
	if (!store_begin(ship->to) ||
	    !store_finish(ship->to, copy_moment(ship, &part))) {
		/* What was new to it has not come there. */
		ship_forget_kinds(ship);
		return SHIP_FAILED;
	}
	*rows += ship->rows;
	return note_shipped(ship, &part) ? SHIP_MORE : SHIP_FAILED;
}

/* ---- life ---- */

struct ship *
ship_new(struct store *from, struct store *to)
{
	struct ship *ship = xcalloc(1, sizeof(*ship));

	ship->from = from;
	ship->to = to;
	return ship;
}

void
ship_free(struct ship *ship)
{
	if (ship == NULL)
		return;
	ship_forget_kinds(ship);
	free(ship);
}

const struct store_error *
ship_error(const struct ship *ship)
{
	return store_error(ship->failed);
}
