/* SPDX-License-Identifier: MIT */

/*
 * One request and its response.
 *
 *      LEASING --> WAITING --> RECEIVING --> SENDING --> OVER
 *         |           |            |                      ^
 *         +-----------+------------+----------------------+
 *
 * An exchange borrows its client, which outlives it, and owns its upstream
 * from the lease until it gives it back.  The state names what we wait for: a
 * connection, the response's head, its body; and after an early response, the
 * rest of the request.  The request's body flows all the time, into a bounded
 * queue while there is no connection yet.  Every fact that the ledger learns
 * about a response is told from here and from response.c.
 */

#include "proxy/exchange_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "accounting/memory.h"
#include "proxy/base/clock.h"
#include "proxy/keep.h"
#include "proxy/maxforwards.h"
#include "proxy/pool.h"
#include "proxy/rewrite.h"
#include "proxy/upgrade.h"

void
exchange_set_state(struct exchange *x, enum exchange_state next)
{
	static const unsigned may_follow[] = {
	    [EXCHANGE_LEASING] = 1u << EXCHANGE_WAITING | 1u << EXCHANGE_OVER,
	    [EXCHANGE_WAITING] = 1u << EXCHANGE_LEASING |
		1u << EXCHANGE_RECEIVING | 1u << EXCHANGE_OVER,
	    [EXCHANGE_RECEIVING] = 1u << EXCHANGE_SENDING | 1u << EXCHANGE_OVER,
	    [EXCHANGE_SENDING] = 1u << EXCHANGE_OVER,
	    [EXCHANGE_OVER] = 0,
	};

	assert(may_follow[x->state] & (1u << next));
	x->state = next;
}

/* ---- the end ---- */

static void
free_exchange(void *arg)
{
	struct exchange *x = arg;

	origin_unref(&x->origin);
	free(x);
}

static void
end_parts(struct exchange *x)
{
	if (x->dial != NULL)
		dial_cancel(&x->dial);
	if (x->upstream != NULL)
		upstream_close(&x->upstream);
	if (x->early != NULL)
		evbuffer_free(x->early);
}

void
exchange_release(struct exchange *x)
{
	end_parts(x);
	loop_later(x->worker->loop, free_exchange, x);
}

/* Tells the client, whose callback may have brought us here, later. */
static void
tell_client(void *arg)
{
	struct exchange *x = arg;

	if (x->client != NULL)
		client_exchange_ended(x->client, x->outcome);
	end_parts(x);
	free_exchange(x);
}

void
exchange_end(struct exchange *x, enum exchange_outcome outcome)
{
	exchange_set_state(x, EXCHANGE_OVER);
	x->outcome = outcome;
	loop_later(x->worker->loop, tell_client, x);
}

bool
exchange_is_unframed(const struct exchange *x)
{
	return x->state == EXCHANGE_RECEIVING && x->framing == BODY_TO_EOF;
}

void
exchange_abort(struct exchange **xp)
{
	struct exchange *x = *xp;

	*xp = NULL;
	if (x->record != NULL)
		ledger_response_ended(
		    &x->record, RESPONSE_ABANDONED, clock_mono());
	if (x->state == EXCHANGE_OVER) {
		x->client = NULL; /* tell_client() releases */
		return;
	}
	exchange_set_state(x, EXCHANGE_OVER);
	exchange_release(x);
}

/* ---- the request ---- */

static void
write_upstream(struct exchange *x, const struct iovec *parts, size_t count)
{
	if (x->upstream != NULL) {
		struct stream *stream = upstream_stream(x->upstream);

		/* An origin that takes no more may have answered: what it
		 * does not want must not keep the caller from reading. */
		if (!stream_has_failed(stream))
			stream_write(stream, parts, count);
		return;
	}
	if (x->early == NULL)
		x->early = evbuffer_new();
	for (size_t i = 0; i < count; i++) {
		if (x->early == NULL ||
		    evbuffer_add(
			x->early, parts[i].iov_base, parts[i].iov_len) != 0)
			abort();
	}
}

size_t
exchange_frame(struct iovec *parts, char size_line[EXCHANGE_SIZE_LINE_BYTES],
    enum body_framing framing, const struct span *piece)
{
	union {
		const char *in;
		char *out;
	} bytes = {piece->at}; /* an iovec has no const; writev() only reads */
	static char line_end[] = "\r\n";
	int line_length;

	if (framing != BODY_CHUNKED) {
		parts[0] = (struct iovec){bytes.out, piece->length};
		return 1;
	}
	line_length = snprintf(
	    size_line, EXCHANGE_SIZE_LINE_BYTES, "%zx\r\n", piece->length);
	parts[0] = (struct iovec){size_line, (size_t)line_length};
	parts[1] = (struct iovec){bytes.out, piece->length};
	parts[2] = (struct iovec){line_end, 2};
	return 3;
}

void
exchange_request_body(struct exchange *x, const char *bytes, size_t length)
{
	struct span piece = {bytes, length};
	struct iovec parts[EXCHANGE_FRAME_PARTS];
	char size_line[EXCHANGE_SIZE_LINE_BYTES];

	if (x->state == EXCHANGE_OVER || length == 0)
		return;
	x->has_request_body = true;
	if (x->record != NULL) {
		ledger_request_body_came(x->record, length);
		ledger_body_passed(x->record, CAPTURE_REQUEST, bytes, length);
	}
	write_upstream(x, parts,
	    exchange_frame(
		parts, size_line, client_request(x->client)->framing, &piece));
}

static void
send_last_chunk(
    struct exchange *x, const struct field *trailer, size_t trailer_count)
{
	struct text *out = &x->worker->scratch;
	struct iovec part;

	text_clear(out);
	text_add_string(out, "0\r\n");
	rewrite_trailer(trailer, trailer_count, out);
	part = (struct iovec){out->bytes, out->length};
	write_upstream(x, &part, 1);
}

void
exchange_request_complete(
    struct exchange *x, const struct field *trailer, size_t trailer_count)
{
	if (x->state == EXCHANGE_OVER)
		return;
	x->is_request_complete = true;
	ledger_request_ended(client_record(x->client));
	if (client_request(x->client)->framing == BODY_CHUNKED)
		send_last_chunk(x, trailer, trailer_count);
	if (x->state == EXCHANGE_SENDING)
		response_sent_all(x);
}

bool
exchange_is_full(const struct exchange *x)
{
	if (x->state == EXCHANGE_OVER)
		return false;
	if (x->upstream != NULL)
		return !stream_has_failed(upstream_stream(x->upstream)) &&
		    stream_is_full(upstream_stream(x->upstream));
	return x->early != NULL && evbuffer_get_length(x->early) > 0;
}

const struct chain *
exchange_chain(const struct exchange *x)
{
	const struct chain *chain = &x->worker->house->options->chain;

	return !x->origin->is_tls && chain_leads_to(chain, x->origin) ? chain
								      : NULL;
}

void
exchange_count_bytes(struct exchange *x)
{
	if (x->upstream != NULL)
		worker_count_upstream(x->worker, upstream_stream(x->upstream));
}

int64_t
exchange_upstream_bytes(const struct exchange *x)
{
	const struct stream *stream;

	if (x->upstream == NULL)
		return 0;
	stream = upstream_stream(x->upstream);
	return stream_received_bytes(stream) + stream_sent_bytes(stream);
}

bool
exchange_is_sending(const struct exchange *x)
{
	return x->state == EXCHANGE_SENDING;
}

bool
exchange_awaits_origin(const struct exchange *x)
{
	return x->is_request_complete || exchange_is_full(x);
}

bool
exchange_is_over(const struct exchange *x)
{
	return x->state == EXCHANGE_OVER;
}

static void
send_request(struct exchange *x)
{
	const struct head *request = client_request(x->client);
	const struct chain *chain = exchange_chain(x);
	struct request_rewrite rewrite = {
	    .origin = x->origin,
	    .is_absolute = chain != NULL,
	    .authorization = chain == NULL ? NULL : chain->authorization,
	    .path = x->path,
	    .host = x->host,
	    .via_name = x->worker->house->via_name,
	    .is_upgrade = upgrade_is_asked(request),
	};
	struct text *out = &x->worker->scratch;
	struct stream *stream = upstream_stream(x->upstream);
	struct iovec part;

	rewrite.has_max_forwards =
	    maxforwards_read(request, &rewrite.max_forwards) ==
	    MAX_FORWARDS_LEFT;
	text_clear(out);
	rewrite_request(request, &rewrite, out);
	part = (struct iovec){out->bytes, out->length};
	stream_write(stream, &part, 1);
	while (x->early != NULL && evbuffer_get_length(x->early) > 0) {
		(void)evbuffer_peek(x->early, -1, NULL, &part, 1);
		stream_write(stream, &part, 1);
		evbuffer_drain(x->early, part.iov_len);
	}
	if (head_method_is(request, "HEAD"))
		upstream_expect_no_body(x->upstream);
}

/* ---- the lease ---- */

/* A method whose repetition does no harm (RFC 9110 §9.2.2). */
static bool
is_idempotent(const struct head *request)
{
	static const char *const methods[] = {
	    "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (head_method_is(request, methods[i]))
			return true;
	}
	return false;
}

bool
exchange_is_repeatable(const struct exchange *x)
{
	const struct head *request = client_request(x->client);

	return request->framing == BODY_NONE && is_idempotent(request);
}

static void
use(struct exchange *x, struct upstream *upstream)
{
	x->upstream = upstream;
	upstream_set_owner(upstream, &response_callbacks, x);
	exchange_set_state(x, EXCHANGE_WAITING);
	send_request(x);
	if (!exchange_is_full(x))
		client_read_on(x->client);
}

static void
on_dialled(enum dial_result result, struct stream *stream, const char *detail,
    void *arg)
{
	struct exchange *x = arg;

	x->dial = NULL;
	if (result == DIAL_OK) {
		use(x, upstream_new(x->worker, x->origin, &stream));
		return;
	}
	response_refuse(x,
	    &(struct refusal){.status = dial_status(result),
		.token = dial_token(result),
		.text = dial_text(result),
		.detail = detail});
}

void
exchange_dial(struct exchange *x)
{
	x->dial =
	    dial_start(x->worker, x->origin, DIAL_FOR_REQUESTS, on_dialled, x);
}

static void
open_record(struct exchange *x, const struct exchange_start *start)
{
	const struct head *request = client_request(x->client);
	struct request_facts facts = {
	    .method = request->method,
	    .user_agent = head_value(request, FIELD_USER_AGENT),
	    .traceparent = head_value(request, FIELD_TRACEPARENT),
	    .url = start->url,
	    .origin = x->origin->key,
	    .tags = start->tags,
	    .is_pipelined = start->is_pipelined,
	};

	x->record = ledger_request_began(
	    client_record(x->client), &facts, clock_wall(), clock_mono());
	keep_request(x->record, request, x->worker->house->plain_fields);
}

struct exchange *
exchange_start(const struct exchange_start *start)
{
	struct exchange *x = xcalloc(1, sizeof(*x));
	struct upstream *kept;

	x->client = start->client;
	x->worker = client_worker(start->client);
	x->path = start->path;
	x->host = start->host;
	kept = pool_lease(x->worker->pool, start->origin,
	    exchange_is_repeatable(x) ? LEASE_ANY : LEASE_RECENT, clock_mono());
	/* What is leased goes there, by the same names. */
	x->origin = kept != NULL ? origin_ref(upstream_origin(kept))
				 : origin_new(start->origin);
	open_record(x, start);
	if (kept != NULL)
		use(x, kept);
	else
		exchange_dial(x);
	return x;
}
