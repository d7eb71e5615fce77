/* SPDX-License-Identifier: MIT */

/*
 * The response of an exchange: the origin's, relayed in the caller's framing,
 * or our own where the origin has none.
 */

#include "proxy/exchange_parts.h"

#include <assert.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/keep.h"
#include "proxy/pool.h"
#include "proxy/rewrite.h"
#include "proxy/upgrade.h"

/* Told to callers so much before we would probe, so that those who heed it
 * are gone by then and no request crosses our FIN. */
#define KEEP_ALIVE_MARGIN_US US_PER_S

/* ---- our own ---- */

static bool
is_head_request(const struct exchange *x)
{
	return head_method_is(client_request(x->client), "HEAD");
}

void
response_refuse(struct exchange *x, struct refusal *refusal)
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
	    .is_early = !x->is_request_complete,
	    .error = refusal->token};
	ledger_response_began(x->record, &facts, now);
	ledger_response_body_came(x->record, body_length);
	part = (struct iovec){out->bytes, out->length};
	stream_write(client_stream(x->client), &part, 1);
	ledger_response_ended(&x->record, RESPONSE_COMPLETE, now);
	ledger_counters(x->worker->ledger)->refused_requests++;
	log_debug("%s: %d %s %s", x->origin->key, refusal->status,
	    refusal->token, refusal->detail);
	exchange_end(x, refusal->says_close ? EXCHANGE_CLOSE : EXCHANGE_KEEP);
}

static void
refuse_failure(struct exchange *x, enum upstream_failure failure)
{
	struct refusal refusal = {.status = 502,
	    .token = "connection_terminated",
	    .text = "the origin closed the connection before it answered",
	    .detail = ""};

	/* RFC 9209 §2.3.8: terminated is before any part of it was received. */
	if (upstream_has_begun(x->upstream)) {
		refusal.token = "http_response_incomplete";
		refusal.text =
		    "the origin closed the connection within its response's "
		    "head";
	}
	if (failure == UPSTREAM_MALFORMED) {
		refusal.token =
		    http_error_response_token(upstream_http_error(x->upstream));
		refusal.text = "the origin's response is malformed";
		refusal.detail =
		    http_error_text(upstream_http_error(x->upstream));
	} else if (failure == UPSTREAM_TLS) {
		/* In TLS 1.3 the origin verifies after the handshake. */
		const struct tls *tls =
		    stream_tls(upstream_stream(x->upstream));

		refusal.token = tls_is_alert(tls) ? "tls_alert_received"
						  : "tls_protocol_error";
		refusal.text = "the origin failed TLS: if it wants a "
			       "certificate of ours, name one with "
			       "--client-cert";
		refusal.detail = tls_error(tls);
	}
	response_refuse(x, &refusal);
}

/* ---- the origin's ---- */

/* A kept connection that died before it answered says nothing about this
 * request: once more, on a fresh one (RFC 9112 §9.3.1). */
static bool
may_retry(const struct exchange *x)
{
	return x->state == EXCHANGE_WAITING && !x->was_retried &&
	    upstream_is_used(x->upstream) && !x->has_interim &&
	    !upstream_has_begun(x->upstream) && x->is_request_complete &&
	    exchange_is_repeatable(x);
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

/* Takes the head that waits, as the first of some parts to be written.  Returns
 * how many that are. */
static size_t
take_head(struct exchange *x, struct iovec *part)
{
	const struct text *head = &x->worker->held_head;

	if (!x->holds_head)
		return 0;
	x->holds_head = false;
	*part = (struct iovec){head->bytes, head->length};
	return 1;
}

static void
release_head(struct exchange *x)
{
	struct iovec part;

	if (take_head(x, &part) > 0)
		stream_write(client_stream(x->client), &part, 1);
}

/*
 * A head waits for what has come with it of its body, and goes out in the same
 * write; unless the body is owed a segment of its own.
 */
static void
send_head(struct exchange *x, const struct head *response)
{
	const struct head *request = client_request(x->client);
	struct text *out = &x->worker->held_head;
	struct response_rewrite rewrite = {
	    .framing = x->framing,
	    .via_name = x->worker->house->via_name,
	    .says_close = x->says_close,
	    .says_keep_alive = request->http_minor == 0,
	    .keep_alive_s = keep_alive_s(x),
	};

	text_clear(out);
	rewrite_response(response, &rewrite, out);
	x->holds_head = true;
	if (x->framing == BODY_NONE || ledger_wants_segment(x->record))
		release_head(x);
}

static void
relay_interim(struct exchange *x, const struct head *response)
{
	struct response_rewrite rewrite = {
	    .framing = BODY_NONE, .via_name = x->worker->house->via_name};
	struct stream *stream = client_stream(x->client);
	struct text *out = &x->worker->scratch;
	struct iovec part;

	x->has_interim = true;
	/* RFC 9110 §15.2: none to a 1.0 client. */
	if (client_request(x->client)->http_minor >= 1) {
		text_clear(out);
		rewrite_response(response, &rewrite, out);
		part = (struct iovec){out->bytes, out->length};
		stream_write(stream, &part, 1);
		if (stream_is_full(stream))
			stream_pause(upstream_stream(x->upstream));
	}
	upstream_next(x->upstream);
}

/* A 101 that nobody asked for, or to another protocol, would have both sides
 * read the same bytes differently (RFC 9110 §7.8, §15.2.2). */
static void
refuse_switch(struct exchange *x)
{
	struct refusal refusal = {.status = 502,
	    .token = "http_protocol_error",
	    .text = "the origin switched to a protocol that the request did "
		    "not ask for",
	    .detail = ""};

	response_refuse(x, &refusal);
	upstream_close(&x->upstream);
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
	exchange_set_state(x, EXCHANGE_RECEIVING);
	exchange_set_state(x, EXCHANGE_OVER);
	client_become_relay(x->client, &stream);
	exchange_release(x);
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
	x->keeps_upstream =
	    response->keeps_alive && response->framing != BODY_TO_EOF;
	facts = (struct response_facts){.status = response->status,
	    .has_body = x->framing != BODY_NONE,
	    .says_close = x->says_close,
	    .is_early = !x->is_request_complete,
	    .is_escalated = is_escalated};
	keep_response(x->record, response, x->worker->house->plain_fields);
	ledger_response_began(x->record, &facts, now);
	exchange_set_state(x, EXCHANGE_RECEIVING);
	send_head(x, response);
	/* A body of known length needs no look, unless it is kept. */
	if (x->framing == BODY_LENGTH &&
	    x->worker->house->options->capture_bytes == 0)
		upstream_pass_body(x->upstream, client_stream(x->client));
}

/* Its challenge is for us, not for the caller (RFC 9110 §11.7.1). */
static void
refuse_challenge(struct exchange *x)
{
	response_refuse(x,
	    &(struct refusal){.status = dial_status(DIAL_CHAIN_CREDENTIALS),
		.token = dial_token(DIAL_CHAIN_CREDENTIALS),
		.text = dial_text(DIAL_CHAIN_CREDENTIALS),
		.detail = exchange_chain(x)->proxy->key});
	upstream_close(&x->upstream);
}

/* The request has to be over: what follows it is no body any more. */
static bool
may_switch(const struct exchange *x, const struct head *response)
{
	return x->is_request_complete &&
	    upgrade_is_granted(client_request(x->client), response);
}

/* The origin does not want the rest of the request. */
static void
end_sending(struct exchange *x)
{
	upstream_close(&x->upstream);
	exchange_end(x, EXCHANGE_CLOSE);
}

static void
on_upstream_head(void *arg, struct head *response)
{
	struct exchange *x = arg;

	if (x->state == EXCHANGE_SENDING)
		end_sending(x);
	else if (response->status == 407 && exchange_chain(x) != NULL)
		refuse_challenge(x);
	else if (response->status == 101 && !may_switch(x, response))
		refuse_switch(x);
	else if (response->status == 101)
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
	struct iovec parts[1 + EXCHANGE_FRAME_PARTS];
	size_t count = take_head(x, parts);
	char size_line[EXCHANGE_SIZE_LINE_BYTES];

	ledger_response_body_came(x->record, length);
	ledger_body_passed(x->record, CAPTURE_RESPONSE, bytes, length);
	count += exchange_frame(parts + count, size_line, x->framing, &piece);
	stream_write(stream, parts, count);
	if (stream_is_full(stream))
		stream_pause(upstream_stream(x->upstream));
}

static void
on_upstream_passed(void *arg, size_t length)
{
	struct exchange *x = arg;

	ledger_response_body_came(x->record, length);
	if (stream_is_full(client_stream(x->client)))
		stream_pause(upstream_stream(x->upstream));
}

void
exchange_client_drained(struct exchange *x)
{
	if (x->state != EXCHANGE_OVER && x->upstream != NULL)
		stream_resume(upstream_stream(x->upstream));
}

static void
dispose_of_upstream(struct exchange *x, mono_us now)
{
	if (x->keeps_upstream && x->is_request_complete &&
	    !upstream_has_surplus(x->upstream) &&
	    !upstream_is_outdated(x->upstream)) {
		stream_resume(upstream_stream(x->upstream));
		pool_give_back(x->worker->pool, &x->upstream, now);
	} else {
		upstream_close(&x->upstream);
	}
}

/*
 * An origin may answer early and yet read on: what it was promised should
 * reach it.  Not where it closes, nor where the caller has sent nothing yet
 * and may wait for a 100 that will not come.
 */
static bool
may_send_on(const struct exchange *x)
{
	bool may_wait = !x->has_request_body &&
	    head_has(client_request(x->client), FIELD_EXPECT);

	return !x->is_request_complete && !may_wait && x->keeps_upstream &&
	    !upstream_has_surplus(x->upstream);
}

static void
on_upstream_complete(
    void *arg, const struct field *trailer, size_t trailer_count)
{
	struct exchange *x = arg;
	struct stream *stream = client_stream(x->client);
	struct text *out = &x->worker->scratch;
	mono_us now = clock_mono();

	if (x->framing == BODY_CHUNKED) {
		struct iovec parts[2];
		size_t count = take_head(x, parts);

		text_clear(out);
		text_add_string(out, "0\r\n");
		rewrite_trailer(trailer, trailer_count, out);
		parts[count++] = (struct iovec){out->bytes, out->length};
		stream_write(stream, parts, count);
	} else {
		release_head(x);
	}
	ledger_response_ended(&x->record, RESPONSE_COMPLETE, now);
	if (may_send_on(x)) {
		exchange_set_state(x, EXCHANGE_SENDING);
		upstream_next(x->upstream);
		stream_resume(upstream_stream(x->upstream));
		return;
	}
	dispose_of_upstream(x, now);
	exchange_end(x,
	    x->says_close || !x->is_request_complete ? EXCHANGE_CLOSE
						     : EXCHANGE_KEEP);
}

void
response_sent_all(struct exchange *x)
{
	/* What came meanwhile belongs to no request. */
	if (upstream_has_begun(x->upstream))
		x->keeps_upstream = false;
	dispose_of_upstream(x, clock_mono());
	exchange_end(x, EXCHANGE_CLOSE);
}

/* The response broke off: the caller must not take it for whole (RFC 9112
 * §8).  Framed, a FIN in its middle tells; without framing only RST does. */
static void
truncate_response(struct exchange *x)
{
	release_head(x);
	ledger_response_ended(&x->record, RESPONSE_TRUNCATED, clock_mono());
	exchange_end(
	    x, x->framing == BODY_TO_EOF ? EXCHANGE_ABORT : EXCHANGE_TRUNCATED);
}

void
exchange_cut(struct exchange *x, const struct refusal *reason)
{
	struct refusal answer = *reason;

	switch (x->state) {
	case EXCHANGE_OVER:
		return;
	case EXCHANGE_SENDING:
		end_sending(x);
		return;
	case EXCHANGE_RECEIVING:
		truncate_response(x);
		break;
	case EXCHANGE_LEASING:
	case EXCHANGE_WAITING:
		response_refuse(x, &answer);
		break;
	}
	if (x->upstream != NULL)
		upstream_close(&x->upstream);
	if (x->dial != NULL)
		dial_cancel(&x->dial);
}

bool
exchange_refuse_request(struct exchange *x, const struct refusal *refusal)
{
	if (x->state == EXCHANGE_RECEIVING)
		return false;
	exchange_cut(x, refusal);
	return true;
}

static void
on_upstream_failed(void *arg, enum upstream_failure failure)
{
	struct exchange *x = arg;

	if (failure != UPSTREAM_MALFORMED && may_retry(x)) {
		upstream_close(&x->upstream);
		exchange_set_state(x, EXCHANGE_LEASING);
		x->was_retried = true;
		exchange_dial(x);
		return;
	}
	if (x->state == EXCHANGE_SENDING) {
		end_sending(x);
		return;
	}
	if (x->state == EXCHANGE_RECEIVING)
		truncate_response(x);
	else
		refuse_failure(x, failure);
	upstream_close(&x->upstream);
}

static void
on_upstream_paused(void *arg)
{
	release_head(arg);
}

static void
on_upstream_drained(void *arg)
{
	struct exchange *x = arg;

	client_read_on(x->client);
}

const struct upstream_callbacks response_callbacks = {
    .on_head = on_upstream_head,
    .on_body = on_upstream_body,
    .on_passed = on_upstream_passed,
    .on_paused = on_upstream_paused,
    .on_complete = on_upstream_complete,
    .on_failed = on_upstream_failed,
    .on_drained = on_upstream_drained,
};
