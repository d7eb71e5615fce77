/* SPDX-License-Identifier: MIT */

/*
 * HTTP Archive 1.2.
 *
 * http://www.softwareishard.com/blog/har-12-spec/ is the specification; what
 * it demands and we do not know is -1 or "", as it says.
 */

#include "admin/har.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "accounting/utf8.h"
#include "admin/base64.h"
#include "admin/emit.h"
#include "admin/text.h"

/* HAR wants a type, and none is known. */
#define NO_TYPE "x-unknown"

/* One side of an exchange, as far as it is known. */
struct side {
	const struct capture_message *message; /* NULL: nothing was kept */
	int64_t body_bytes;                    /* that there were */
};

static const struct capture_message nothing;

/* {"name": ..., "value": ...} */
static void
put_pair(struct emit *json, const char *name, size_t name_length,
    const char *value, size_t value_length)
{
	emit_begin_object(json, NULL);
	emit_bytes(json, "name", name, name_length);
	emit_bytes(json, "value", value, value_length);
	emit_end_object(json);
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

static void
put_fields(struct emit *json, const struct side *side)
{
	struct capture_field field;
	size_t at = 0;

	emit_begin_array(json, "headers");
	while (capture_next_field(side->message, &at, &field))
		put_pair(json, field.name, strlen(field.name), field.value,
		    strlen(field.value));
	emit_end_array(json);
}

/* Puts the cookies of one field, "a=1; b=2"; of a Set-Cookie field only the
 * first pair is one. */
static void
put_cookies_of(struct emit *json, const char *value, bool has_attributes)
{
	do {
		size_t length;
		size_t name_length;

		value += strspn(value, "; ");
		length = strcspn(value, ";");
		name_length = strcspn(value, "=;");
		if (length > name_length)
			put_pair(json, value, name_length,
			    value + name_length + 1, length - name_length - 1);
		value += length;
	} while (*value != '\0' && !has_attributes);
}

static void
put_cookies(struct emit *json, const struct side *side, const char *name)
{
	bool has_attributes = strcmp(name, "Set-Cookie") == 0;
	struct capture_field field;
	size_t at = 0;

	emit_begin_array(json, "cookies");
	while (capture_next_field(side->message, &at, &field)) {
		if (strcasecmp(field.name, name) == 0)
			put_cookies_of(json, field.value, has_attributes);
	}
	emit_end_array(json);
}

static void
put_query(struct emit *json, const char *url)
{
	const char *at = strchr(url, '?');

	emit_begin_array(json, "queryString");
	while (at != NULL && *at != '\0') {
		size_t length = strcspn(++at, "&");
		size_t name_length = strcspn(at, "=&");
		size_t value_start =
		    name_length < length ? name_length + 1 : length;

		if (length > 0)
			put_pair(json, at, name_length, at + value_start,
			    length - value_start);
		at += length;
	}
	emit_end_array(json);
}

static void
put_head(struct emit *json, const struct side *side, const char *cookie_field)
{
	static const char *const versions[] = {"HTTP/1.0", "HTTP/1.1"};

	emit_text(json, "httpVersion",
	    side->message->head == NULL
		? ""
		: versions[side->message->http_minor > 0]);
	put_cookies(json, side, cookie_field);
	put_fields(json, side);
	emit_number(json, "headersSize", -1);
	emit_number(json, "bodySize", side->body_bytes);
}

/* ---- bodies ---- */

static bool
is_text(const char *bytes, size_t length)
{
	char *copy = xstrndup(bytes, length);
	char *utf8 = utf8_copy(copy);
	bool is_same = strlen(copy) == length && strcmp(copy, utf8) == 0;

	free(utf8);
	free(copy);
	return is_same;
}

/* Puts the bytes under `key`, in base64 where they are no UTF-8, which
 * `encoding_key` says then. */
static void
put_bytes(struct emit *json, const struct capture_message *message,
    const char *key, const char *encoding_key)
{
	char *text;

	if (message->body_bytes == 0 ||
	    is_text(message->body, message->body_bytes)) {
		emit_bytes(json, key, message->body, message->body_bytes);
		return;
	}
	text = base64_encode(message->body, message->body_bytes);
	emit_text(json, key, text);
	emit_text(json, encoding_key, "base64");
	free(text);
}

/* What was kept of the body: all of it, its start, or nothing. */
static void
put_body(struct emit *json, const struct side *side, const char *encoding_key)
{
	const struct capture_message *message = side->message;

	if ((int64_t)message->body_bytes == side->body_bytes)
		put_bytes(json, message, "text", encoding_key);
	else if (message->body_bytes > 0)
		put_bytes(json, message, "_start", "_start_encoding");
	if ((int64_t)message->body_bytes < side->body_bytes)
		emit_text(json, "comment",
		    "the body was not kept, or not whole: --capture-bytes says "
		    "how much is");
	else if (capture_find(message, "Content-Encoding") != NULL)
		emit_text(json, "comment", "as on the wire, not decoded");
}

/* HAR knows an encoding for what came back alone. */
static void
put_post(struct emit *json, const struct side *side)
{
	emit_begin_object(json, "postData");
	emit_text(json, "mimeType", find(side, "Content-Type", NO_TYPE));
	emit_begin_array(json, "params");
	emit_end_array(json);
	put_body(json, side, "_encoding");
	emit_end_object(json);
}

static void
put_content(struct emit *json, const struct side *side)
{
	emit_begin_object(json, "content");
	emit_number(json, "size", side->body_bytes);
	emit_text(json, "mimeType", find(side, "Content-Type", NO_TYPE));
	put_body(json, side, "encoding");
	emit_end_object(json);
}

/* ---- entries ---- */

static void
put_request(struct emit *json, const struct exchange_record *exchange)
{
	struct side side = side_of(exchange, CAPTURE_REQUEST);

	emit_begin_object(json, "request");
	emit_text(json, "method", exchange->method);
	emit_text(json, "url", exchange->url);
	put_head(json, &side, "Cookie");
	put_query(json, exchange->url);
	if (side.body_bytes > 0)
		put_post(json, &side);
	emit_end_object(json);
}

static void
put_response(struct emit *json, const struct exchange_record *exchange)
{
	struct side side = side_of(exchange, CAPTURE_RESPONSE);

	emit_begin_object(json, "response");
	emit_number(json, "status", exchange->status);
	emit_text(json, "statusText", capture_reason(side.message));
	put_head(json, &side, "Set-Cookie");
	put_content(json, &side);
	emit_text(json, "redirectURL", find(&side, "Location", ""));
	emit_end_object(json);
}

/* Where it is not over yet, the times so far.  Sending the request is part of
 * the waiting: HAR wants a number for it. */
static void
put_times(struct emit *json, const struct exchange_record *exchange)
{
	bool has_response = exchange->first_byte_us >= 0;
	int64_t wait_us = has_response ? exchange->first_byte_us : 0;
	int64_t receive_us = has_response ? exchange->age_us : 0;
	char started[TEXT_NUMBER_BYTES];

	if (exchange->duration_us >= 0)
		receive_us = exchange->duration_us - wait_us;
	text_timestamp(exchange->began_at, started);
	emit_text(json, "startedDateTime", started);
	emit_ms(json, "time", wait_us + receive_us);
	emit_begin_object(json, "timings");
	emit_ms(json, "send", 0);
	emit_ms(json, "wait", wait_us);
	emit_ms(json, "receive", receive_us);
	emit_end_object(json);
}

static void
put_caller(struct emit *json, const struct exchange_record *exchange)
{
	struct owner_view owner = owner_view(exchange->owner);

	emit_begin_object(json, "_caller");
	emit_text(json, "client_address", exchange->client_address);
	emit_known(json, "pid", owner.pid);
	emit_text(json, "command", owner.command);
	emit_known(json, "fd", owner.fd);
	emit_end_object(json);
}

/* What HAR has no word for. */
static void
put_verdict(struct emit *json, const struct exchange_record *exchange)
{
	const struct facts *facts = &exchange->facts;
	enum evidence evidence = exchange->judgement.evidence;
	char id[EXCHANGE_ID_BYTES];

	record_exchange_id(exchange, id);
	emit_text(json, "_exchange", id);
	emit_text(json, "_verdict", verdict_word(exchange->judgement.verdict));
	emit_text(json, "_evidence",
	    evidence == EVIDENCE_NOTHING ? NULL
					 : verdict_evidence_word(evidence));
	emit_bool(json, "_held", exchange->is_held);
	emit_bool(json, "_complete", facts->is_complete);
	emit_bool(json, "_truncated", facts->is_truncated);
	emit_known(json, "_delivered_bytes", exchange->delivered_bytes);
	emit_known(json, "_unread_bytes", facts->unread_bytes);
	emit_text(json, "_route", exchange->route);
	emit_tags(json, "_tags", &exchange->tags);
	put_caller(json, exchange);
	emit_text(json, "_error", exchange->error);
}

/* `id` is its "_id", NULL for none. */
static void
put_entry(
    struct emit *json, const struct exchange_record *exchange, const char *id)
{
	char conn[TEXT_NUMBER_BYTES];

	snprintf(conn, sizeof(conn), "c%" PRIu64, exchange->conn_id);
	emit_begin_object(json, NULL);
	put_times(json, exchange);
	put_request(json, exchange);
	put_response(json, exchange);
	emit_begin_object(json, "cache");
	emit_end_object(json);
	emit_text(json, "connection", conn);
	emit_text(json, "_connection", conn);
	put_verdict(json, exchange);
	if (id != NULL)
		emit_text(json, "_id", id);
	emit_end_object(json);
}

/* ---- archives ---- */

static void
begin_log(struct emit *json)
{
	emit_begin_object(json, NULL);
	emit_begin_object(json, "log");
	emit_text(json, "version", "1.2");
	emit_begin_object(json, "creator");
	emit_text(json, "name", "leakproxy");
	emit_text(json, "version", LEAKPROXY_VERSION);
	emit_end_object(json);
	emit_begin_array(json, "entries");
}

static char *
end_log(struct emit *json, bool has_more)
{
	emit_end_array(json);
	if (has_more)
		emit_text(json, "comment",
		    "older ones were left out: ?limit= takes more");
	emit_end_object(json);
	emit_end_object(json);
	emit_newline(json);
	return emit_finish(json);
}

char *
har_of_one(const struct exchange_record *exchange)
{
	struct emit json = {0};

	begin_log(&json);
	emit_newline(&json);
	put_entry(&json, exchange, NULL);
	return end_log(&json, false);
}

char *
har_line(const struct exchange_record *exchange, const char *id)
{
	struct emit json = {0};

	put_entry(&json, exchange, id);
	emit_newline(&json);
	return emit_finish(&json);
}

char *
har_of_many(const struct snapshot *snapshot)
{
	struct emit json = {0};

	begin_log(&json);
	for (size_t i = snapshot->exchange_count; i-- > 0;) {
		emit_newline(&json);
		put_entry(&json, &snapshot->exchanges[i], NULL);
	}
	return end_log(
	    &json, snapshot->exchange_count < snapshot->exchange_total);
}
