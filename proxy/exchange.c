/* SPDX-License-Identifier: MIT */

/*
 * One request and its response.
 *
 *      LEASING --> WAITING --> RECEIVING --> OVER
 *         |           |            |          ^
 *         +-----------+------------+----------+
 *
 * An exchange borrows its client, which outlives it, and owns its upstream
 * from the lease until it gives it back.  The state names what we wait for: a
 * connection, the response's head, its body.  The request's body flows
 * meanwhile, into a bounded queue while there is no connection yet.  Every
 * fact that the ledger learns about a response is told from this file and
 * from nowhere else.
 */

#include "proxy/exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "accounting/memory.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/dial.h"
#include "proxy/pool.h"
#include "proxy/refusal.h"
#include "proxy/rewrite.h"
#include "proxy/upstream.h"

/* Told to callers so much before we would probe, so that those who heed it
 * are gone by then and no request crosses our FIN. */
#define KEEP_ALIVE_MARGIN_US US_PER_S

enum exchange_state {
	EXCHANGE_LEASING,
	EXCHANGE_WAITING,
	EXCHANGE_RECEIVING,
	EXCHANGE_OVER,
};

struct exchange {
	enum exchange_state state;
	struct client *client;   /* borrowed, outlives the exchange */
	struct worker *worker;   /* borrowed */
	struct ledger_exchange *record; /* NULL once the response has ended */
	struct origin origin;
	struct span path; /* in the client's head */
	struct span host;
	struct dial *dial;         /* owned while LEASING */
	struct upstream *upstream; /* owned from WAITING on */
	struct evbuffer *early;    /* owned: request body before the lease */
	bool is_request_complete;
	bool has_request_body;
	bool was_retried;
	enum body_framing framing; /* of the response to the caller */
	bool says_close;
	bool keeps_upstream;
	enum exchange_outcome outcome; /* for the end */
};

static void dial(struct exchange *x);

static void
set_state(struct exchange *x, enum exchange_state next)
{
	static const unsigned may_follow[] = {
	    [EXCHANGE_LEASING] = 1u << EXCHANGE_WAITING | 1u << EXCHANGE_OVER,
	    [EXCHANGE_WAITING] = 1u << EXCHANGE_LEASING |
	        1u << EXCHANGE_RECEIVING | 1u << EXCHANGE_OVER,
	    [EXCHANGE_RECEIVING] = 1u << EXCHANGE_OVER,
	    [EXCHANGE_OVER] = 0,
	};

	assert(may_follow[x->state] & (1u << next));
	x->state = next;
}

/* ---- the end ---- */

static void
release(struct exchange *x)
{
	if (x->dial != NULL)
		dial_cancel(&x->dial);
	if (x->upstream != NULL)
		upstream_close(&x->upstream);
	if (x->early != NULL)
		evbuffer_free(x->early);
	loop_later(x->worker->loop, free, x);
}

/* Tells the client, whose callback may have brought us here, later. */
static void
tell_client(void *arg)
{
	struct exchange *x = arg;

	if (x->client != NULL)
		client_exchange_ended(x->client, x->outcome);
	release(x);
}

static void
end(struct exchange *x, enum exchange_outcome outcome)
{
	set_state(x, EXCHANGE_OVER);
	x->outcome = outcome;
	loop_later(x->worker->loop, tell_client, x);
}

void
exchange_abort(struct exchange **xp)
{
	struct exchange *x = *xp;

	*xp = NULL;
	if (x->record != NULL)
		ledger_response_ended(&x->record, RESPONSE_ABANDONED,
		    clock_mono());
	if (x->state == EXCHANGE_OVER) {
		x->client = NULL; /* tell_client() releases */
		return;
	}
	set_state(x, EXCHANGE_OVER);
	release(x);
}

/* ---- our own responses ---- */

static bool
is_head_request(const struct exchange *x)
{
	return head_span_is(client_request(x->client)->method, "HEAD");
}

/* The origin cannot answer, so we do. */
static void
refuse(struct exchange *x, struct refusal *refusal)
{
	struct text *out = &x->worker->scratch;
	struct iovec part;
	struct response_facts facts;
	mono_us now = clock_mono();
	size_t body_length;

	refusal->says_close =
	    !x->is_request_complete || client_is_ending(x->client);
	refusal->has_body = !is_head_request(x);
	text_clear(out);
	body_length = refusal_write(refusal, out);
	facts = (struct response_facts){.status = refusal->status,
	    .has_body = refusal->has_body,
	    .says_close = refusal->says_close,
	    .error = refusal->token};
	ledger_response_began(x->record, &facts, now);
	ledger_response_body_came(x->record, body_length);
	part = (struct iovec){out->bytes, out->length};
	stream_write(client_stream(x->client), &part, 1);
	ledger_response_ended(&x->record, RESPONSE_COMPLETE, now);
	ledger_counters(x->worker->ledger)->refused_requests++;
	log_debug("%s: %d %s %s", x->origin.key, refusal->status,
	    refusal->token, refusal->detail);
	end(x, refusal->says_close ? EXCHANGE_CLOSE : EXCHANGE_KEEP);
}

static void
refuse_failure(struct exchange *x, enum upstream_failure failure)
{
	struct refusal refusal = {.status = 502,
	    .token = "connection_terminated",
	    .text = "the origin closed the connection before it answered",
	    .detail = ""};

	if (failure == UPSTREAM_MALFORMED) {
		refusal.token = "http_protocol_error";
		refusal.text = "the origin's response is malformed";
		refusal.detail =
		    http_error_text(upstream_http_error(x->upstream));
	}
	refuse(x, &refusal);
}

/* ---- the request ---- */

static void
write_upstream(struct exchange *x, const struct iovec *parts, size_t count)
{
	if (x->upstream != NULL) {
		stream_write(upstream_stream(x->upstream), parts, count);
		return;
	}
	if (x->early == NULL)
		x->early = evbuffer_new();
	for (size_t i = 0; i < count; i++) {
		if (x->early == NULL || evbuffer_add(x->early,
		        parts[i].iov_base, parts[i].iov_len) != 0)
			abort();
	}
}

/* Writes one piece of a body in its framing.  The bytes are only read. */
static size_t
frame(struct iovec parts[3], char size_line[32], enum body_framing framing,
    const struct span *piece)
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
	line_length = snprintf(size_line, 32, "%zx\r\n", piece->length);
	parts[0] = (struct iovec){size_line, (size_t)line_length};
	parts[1] = (struct iovec){bytes.out, piece->length};
	parts[2] = (struct iovec){line_end, 2};
	return 3;
}

void
exchange_request_body(struct exchange *x, const char *bytes, size_t length)
{
	struct span piece = {bytes, length};
	struct iovec parts[3];
	char size_line[32];

	if (x->state == EXCHANGE_OVER || length == 0)
		return;
	x->has_request_body = true;
	ledger_request_body_came(x->record, length);
	write_upstream(x, parts,
	    frame(parts, size_line, client_request(x->client)->framing,
	        &piece));
}

void
exchange_request_complete(struct exchange *x, const struct field *trailer,
    size_t trailer_count)
{
	struct text *out = &x->worker->scratch;
	struct iovec part;

	if (x->state == EXCHANGE_OVER)
		return;
	x->is_request_complete = true;
	if (client_request(x->client)->framing != BODY_CHUNKED)
		return;
	text_clear(out);
	text_add_string(out, "0\r\n");
	rewrite_trailer(trailer, trailer_count, out);
	part = (struct iovec){out->bytes, out->length};
	write_upstream(x, &part, 1);
}

bool
exchange_is_full(const struct exchange *x)
{
	if (x->state == EXCHANGE_OVER)
		return false;
	if (x->upstream != NULL)
		return stream_is_full(upstream_stream(x->upstream));
	return x->early != NULL && evbuffer_get_length(x->early) > 0;
}

static bool
wants_upgrade(const struct head *request)
{
	return head_find(request, "Upgrade") != NULL &&
	    head_lists(request, "Connection", "upgrade");
}

static void
send_request(struct exchange *x)
{
	const struct head *request = client_request(x->client);
	struct request_rewrite rewrite = {
	    .origin = &x->origin,
	    .path = x->path,
	    .host = x->host,
	    .via_name = x->worker->house->via_name,
	    .is_upgrade = wants_upgrade(request),
	};
	struct text *out = &x->worker->scratch;
	struct stream *stream = upstream_stream(x->upstream);
	struct iovec part;

	text_clear(out);
	rewrite_request(request, &rewrite, out);
	part = (struct iovec){out->bytes, out->length};
	stream_write(stream, &part, 1);
	while (x->early != NULL && evbuffer_get_length(x->early) > 0) {
		(void)evbuffer_peek(x->early, -1, NULL, &part, 1);
		stream_write(stream, &part, 1);
		evbuffer_drain(x->early, part.iov_len);
	}
	if (head_span_is(request->method, "HEAD"))
		upstream_expect_no_body(x->upstream);
}

/* ---- the response ---- */

/* A method whose repetition does no harm (RFC 9110 §9.2.2). */
static bool
is_idempotent(struct span method)
{
	static const char *const methods[] = {"GET", "HEAD", "OPTIONS",
	    "TRACE", "PUT", "DELETE"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (head_span_is(method, methods[i]))
			return true;
	}
	return false;
}

/* A kept connection that died before it answered says nothing about this
 * request: once more, on a fresh one (RFC 9112 §9.3.1). */
static bool
may_retry(const struct exchange *x)
{
	return x->state == EXCHANGE_WAITING && !x->was_retried &&
	    upstream_is_used(x->upstream) &&
	    !upstream_has_begun(x->upstream) && !x->has_request_body &&
	    x->is_request_complete &&
	    is_idempotent(client_request(x->client)->method);
}

static enum body_framing
framing_to_caller(const struct exchange *x, const struct head *response)
{
	if (response->framing == BODY_NONE || response->framing == BODY_LENGTH)
		return response->framing;
	return client_request(x->client)->http_minor >= 1 ? BODY_CHUNKED
	                                                  : BODY_TO_EOF;
}

static unsigned
keep_alive_s(const struct exchange *x)
{
	mono_us after = x->worker->house->options->probe_after_us;

	if (after <= KEEP_ALIVE_MARGIN_US)
		return 0;
	return (unsigned)((after - KEEP_ALIVE_MARGIN_US) / US_PER_S);
}

/* Heads go alone to callers on this machine: only a body in a segment of its
 * own can be seen unread (DESIGN §1). */
static void
write_head(struct exchange *x, const struct text *head)
{
	struct stream *stream = client_stream(x->client);
	struct iovec part = {head->bytes, head->length};

	if (client_is_local(x->client) || x->framing == BODY_NONE)
		stream_write(stream, &part, 1);
	else
		stream_hold(stream, head->bytes, head->length);
}

static void
send_head(struct exchange *x, const struct head *response)
{
	const struct head *request = client_request(x->client);
	struct text *out = &x->worker->scratch;
	struct response_rewrite rewrite = {
	    .framing = x->framing,
	    .via_name = x->worker->house->via_name,
	    .says_close = x->says_close,
	    .says_keep_alive = request->http_minor == 0,
	    .keep_alive_s = keep_alive_s(x),
	};

	text_clear(out);
	rewrite_response(response, &rewrite, out);
	write_head(x, out);
}

static void
relay_interim(struct exchange *x, const struct head *response)
{
	struct response_rewrite rewrite = {.framing = BODY_NONE,
	    .via_name = x->worker->house->via_name};
	struct text *out = &x->worker->scratch;
	struct iovec part;

	/* RFC 9110 §15.2: none to a 1.0 client. */
	if (client_request(x->client)->http_minor >= 1) {
		text_clear(out);
		rewrite_response(response, &rewrite, out);
		part = (struct iovec){out->bytes, out->length};
		stream_write(client_stream(x->client), &part, 1);
	}
	upstream_next(x->upstream);
}

/* 101: from here on both sides speak another protocol. */
static void
switch_protocols(struct exchange *x, const struct head *response)
{
	struct response_rewrite rewrite = {.framing = BODY_NONE,
	    .via_name = x->worker->house->via_name,
	    .is_upgrade = true};
	struct response_facts facts = {.status = 101};
	struct text *out = &x->worker->scratch;
	struct stream *stream;
	struct iovec part;
	mono_us now = clock_mono();

	text_clear(out);
	rewrite_response(response, &rewrite, out);
	part = (struct iovec){out->bytes, out->length};
	stream_write(client_stream(x->client), &part, 1);
	ledger_response_began(x->record, &facts, now);
	ledger_response_ended(&x->record, RESPONSE_COMPLETE, now);
	stream = upstream_release(&x->upstream);
	set_state(x, EXCHANGE_RECEIVING);
	set_state(x, EXCHANGE_OVER);
	client_become_relay(x->client, &stream);
	release(x);
}

static void
begin_response(struct exchange *x, const struct head *response)
{
	mono_us now = clock_mono();
	bool is_escalated = false;
	struct response_facts facts;

	x->framing = framing_to_caller(x, response);
	x->says_close = client_is_ending(x->client) ||
	    x->framing == BODY_TO_EOF || !x->is_request_complete;
	if (!x->says_close && x->framing != BODY_NONE)
		is_escalated = ledger_wants_close(x->record, response->status);
	x->says_close = x->says_close || is_escalated;
	x->keeps_upstream = response->keeps_alive &&
	    response->framing != BODY_TO_EOF;
	facts = (struct response_facts){.status = response->status,
	    .has_body = x->framing != BODY_NONE,
	    .says_close = x->says_close,
	    .is_escalated = is_escalated};
	ledger_response_began(x->record, &facts, now);
	set_state(x, EXCHANGE_RECEIVING);
	send_head(x, response);
}

static void
on_upstream_head(void *arg, struct head *response)
{
	struct exchange *x = arg;

	if (response->status == 101)
		switch_protocols(x, response);
	else if (response->status / 100 == 1)
		relay_interim(x, response);
	else
		begin_response(x, response);
}

static void
on_upstream_body(void *arg, const char *bytes, size_t length)
{
	struct exchange *x = arg;
	struct stream *stream = client_stream(x->client);
	struct span piece = {bytes, length};
	struct iovec parts[3];
	char size_line[32];

	ledger_response_body_came(x->record, length);
	stream_write(stream, parts,
	    frame(parts, size_line, x->framing, &piece));
	if (stream_is_full(stream))
		stream_pause(upstream_stream(x->upstream));
}

void
exchange_client_drained(struct exchange *x)
{
	if (x->state == EXCHANGE_RECEIVING && x->upstream != NULL)
		stream_resume(upstream_stream(x->upstream));
}

static void
dispose_of_upstream(struct exchange *x, mono_us now)
{
	if (x->keeps_upstream && x->is_request_complete &&
	    !upstream_has_surplus(x->upstream)) {
		stream_resume(upstream_stream(x->upstream));
		pool_give_back(x->worker->pool, &x->upstream, now);
	} else {
		upstream_close(&x->upstream);
	}
}

static void
on_upstream_complete(void *arg, const struct field *trailer,
    size_t trailer_count)
{
	struct exchange *x = arg;
	struct stream *stream = client_stream(x->client);
	struct text *out = &x->worker->scratch;
	mono_us now = clock_mono();

	if (x->framing == BODY_CHUNKED) {
		struct iovec part;

		text_clear(out);
		text_add_string(out, "0\r\n");
		rewrite_trailer(trailer, trailer_count, out);
		part = (struct iovec){out->bytes, out->length};
		stream_write(stream, &part, 1);
	} else {
		stream_flush(stream);
	}
	ledger_response_ended(&x->record, RESPONSE_COMPLETE, now);
	dispose_of_upstream(x, now);
	end(x, x->says_close || !x->is_request_complete ? EXCHANGE_CLOSE
	                                                : EXCHANGE_KEEP);
}

/* The response broke off: the caller must not take it for whole (RFC 9112
 * §8).  Framed, a FIN in its middle tells; without framing only RST does. */
static void
truncate_response(struct exchange *x)
{
	stream_flush(client_stream(x->client));
	ledger_response_ended(&x->record, RESPONSE_TRUNCATED, clock_mono());
	end(x, x->framing == BODY_TO_EOF ? EXCHANGE_ABORT : EXCHANGE_CLOSE);
}

static void
on_upstream_failed(void *arg, enum upstream_failure failure)
{
	struct exchange *x = arg;

	if (failure != UPSTREAM_MALFORMED && may_retry(x)) {
		upstream_close(&x->upstream);
		set_state(x, EXCHANGE_LEASING);
		x->was_retried = true;
		dial(x);
		return;
	}
	if (x->state == EXCHANGE_RECEIVING)
		truncate_response(x);
	else
		refuse_failure(x, failure);
	upstream_close(&x->upstream);
}

static void
on_upstream_drained(void *arg)
{
	struct exchange *x = arg;

	client_read_on(x->client);
}

static const struct upstream_callbacks upstream_callbacks = {
    .on_head = on_upstream_head,
    .on_body = on_upstream_body,
    .on_complete = on_upstream_complete,
    .on_failed = on_upstream_failed,
    .on_drained = on_upstream_drained,
};

/* ---- the lease ---- */

static void
use(struct exchange *x, struct upstream *upstream)
{
	x->upstream = upstream;
	upstream_set_owner(upstream, &upstream_callbacks, x);
	set_state(x, EXCHANGE_WAITING);
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
		use(x, upstream_new(x->worker, &x->origin, &stream));
		return;
	}
	refuse(x, &(struct refusal){.status = dial_status(result),
	              .token = dial_token(result),
	              .text = dial_text(result),
	              .detail = detail});
}

static void
dial(struct exchange *x)
{
	x->dial = dial_start(x->worker, &x->origin, on_dialled, x);
}

static void
open_record(struct exchange *x, const struct exchange_start *start)
{
	const struct head *request = client_request(x->client);
	char *method = head_span_copy(request->method);
	char *user_agent = head_copy(request, "User-Agent");
	char *traceparent = head_copy(request, "traceparent");
	struct request_facts facts = {
	    .method = method,
	    .url = start->url,
	    .origin = x->origin.key,
	    .user_agent = user_agent,
	    .traceparent = traceparent,
	    .tags = start->tags,
	    .is_pipelined = start->is_pipelined,
	};

	x->record = ledger_request_began(client_record(x->client), &facts,
	    clock_wall(), clock_mono());
	free(method);
	free(user_agent);
	free(traceparent);
}

struct exchange *
exchange_start(const struct exchange_start *start)
{
	struct exchange *x = xcalloc(1, sizeof(*x));
	struct upstream *kept;

	x->client = start->client;
	x->worker = client_worker(start->client);
	x->origin = *start->origin;
	x->path = start->path;
	x->host = start->host;
	open_record(x, start);
	kept = pool_lease(x->worker->pool, &x->origin);
	if (kept != NULL)
		use(x, kept);
	else
		dial(x);
	return x;
}
