/* SPDX-License-Identifier: MIT */

/*
 * The schema, as steps from each version to the next; how many have been taken
 * is PRAGMA user_version in SQLite, and a row of the table `store` in
 * PostgreSQL, which takes the same steps.  One that was released is never
 * changed.
 *
 *      run ──< leak >── kind ──< kind_tag        kind: origin, method, route,
 *       │ ──< exposure >──┤                            status, tags
 *       │ ──< exchange >──┘
 *       └──< count, evidence, mark, timeline
 *
 * Verdicts and evidence are words, so that a new one is no new version.  `rev`
 * is the batch that wrote the row last; that of a run, how many there were:
 * what a copy of the run has not yet is what has a higher one (ship.h).
 */

#include "accounting/store_parts.h"

#include <inttypes.h>
#include <stdio.h>

/* "LKPX": what file(1) and we know the file by. */
#define APPLICATION_ID INT64_C(0x4c4b5058)

static const char *const steps[STORE_SCHEMA] = {
    /* 1: runs, their leaks, and the exchanges that prove them. */
    "CREATE TABLE run("
    " run INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL,"
    " seen INTEGER NOT NULL, ended INTEGER, name TEXT NOT NULL,"
    " host TEXT NOT NULL, program TEXT NOT NULL, pid INTEGER NOT NULL);"
    "CREATE TABLE count("
    " run INTEGER NOT NULL, what TEXT NOT NULL, value INTEGER NOT NULL,"
    " PRIMARY KEY(run, what)) WITHOUT ROWID;"
    "CREATE TABLE kind("
    " kind INTEGER PRIMARY KEY, leak_id TEXT NOT NULL UNIQUE,"
    " origin TEXT NOT NULL, method TEXT NOT NULL, route TEXT NOT NULL,"
    " status INTEGER NOT NULL, version TEXT);"
    "CREATE TABLE kind_tag("
    " kind INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(kind, name)) WITHOUT ROWID;"
    "CREATE TABLE leak("
    " run INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " undrained INTEGER NOT NULL, suspected INTEGER NOT NULL,"
    " held_to_exit INTEGER NOT NULL, released INTEGER NOT NULL,"
    " released_s REAL NOT NULL, released_squares_s REAL NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " PRIMARY KEY(run, kind)) WITHOUT ROWID;"
    "CREATE TABLE evidence("
    " run INTEGER NOT NULL, kind INTEGER NOT NULL, word TEXT NOT NULL,"
    " value INTEGER NOT NULL, PRIMARY KEY(run, kind, word)) WITHOUT ROWID;"
    "CREATE TABLE exchange("
    " run INTEGER NOT NULL, conn INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, verdict TEXT NOT NULL, evidence TEXT NOT NULL,"
    " held INTEGER NOT NULL, escalated INTEGER NOT NULL, url TEXT NOT NULL,"
    " user_agent TEXT, traceparent TEXT, client_address TEXT, error TEXT,"
    " pid INTEGER, fd INTEGER, uid INTEGER, command TEXT,"
    " request_bytes INTEGER, body_bytes INTEGER, delivered_bytes INTEGER,"
    " unread_bytes INTEGER, began_at INTEGER NOT NULL, first_byte_us INTEGER,"
    " duration_us INTEGER, PRIMARY KEY(run, conn, ordinal)) WITHOUT ROWID;"
    "CREATE INDEX exchange_kind ON exchange(run, kind);"
    "CREATE INDEX exchange_age ON exchange(began_at);",
    /* 2: what it takes to compare runs and to see their rhythm; callers by
     * command line and container. */
    "ALTER TABLE exchange ADD COLUMN command_line TEXT;"
    "ALTER TABLE exchange ADD COLUMN container TEXT;"
    "CREATE TABLE exposure("
    " run INTEGER NOT NULL, kind INTEGER NOT NULL, settled INTEGER NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " PRIMARY KEY(run, kind)) WITHOUT ROWID;"
    "CREATE TABLE mark("
    " run INTEGER NOT NULL, at INTEGER NOT NULL, name TEXT NOT NULL,"
    " phase TEXT NOT NULL);"
    "CREATE INDEX mark_run ON mark(run, at);"
    "CREATE TABLE timeline("
    " run INTEGER NOT NULL, at INTEGER NOT NULL, requests INTEGER NOT NULL,"
    " undrained INTEGER NOT NULL, PRIMARY KEY(run, at)) WITHOUT ROWID;",
    /* 3: what it takes to send it all elsewhere: runs by a name that no other
     * has, and what is newer than what was sent; runs by service. */
    "ALTER TABLE run ADD COLUMN uuid TEXT;"
    "ALTER TABLE run ADD COLUMN service TEXT;"
    "ALTER TABLE run ADD COLUMN version TEXT;"
    "ALTER TABLE run ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE count ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE leak ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE evidence ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE exchange ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE exposure ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE mark ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;"
    "CREATE UNIQUE INDEX run_uuid ON run(uuid);"
    "CREATE INDEX run_service ON run(service);"
    "CREATE INDEX exchange_rev ON exchange(run, rev);"
    "CREATE INDEX mark_rev ON mark(run, rev);"
    "CREATE TABLE shipped("
    " run INTEGER NOT NULL, store TEXT NOT NULL, rev INTEGER NOT NULL,"
    " PRIMARY KEY(run));",
};

const char *
store_schema_step(int version)
{
	return steps[version];
}

/* Refuses what we must not touch. */
static bool
check_file(struct store *store, int64_t *version)
{
	int64_t application;
	int64_t tables;

	if (!store_read_number(store, "PRAGMA application_id", &application) ||
	    !store_read_number(store, "PRAGMA user_version", version) ||
	    !store_read_number(
		store, "SELECT count(*) FROM sqlite_schema", &tables))
		return false;
	if (application != APPLICATION_ID && (tables > 0 || application != 0))
		return store_refuse(store, STORE_ALIEN,
		    "is a database of another program, and was left as it is: "
		    "move it away, or name another --state-dir");
	if (*version > STORE_SCHEMA)
		return store_refuse(store, STORE_NEWER,
		    "was written by a newer leakproxy (schema %d, this one "
		    "knows %d), and was left as it is: use that leakproxy, or "
		    "name another --state-dir",
		    (int)*version, STORE_SCHEMA);
	return true;
}

/* Another process may have taken the steps meanwhile. */
static bool
take_steps(struct store *store)
{
	char sql[96];
	int64_t version;

	if (!check_file(store, &version))
		return false;
	for (; version < STORE_SCHEMA; version++) {
		if (!store_run_sql(store, steps[version]))
			return false;
	}
	snprintf(sql, sizeof(sql),
	    "PRAGMA application_id=%" PRId64 "; PRAGMA user_version=%d",
	    APPLICATION_ID, STORE_SCHEMA);
	return store_run_sql(store, sql);
}

bool
store_migrate_sqlite(struct store *store)
{
	int64_t version;

	if (!check_file(store, &version))
		return false;
	/* The first has to come before the first table. */
	if (!store_run_sql(store,
		"PRAGMA auto_vacuum=INCREMENTAL;"
		"PRAGMA journal_mode=WAL;"
		"PRAGMA synchronous=NORMAL;"
		"PRAGMA journal_size_limit=4194304;"
		"PRAGMA trusted_schema=OFF;"
		"PRAGMA cell_size_check=ON"))
		return false;
	if (version == STORE_SCHEMA)
		return true;
	return store_begin(store) && store_finish(store, take_steps(store));
}
