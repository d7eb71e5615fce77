/* SPDX-License-Identifier: MIT */

/*
 * HTTP Archive 1.2.
 *
 * http://www.softwareishard.com/blog/har-12-spec/ is the specification; what
 * it demands and we do not know is -1 or "", as it says.  Strings are a
 * stranger's: each passes text_utf8(), as Jansson encodes nothing else.
 */

#include "admin/har.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "admin/base64.h"
#include "admin/text.h"

/* HAR wants a type, and none is known. */
#define NO_TYPE "x-unknown"

/* One side of an exchange, as far as it is known. */
struct side {
	const struct capture_message *message; /* NULL: nothing was kept */
	int64_t body_bytes;                    /* that there were */
};

static const struct capture_message nothing;

static json_t *
text_json(const char *text)
{
	char *utf8 = text_utf8(text);
	json_t *json = json_string(utf8);

	free(utf8);
	return json;
}

static void
put_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(
	    object, key, text == NULL ? json_null() : text_json(text));
}

static void
put_known(json_t *object, const char *key, int64_t number)
{
	json_object_set_new(
	    object, key, number < 0 ? json_null() : json_integer(number));
}

static void
put_ms(json_t *object, const char *key, int64_t us)
{
	json_object_set_new(
	    object, key, json_real((double)us / (double)US_PER_MS));
}

/* Takes the pair: {"name": ..., "value": ...}. */
static json_t *
pair_json(const char *name, size_t name_length, const char *value,
    size_t value_length)
{
	json_t *json = json_object();
	char *copy = xstrndup(name, name_length);

	put_text(json, "name", copy);
	free(copy);
	copy = xstrndup(value, value_length);
	put_text(json, "value", copy);
	free(copy);
	return json;
}

static struct side
side_of(const struct exchange_record *exchange, enum capture_side side)
{
	return (struct side){
	    .message = exchange->capture == NULL
		? &nothing
		: capture_message(exchange->capture, side),
	    .body_bytes = side == CAPTURE_REQUEST ? exchange->request_bytes
						  : exchange->body_bytes,
	};
}

static const char *
find(const struct side *side, const char *name, const char *otherwise)
{
	const char *value = capture_find(side->message, name);

	return value == NULL ? otherwise : value;
}

/* ---- heads ---- */

static json_t *
fields_json(const struct side *side)
{
	json_t *list = json_array();
	struct capture_field field;
	size_t at = 0;

	while (capture_next_field(side->message, &at, &field))
		json_array_append_new(list,
		    pair_json(field.name, strlen(field.name), field.value,
			strlen(field.value)));
	return list;
}

/* Adds the cookies of one field, "a=1; b=2"; of a Set-Cookie field only the
 * first pair is one. */
static void
add_cookies(json_t *list, const char *value, bool has_attributes)
{
	do {
		size_t length;
		size_t name_length;

		value += strspn(value, "; ");
		length = strcspn(value, ";");
		name_length = strcspn(value, "=;");
		if (length > name_length)
			json_array_append_new(list,
			    pair_json(value, name_length,
				value + name_length + 1,
				length - name_length - 1));
		value += length;
	} while (*value != '\0' && !has_attributes);
}

static json_t *
cookies_json(const struct side *side, const char *name)
{
	bool has_attributes = strcmp(name, "Set-Cookie") == 0;
	json_t *list = json_array();
	struct capture_field field;
	size_t at = 0;

	while (capture_next_field(side->message, &at, &field)) {
		if (strcasecmp(field.name, name) == 0)
			add_cookies(list, field.value, has_attributes);
	}
	return list;
}

static json_t *
query_json(const char *url)
{
	json_t *list = json_array();
	const char *at = strchr(url, '?');

	while (at != NULL && *at != '\0') {
		size_t length = strcspn(++at, "&");
		size_t name_length = strcspn(at, "=&");
		size_t value_start =
		    name_length < length ? name_length + 1 : length;

		if (length > 0)
			json_array_append_new(list,
			    pair_json(at, name_length, at + value_start,
				length - value_start));
		at += length;
	}
	return list;
}

static void
put_head(json_t *json, const struct side *side, const char *cookie_field)
{
	char version[TEXT_NUMBER_BYTES] = "";

	if (side->message->head != NULL)
		snprintf(version, sizeof(version), "HTTP/1.%u",
		    side->message->http_minor);
	put_text(json, "httpVersion", version);
	json_object_set_new(json, "cookies", cookies_json(side, cookie_field));
	json_object_set_new(json, "headers", fields_json(side));
	json_object_set_new(json, "headersSize", json_integer(-1));
	json_object_set_new(json, "bodySize", json_integer(side->body_bytes));
}

/* ---- bodies ---- */

static bool
is_text(const char *bytes, size_t length)
{
	char *copy = xstrndup(bytes, length);
	char *utf8 = text_utf8(copy);
	bool is_same = strlen(copy) == length && strcmp(copy, utf8) == 0;

	free(utf8);
	free(copy);
	return is_same;
}

/* Adds the bytes under `key`, in base64 where they are no UTF-8, which
 * `encoding_key` says then. */
static void
put_bytes(json_t *json, const struct capture_message *message, const char *key,
    const char *encoding_key)
{
	char *text;

	if (message->body_bytes == 0) {
		put_text(json, key, "");
	} else if (is_text(message->body, message->body_bytes)) {
		text = xstrndup(message->body, message->body_bytes);
		put_text(json, key, text);
		free(text);
	} else {
		text = base64_encode(message->body, message->body_bytes);
		put_text(json, key, text);
		put_text(json, encoding_key, "base64");
		free(text);
	}
}

/* What was kept of the body: all of it, its start, or nothing. */
static void
put_body(json_t *json, const struct side *side)
{
	const struct capture_message *message = side->message;

	if ((int64_t)message->body_bytes == side->body_bytes)
		put_bytes(json, message, "text", "encoding");
	else if (message->body_bytes > 0)
		put_bytes(json, message, "_start", "_start_encoding");
	if ((int64_t)message->body_bytes < side->body_bytes)
		put_text(json, "comment",
		    "the body was not kept, or not whole: --capture-bytes says "
		    "how much is");
	else if (capture_find(message, "Content-Encoding") != NULL)
		put_text(json, "comment", "as on the wire, not decoded");
}

static json_t *
post_json(const struct side *side)
{
	json_t *json = json_object();

	put_text(json, "mimeType", find(side, "Content-Type", NO_TYPE));
	json_object_set_new(json, "params", json_array());
	put_body(json, side);
	/* HAR knows an encoding for what came back alone. */
	if (json_object_get(json, "encoding") != NULL) {
		json_object_set(
		    json, "_encoding", json_object_get(json, "encoding"));
		json_object_del(json, "encoding");
	}
	return json;
}

static json_t *
content_json(const struct side *side)
{
	json_t *json = json_object();

	json_object_set_new(json, "size", json_integer(side->body_bytes));
	put_text(json, "mimeType", find(side, "Content-Type", NO_TYPE));
	put_body(json, side);
	return json;
}

/* ---- entries ---- */

static json_t *
request_json(const struct exchange_record *exchange)
{
	struct side side = side_of(exchange, CAPTURE_REQUEST);
	json_t *json = json_object();

	put_text(json, "method", exchange->method);
	put_text(json, "url", exchange->url);
	put_head(json, &side, "Cookie");
	json_object_set_new(json, "queryString", query_json(exchange->url));
	if (side.body_bytes > 0)
		json_object_set_new(json, "postData", post_json(&side));
	return json;
}

static json_t *
response_json(const struct exchange_record *exchange)
{
	struct side side = side_of(exchange, CAPTURE_RESPONSE);
	json_t *json = json_object();

	json_object_set_new(json, "status", json_integer(exchange->status));
	put_text(json, "statusText", capture_reason(side.message));
	put_head(json, &side, "Set-Cookie");
	json_object_set_new(json, "content", content_json(&side));
	put_text(json, "redirectURL", find(&side, "Location", ""));
	return json;
}

/* Where it is not over yet, the times so far.  Sending the request is part of
 * the waiting: HAR wants a number for it. */
static void
put_times(json_t *json, const struct exchange_record *exchange)
{
	bool has_response = exchange->first_byte_us >= 0;
	int64_t wait_us = has_response ? exchange->first_byte_us : 0;
	int64_t receive_us = has_response ? exchange->age_us : 0;
	json_t *timings = json_object();
	char started[TEXT_NUMBER_BYTES];

	if (exchange->duration_us >= 0)
		receive_us = exchange->duration_us - wait_us;
	put_ms(timings, "send", 0);
	put_ms(timings, "wait", wait_us);
	put_ms(timings, "receive", receive_us);
	text_timestamp(exchange->began_at, started);
	put_text(json, "startedDateTime", started);
	put_ms(json, "time", wait_us + receive_us);
	json_object_set_new(json, "timings", timings);
}

static json_t *
tags_json(const struct tags *tags)
{
	json_t *json = json_object();

	for (size_t i = 0; i < tags->count; i++) {
		char *key = text_utf8(tags->items[i].key);

		put_text(json, key, tags->items[i].value);
		free(key);
	}
	return json;
}

static json_t *
caller_json(const struct exchange_record *exchange)
{
	json_t *json = json_object();

	put_text(json, "client_address", exchange->client_address);
	put_known(json, "pid", exchange->owner.pid);
	put_text(json, "command", exchange->owner.command);
	put_known(json, "fd", exchange->owner.fd);
	return json;
}

/* What HAR has no word for. */
static void
put_verdict(json_t *json, const struct exchange_record *exchange)
{
	const struct facts *facts = &exchange->facts;
	enum evidence evidence = exchange->judgement.evidence;
	char id[EXCHANGE_ID_BYTES];

	record_exchange_id(exchange, id);
	put_text(json, "_exchange", id);
	put_text(json, "_verdict", verdict_word(exchange->judgement.verdict));
	put_text(json, "_evidence",
	    evidence == EVIDENCE_NOTHING ? NULL
					 : verdict_evidence_word(evidence));
	json_object_set_new(json, "_held", json_boolean(exchange->is_held));
	json_object_set_new(
	    json, "_complete", json_boolean(facts->is_complete));
	json_object_set_new(
	    json, "_truncated", json_boolean(facts->is_truncated));
	put_known(json, "_delivered_bytes", exchange->delivered_bytes);
	put_known(json, "_unread_bytes", facts->unread_bytes);
	put_text(json, "_route", exchange->route);
	json_object_set_new(json, "_tags", tags_json(&exchange->tags));
	json_object_set_new(json, "_caller", caller_json(exchange));
	put_text(json, "_error", exchange->error);
}

static json_t *
entry_json(const struct exchange_record *exchange)
{
	json_t *json = json_object();
	char conn[TEXT_NUMBER_BYTES];

	snprintf(conn, sizeof(conn), "c%" PRIu64, exchange->conn_id);
	put_times(json, exchange);
	json_object_set_new(json, "request", request_json(exchange));
	json_object_set_new(json, "response", response_json(exchange));
	json_object_set_new(json, "cache", json_object());
	put_text(json, "connection", conn);
	put_text(json, "_connection", conn);
	put_verdict(json, exchange);
	return json;
}

/* Takes the entries. */
static char *
finish(json_t *entries, bool has_more)
{
	json_t *log = json_pack("{s:s, s:{s:s, s:s}, s:o}", "version", "1.2",
	    "creator", "name", "leakproxy", "version", LEAKPROXY_VERSION,
	    "entries", entries);
	json_t *json = json_pack("{s:o}", "log", log);
	char *text;
	char *line;

	if (has_more)
		put_text(log, "comment",
		    "older ones were left out: ?limit= takes more");
	text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
	line = xasprintf("%s\n", text);
	free(text);
	json_decref(json);
	return line;
}

char *
har_of_one(const struct exchange_record *exchange)
{
	json_t *entries = json_array();

	json_array_append_new(entries, entry_json(exchange));
	return finish(entries, false);
}

char *
har_line(const struct exchange_record *exchange, const char *id)
{
	json_t *json = entry_json(exchange);
	char *text;
	char *line;

	put_text(json, "_id", id);
	text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
	line = xasprintf("%s\n", text);
	free(text);
	json_decref(json);
	return line;
}

char *
har_of_many(const struct snapshot *snapshot, const struct view *view)
{
	json_t *entries = json_array();
	size_t count = snapshot->exchange_count;

	if (count > view->limit)
		count = view->limit;
	for (size_t i = count; i-- > 0;)
		json_array_append_new(
		    entries, entry_json(&snapshot->exchanges[i]));
	return finish(entries, count < snapshot->exchange_count);
}
