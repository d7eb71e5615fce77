/* SPDX-License-Identifier: MIT */

/*
 * SQLite: one file in the state directory.
 *
 * A file that is not ours, is damaged or comes from a newer leakproxy is left
 * as it is: evidence is worth more than our convenience.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "accounting/memory.h"
#include "accounting/store_parts.h"

struct statement {
	struct store *store; /* borrowed */
	sqlite3_stmt *stmt;  /* owned */
};

/* ---- errors ---- */

/* A file that has met a limit is an I/O error to SQLite, which does not always
 * know errno then. */
static bool
is_full(int extended_code, int system_error)
{
	if ((extended_code & 0xff) == SQLITE_FULL)
		return true;
	return (extended_code == SQLITE_IOERR_WRITE ||
		   extended_code == SQLITE_IOERR_SHMSIZE) &&
	    system_error != EIO;
}

/* Notes what SQLite has to complain of. */
static bool
complain(struct store *store)
{
	int code = sqlite3_extended_errcode(store->db);
	int system_error = sqlite3_system_errno(store->db);

	if (is_full(code, system_error))
		return store_refuse(store, STORE_FULL,
		    "cannot grow, the disk is full or a limit is met (quota, "
		    "ulimit -f): free some space, or name another "
		    "--state-dir");
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return store_refuse(store, STORE_BUSY,
		    "is locked by another program: find it with fuser, and "
		    "have it let go");
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return store_refuse(store, STORE_DENIED,
		    "may not be written (%s): make it and its directory "
		    "writable, or name another --state-dir",
		    system_error != 0 ? strerror(system_error)
				      : sqlite3_errmsg(store->db));
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return store_refuse(store, STORE_ALIEN,
		    "is damaged or no database, and was left as it is: move "
		    "it away, or name another --state-dir");
	default:
		return store_refuse(store, STORE_FAILED,
		    "fails: %s: name another --state-dir, or --store off",
		    sqlite3_errmsg(store->db));
	}
}

/* ---- statements ---- */

static bool
run_sql(struct store *store, const char *sql)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
	    complain(store);
}

static struct statement *
prepare(struct store *store, const char *sql)
{
	struct statement *statement;
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		complain(store);
		return NULL;
	}
	statement = xcalloc(1, sizeof(*statement));
	statement->store = store;
	statement->stmt = stmt;
	return statement;
}

static void
bind(struct statement *statement, int index, const struct value *value)
{
	if (value->is_null || value->type == VALUE_NULL)
		sqlite3_bind_null(statement->stmt, index);
	else if (value->type == VALUE_NUMBER)
		sqlite3_bind_int64(statement->stmt, index, value->number);
	else if (value->type == VALUE_REAL)
		sqlite3_bind_double(statement->stmt, index, value->real);
	else
		sqlite3_bind_text(
		    statement->stmt, index, value->text, -1, SQLITE_TRANSIENT);
}

static enum row
step(struct statement *statement)
{
	switch (sqlite3_step(statement->stmt)) {
	case SQLITE_ROW:
		return ROW_READ;
	case SQLITE_DONE:
		return ROW_END;
	default:
		complain(statement->store);
		return ROW_FAILED;
	}
}

static struct value
column_of(const struct statement *statement, int column)
{
	sqlite3_stmt *stmt = statement->stmt;
	int type = sqlite3_column_type(stmt, column);
	struct value value = {
	    .type = type == SQLITE_NULL  ? VALUE_NULL
		: type == SQLITE_INTEGER ? VALUE_NUMBER
		: type == SQLITE_FLOAT   ? VALUE_REAL
					 : VALUE_TEXT,
	    .is_null = type == SQLITE_NULL,
	};

	value.number = sqlite3_column_int64(stmt, column);
	value.real = sqlite3_column_double(stmt, column);
	/* Last: it may convert what is there. */
	if (value.type == VALUE_TEXT)
		value.text = (const char *)sqlite3_column_text(stmt, column);
	return value;
}

static void
reset(struct statement *statement)
{
	sqlite3_reset(statement->stmt);
}

static void
free_statement(struct statement *statement)
{
	sqlite3_finalize(statement->stmt);
	free(statement);
}

int64_t
store_changes(const struct store *store)
{
	return sqlite3_changes(store->db);
}

/* ---- opening ---- */

/* SQLite would create it for everybody to read: it holds URLs. */
static bool
find_file(struct store *store, enum store_access access)
{
	int flags = O_RDONLY | O_CLOEXEC;
	int fd;

	if (access == STORE_WRITE)
		flags |= O_CREAT;
	fd = open(store->path, flags, 0600);
	if (fd >= 0) {
		close(fd);
		return true;
	}
	if (errno == ENOENT && access == STORE_READ)
		return store_refuse(store, STORE_ABSENT,
		    "does not exist: name the --state-dir of a leakproxy that "
		    "has run");
	if (errno == ENOSPC || errno == EDQUOT)
		return store_refuse(store, STORE_FULL,
		    "cannot be made, the disk is full: free some space, or "
		    "name another --state-dir");
	return store_refuse(store, STORE_DENIED,
	    "cannot be opened (%s): make its directory writable, or name "
	    "another --state-dir",
	    strerror(errno));
}

static bool
open_database(struct store *store)
{
	sqlite3 *db = NULL;
	int code = sqlite3_open_v2(store->path, &db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	store->db = db;
	if (code != SQLITE_OK)
		return complain(store);
	sqlite3_busy_timeout(db, STORE_PATIENCE_MS);
	return store_migrate_sqlite(store);
}

static void
close_database(struct store *store)
{
	sqlite3_close(store->db);
}

struct store *
store_open(
    const char *directory, enum store_access access, struct store_error *error)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->engine = &engine_sqlite;
	store->path = xasprintf("%s/" STORE_FILE, directory);
	if (find_file(store, access) && open_database(store))
		return store;
	*error = store->error;
	store_close(store);
	return NULL;
}

const struct engine engine_sqlite = {
    .begin = "BEGIN IMMEDIATE",
    .run = run_sql,
    .prepare = prepare,
    .bind = bind,
    .step = step,
    .column = column_of,
    .reset = reset,
    .free = free_statement,
    .close = close_database,
};
