/* SPDX-License-Identifier: MIT */

/*
 * Snapshots as JSON.
 *
 * The names are a contract with tools and tests; OpenTelemetry's words are
 * used where nothing else binds.  Units are in the names.  Every string of a
 * stranger's passes put_text(), which makes it UTF-8: Jansson refuses to
 * encode what is not, and would drop the field.
 */

#include "admin/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "admin/habits.h"
#include "admin/detective.h"
#include "admin/text.h"

#define US_PER_HOUR (3600.0 * (double)US_PER_S)

/* A double holds 15 decimal digits; more would print 0.1 as 0.1000...01. */
#define DUMP_FLAGS (JSON_INDENT(1) | JSON_REAL_PRECISION(15))

/* Takes `json`. */
static char *
dump(json_t *json)
{
	char *text = json_dumps(json, DUMP_FLAGS);
	char *line = xasprintf("%s\n", text);

	free(text);
	json_decref(json);
	return line;
}

static void
put_text(json_t *object, const char *key, const char *text)
{
	char *utf8;

	if (text == NULL) {
		json_object_set_new(object, key, json_null());
		return;
	}
	utf8 = text_utf8(text);
	json_object_set_new(object, key, json_string(utf8));
	free(utf8);
}

static void
put_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

/* A number that is negative where it is not known. */
static void
put_known(json_t *object, const char *key, int64_t number)
{
	json_object_set_new(
	    object, key, number < 0 ? json_null() : json_integer(number));
}

static void
put_seconds(json_t *object, const char *key, int64_t us)
{
	json_object_set_new(object, key,
	    us < 0 ? json_null() : json_real((double)us / (double)US_PER_S));
}

static void
put_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new(object, key, json_boolean(value));
}

/* A time that is 0 where the thing has not happened. */
static void
put_time(json_t *object, const char *key, wall_us at)
{
	char text[TEXT_NUMBER_BYTES];

	text_timestamp(at, text);
	put_text(object, key, at == 0 ? NULL : text);
}

static void
put_tags(json_t *object, const struct tags *tags)
{
	json_t *json = json_object();

	for (size_t i = 0; i < tags->count; i++) {
		char *key = text_utf8(tags->items[i].key);

		put_text(json, key, tags->items[i].value);
		free(key);
	}
	json_object_set_new(object, "tags", json);
}

static void
put_conn_id(json_t *object, const char *key, uint64_t id)
{
	char text[TEXT_NUMBER_BYTES];

	snprintf(text, sizeof(text), "c%" PRIu64, id);
	put_text(object, key, text);
}

static void
put_exchange_id(
    json_t *object, const char *key, const struct exchange_record *exchange)
{
	char id[EXCHANGE_ID_BYTES];

	record_exchange_id(exchange, id);
	put_text(object, key, id);
}

static void
put_owner(json_t *object, const struct owner *owner)
{
	put_known(object, "pid", owner->pid);
	put_text(object, "command", owner->command);
	put_text(object, "command_line", owner->command_line);
	put_text(object, "container",
	    owner->container[0] == '\0' ? NULL : owner->container);
	put_known(object, "fd", owner->fd);
	put_known(object, "uid", owner->uid);
}

/* What every list begins with: the time that it is about. */
static json_t *
frame_new(const struct snapshot *snapshot)
{
	json_t *frame = json_object();

	put_time(frame, "since", snapshot->since);
	put_seconds(frame, "seconds", snapshot->seconds_us);
	return frame;
}

/* ---- leaks ---- */

static json_t *
totals_json(const struct totals *totals)
{
	json_t *json = json_object();

	put_number(json, "connections", totals->connections);
	put_number(json, "exchanges", totals->exchanges);
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		put_number(
		    json, verdict_word((enum verdict)i), totals->by_verdict[i]);
	put_number(json, "recovered", totals->recovered);
	put_number(json, "held_now", totals->held_now);
	return json;
}

static json_t *
evidence_json(const struct leak *leak)
{
	json_t *json = json_object();

	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (leak->by_evidence[i] > 0)
			put_number(json,
			    verdict_evidence_word((enum evidence)i),
			    leak->by_evidence[i]);
	}
	return json;
}

static json_t *
release_json(const struct leak *leak)
{
	json_t *json;
	double age_s;

	if (!leak_has_deadline(leak, &age_s))
		return json_null();
	json = json_object();
	put_text(json, "kind", "deadline");
	json_object_set_new(json, "age_s", json_real(age_s));
	return json;
}

static json_t *
callers_json(const struct leak *leak)
{
	json_t *list = json_array();

	for (size_t i = 0; i < leak->caller_count; i++) {
		const struct leak_caller *caller = &leak->callers[i];
		json_t *json = json_object();
		json_t *fds = json_array();

		for (size_t j = 0; j < caller->fd_count; j++)
			json_array_append_new(
			    fds, json_integer(caller->fds[j]));
		put_text(json, "peer", caller->client_host);
		put_known(json, "pid", caller->pid);
		put_text(json, "command", caller->command);
		put_text(json, "command_line", caller->command_line);
		put_text(json, "container",
		    caller->container[0] == '\0' ? NULL : caller->container);
		json_object_set_new(json, "fds", fds);
		put_text(json, "user_agent", caller->user_agent);
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *
example_json(const struct exchange_record *example)
{
	json_t *json;

	if (example == NULL)
		return json_null();
	json = json_object();
	put_exchange_id(json, "exchange", example);
	put_text(json, "url", example->url);
	put_known(json, "body_bytes", example->body_bytes);
	put_known(json, "delivered_bytes", example->delivered_bytes);
	put_known(json, "unread_bytes", example->facts.unread_bytes);
	return json;
}

json_t *
api_leak_json(const struct leak *leak, int64_t observed_us)
{
	json_t *json = json_object();
	double hours = (double)observed_us / US_PER_HOUR;
	char *note = detective_suspect_note(leak);

	put_text(json, "id", leak->id);
	put_text(json, "origin", leak->origin);
	put_text(json, "method", leak->method);
	put_text(json, "route", leak->route);
	put_number(json, "status", (uint64_t)leak->status);
	put_tags(json, &leak->tags);
	put_number(json, "undrained", leak->undrained);
	put_number(json, "suspected", leak->suspected);
	put_number(json, "held_now", leak->held_now);
	put_number(json, "held_to_exit", leak->held_to_exit);
	put_known(json, "held_bytes", leak->held_bytes);
	json_object_set_new(json, "per_hour",
	    observed_us <= 0 ? json_null()
			     : json_real((double)leak->undrained / hours));
	put_time(json, "first_seen", leak->first_seen);
	put_time(json, "last_seen", leak->last_seen);
	json_object_set_new(json, "evidence", evidence_json(leak));
	json_object_set_new(json, "release", release_json(leak));
	json_object_set_new(json, "rhythm", detective_rhythm(leak));
	json_object_set_new(json, "suspect", detective_suspect(leak));
	put_text(json, "suspect_note", note);
	json_object_set_new(json, "callers", callers_json(leak));
	json_object_set_new(json, "example", example_json(leak->example));
	free(note);
	return json;
}

static json_t *
goroutines_json(
    const struct goroutines *goroutines, const struct snapshot *snapshot)
{
	json_t *json;
	char *sentence;

	if (goroutines == NULL)
		return json_null();
	json = json_object();
	if (goroutines->is_known) {
		put_number(json, "goroutines", goroutines->total);
		put_number(json, "read_loops", goroutines->read_loops);
		put_number(json, "write_loops", goroutines->write_loops);
	}
	sentence = goroutines_sentence(goroutines, snapshot);
	put_text(json, "says", sentence);
	free(sentence);
	return json;
}

char *
api_leaks(const struct snapshot *snapshot)
{
	return api_leaks_beside(snapshot, NULL);
}

char *
api_leaks_beside(
    const struct snapshot *snapshot, const struct goroutines *goroutines)
{
	json_t *json = frame_new(snapshot);
	json_t *leaks = json_array();

	for (size_t i = 0; i < snapshot->leak_count; i++)
		json_array_append_new(leaks,
		    api_leak_json(&snapshot->leaks[i], snapshot->seconds_us));
	json_object_set_new(json, "totals", totals_json(&snapshot->totals));
	json_object_set_new(
	    json, "pprof", goroutines_json(goroutines, snapshot));
	json_object_set_new(json, "leaks", leaks);
	return dump(json);
}

/* ---- reuse ---- */

static json_t *
reuse_json(const struct reuse *reuse)
{
	json_t *json = json_object();

	put_text(json, "origin", reuse->origin);
	put_tags(json, &reuse->tags);
	put_number(json, "connections", reuse->connections);
	put_number(json, "exchanges", reuse->exchanges);
	json_object_set_new(json, "exchanges_per_connection",
	    json_real((double)reuse->exchanges / (double)reuse->connections));
	put_number(json, "one_shot", reuse->one_shot);
	put_number(json, "closed_after_one", reuse->closed_after_one);
	put_number(json, "early_closes", reuse->early_closes);
	put_number(json, "half_sent", reuse->half_sent);
	put_text(json, "says", habits_sentence(reuse));
	return json;
}

char *
api_reuse(const struct snapshot *snapshot)
{
	json_t *json = frame_new(snapshot);
	json_t *list = json_array();

	for (size_t i = 0; i < snapshot->reuse_count; i++)
		json_array_append_new(list, reuse_json(&snapshot->reuse[i]));
	json_object_set_new(json, "reuse", list);
	return dump(json);
}

/* ---- connections ---- */

json_t *
api_connection_json(const struct conn_record *conn)
{
	json_t *json = json_object();
	bool is_open = conn->state != CONN_CLOSED;

	put_conn_id(json, "id", conn->id);
	put_text(json, "client_address", conn->client_address);
	put_bool(json, "local", conn->is_local);
	put_text(json, "transport", record_transport_word(conn->transport));
	put_text(json, "target", conn->target);
	put_text(json, "state", record_conn_state_word(conn->state));
	put_text(json, "close_reason",
	    is_open ? NULL : record_close_word(conn->close_reason));
	put_tags(json, &conn->tags);
	put_number(json, "exchanges", conn->exchange_count);
	put_known(json, "received_bytes", conn->received_bytes);
	put_known(json, "sent_bytes", conn->sent_bytes);
	put_time(json, "opened_at", conn->opened_at);
	put_time(json, "closed_at", conn->closed_at);
	put_seconds(json, "age_s", conn->age_us);
	put_text(json, "user_agent", conn->user_agent);
	put_text(json, "tls_version", conn->tls_version);
	put_text(json, "tls_fingerprint", conn->tls_fingerprint);
	put_text(json, "trust_refused", conn->trust_refused);
	put_owner(json, &conn->owner);
	return json;
}

char *
api_connections(const struct snapshot *snapshot, const struct view *view)
{
	json_t *json = frame_new(snapshot);
	json_t *conns = json_array();
	bool has_more = false;

	for (size_t i = snapshot->conn_count; i-- > 0 && !has_more;) {
		if (!view_matches_conn(view, &snapshot->conns[i]))
			continue;
		if (json_array_size(conns) == view->limit)
			has_more = true;
		else
			json_array_append_new(
			    conns, api_connection_json(&snapshot->conns[i]));
	}
	put_bool(json, "more", has_more);
	json_object_set_new(json, "connections", conns);
	return dump(json);
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

	put_text(object, "meaning", meaning);
	free(meaning);
}

static void
put_response(json_t *json, const struct exchange_record *exchange)
{
	bool has_response = exchange->status != 0;

	put_known(json, "status", has_response ? exchange->status : -1);
	put_tags(json, &exchange->tags);
	put_text(json, "verdict", verdict_word(exchange->judgement.verdict));
	put_text(json, "evidence", evidence_word(exchange->judgement.evidence));
	put_text(json, "witness", witness_word(exchange->judgement.witness));
	put_bool(json, "held", exchange->is_held);
	put_time(json, "began_at", exchange->began_at);
	put_seconds(json, "first_byte_s", exchange->first_byte_us);
	put_seconds(json, "duration_s", exchange->duration_us);
	put_seconds(json, "age_s", has_response ? exchange->age_us : -1);
	put_known(json, "request_body_bytes", exchange->request_bytes);
	put_known(json, "body_bytes", exchange->body_bytes);
	put_known(json, "delivered_bytes", exchange->delivered_bytes);
	put_known(json, "unread_bytes", exchange->facts.unread_bytes);
}

static json_t *
exchange_json(const struct exchange_record *exchange)
{
	json_t *json = json_object();

	put_exchange_id(json, "id", exchange);
	put_conn_id(json, "connection", exchange->conn_id);
	put_text(json, "method", exchange->method);
	put_text(json, "url", exchange->url);
	put_text(json, "origin", exchange->origin);
	put_text(json, "route", exchange->route);
	put_response(json, exchange);
	put_text(json, "user_agent", exchange->user_agent);
	put_text(json, "traceparent", exchange->traceparent);
	put_text(json, "client_address", exchange->client_address);
	put_owner(json, &exchange->owner);
	put_text(json, "error", exchange->error);
	put_bool(json, "escalated", exchange->is_escalated);
	put_meaning(json, &exchange->judgement);
	return json;
}

char *
api_exchanges(const struct snapshot *snapshot, const struct view *view)
{
	json_t *json = frame_new(snapshot);
	json_t *exchanges = json_array();
	size_t count = snapshot->exchange_count;

	if (count > view->limit)
		count = view->limit;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
		    exchanges, exchange_json(&snapshot->exchanges[i]));
	put_bool(json, "more", count < snapshot->exchange_count);
	json_object_set_new(json, "exchanges", exchanges);
	return dump(json);
}

char *
api_exchange(const struct exchange_record *exchange)
{
	return dump(exchange_json(exchange));
}

char *
api_timeline(const struct snapshot *snapshot)
{
	const struct timeline *timeline = &snapshot->timeline;
	json_t *json = frame_new(snapshot);
	json_t *bins = json_array();
	json_int_t held = 0;
	size_t count = timeline->bin_us == 0 ? 0 : timeline->current + 1;

	/* The ledgers' first moment, give or take the start of a thread. */
	put_time(json, "start", count == 0 ? 0 : snapshot->since);
	json_object_set_new(json, "bin_s",
	    count == 0
		? json_null()
		: json_real((double)timeline->bin_us / (double)US_PER_S));
	for (size_t i = 0; i < count; i++) {
		const struct timeline_bin *bin = &timeline->bins[i];
		json_t *item = json_object();

		held += bin->held_change;
		put_number(item, "requests", bin->requests);
		put_number(item, "undrained", bin->undrained);
		json_object_set_new(item, "held", json_integer(held));
		json_array_append_new(bins, item);
	}
	json_object_set_new(json, "bins", bins);
	return dump(json);
}

char *
api_error(const char *reason)
{
	json_t *json = json_object();

	put_text(json, "error", reason);
	return dump(json);
}
