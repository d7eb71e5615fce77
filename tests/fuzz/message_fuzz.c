/* SPDX-License-Identifier: MIT */

/*
 * Messages as they leave: what our parser understood is rewritten as the
 * proxy does it, and read again by a reader that shares no code with the
 * parser.  Both must see the same message and nothing behind it, which is
 * what keeps a request from being smuggled inside another.
 *
 * The first byte says in what setting (below), the second where the bytes are
 * split on their way to the parser.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/exchange_parts.h"
#include "proxy/http.h"
#include "proxy/rewrite.h"
#include "tests/fuzz/strict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_HEAD_BYTES 4096
#define VIA_NAME "leakproxy-00c0ffee"

enum setting {
	SETTING_RESPONSE = 1 << 0,
	SETTING_CONNECT = 1 << 1, /* a request inside CONNECT */
	SETTING_HEAD = 1 << 2,    /* the response is to HEAD */
	SETTING_HTTP10 = 1 << 3,  /* the caller speaks HTTP/1.0 */
	SETTING_CLOSE = 1 << 4,
};

struct relay {
	unsigned setting;
	struct http_parser *parser;
	struct http_parser *again; /* reads what leaves */
	size_t header_count;       /* as it came */
	enum body_framing framing; /* as it leaves */
	struct text wire;          /* of one message */
	struct text body;
	struct text body_again;
	char target[MAX_HEAD_BYTES + 2]; /* as it leaves */
	struct origin_draft origin;
	bool is_over; /* nothing more is read */
};

/* ---- what leaves ---- */

static void
on_body(void *arg, const char *bytes, size_t length)
{
	struct relay *relay = arg;
	struct span piece = {bytes, length};
	struct iovec parts[3];
	char size_line[EXCHANGE_SIZE_LINE_BYTES];
	size_t count;

	if (length == 0)
		return;
	text_add(&relay->body, bytes, length);
	count = exchange_frame(parts, size_line, relay->framing, &piece);
	for (size_t i = 0; i < count; i++)
		text_add(&relay->wire, parts[i].iov_base, parts[i].iov_len);
}

static void
on_body_again(void *arg, const char *bytes, size_t length)
{
	struct relay *relay = arg;

	text_add(&relay->body_again, bytes, length);
}

/* As request.c reads it; what it refuses goes nowhere. */
static bool
find_origin(struct relay *relay, const struct head *head, struct span *path)
{
	static const char target[] = "h.test:80";
	const struct field *host = head_find(head, FIELD_HOST);
	size_t hosts = head_count(head, FIELD_HOST);
	struct origin_draft named;

	if (head_span_is(head->method, "CONNECT") ||
	    memchr(head->target.at, '#', head->target.length) != NULL ||
	    hosts > 1 || (hosts == 0 && head->http_minor > 0))
		return false;
	if ((relay->setting & SETTING_CONNECT) != 0 &&
	    (head->target.at[0] == '/' || head_span_is(head->target, "*"))) {
		if (!origin_parse_authority(
			(struct span){target, strlen(target)}, 80,
			&relay->origin))
			abort();
		*path = head->target;
	} else if (!origin_parse_absolute(head->target, &relay->origin, path)) {
		return false;
	}
	if (path->length == 0 && head_span_is(head->method, "OPTIONS"))
		*path = (struct span){"*", 1};
	return host == NULL ||
	    (origin_parse_authority(
		 host->value, relay->origin.origin.is_tls ? 443 : 80, &named) &&
		origin_is_same_authority(&named.origin, &relay->origin.origin));
}

static bool
send_request(struct relay *relay, const struct head *head)
{
	const struct field *host = head_find(head, FIELD_HOST);
	struct request_rewrite rewrite = {
	    .origin = &relay->origin.origin,
	    .host = host == NULL ? (struct span){0} : host->value,
	    .via_name = VIA_NAME,
	    .is_upgrade = head_has(head, FIELD_UPGRADE) &&
		head_lists(head, FIELD_CONNECTION, "upgrade"),
	};
	char *end = relay->target;

	if (!find_origin(relay, head, &rewrite.path))
		return false;
	if (rewrite.path.length == 0 || rewrite.path.at[0] == '?')
		*end++ = '/';
	if (rewrite.path.length > 0)
		end = mempcpy(end, rewrite.path.at, rewrite.path.length);
	*end = '\0';
	relay->framing = head->framing;
	rewrite_request(head, &rewrite, &relay->wire);
	return true;
}

static void
send_response(struct relay *relay, const struct head *head)
{
	bool is_http10 = (relay->setting & SETTING_HTTP10) != 0;
	struct response_rewrite rewrite = {
	    .via_name = VIA_NAME,
	    .says_close = (relay->setting & SETTING_CLOSE) != 0,
	    .says_keep_alive = is_http10,
	    .keep_alive_s = 29,
	    .is_upgrade = head->status == 101,
	};

	relay->framing = head->framing;
	if (head->framing == BODY_CHUNKED || head->framing == BODY_TO_EOF)
		relay->framing = is_http10 ? BODY_TO_EOF : BODY_CHUNKED;
	rewrite.framing = relay->framing;
	rewrite.says_close =
	    rewrite.says_close || relay->framing == BODY_TO_EOF;
	if (head->status / 100 == 1)
		rewrite = (struct response_rewrite){.framing = BODY_NONE,
		    .via_name = VIA_NAME,
		    .is_upgrade = head->status == 101};
	rewrite_response(head, &rewrite, &relay->wire);
}

/* ---- what must hold ---- */

static bool
is_one_of(struct span name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (head_span_is(name, *names))
			return true;
	}
	return false;
}

/* Fields that a proxy writes itself, or keeps to itself. */
static bool
is_of_the_hop(const struct head *head, struct span name)
{
	static const char *const names[] = {"Connection", "Proxy-Connection",
	    "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", "Host",
	    "Proxy-Authorization", "Proxy-Authenticate", "Via", "Max-Forwards",
	    "Proxy-Authentication-Info", "Content-Length", "Expect",
	    "HTTP2-Settings", NULL};
	char *copy = head_span_copy(name);
	bool is_it = is_one_of(name, names) ||
	    strncasecmp(copy, "Leakproxy-", strlen("Leakproxy-")) == 0 ||
	    head_lists(head, FIELD_CONNECTION, copy);

	free(copy);
	return is_it;
}

/* All other fields, in their order, and none besides. */
static void
check_fields(const struct head *head, size_t header_count,
    const struct strict_message *left)
{
	size_t i = 0;
	size_t j = 0;

	for (;;) {
		while (i < header_count &&
		    is_of_the_hop(head, head->fields[i].name))
			i++;
		while (j < left->header_count &&
		    is_of_the_hop(head, left->fields[j].name))
			j++;
		if (i == header_count || j == left->header_count)
			break;
		assert(
		    strict_is_same(head->fields[i].name, left->fields[j].name));
		assert(strict_is_same(
		    head->fields[i].value, left->fields[j].value));
		i++;
		j++;
	}
	assert(i == header_count && j == left->header_count);
	assert(strict_count(left, "Proxy-Authorization") == 0);
	assert(strict_count(left, "Proxy-Authenticate") == 0);
	assert(strict_count(left, "Proxy-Connection") == 0);
	assert(strict_count(left, "Via") >= 1);
}

/* What Connection may say is ours to say. */
static void
check_connection(const struct strict_message *left)
{
	static const char *const members[] = {
	    "TE", "Upgrade", "close", "keep-alive", NULL};

	for (size_t i = 0; i < left->header_count; i++) {
		struct span list = left->fields[i].value;
		struct span member;

		if (!head_span_is(left->fields[i].name, "Connection"))
			continue;
		while (head_next_member(&list, &member))
			assert(is_one_of(member, members));
	}
}

/* A trailer passes in its order or not at all, and decides nothing. */
static void
check_trailer(const struct field *trailer, size_t count,
    const struct strict_message *left)
{
	static const char *const never[] = {"Transfer-Encoding",
	    "Content-Length", "Host", "Connection", "Authorization",
	    "Set-Cookie", "Proxy-Authorization", "Upgrade", "Trailer", NULL};
	size_t i = 0;

	for (size_t j = left->header_count; j < left->field_count; j++) {
		const struct field *field = &left->fields[j];

		assert(!is_one_of(field->name, never));
		while (i < count &&
		    !(strict_is_same(trailer[i].name, field->name) &&
			strict_is_same(trailer[i].value, field->value)))
			i++;
		assert(i++ < count);
	}
}

static void
check_request(const struct relay *relay, const struct head *head,
    const struct strict_message *left)
{
	struct span target = {relay->target, strlen(relay->target)};
	struct origin_draft named;

	assert(left->http_minor == 1);
	assert(strict_is_same(left->method, head->method));
	assert(strict_is_same(left->target, target));
	assert(strict_count(left, "Host") == 1);
	assert(left->framing == head->framing);
	if (!origin_parse_authority(strict_find(left, "Host")->value,
		relay->origin.origin.is_tls ? 443 : 80, &named))
		assert(!"Host names nothing");
	assert(origin_is_same_authority(&named.origin, &relay->origin.origin));
}

static void
check_response(const struct relay *relay, const struct head *head,
    const struct strict_message *left)
{
	assert(left->http_minor == 1);
	assert(left->status == head->status);
	assert(strict_is_same(left->reason, head->reason));
	assert(left->framing == relay->framing);
}

/* One message has left. */
static void
check_wire(struct relay *relay)
{
	const struct head *head = http_head(relay->parser);
	bool is_request = (relay->setting & SETTING_RESPONSE) == 0;
	size_t trailer_count;
	const struct field *trailer =
	    http_trailer(relay->parser, &trailer_count);
	struct strict_message left;
	enum strict_result result = strict_read(&left,
	    is_request                                 ? STRICT_REQUEST
		: (relay->setting & SETTING_HEAD) != 0 ? STRICT_RESPONSE_TO_HEAD
						       : STRICT_RESPONSE,
	    relay->wire.bytes, relay->wire.length);

	assert(result == STRICT_OK);
	assert(left.length == relay->wire.length);
	if (is_request)
		check_request(relay, head, &left);
	else
		check_response(relay, head, &left);
	check_fields(head, relay->header_count, &left);
	check_connection(&left);
	check_trailer(trailer, trailer_count, &left);
	if (left.framing != BODY_NONE)
		assert(left.body.length == relay->body.length &&
		    (left.body.length == 0 ||
			memcmp(left.body.bytes, relay->body.bytes,
			    left.body.length) == 0));
	else
		assert(relay->body.length == 0);
	strict_fini(&left);
}

/* Our own parser takes what we send, too, and as one message. */
static void
check_again(struct relay *relay)
{
	struct http_parser *again = relay->again;
	size_t offset = 0;
	enum http_progress progress;

	text_clear(&relay->body_again);
	if ((relay->setting & SETTING_HEAD) != 0 && !http_has_begun(again))
		http_expect_no_body(again);
	do {
		size_t taken;

		progress = http_feed(again, relay->wire.bytes + offset,
		    relay->wire.length - offset, &taken);
		offset += taken;
	} while (progress == HTTP_HAS_HEAD);
	if (progress == HTTP_NEEDS_MORE && relay->framing == BODY_TO_EOF)
		progress = http_feed_eof(again);
	assert(progress == HTTP_HAS_MESSAGE);
	assert(offset == relay->wire.length);
	assert(relay->body_again.length == relay->body.length);
	http_next(again);
}

/* ---- relaying ---- */

static void
take_head(struct relay *relay)
{
	const struct head *head = http_head(relay->parser);

	relay->header_count = head->field_count;
	text_clear(&relay->wire);
	text_clear(&relay->body);
	if ((relay->setting & SETTING_RESPONSE) != 0)
		send_response(relay, head);
	else
		relay->is_over = !send_request(relay, head);
}

static void
take_end(struct relay *relay)
{
	const struct head *head = http_head(relay->parser);
	size_t count;
	const struct field *trailer = http_trailer(relay->parser, &count);

	if (relay->framing == BODY_CHUNKED) {
		text_add_string(&relay->wire, "0\r\n");
		rewrite_trailer(trailer, count, &relay->wire);
	}
	check_wire(relay);
	check_again(relay);
	relay->is_over = head->status == 101;
	if (relay->is_over)
		return;
	http_next(relay->parser);
	if ((relay->setting & SETTING_HEAD) != 0)
		http_expect_no_body(relay->parser);
}

static void
feed(struct relay *relay, const char *bytes, size_t length)
{
	size_t offset = 0;

	while (!relay->is_over) {
		size_t taken;

		switch (http_feed(
		    relay->parser, bytes + offset, length - offset, &taken)) {
		case HTTP_NEEDS_MORE:
			return;
		case HTTP_HAS_HEAD:
			take_head(relay);
			break;
		case HTTP_HAS_MESSAGE:
			take_end(relay);
			break;
		case HTTP_IS_BAD:
			relay->is_over = true;
			break;
		}
		offset += taken;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct relay relay = {0};
	const char *bytes = (const char *)data + 2;
	enum http_kind kind;
	size_t split;

	if (size < 2)
		return 0;
	relay.setting = data[0];
	size -= 2;
	split = data[1] < size ? data[1] : size;
	kind = (relay.setting & SETTING_RESPONSE) != 0 ? HTTP_KIND_RESPONSE
						       : HTTP_KIND_REQUEST;
	if (kind == HTTP_KIND_REQUEST)
		relay.setting &= ~(unsigned)SETTING_HEAD;
	relay.parser = http_parser_new(kind, MAX_HEAD_BYTES, on_body, &relay);
	relay.again =
	    http_parser_new(kind, 2 * MAX_HEAD_BYTES, on_body_again, &relay);
	if ((relay.setting & SETTING_HEAD) != 0)
		http_expect_no_body(relay.parser);
	feed(&relay, bytes, split);
	feed(&relay, bytes + split, size - split);
	if (!relay.is_over && http_has_begun(relay.parser) &&
	    http_feed_eof(relay.parser) == HTTP_HAS_MESSAGE)
		take_end(&relay);
	http_parser_free(relay.parser);
	http_parser_free(relay.again);
	text_fini(&relay.wire);
	text_fini(&relay.body);
	text_fini(&relay.body_again);
	return 0;
}
