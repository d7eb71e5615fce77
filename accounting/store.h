/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_STORE_H
#define ACCOUNTING_STORE_H

/*
 * Evidence that lasts: leakproxy.db in the state directory, SQLite in WAL
 * mode.  Several processes may write it at once, each its own run.  One thread
 * at a time for each store; a call may wait for the disk, and for up to
 * STORE_PATIENCE_MS for another process.
 *
 * Nothing that is committed is lost by kill -9; a power cut may take the last
 * moments with it, and damages nothing (PRAGMA synchronous=NORMAL).
 *
 * A fleet shares a PostgreSQL: store_ship() (ship.h) copies there what is
 * written here, and it is read by the same functions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/batch.h"
#include "accounting/compare.h"
#include "accounting/snapshot.h"
#include "accounting/units.h"

#define STORE_FILE "leakproxy.db"
#define STORE_SCHEMA 3
#define STORE_PATIENCE_MS 250
#define STORE_ERROR_BYTES 512
#define STORE_VERSION_TAG "version"  /* the service's version */
#define STORE_BIN_US (10 * US_PER_S) /* of the timeline */

enum store_result {
	STORE_OK,
	STORE_ABSENT, /* there is no such file, or no such run in it */
	STORE_BUSY,   /* another process holds it locked */
	STORE_FULL,   /* the disk is full */
	STORE_DENIED, /* it may not be written */
	STORE_ALIEN,  /* damaged, or no database of ours: left as it is */
	STORE_NEWER,  /* a newer leakproxy wrote it: left as it is */
	STORE_AWAY,   /* no server answers, or it lets us not in */
	STORE_FAILED,
};

/* What went wrong, in one line that says what to do. */
struct store_error {
	enum store_result result;
	char text[STORE_ERROR_BYTES];
};

/* Returns whether it is no use to try again. */
bool store_is_hopeless(enum store_result result);

struct store;

enum store_access {
	STORE_READ,  /* what is there */
	STORE_WRITE, /* creates what is not */
};

/* Opens the database in `directory`, brings its schema up to date.  Returns
 * NULL with *error filled in.  Free with store_close(). */
struct store *store_open(
    const char *directory, enum store_access access, struct store_error *error);
void store_close(struct store *store);

/* Whether there can be a shared store of that URL; not, whether it is there.
 * Loads libpq; main thread.  Fills in *error where not. */
bool store_check_shared(
    const char *url, char error[STORE_ERROR_BYTES]) MUST_CHECK;

/* For how many ms a server may be silent before it is lost.  Whoever owns it
 * may change it at any time, from any thread. */
typedef _Atomic int store_patience;

#define STORE_PATIENCE_SHARED_MS 10000 /* what is usual */

/* The same as store_open() for a PostgreSQL server, by its URL, that has been
 * checked.  May wait for seconds; borrows the patience, for as long as the
 * store is open. */
struct store *store_open_shared(const char *url, enum store_access access,
    const store_patience *patience_ms, struct store_error *error);

/* What it is called, a password left out; borrowed. */
const char *store_path(const struct store *store);

/* Why the last call returned false; borrowed until the next call. */
const struct store_error *store_error(const struct store *store);

/* ---- writing ---- */

struct store_run_facts {
	wall_us started;
	const char *name;    /* --run; "" for none */
	const char *host;    /* where it ran */
	const char *program; /* the version of leakproxy */
	const char *service; /* what is watched, --service; NULL: not said */
	const char *version; /* of that; NULL: not said, or its tags say it */
	int64_t pid;
};

/* Begins the run that what follows belongs to. */
bool store_begin_run(
    struct store *store, const struct store_run_facts *facts) MUST_CHECK;

/* Writes all of the batch, or nothing. */
bool store_write(struct store *store, const struct batch *batch) MUST_CHECK;

bool store_end_run(struct store *store, wall_us ended) MUST_CHECK;

/* What may be kept. */
struct store_bounds {
	int64_t max_age_us;  /* 0: of any age */
	int64_t max_bytes;   /* of the file, without its log of some MiB */
	uint64_t *unshipped; /* grows by what goes before it was sent on
	                        (ship.h); NULL: it is sent nowhere */
};

/* Deletes what is too old, and, of what is too much, the oldest drained and
 * unproven first, evidence of leaks last; nothing of the run that is begun
 * but its exchanges and timeline. */
bool store_prune(struct store *store, const struct store_bounds *bounds,
    wall_us now) MUST_CHECK;

/* ---- reading ---- */

/* Which runs: one, or all of a service, or all there are. */
enum store_pick {
	STORE_PICK_RUN,
	STORE_PICK_SERVICE,
	STORE_PICK_ALL,
};

/* A run, or what several have in common: strings are NULL then, times the
 * first and the last, counts sums. */
struct store_run {
	enum store_pick pick;
	int64_t id; /* 0: several */
	char *service;
	char *name;
	char *host;
	char *program;
	char *versions; /* of the service: "1.4, 1.5"; NULL none */
	size_t runs;
	size_t hosts;
	size_t open; /* that run, or were killed */
	wall_us started;
	wall_us seen;  /* last written */
	wall_us ended; /* 0: it runs, or was killed */
	uint64_t connections;
	uint64_t exchanges;
	uint64_t undrained;
	uint64_t leaks;
};

void store_run_fini(struct store_run *run);

/* Returns the runs, oldest first, *count of them; NULL where that failed.
 * Free each with store_run_fini() and the array with free(). */
struct store_run *store_list_runs(struct store *store, size_t *count);

/*
 * Finds a run by what a person calls it: its number, its name (the latest of
 * that name) or "last"; or several, "service=NAME" and "all"; "@1.4" behind it
 * picks what came from version 1.4 of the service.  Writes that version, or
 * NULL, to *version: free with free().  Returns false where there is none.
 */
bool store_find_run(struct store *store, const char *reference,
    struct store_run *run, char **version) MUST_CHECK;

/* Returns the run as its report would have shown it when it was last written,
 * "held now" being what was held then; NULL where that failed. `version` NULL:
 * all of them.  Free with snapshot_free(). */
struct snapshot *store_read_snapshot(
    struct store *store, const struct store_run *run, const char *version);

/* Reads what the run has to be compared by.  Free with compare_run_fini(). */
bool store_read_kinds(struct store *store, const struct store_run *run,
    const char *version, struct compare_run *kinds) MUST_CHECK;

#endif
