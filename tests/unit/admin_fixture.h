/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_ADMIN_FIXTURE_H
#define TESTS_UNIT_ADMIN_FIXTURE_H

/*
 * Hand-made snapshots for the tests of admin/: the story is a registry client
 * whose job "imagecheck" forgets the bodies of 404s.
 */

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/snapshot.h"
#include "tests/unit/owner_fixture.h"

/* 2026-11-24 02:03:04.567 UTC */
#define FIXTURE_NOW INT64_C(1795485784567000)
#define FIXTURE_URL \
	"https://registry.test:5000/v2/library/alpine/manifests/latest"

/* Adds a tag whose key is new; they are sorted by key. */
static inline void
fixture_tag(struct tags *tags, const char *key, const char *value)
{
	size_t at = tags->count++;

	tags->items =
	    xreallocarray(tags->items, tags->count, sizeof(*tags->items));
	for (; at > 0 && strcmp(tags->items[at - 1].key, key) > 0; at--)
		tags->items[at] = tags->items[at - 1];
	tags->items[at].key = xstrdup(key);
	tags->items[at].value = xstrdup(value);
}

/* Watched for 31 s, and nothing seen. */
static inline struct snapshot *
fixture_snapshot(void)
{
	struct snapshot *snapshot = snapshot_new();

	snapshot->taken_at = FIXTURE_NOW;
	snapshot->since = FIXTURE_NOW - 31 * US_PER_S;
	snapshot->seconds_us = 31 * US_PER_S;
	return snapshot;
}

/* A GET of FIXTURE_URL on connection 17, undrained, held by pid 4242. */
static inline void
fixture_fill_exchange(struct exchange_record *x)
{
	*x = (struct exchange_record){
	    .conn_id = 17,
	    .ordinal = 3,
	    .status = 404,
	    .is_held = true,
	    .method = xstrdup("GET"),
	    .url = xstrdup(FIXTURE_URL),
	    .origin = xstrdup("https://registry.test:5000"),
	    .route = xstrdup("/v2/{}/manifests/{}"),
	    .user_agent = xstrdup("Go-http-client/1.1"),
	    .client_address = xstrdup("127.0.0.1:41234"),
	    .owner = fixture_owner(4242, 37, 1000, "demo"),
	    .facts = {.has_body = true,
		.is_complete = true,
		.unread_bytes = 157},
	    .judgement = {VERDICT_UNDRAINED, EVIDENCE_UNREAD, WITNESS_NONE},
	    .body_bytes = 157,
	    .delivered_bytes = 157,
	    .began_at = FIXTURE_NOW - 20 * US_PER_S,
	    .first_byte_us = 1500,
	    .duration_us = 2500,
	    .age_us = 20 * US_PER_S,
	};
	fixture_tag(&x->tags, "job", "imagecheck");
}

static inline struct exchange_record *
fixture_add_exchange(struct snapshot *snapshot)
{
	size_t at = snapshot->exchange_count++;

	if ((at & (at - 1)) == 0) /* full, when its size doubles */
		snapshot->exchanges = xreallocarray(snapshot->exchanges,
		    at == 0 ? 1 : 2 * at, sizeof(*snapshot->exchanges));
	fixture_fill_exchange(&snapshot->exchanges[at]);
	return &snapshot->exchanges[at];
}

/* An open connection of pid 4242, idle after three exchanges. */
static inline struct conn_record *
fixture_add_conn(struct snapshot *snapshot, uint64_t id)
{
	size_t at = snapshot->conn_count++;
	struct conn_record *conn;

	snapshot->conns =
	    xreallocarray(snapshot->conns, at + 1, sizeof(*snapshot->conns));
	conn = &snapshot->conns[at];
	*conn = (struct conn_record){
	    .id = id,
	    .client_address = xstrdup("127.0.0.1:41234"),
	    .target = xstrdup("registry.test:5000"),
	    .user_agent = xstrdup("Go-http-client/1.1"),
	    .tls_version = xstrdup("TLSv1.3"),
	    .owner = fixture_owner(4242, 37, 1000, "demo"),
	    .transport = TRANSPORT_INTERCEPTED,
	    .state = CONN_IDLE,
	    .is_local = true,
	    .exchange_count = 3,
	    .received_bytes = 1024,
	    .sent_bytes = 2048,
	    .opened_at = FIXTURE_NOW - 25 * US_PER_S,
	    .age_us = 25 * US_PER_S,
	};
	fixture_tag(&conn->tags, "job", "imagecheck");
	return conn;
}

static inline struct leak_caller *
fixture_add_caller(struct leak *leak)
{
	struct leak_caller *caller = leak_new_caller(leak);

	*caller = (struct leak_caller){
	    .client_host = xstrdup("127.0.0.1"),
	    .user_agent = xstrdup("Go-http-client/1.1"),
	    .command = xstrdup("demo"),
	    .pid = 4242,
	    .fds = {43, 37, 41},
	    .fd_count = 3,
	};
	return caller;
}

/* Twelve undrained, all held now; totals are left to the test. */
static inline struct leak *
fixture_add_leak(struct snapshot *snapshot)
{
	size_t at = snapshot->leak_count++;
	struct leak *leak;

	snapshot->leaks =
	    xreallocarray(snapshot->leaks, at + 1, sizeof(*snapshot->leaks));
	leak = &snapshot->leaks[at];
	*leak = (struct leak){
	    .id = "00c0ffee00c0ffee",
	    .origin = xstrdup("https://registry.test:5000"),
	    .method = xstrdup("GET"),
	    .route = xstrdup("/v2/{}/manifests/{}"),
	    .status = 404,
	    .undrained = 12,
	    .held_now = 12,
	    .held_bytes = 1884,
	    .by_evidence = {[EVIDENCE_UNREAD] = 10, [EVIDENCE_CLOSE] = 2},
	    .first_seen = FIXTURE_NOW - 30 * US_PER_S,
	    .last_seen = FIXTURE_NOW - 2 * US_PER_S,
	    .example = xcalloc(1, sizeof(struct exchange_record)),
	};
	fixture_tag(&leak->tags, "job", "imagecheck");
	fixture_add_caller(leak);
	fixture_fill_exchange(leak->example);
	return leak;
}

/* One leak, and the totals that go with it. */
static inline struct snapshot *
fixture_leaking(void)
{
	struct snapshot *snapshot = fixture_snapshot();

	fixture_add_leak(snapshot);
	snapshot->totals.connections = 15;
	snapshot->totals.exchanges = 55;
	snapshot->totals.by_verdict[VERDICT_NONE] = 2;
	snapshot->totals.by_verdict[VERDICT_OPEN] = 1;
	snapshot->totals.by_verdict[VERDICT_DRAINED] = 40;
	snapshot->totals.by_verdict[VERDICT_UNDRAINED] = 12;
	snapshot->totals.held_now = 12;
	snapshot->gauges.client_active = 1;
	snapshot->gauges.client_watched = 12;
	return snapshot;
}

/* Replaces a string that its record owns. */
static inline void
fixture_set(char **field, const char *value)
{
	free(*field);
	*field = xstrdup_or_null(value);
}

#endif
