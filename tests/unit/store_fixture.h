/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

/*
 * A state directory of the test's own, batches as a ledger would make them,
 * and a way to look into the file without the store.  Include after cmocka.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "accounting/memory.h"
#include "accounting/store.h"
#include "tests/unit/owner_fixture.h"

/* 2026-11-24 02:03:00 UTC */
#define DESK_EPOCH INT64_C(1795485780000000)
#define DESK_ORIGIN "https://registry.test:443"
#define DESK_ROUTE "/v2/{}/manifests/{}"

struct desk {
	char directory[64];
	char *path;          /* of the file; owned */
	struct store *store; /* owned; NULL while closed */
};

static inline void
desk_open(struct desk *desk)
{
	struct store_error error;

	desk->store = store_open(desk->directory, STORE_WRITE, &error);
	if (desk->store == NULL)
		fail_msg("%s", error.text);
}

static inline void
desk_close(struct desk *desk)
{
	store_close(desk->store);
	desk->store = NULL;
}

static inline void
desk_init(struct desk *desk)
{
	*desk = (struct desk){.directory = "/tmp/store_test.XXXXXX"};
	assert_non_null(mkdtemp(desk->directory));
	desk->path = xasprintf("%s/" STORE_FILE, desk->directory);
}

static inline void
desk_fini(struct desk *desk)
{
	char *command = xasprintf("rm -rf %s", desk->directory);

	desk_close(desk);
	assert_int_equal(system(command), 0);
	free(command);
	free(desk->path);
}

#define assert_stored(desk, call)                                         \
	do {                                                              \
		if (!(call))                                              \
			fail_msg("%s", store_error((desk)->store)->text); \
	} while (0)

static inline void
desk_begin(struct desk *desk, const char *name, wall_us started)
{
	struct store_run_facts facts = {
	    .started = started,
	    .name = name,
	    .host = "host.test",
	    .program = "0.1.0",
	    .pid = 4242,
	};

	assert_stored(desk, store_begin_run(desk->store, &facts));
}

/* SQL of the test's own, through a connection of its own. */
static inline void
desk_sql(const struct desk *desk, const char *sql)
{
	sqlite3 *db;
	char *error = NULL;

	assert_int_equal(sqlite3_open(desk->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	sqlite3_exec(db, sql, NULL, NULL, &error);
	if (error != NULL)
		fail_msg("%s: %s", sql, error);
	sqlite3_close(db);
}

static inline int64_t
desk_number(const struct desk *desk, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *row;
	int64_t number;

	assert_int_equal(sqlite3_open(desk->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	assert_int_equal(
	    sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	number = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(db);
	return number;
}

/* ---- batches ---- */

/* Puts an exchange that has been judged into the batch, and whatever else
 * would have come of it. */
static inline void
desk_judge(struct batch *batch, uint64_t conn, enum verdict verdict,
    const char *version, wall_us at)
{
	bool is_leak = verdict == VERDICT_UNDRAINED;
	struct exchange_record x = {
	    .conn_id = conn,
	    .ordinal = 1,
	    .status = 404,
	    .is_held = is_leak,
	    .method = xstrdup("GET"),
	    .url = xasprintf("%s/v2/a/manifests/%d", DESK_ORIGIN, (int)conn),
	    .origin = xstrdup(DESK_ORIGIN),
	    .route = xstrdup(DESK_ROUTE),
	    .user_agent = xstrdup("Go-http-client/1.1"),
	    .client_address = xstrdup("127.0.0.1:41234"),
	    .owner = fixture_owner(4242, 37, -1, NULL),
	    .facts = {.unread_bytes = 157},
	    .judgement = {verdict, is_leak ? EVIDENCE_UNREAD : EVIDENCE_REUSE,
		WITNESS_NONE},
	    .body_bytes = 157,
	    .delivered_bytes = 157,
	    .began_at = at,
	    .first_byte_us = 1500,
	    .duration_us = 2500,
	};

	assert_true(tags_set(&x.tags, "job", "imagecheck", 10));
	if (version != NULL)
		assert_true(
		    tags_set(&x.tags, "version", version, strlen(version)));
	batch->taken_at = at;
	batch->totals.exchanges++;
	batch->totals.by_verdict[verdict]++;
	exposures_add(
	    &batch->exposures, &x, DESK_ROUTE, leak_hash(&x, DESK_ROUTE));
	exposures_judged(&batch->exposures, leak_hash(&x, DESK_ROUTE), verdict,
	    VERDICT_OPEN, at);
	if (is_leak) {
		struct batch *part = batch_new();

		part->leaks = xcalloc(1, sizeof(*part->leaks));
		part->leak_count = 1;
		part->leaks[0] = (struct leak){
		    .origin = xstrdup(DESK_ORIGIN),
		    .method = xstrdup("GET"),
		    .route = xstrdup(DESK_ROUTE),
		    .status = 404,
		    .undrained = 1,
		    .by_evidence = {[EVIDENCE_UNREAD] = 1},
		    .first_seen = at,
		    .last_seen = at,
		};
		leak_id(part->leaks[0].id, &x);
		tags_copy(&part->leaks[0].tags, &x.tags);
		batch_merge(batch, &part);
		batch_add_exchange(batch, &x);
	}
	record_fini_exchange(&x);
}

/* Writes `leaks` undrained and `others` drained responses, from connection
 * `conn` on. */
static inline void
desk_write(struct desk *desk, uint64_t conn, size_t leaks, size_t others)
{
	struct batch *batch = batch_new();

	for (size_t i = 0; i < leaks + others; i++, conn++)
		desk_judge(batch, conn,
		    i < leaks ? VERDICT_UNDRAINED : VERDICT_DRAINED, NULL,
		    DESK_EPOCH + (wall_us)conn * US_PER_S);
	assert_stored(desk, store_write(desk->store, batch));
	batch_free(batch);
}

/* The run as it is stored; the caller fini's it. */
static inline void
desk_find(struct desk *desk, const char *reference, struct store_run *run)
{
	char *version;

	assert_stored(
	    desk, store_find_run(desk->store, reference, run, &version));
	free(version);
}

#endif
