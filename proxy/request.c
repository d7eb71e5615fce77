/* SPDX-License-Identifier: MIT */

/*
 * Requests on a connection: read, understood or refused, and handed to an
 * exchange.  One at a time; what comes too early stays with the stream.
 */

#include "proxy/client_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "proxy/marking.h"
#include "proxy/maxforwards.h"
#include "proxy/parsers.h"
#include "proxy/rewrite.h"
#include "proxy/tagging.h"

void
request_read_tags(
    struct client *client, const struct head *request, struct tags *tags)
{
	size_t malformed =
	    tagging_read(request, client->worker->house->options, tags);

	ledger_counters(client->worker->ledger)->malformed_tags += malformed;
	malformed = marking_read(request, client->worker->house->marks);
	ledger_counters(client->worker->ledger)->malformed_marks += malformed;
}

bool
request_has_valid_host(const struct head *request)
{
	size_t count = head_count(request, FIELD_HOST);

	return count == 1 || (count == 0 && request->http_minor == 0);
}

/* Whether Host names the origin.  Inside CONNECT the SNI may name it where
 * the CONNECT has an address. */
static bool
agrees_with_host(const struct head *request, const struct origin *origin)
{
	const struct field *host = head_find(request, FIELD_HOST);
	char usual[ORIGIN_KEY_BYTES];
	struct origin_draft named;

	if (host == NULL)
		return true;
	origin_host_field(origin, usual);
	if (head_span_is(host->value, usual))
		return true;
	if (!origin_parse_authority(
		host->value, origin->is_tls ? 443 : 80, &named) ||
	    named.origin.port != origin->port)
		return false;
	return strcmp(named.host, origin->host) == 0 ||
	    strcmp(named.host, origin_server_name(origin)) == 0;
}

/* A redirected request has no authority but Host: that says who is where it
 * was to go.  It need not be who the SNI says: that is the origin's to judge.
 */
static bool
takes_name_from_host(const struct head *request, struct origin_draft *draft)
{
	const struct field *host = head_find(request, FIELD_HOST);
	struct origin_draft named;

	if (host == NULL)
		return true;
	return origin_parse_authority(
		   host->value, draft->origin.port, &named) &&
	    (draft->origin.is_tls || origin_set_server_name(draft, named.host));
}

bool
request_is_head(const struct client *client)
{
	return client->parser != NULL && http_has_head(client->parser) &&
	    head_method_is(http_head(client->parser), "HEAD");
}

/* A path, or "*" for OPTIONS alone (RFC 9112 §3.2.4). */
static bool
is_origin_form(const struct head *request)
{
	struct span target = request->target;

	return target.at[0] == '/' ||
	    (head_span_is(target, "*") && head_method_is(request, "OPTIONS"));
}

/*
 * Reads where the request goes: absolute-form, or origin-form inside a
 * CONNECT (RFC 9112 §3.2).  Returns what is wrong with it, or NULL.
 */
static const char *
read_target(struct client *client, const struct head *request,
    struct origin_draft *draft, struct span *path)
{
	const struct origin *origin = &draft->origin;
	struct span target = request->target;
	bool is_tls = stream_tls(client->stream) != NULL;

	if (memchr(target.at, '#', target.length) != NULL)
		return "a fragment has no place in a request target";
	if (client->target != NULL && is_origin_form(request)) {
		origin_draft(draft, client->target);
		origin_set_tls(draft, is_tls);
		*path = target;
		return NULL;
	}
	if (!origin_parse_absolute(target, draft, path))
		return client->target == NULL
		    ? "this is a forward proxy: the request target must be an "
		      "absolute http:// URL (set HTTP_PROXY, not the URL's "
		      "host)"
		    : "inside CONNECT the request target must be a path";
	/* https:// in clear text would go to the TLS port in clear text. */
	if (client->target != NULL &&
	    (origin->is_tls != is_tls ||
		!origin_is_same_authority(origin, client->target)))
		return "the request target disagrees with its CONNECT";
	if (client->target != NULL && origin->is_tls &&
	    !origin_set_server_name(draft, origin_server_name(client->target)))
		return "the SNI is no host name";
	/* RFC 9112 §3.2.4: the last proxy turns this into "*". */
	if (path->length == 0 && head_method_is(request, "OPTIONS"))
		*path = (struct span){"*", 1};
	return NULL;
}

/* Answers a request that may go no further than to us (RFC 9110 §7.6.2).
 * Returns whether it is one. */
static bool
ends_here(struct client *client, const struct head *request)
{
	struct text *out = &client->worker->scratch;
	int64_t left;

	switch (maxforwards_read(request, &left)) {
	case MAX_FORWARDS_NONE:
	case MAX_FORWARDS_LEFT:
		return false;
	case MAX_FORWARDS_BAD:
		client_refuse_request(client, 400, "http_request_error",
		    "Max-Forwards must be one number");
		return true;
	case MAX_FORWARDS_HERE:
		break;
	}
	text_clear(out);
	maxforwards_answer(request, out);
	stream_write(
	    client->stream, &(struct iovec){out->bytes, out->length}, 1);
	client_finish(client, CLOSE_RESPONSE_SAID);
	return true;
}

static void
forward(struct client *client, const struct head *request)
{
	const struct field *host = head_find(request, FIELD_HOST);
	struct exchange_start start = {
	    .client = client, .is_pipelined = client->is_pipelined};
	struct origin_draft draft;
	struct tags tags = {0};
	const char *mistake = read_target(client, request, &draft, &start.path);

	if (mistake == NULL && !request_has_valid_host(request))
		mistake = "exactly one Host field is needed";
	if (mistake == NULL && client->destination != NULL) {
		if (!takes_name_from_host(request, &draft))
			mistake = "Host is neither a host nor host:port";
	} else if (mistake == NULL &&
	    !agrees_with_host(request, &draft.origin)) {
		mistake = "Host disagrees with the request target";
	}
	if (mistake != NULL) {
		client_refuse_request(
		    client, 400, "http_request_error", mistake);
		return;
	}
	if (ends_here(client, request))
		return;
	/* The connection's tags, with the request's over them. */
	tags_copy(&tags, &ledger_conn_record(client->record)->tags);
	request_read_tags(client, request, &tags);
	if (host != NULL)
		start.host = host->value;
	start.origin = &draft.origin;
	start.tags = &tags;
	origin_url(&draft.origin, start.path, &client->worker->scratch);
	start.url = client->worker->scratch.bytes;
	client->is_ending = client->is_ending || !request->keeps_alive ||
	    client->worker->house->options->is_strict ||
	    client->worker->is_draining;
	client->is_request_read = false;
	client_set_state(client, CLIENT_EXCHANGING);
	client->exchange = exchange_start(&start);
	tags_fini(&tags);
}

static void
take_head(struct client *client)
{
	const struct head *request = http_head(client->parser);

	if (client->is_too_many)
		client_turn_away(client);
	else if (rewrite_is_loop(request, client->worker->house->via_name))
		client_refuse_request(client, 502, "proxy_loop_detected",
		    "the request came through this proxy before: check "
		    "HTTP_PROXY and --resolve");
	else if (head_method_is(request, "CONNECT"))
		connect_begin(client, request);
	else
		forward(client, request);
}

static void
take_end(struct client *client)
{
	size_t count;
	const struct field *trailer = http_trailer(client->parser, &count);

	client->is_request_read = true;
	exchange_request_complete(client->exchange, trailer, count);
}

static void
refuse_malformed(struct client *client)
{
	enum http_error error = http_error(client->parser);
	struct refusal refusal = {.status = http_error_status(error),
	    .token = "http_request_error",
	    .text = http_error_text(error),
	    .detail = ""};

	if (client->exchange == NULL) {
		client_refuse(client, &refusal, CLOSE_BAD_REQUEST);
		return;
	}
	client->is_request_read = true; /* there is no more to read */
	if (exchange_refuse_request(client->exchange, &refusal))
		return;
	/* A FIN tells that the response is not whole: to HTTP/1.0, whose
	 * responses may end by one, no chunked request was ever taken. */
	client_close(client, CLOSE_BAD_REQUEST);
}

static bool
may_parse(const struct client *client)
{
	return client->state == CLIENT_READING ||
	    (client->state == CLIENT_EXCHANGING && !client->is_request_read);
}

/* Feeds the parser as far as one request goes.  Returns how many bytes were
 * taken. */
static size_t
parse(struct client *client, const char *bytes, size_t length)
{
	size_t offset = 0;

	while (may_parse(client)) {
		size_t taken;
		enum http_progress progress;

		if (client->parser == NULL)
			client->parser = parsers_lend(
			    client->worker->parsers, request_on_body, client);
		progress = http_feed(
		    client->parser, bytes + offset, length - offset, &taken);

		offset += taken;
		switch (progress) {
		case HTTP_NEEDS_MORE:
			return offset;
		case HTTP_HAS_HEAD:
			take_head(client);
			break;
		case HTTP_HAS_MESSAGE:
			take_end(client);
			break;
		case HTTP_IS_BAD:
			refuse_malformed(client);
			break;
		}
	}
	return offset;
}

size_t
request_take_bytes(struct client *client, const char *bytes, size_t length)
{
	size_t offset;

	switch (client->state) {
	case CLIENT_READING:
	case CLIENT_EXCHANGING:
		offset = parse(client, bytes, length);
		if (client->state == CLIENT_SNIFFING && offset < length)
			offset +=
			    sniff_take(client, bytes + offset, length - offset);
		return offset;
	case CLIENT_SNIFFING:
		return sniff_take(client, bytes, length);
	case CLIENT_RELAYING:
		return tunnel_client_bytes(
		    client->opaque->tunnel, bytes, length);
	case CLIENT_DIALLING:
		return 0;
	case CLIENT_SECURING:
	case CLIENT_FINISHING:
	case CLIENT_WATCHED:
	case CLIENT_CLOSED:
		break;
	}
	return length; /* after the end: of no use to anybody */
}

void
request_on_body(void *arg, const char *bytes, size_t length)
{
	struct client *client = client_of(arg);

	exchange_request_body(client->exchange, bytes, length);
}

void
request_read_next(struct client *client)
{
	size_t kept_length;

	client_rest(client);
	(void)stream_kept(client->stream, &kept_length);
	client->is_pipelined = kept_length > 0;
	client->is_request_read = false;
	client_set_state(client, CLIENT_READING);
	stream_resume(client->stream);
}
