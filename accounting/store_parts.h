/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_STORE_PARTS_H
#define ACCOUNTING_STORE_PARTS_H

/*
 * What the store's files share: store.c (opening, errors), store_schema.c,
 * store_write.c, store_prune.c and store_read.c.
 */

#include <sqlite3.h>

#include "accounting/store.h"

struct store {
	sqlite3 *db; /* owned */
	char *path;  /* owned */
	int64_t run; /* that is written; 0: none */
	struct store_error error;
};

/* Notes what SQLite has to complain of.  Returns false. */
bool store_complain(struct store *store);

/* Notes an error of our own.  Returns false. */
bool store_refuse(struct store *store, enum store_result result,
    const char *format, ...) PRINTF_LIKE(3, 4);

/* Runs SQL that yields nothing. */
bool store_run_sql(struct store *store, const char *sql) MUST_CHECK;

/* Returns the statement, or NULL with the error noted.  Free with
 * sqlite3_finalize(). */
sqlite3_stmt *store_prepare(struct store *store, const char *sql);

/* Runs a bound statement that yields nothing, and makes it ready for the
 * next. */
bool store_step(struct store *store, sqlite3_stmt *statement) MUST_CHECK;

/* Reads the one number that the SQL yields. */
bool store_read_number(
    struct store *store, const char *sql, int64_t *number) MUST_CHECK;

/* BEGIN IMMEDIATE; and COMMIT, or ROLLBACK where that or `is_good` fails.
 * The error that was noted before a rollback stays. */
bool store_begin(struct store *store) MUST_CHECK;
bool store_finish(struct store *store, bool is_good) MUST_CHECK;

/* Creates the schema, or brings it up to date; refuses a newer one. */
bool store_migrate(struct store *store) MUST_CHECK;

/* Binds parameters in their order. */
struct binder {
	sqlite3_stmt *statement;
	int index; /* of the last one bound */
};

void store_bind_number(struct binder *binder, int64_t number);
void store_bind_known(struct binder *binder, int64_t number); /* < 0: NULL */
void store_bind_real(struct binder *binder, double number);
void store_bind_text(struct binder *binder, const char *text); /* or NULL */

/* A column as text of the caller's own; NULL for NULL. */
char *store_column_text(sqlite3_stmt *statement, int column);

/* A column as a number; -1 for NULL. */
int64_t store_column_known(sqlite3_stmt *statement, int column);

#endif
