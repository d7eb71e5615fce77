/* SPDX-License-Identifier: MIT */

#include "accounting/ship.h"

#include <stdio.h>
#include <stdlib.h>

#include <uthash.h>

#include "accounting/memory.h"
#include "accounting/store_parts.h"

#define KINDS_KNOWN_MAX 65536
#define COLUMNS_MAX 27
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* One that is known to be there already. */
struct known_kind {
	int64_t kind; /* its number in `from` */
	UT_hash_handle hh;
};

/* A part of a run. */
struct part {
	int64_t run; /* its number in `from` */
	int64_t to_run;
	int64_t after; /* rev: what is there */
	int64_t last;  /* rev: what shall be */
};

struct ship {
	/* borrowed */
	struct store *from;
	struct store *to;
	const struct store *failed;
	struct known_kind *kinds; /* owned */
	uint64_t rows;            /* of this part */
};

/* Beside run, rev, and kind where it has one; the first `keys` of them tell a
 * row from others of the run.  0 keys: rows are only ever added. */
static const struct table {
	const char *name;
	bool has_kind;
	bool is_of_kind; /* one row for each: the kind is a key */
	size_t keys;
	const char *columns[COLUMNS_MAX];
} tables[] = {
    {"count", false, false, 1, {"what", "value"}},
    {"leak", true, true, 0,
	{"undrained", "suspected", "held_to_exit", "released", "released_s",
	    "released_squares_s", "first_seen", "last_seen"}},
    {"evidence", true, true, 1, {"word", "value"}},
    {"exposure", true, true, 0, {"settled", "first_seen", "last_seen"}},
    {"exchange", true, false, 2,
	{"conn", "ordinal", "verdict", "evidence", "held", "escalated", "url",
	    "user_agent", "traceparent", "client_address", "error", "pid", "fd",
	    "uid", "command", "request_bytes", "body_bytes", "delivered_bytes",
	    "unread_bytes", "began_at", "first_byte_us", "duration_us",
	    "command_line", "container"}},
    {"mark", false, false, 0, {"at", "name", "phase"}},
};

static bool
blame(struct ship *ship, const struct store *store)
{
	ship->failed = store;
	return false;
}

/* ---- SQL, out of the list ---- */

static char *
select_sql(const struct table *table)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	fputs("SELECT rev", out);
	if (table->has_kind)
		fputs(", (SELECT leak_id FROM kind k WHERE k.kind = t.kind)",
		    out);
	for (size_t i = 0; table->columns[i] != NULL; i++)
		fprintf(out, ", %s", table->columns[i]);
	fprintf(out, " FROM %s t WHERE run = ?1 AND rev > ?2 AND rev <= ?3",
	    table->name);
	fclose(out);
	return text;
}

/* Where the row is there already, it becomes what it is now. */
static void
put_conflict(FILE *out, const struct table *table)
{
	if (table->keys == 0 && !table->is_of_kind)
		return;
	fprintf(out, " ON CONFLICT(run%s", table->is_of_kind ? ", kind" : "");
	for (size_t i = 0; i < table->keys; i++)
		fprintf(out, ", %s", table->columns[i]);
	fputs(") DO UPDATE SET rev = excluded.rev", out);
	if (table->has_kind && !table->is_of_kind)
		fputs(", kind = excluded.kind", out);
	for (size_t i = table->keys; table->columns[i] != NULL; i++)
		fprintf(out, ", %s = excluded.%s", table->columns[i],
		    table->columns[i]);
}

static char *
insert_sql(const struct table *table)
{
	int parameter = 2 + table->has_kind;
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	fprintf(out, "INSERT INTO %s(run, rev%s", table->name,
	    table->has_kind ? ", kind" : "");
	for (size_t i = 0; table->columns[i] != NULL; i++)
		fprintf(out, ", %s", table->columns[i]);
	fprintf(out, ") VALUES(?1, ?2%s",
	    table->has_kind ? ", (SELECT kind FROM kind WHERE leak_id = ?3)"
			    : "");
	for (size_t i = 0; table->columns[i] != NULL; i++)
		fprintf(out, ", ?%d", ++parameter);
	fputs(")", out);
	put_conflict(out, table);
	fclose(out);
	return text;
}

/* ---- rows ---- */

static int
column_count(const struct table *table)
{
	int count = 1 + table->has_kind; /* rev */

	for (size_t i = 0; table->columns[i] != NULL; i++)
		count++;
	return count;
}

static bool
copy_row(struct ship *ship, struct statement *row, struct statement *insert,
    int64_t run, int columns)
{
	struct binder binder = {ship->to, insert, 0};

	store_bind_number(&binder, run);
	for (int i = 0; i < columns; i++) {
		struct value value = ship->from->engine->column(row, i);

		store_bind_value(&binder, &value);
	}
	ship->rows++;
	return store_send(ship->to, insert) || blame(ship, ship->to);
}

static void
bind_part(struct store *from, struct statement *rows, const struct part *part)
{
	struct binder binder = {from, rows, 0};

	store_bind_number(&binder, part->run);
	store_bind_number(&binder, part->after);
	store_bind_number(&binder, part->last);
}

static bool
copy_table(
    struct ship *ship, const struct table *table, const struct part *part)
{
	char *select_text = select_sql(table);
	char *insert_text = insert_sql(table);
	struct statement *rows = store_prepare(ship->from, select_text);
	struct statement *insert = store_prepare(ship->to, insert_text);
	bool is_good = true;
	enum row found = ROW_FAILED;

	bind_part(ship->from, rows, part);
	while (is_good && (found = store_next(ship->from, rows)) == ROW_READ)
		is_good = copy_row(
		    ship, rows, insert, part->to_run, column_count(table));
	if (is_good && found == ROW_FAILED)
		is_good = blame(ship, ship->from);
	store_free(ship->from, rows);
	store_free(ship->to, insert);
	free(select_text);
	free(insert_text);
	return is_good;
}

/* ---- kinds ---- */

static void
forget_kinds(struct ship *ship)
{
	struct known_kind *kind;
	struct known_kind *next;

	HASH_ITER (hh, ship->kinds, kind, next) {
		HASH_DEL(ship->kinds, kind);
		free(kind);
	}
}

/* Returns whether it was not known before. */
static bool
get_to_know(struct ship *ship, int64_t number)
{
	struct known_kind *kind;

	HASH_FIND(hh, ship->kinds, &number, sizeof(number), kind);
	if (kind != NULL)
		return false;
	kind = xcalloc(1, sizeof(*kind));
	kind->kind = number;
	HASH_ADD(hh, ship->kinds, kind, sizeof(kind->kind), kind);
	return true;
}

static bool
copy_tags(struct ship *ship, int64_t kind, const char *leak_id)
{
	struct tags tags = {0};
	struct statement *insert = store_prepare(ship->to,
	    "INSERT INTO kind_tag(kind, name, value) VALUES((SELECT kind"
	    " FROM kind WHERE leak_id = ?1), ?2, ?3) ON CONFLICT DO NOTHING");
	bool is_good =
	    store_read_tags(ship->from, kind, &tags) || blame(ship, ship->from);

	for (size_t i = 0; i < tags.count && is_good; i++) {
		struct binder binder = {ship->to, insert, 0};

		store_bind_text(&binder, leak_id);
		store_bind_text(&binder, tags.items[i].key);
		store_bind_text(&binder, tags.items[i].value);
		is_good = store_send(ship->to, insert) || blame(ship, ship->to);
	}
	store_free(ship->to, insert);
	tags_fini(&tags);
	return is_good;
}

/* One that another writes at this moment is waited for. */
static bool
copy_kind(struct ship *ship, struct statement *row, struct statement *insert)
{
	struct reader reader = {ship->from, row};
	struct binder binder = {ship->to, insert, 0};

	for (int i = 1; i <= 6; i++) {
		struct value value = ship->from->engine->column(row, i);

		store_bind_value(&binder, &value);
	}
	if (!store_send(ship->to, insert))
		return blame(ship, ship->to);
	return copy_tags(
	    ship, store_number(&reader, 0), store_text(&reader, 1));
}

/* In an order that all keep, so that no two wait for each other. */
static bool
copy_kinds(struct ship *ship, const struct part *part)
{
	struct statement *rows = store_prepare(ship->from,
	    "SELECT kind, leak_id, origin, method, route, status, version"
	    " FROM kind WHERE kind IN ("
	    " SELECT kind FROM leak WHERE run = ?1 AND rev > ?2 AND rev <= ?3"
	    " UNION SELECT kind FROM evidence"
	    "  WHERE run = ?1 AND rev > ?2 AND rev <= ?3"
	    " UNION SELECT kind FROM exposure"
	    "  WHERE run = ?1 AND rev > ?2 AND rev <= ?3"
	    " UNION SELECT kind FROM exchange"
	    "  WHERE run = ?1 AND rev > ?2 AND rev <= ?3) ORDER BY leak_id");
	struct statement *insert = store_prepare(ship->to,
	    "INSERT INTO kind(leak_id, origin, method, route, status, version)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING");
	struct reader row = {ship->from, rows};
	bool is_good = true;
	enum row found = ROW_FAILED;

	if (HASH_COUNT(ship->kinds) > KINDS_KNOWN_MAX)
		forget_kinds(ship);
	bind_part(ship->from, rows, part);
	while (is_good && (found = store_next(ship->from, rows)) == ROW_READ) {
		if (get_to_know(ship, store_number(&row, 0)))
			is_good = copy_kind(ship, rows, insert);
	}
	if (is_good && found == ROW_FAILED)
		is_good = blame(ship, ship->from);
	store_free(ship->from, rows);
	store_free(ship->to, insert);
	return is_good;
}

/* ---- a run ---- */

/* Beside its number and what changes, in the order of PUT_RUN. */
#define FACTS "uuid, started, name, host, program, pid, service, version"
#define FACT_COUNT 8
#define LOCK_RUN                                               \
	"UPDATE run SET uuid = uuid WHERE uuid = ?1 RETURNING" \
	" run, rev"
#define PUT_RUN                                                          \
	"INSERT INTO run(" FACTS ", seen, rev) VALUES(?1, ?2, ?3, ?4,"   \
	" ?5, ?6, ?7, ?8, ?2, 0) ON CONFLICT(uuid) DO UPDATE SET uuid =" \
	" excluded.uuid RETURNING run, rev"

/* Runs one of the two above.  *is_there says whether it gave a row. */
static bool
hold_run(struct ship *ship, const char *sql, struct statement *facts,
    struct part *part, bool *is_there)
{
	struct statement *hold = store_prepare(ship->to, sql);
	struct binder binder = {ship->to, hold, 0};
	struct reader row = {ship->to, hold};
	int count = sql[0] == 'U' ? 1 : FACT_COUNT;
	enum row found;

	for (int i = 0; i < count; i++) {
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
	return found == ROW_END || blame(ship, ship->to);
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
	is_good = store_next(ship->from, facts) == ROW_READ ||
	    blame(ship, ship->from);
	if (is_good)
		is_good = hold_run(ship, LOCK_RUN, facts, part, &is_there);
	if (is_good && !is_there)
		is_good = hold_run(ship, PUT_RUN, facts, part, &is_there);
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
	return is_good || blame(ship, ship->from);
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
	is_good = store_next(ship->from, times) == ROW_READ ||
	    blame(ship, ship->from);
	if (is_good) {
		struct value seen = ship->from->engine->column(times, 0);
		struct value ended = ship->from->engine->column(times, 1);

		store_bind_number(&to, part->to_run);
		store_bind_value(&to, &seen);
		store_bind_value(&to, &ended);
		store_bind_number(&to, part->last);
		is_good =
		    (store_send(ship->to, update) && store_settle(ship->to)) ||
		    blame(ship, ship->to);
	}
	store_free(ship->from, times);
	store_free(ship->to, update);
	return is_good;
}

static bool
copy_part(struct ship *ship, struct part *part)
{
	bool is_good = choose_last(ship, part) && copy_kinds(ship, part);

	for (size_t i = 0; i < COUNT_OF(tables) && is_good; i++)
		is_good = copy_table(ship, &tables[i], part);
	return is_good && end_part(ship, part);
}

/* All that is read is of one moment, after the run was locked there. */
static bool
copy_moment(struct ship *ship, struct part *part)
{
	bool is_good;

	if (!lock_run(ship, part))
		return false;
	if (!store_run_sql(ship->from, "BEGIN"))
		return blame(ship, ship->from);
	is_good = copy_part(ship, part);
	return (store_run_sql(ship->from, "COMMIT") ||
		   blame(ship, ship->from)) &&
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
	return is_good || blame(ship, ship->from);
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
	enum row found = find_run(ship, &part);

	ship->rows = 0;
	ship->failed = ship->from;
	if (found == ROW_FAILED)
		return SHIP_FAILED;
	if (found == ROW_END)
		return SHIP_DONE;
	ship->failed = ship->to;
	if (!store_begin(ship->to) ||
	    !store_finish(ship->to, copy_moment(ship, &part))) {
		/* What was new to it has not come there. */
		forget_kinds(ship);
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
	forget_kinds(ship);
	free(ship);
}

const struct store_error *
ship_error(const struct ship *ship)
{
	return store_error(ship->failed);
}
