/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_STORE_PARTS_H
#define ACCOUNTING_STORE_PARTS_H

/*
 * What the store's files share: store.c (statements, errors), the two engines,
 * store_schema.c, store_url.c, store_write.c, store_prune.c, store_read.c,
 * store_runs.c and ship.c.
 */

#include "accounting/engine.h"
#include "accounting/store.h"

struct store {
	const struct engine *engine;
	void *db;       /* owned, of the engine */
	char *path;     /* owned: what errors call it, without a password */
	int64_t run;    /* that is written; 0: none */
	int64_t rev;    /* of that run */
	char *identity; /* owned: of a shared one, told from all others */
	struct store_error error;
};

/* Notes an error.  Returns false. */
bool store_refuse(struct store *store, enum store_result result,
    const char *format, ...) PRINTF_LIKE(3, 4);

/* ---- statements ---- */

/* Runs SQL that yields nothing. */
bool store_run_sql(struct store *store, const char *sql) MUST_CHECK;

/* Returns the statement, or NULL with the error noted.  Free with
 * store_free(). */
struct statement *store_prepare(struct store *store, const char *sql);
void store_free(struct store *store, struct statement *statement);

/* Goes to the next row of a bound statement, which may be NULL. */
enum row store_next(struct store *store, struct statement *statement);

/* Runs a bound statement that yields nothing, and makes it ready for the
 * next. */
bool store_step(struct store *store, struct statement *statement) MUST_CHECK;

/* The same, but whether it was done is known when store_settle() says so. */
bool store_send(struct store *store, struct statement *statement) MUST_CHECK;
bool store_settle(struct store *store) MUST_CHECK;

/* Reads the one number that the SQL yields. */
bool store_read_number(
    struct store *store, const char *sql, int64_t *number) MUST_CHECK;

/* Begins; and COMMIT, or ROLLBACK where that or `is_good` fails.  The error
 * that was noted before a rollback stays. */
bool store_begin(struct store *store) MUST_CHECK;
bool store_finish(struct store *store, bool is_good) MUST_CHECK;

/* Binds parameters in their order; nothing to a statement that is NULL. */
struct binder {
	struct store *store;
	struct statement *statement;
	int index; /* of the last one bound */
};

void store_bind_number(struct binder *binder, int64_t number);
void store_bind_known(struct binder *binder, int64_t number); /* < 0: NULL */
void store_bind_real(struct binder *binder, double number);
void store_bind_text(struct binder *binder, const char *text); /* or NULL */
void store_bind_value(struct binder *binder, const struct value *value);

/* ---- a row ---- */

struct reader {
	struct store *store;
	struct statement *statement;
};

int64_t store_number(const struct reader *row, int column); /* NULL: 0 */
int64_t store_known(const struct reader *row, int column);  /* NULL: -1 */
double store_real(const struct reader *row, int column);
const char *store_text(const struct reader *row, int column); /* borrowed */
char *store_copy(const struct reader *row, int column); /* NULL for NULL */

/* ---- rows of the runs that were picked ---- */

/* What is asked for; borrows all. */
struct picked {
	struct store *store;
	const struct store_run *run;
	const char *version; /* NULL: all */
};

/* Prepares a statement in whose SQL %s stands for the condition on a column
 * `run`; binds ?1, and ?2, the version. */
struct binder store_prepare_picked(
    const struct picked *picked, const char *sql);

/* A condition on kind k and `run`: of version ?2, if that is not NULL. */
#define STORE_OF_VERSION                                               \
	" AND (?2 IS NULL OR k.version = ?2 OR (k.version IS NULL AND" \
	" run IN (SELECT v.run FROM run v WHERE v.version = ?2)))"

/* Adds the kind's tags. */
bool store_read_tags(
    struct store *store, int64_t kind, struct tags *tags) MUST_CHECK;

/* ---- a shared one ---- */

/* Returns what may be shown of a URL: no password, nor what is behind "?".
 * Free with free(). */
char *store_describe_url(const char *url);

/* ---- the schema ---- */

/* What it takes from that version to the next. */
const char *store_schema_step(int version);

/* Creates the schema, or brings it up to date; refuses a newer one. */
bool store_migrate_sqlite(struct store *store) MUST_CHECK;
bool store_migrate_postgres(
    struct store *store, enum store_access access) MUST_CHECK;

/* How many rows the last statement has changed; SQLite alone. */
int64_t store_changes(const struct store *store);

#endif
