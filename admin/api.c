/* SPDX-License-Identifier: MIT */

/*
 * Snapshots as JSON.
 *
 * The names are a contract with tools and tests; OpenTelemetry's words are
 * used where nothing else binds.  Units are in the names.
 */

#include "admin/api.h"

#include <stdlib.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "admin/api_parts.h"
#include "admin/habits.h"
#include "admin/member.h"

json_t *
api_frame(const struct snapshot *snapshot)
{
	json_t *frame = json_object();

	member_time(frame, "since", snapshot->since);
	member_seconds(frame, "seconds", snapshot->seconds_us);
	return frame;
}

/* ---- reuse ---- */

static json_t *
reuse_json(const struct reuse *reuse)
{
	json_t *json = json_object();

	member_text(json, "origin", reuse->origin);
	member_tags(json, &reuse->tags);
	member_number(json, "connections", reuse->connections);
	member_number(json, "exchanges", reuse->exchanges);
	json_object_set_new(json, "exchanges_per_connection",
	    json_real((double)reuse->exchanges / (double)reuse->connections));
	member_number(json, "one_shot", reuse->one_shot);
	member_number(json, "closed_after_one", reuse->closed_after_one);
	member_number(json, "early_closes", reuse->early_closes);
	member_number(json, "half_sent", reuse->half_sent);
	member_text(json, "says", habits_sentence(reuse));
	return json;
}

char *
api_reuse(const struct snapshot *snapshot)
{
	json_t *json = api_frame(snapshot);
	json_t *list = json_array();

	for (size_t i = 0; i < snapshot->reuse_count; i++)
		json_array_append_new(list, reuse_json(&snapshot->reuse[i]));
	json_object_set_new(json, "reuse", list);
	return member_finish(json);
}

/* ---- connections ---- */

json_t *
api_connection_json(const struct conn_record *conn)
{
	json_t *json = json_object();
	bool is_open = conn->state != CONN_CLOSED;

	member_conn_id(json, "id", conn->id);
	member_text(json, "client_address", conn->client_address);
	member_bool(json, "local", conn->is_local);
	member_text(json, "transport", record_transport_word(conn->transport));
	member_bool(json, "redirected", conn->is_redirected);
	member_text(json, "target", conn->target);
	member_text(json, "origin", conn->origin);
	member_text(json, "state", record_conn_state_word(conn->state));
	member_text(json, "close_reason",
	    is_open ? NULL : record_close_word(conn->close_reason));
	member_tags(json, &conn->tags);
	member_number(json, "exchanges", conn->exchange_count);
	member_known(json, "received_bytes", conn->received_bytes);
	member_known(json, "sent_bytes", conn->sent_bytes);
	member_time(json, "opened_at", conn->opened_at);
	member_time(json, "closed_at", conn->closed_at);
	member_seconds(json, "age_s", conn->age_us);
	member_text(json, "user_agent", conn->user_agent);
	member_text(json, "tls_version", conn->tls_version);
	member_text(json, "tls_fingerprint", conn->tls_fingerprint);
	member_text(json, "trust_refused", conn->trust_refused);
	member_owner(json, conn->owner);
	return json;
}

/* Which part of a list this is. */
static void
put_page(json_t *json, const struct view *view, size_t count, size_t total)
{
	size_t offset = view->query.page.offset;

	member_bool(json, "more", offset < total && count < total - offset);
	member_number(json, "total", total);
	member_number(json, "offset", offset);
}

char *
api_connections(const struct snapshot *snapshot, const struct view *view)
{
	json_t *json = api_frame(snapshot);
	json_t *conns = json_array();

	for (size_t i = 0; i < snapshot->conn_count; i++)
		json_array_append_new(
		    conns, api_connection_json(&snapshot->conns[i]));
	put_page(json, view, snapshot->conn_count, snapshot->conn_total);
	json_object_set_new(json, "connections", conns);
	return member_finish(json);
}

/* ---- exchanges ---- */

static const char *
evidence_word(enum evidence evidence)
{
	return evidence == EVIDENCE_NOTHING ? NULL
					    : verdict_evidence_word(evidence);
}

static const char *
witness_word(enum witness witness)
{
	switch (witness) {
	case WITNESS_NONE:
		return NULL;
	case WITNESS_UNREAD:
		return "unread";
	case WITNESS_WATCHER:
		return "watcher";
	}
	abort();
}

/* What the verdict says, and what it rests on. */
static void
put_meaning(json_t *object, const struct judgement *judgement)
{
	bool has_evidence = judgement->evidence != EVIDENCE_NOTHING;
	char *meaning = xasprintf("%s%s%s", verdict_meaning(judgement->verdict),
	    has_evidence ? "; seen: " : "",
	    has_evidence ? verdict_evidence_meaning(judgement->evidence) : "");

	member_text(object, "meaning", meaning);
	free(meaning);
}

static void
put_response(json_t *json, const struct exchange_record *exchange)
{
	bool has_response = exchange->status != 0;

	member_known(json, "status", has_response ? exchange->status : -1);
	member_tags(json, &exchange->tags);
	member_text(json, "verdict", verdict_word(exchange->judgement.verdict));
	member_text(
	    json, "evidence", evidence_word(exchange->judgement.evidence));
	member_text(json, "witness", witness_word(exchange->judgement.witness));
	member_bool(json, "held", exchange->is_held);
	member_time(json, "began_at", exchange->began_at);
	member_seconds(json, "first_byte_s", exchange->first_byte_us);
	member_seconds(json, "duration_s", exchange->duration_us);
	member_seconds(json, "age_s", has_response ? exchange->age_us : -1);
	member_known(json, "request_body_bytes", exchange->request_bytes);
	member_known(json, "body_bytes", exchange->body_bytes);
	member_known(json, "delivered_bytes", exchange->delivered_bytes);
	member_known(json, "unread_bytes", exchange->facts.unread_bytes);
}

static json_t *
exchange_json(const struct exchange_record *exchange)
{
	json_t *json = json_object();

	member_exchange_id(json, "id", exchange);
	member_conn_id(json, "connection", exchange->conn_id);
	member_text(json, "method", exchange->method);
	member_text(json, "url", exchange->url);
	member_text(json, "origin", exchange->origin);
	member_text(json, "route", exchange->route);
	put_response(json, exchange);
	member_text(json, "user_agent", exchange->user_agent);
	member_text(json, "traceparent", exchange->traceparent);
	member_text(json, "client_address", exchange->client_address);
	member_owner(json, exchange->owner);
	member_text(json, "error", exchange->error);
	member_bool(json, "escalated", exchange->is_escalated);
	put_meaning(json, &exchange->judgement);
	return json;
}

char *
api_exchanges(const struct snapshot *snapshot, const struct view *view)
{
	json_t *json = api_frame(snapshot);
	json_t *exchanges = json_array();

	for (size_t i = 0; i < snapshot->exchange_count; i++)
		json_array_append_new(
		    exchanges, exchange_json(&snapshot->exchanges[i]));
	put_page(
	    json, view, snapshot->exchange_count, snapshot->exchange_total);
	json_object_set_new(json, "exchanges", exchanges);
	return member_finish(json);
}

char *
api_exchange(const struct exchange_record *exchange)
{
	return member_finish(exchange_json(exchange));
}

char *
api_error(const char *reason)
{
	json_t *json = json_object();

	member_text(json, "error", reason);
	return member_finish(json);
}
