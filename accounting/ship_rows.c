/* SPDX-License-Identifier: MIT */

/*
 * Rows from one store to the other, by a list of the tables.
 */

#include "accounting/ship_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include <uthash.h>

#include "accounting/memory.h"

#define KINDS_KNOWN_MAX 65536
#define COLUMNS_MAX 27
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* One that is known to be there already. */
struct known_kind {
	int64_t kind; /* its number in `from` */
	UT_hash_handle hh;
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
	return store_send(ship->to, insert) || ship_blame(ship, ship->to);
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
		is_good = ship_blame(ship, ship->from);
	store_free(ship->from, rows);
	store_free(ship->to, insert);
	free(select_text);
	free(insert_text);
	return is_good;
}

/* ---- kinds ---- */

void
ship_forget_kinds(struct ship *ship)
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
	bool is_good = store_read_tags(ship->from, kind, &tags) ||
	    ship_blame(ship, ship->from);

	for (size_t i = 0; i < tags.count && is_good; i++) {
		struct binder binder = {ship->to, insert, 0};

		store_bind_text(&binder, leak_id);
		store_bind_text(&binder, tags.items[i].key);
		store_bind_text(&binder, tags.items[i].value);
		is_good =
		    store_send(ship->to, insert) || ship_blame(ship, ship->to);
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
		return ship_blame(ship, ship->to);
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
		ship_forget_kinds(ship);
	bind_part(ship->from, rows, part);
	while (is_good && (found = store_next(ship->from, rows)) == ROW_READ) {
		if (get_to_know(ship, store_number(&row, 0)))
			is_good = copy_kind(ship, rows, insert);
	}
	if (is_good && found == ROW_FAILED)
		is_good = ship_blame(ship, ship->from);
	store_free(ship->from, rows);
	store_free(ship->to, insert);
	return is_good;
}

bool
ship_rows(struct ship *ship, const struct part *part)
{
	bool is_good = copy_kinds(ship, part);

	for (size_t i = 0; i < COUNT_OF(tables) && is_good; i++)
		is_good = copy_table(ship, &tables[i], part);
	return is_good;
}
