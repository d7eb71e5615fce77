/* SPDX-License-Identifier: MIT */

/*
 * The schema "leakproxy" of a shared store: made by the first that comes, who
 * needs the right to; the others need to read, insert and update.
 */

#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"
#include "accounting/store_parts.h"

/* Of the lock that lets one of us make the schema: "LKPX". */
#define TAKE_LOCK "SELECT pg_advisory_xact_lock(1280004184)"

#define FIND                             \
	"SELECT count(*) FROM pg_tables" \
	" WHERE schemaname = 'leakproxy' AND tablename = 'store'"

/* A spool alone is asked for what is newer than a revision, and pruned by
 * age. */
#define OF_SPOOLS                            \
	"DROP INDEX IF EXISTS exchange_rev;" \
	"DROP INDEX IF EXISTS exchange_age;" \
	"DROP INDEX IF EXISTS mark_rev"

static bool
find_version(struct store *store, int64_t *version)
{
	int64_t tables = 0;

	*version = 0;
	if (!store_read_number(store, FIND, &tables))
		return false;
	if (tables == 0)
		return true;
	/* By its whole name: of a schema that a user may not see, the search
	 * path says nothing. */
	return store_run_sql(store, "SET search_path TO leakproxy") &&
	    store_read_number(
		store, "SELECT schema FROM leakproxy.store", version);
}

static bool
take_steps(struct store *store)
{
	char sql[64];
	int64_t version;

	if (!store_run_sql(store, TAKE_LOCK) || !find_version(store, &version))
		return false;
	if (version == 0 &&
	    !store_run_sql(store,
		"CREATE SCHEMA IF NOT EXISTS leakproxy;"
		"SET search_path TO leakproxy;"
		"CREATE TABLE store(schema INTEGER NOT NULL,"
		" identity TEXT NOT NULL);"
		"INSERT INTO store VALUES(0, CAST(gen_random_uuid() AS TEXT))"))
		return false;
	for (; version < STORE_SCHEMA; version++) {
		if (!store_run_sql(store, store_schema_step((int)version)))
			return false;
	}
	if (!store_run_sql(store, OF_SPOOLS))
		return false;
	snprintf(
	    sql, sizeof(sql), "UPDATE store SET schema = %d", STORE_SCHEMA);
	return store_run_sql(store, sql);
}

static bool
read_identity(struct store *store)
{
	struct statement *statement =
	    store_prepare(store, "SELECT identity FROM store");
	struct reader row = {store, statement};
	bool is_good = store_next(store, statement) == ROW_READ;

	if (is_good)
		store->identity = store_copy(&row, 0);
	store_free(store, statement);
	return is_good;
}

bool
store_migrate_postgres(struct store *store, enum store_access access)
{
	int64_t version;

	if (!find_version(store, &version))
		return false;
	if (version > STORE_SCHEMA)
		return store_refuse(store, STORE_NEWER,
		    "was written by a newer leakproxy (schema %d, this one "
		    "knows %d), and is left as it is: use that leakproxy, or "
		    "name another --store",
		    (int)version, STORE_SCHEMA);
	if (version < STORE_SCHEMA && access == STORE_READ)
		return store_refuse(store, STORE_ABSENT,
		    "has %s: start a leakproxy serve with that --store first",
		    version == 0 ? "no evidence yet" : "an older schema");
	if (version < STORE_SCHEMA &&
	    (!store_begin(store) || !store_finish(store, take_steps(store))))
		return false;
	return find_version(store, &version) && read_identity(store);
}
