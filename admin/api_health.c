/* SPDX-License-Identifier: MIT */

/*
 * How the proxy itself is, as JSON: its counters and connections, who does not
 * trust its CA, and which origins failed.
 */

#include "admin/api.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uthash.h>

#include "accounting/memory.h"
#include "admin/api_parts.h"
#include "admin/distrust.h"
#include "admin/member.h"

json_t *
api_gauges(const struct gauges *gauges)
{
	json_t *json = json_object();

	member_number(json, "client_active", gauges->client_active);
	member_number(json, "client_idle", gauges->client_idle);
	member_number(json, "client_watched", gauges->client_watched);
	member_number(json, "upstream_active", gauges->upstream_active);
	member_number(json, "upstream_idle", gauges->upstream_idle);
	return json;
}

static json_t *
counters_json(const struct counters *counters)
{
	json_t *json = json_object();

#define COUNTER(name, metric, help) member_number(json, #name, counters->name);
#include "accounting/counters.def"
#undef COUNTER
	return json;
}

/* ---- origins that failed ---- */

/* What is known of one kind of failure at one origin. */
struct failure {
	char *key;                            /* owned */
	const struct exchange_record *latest; /* borrowed */
	uint64_t count;
	UT_hash_handle hh;
};

/* Adds the exchange to its failure, or begins that. */
static void
count_failure(struct failure **failures, const struct exchange_record *x)
{
	char *key = xasprintf("%s %s", x->error, x->origin);
	struct failure *failure;

	HASH_FIND_STR(*failures, key, failure);
	if (failure != NULL) {
		free(key);
	} else {
		failure = xcalloc(1, sizeof(*failure));
		failure->key = key;
		failure->latest = x;
		HASH_ADD_KEYPTR(hh, *failures, key, strlen(key), failure);
	}
	failure->count++;
}

static json_t *
failure_json(const struct failure *failure)
{
	const struct exchange_record *latest = failure->latest;
	json_t *json = json_object();

	member_text(json, "origin", latest->origin);
	member_text(json, "error", latest->error);
	member_number(json, "exchanges", failure->count);
	member_time(json, "last_seen", latest->began_at);
	member_exchange_id(json, "example", latest);
	return json;
}

/* Of the exchanges in memory, newest first: the table keeps that order. */
static json_t *
failures_json(const struct snapshot *snapshot)
{
	struct failure *failures = NULL;
	struct failure *failure;
	struct failure *next;
	json_t *json = json_array();

	for (size_t i = 0; i < snapshot->exchange_count; i++)
		count_failure(&failures, &snapshot->exchanges[i]);
	HASH_ITER (hh, failures, failure, next) {
		json_array_append_new(json, failure_json(failure));
		HASH_DEL(failures, failure);
		free(failure->key);
		free(failure);
	}
	return json;
}

static json_t *
shipping_json(const struct shipping *shipping)
{
	json_t *json;

	if (shipping->state == SHIPPING_OFF)
		return json_null();
	json = json_object();
	json_object_set_new(
	    json, "up", json_boolean(shipping->state == SHIPPING_WELL));
	member_text(
	    json, "error", shipping->error[0] == '\0' ? NULL : shipping->error);
	member_time(json, "last_shipped", shipping->last_at);
	member_number(json, "waiting_rows", shipping->waiting);
	member_number(json, "shipped_rows", shipping->rows);
	member_number(json, "errors", shipping->errors);
	member_number(json, "lost_rows", shipping->lost);
	return json;
}

char *
api_health(const struct snapshot *snapshot)
{
	json_t *json = api_frame(snapshot);

	json_object_set_new(json, "connections", api_gauges(&snapshot->gauges));
	json_object_set_new(
	    json, "counters", counters_json(&snapshot->counters));
	json_object_set_new(
	    json, "shared_store", shipping_json(&snapshot->shipping));
	json_object_set_new(json, "trust_refused", distrust_json(snapshot));
	json_object_set_new(json, "errors", failures_json(snapshot));
	return member_finish(json);
}

char *
api_summary(const struct snapshot *snapshot)
{
	json_t *json = api_frame(snapshot);

	member_time(json, "at", snapshot->taken_at);
	json_object_set_new(json, "totals", api_totals(&snapshot->totals));
	json_object_set_new(json, "connections", api_gauges(&snapshot->gauges));
	member_number(json, "leaks", snapshot->leak_count);
	member_number(json, "trust_refused",
	    snapshot->counters.client_handshakes_refused);
	return member_finish_compact(json);
}
