/* SPDX-License-Identifier: MIT */

/*
 * The database: opened, and what can go wrong with it.
 *
 * A file that is not ours, is damaged or comes from a newer leakproxy is left
 * as it is: evidence is worth more than our convenience.
 */

#include "accounting/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounting/memory.h"

bool
store_is_hopeless(enum store_result result)
{
	return result == STORE_ALIEN || result == STORE_NEWER;
}

const struct store_error *
store_error(const struct store *store)
{
	return &store->error;
}

/* ---- errors ---- */

bool
store_refuse(
    struct store *store, enum store_result result, const char *format, ...)
{
	struct store_error *error = &store->error;
	int length;
	va_list args;

	error->result = result;
	length = snprintf(error->text, sizeof(error->text), "%s ", store->path);
	if (length >= (int)sizeof(error->text))
		return false;
	va_start(args, format);
	vsnprintf(error->text + length, sizeof(error->text) - (size_t)length,
	    format, args);
	va_end(args);
	return false;
}

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

bool
store_complain(struct store *store)
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

bool
store_run_sql(struct store *store, const char *sql)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
	    store_complain(store);
}

sqlite3_stmt *
store_prepare(struct store *store, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) !=
	    SQLITE_OK)
		store_complain(store);
	return statement;
}

bool
store_step(struct store *store, sqlite3_stmt *statement)
{
	bool is_good = sqlite3_step(statement) == SQLITE_DONE;

	if (!is_good)
		store_complain(store);
	sqlite3_reset(statement);
	return is_good;
}

bool
store_read_number(struct store *store, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement = store_prepare(store, sql);
	bool is_good =
	    statement != NULL && sqlite3_step(statement) == SQLITE_ROW;

	if (is_good)
		*number = sqlite3_column_int64(statement, 0);
	else if (statement != NULL)
		store_complain(store);
	sqlite3_finalize(statement);
	return is_good;
}

bool
store_begin(struct store *store)
{
	return store_run_sql(store, "BEGIN IMMEDIATE");
}

bool
store_finish(struct store *store, bool is_good)
{
	if (is_good && store_run_sql(store, "COMMIT"))
		return true;
	/* Some errors have rolled back already; then this one says so. */
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

void
store_bind_number(struct binder *binder, int64_t number)
{
	sqlite3_bind_int64(binder->statement, ++binder->index, number);
}

void
store_bind_known(struct binder *binder, int64_t number)
{
	if (number < 0)
		sqlite3_bind_null(binder->statement, ++binder->index);
	else
		store_bind_number(binder, number);
}

void
store_bind_real(struct binder *binder, double number)
{
	sqlite3_bind_double(binder->statement, ++binder->index, number);
}

void
store_bind_text(struct binder *binder, const char *text)
{
	sqlite3_bind_text(
	    binder->statement, ++binder->index, text, -1, SQLITE_TRANSIENT);
}

char *
store_column_text(sqlite3_stmt *statement, int column)
{
	return xstrdup_or_null(
	    (const char *)sqlite3_column_text(statement, column));
}

int64_t
store_column_known(sqlite3_stmt *statement, int column)
{
	if (sqlite3_column_type(statement, column) == SQLITE_NULL)
		return -1;
	return sqlite3_column_int64(statement, column);
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
	if (sqlite3_open_v2(store->path, &store->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return store_complain(store);
	sqlite3_busy_timeout(store->db, STORE_PATIENCE_MS);
	return store_migrate(store);
}

struct store *
store_open(
    const char *directory, enum store_access access, struct store_error *error)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->path = xasprintf("%s/" STORE_FILE, directory);
	if (find_file(store, access) && open_database(store))
		return store;
	*error = store->error;
	store_close(store);
	return NULL;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	sqlite3_close(store->db);
	free(store->path);
	free(store);
}
