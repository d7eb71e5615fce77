/* SPDX-License-Identifier: MIT */

/*
 * Our connection to an origin.
 *
 * Bytes are parsed as they come and handed to the exchange that holds the
 * lease.  While nobody does, anything that comes (a late byte, a FIN) makes
 * the connection unfit, and the pool drops it.
 */

#include "proxy/upstream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "proxy/pool.h"

struct upstream {
	struct pool_place place;
	struct worker *worker;      /* borrowed */
	struct origin *origin;      /* owned, shared */
	struct stream *stream;      /* owned; NULL once closed */
	struct http_parser *parser; /* owned */
	const struct upstream_callbacks *callbacks; /* NULL: in the pool */
	void *arg;                                  /* borrowed */
	struct stream *sink; /* borrowed: the body passes to it; or NULL */
	bool is_used;
	bool has_surplus;
};

/* So long before the origin would close a connection we no longer use it. */
#define KEEP_ALIVE_MARGIN_US US_PER_S

/* Beyond this the pool's own limit is the shorter one. */
#define MAX_KEEP_ALIVE_S 3600

/* "timeout=5": how long the origin lets the connection rest.  Half of it
 * where it is as short as our margin. */
static void
note_timeout(struct upstream *upstream, struct span parameter)
{
	static const char name[] = "timeout=";
	size_t at = strlen(name);
	mono_us timeout_us = 0;

	if (parameter.length <= at || strncasecmp(parameter.at, name, at) != 0)
		return;
	for (; at < parameter.length; at++) {
		char c = parameter.at[at];

		if (c < '0' || c > '9')
			return;
		timeout_us = timeout_us * 10 + (c - '0');
		if (timeout_us > MAX_KEEP_ALIVE_S)
			timeout_us = MAX_KEEP_ALIVE_S;
	}
	timeout_us *= US_PER_S;
	upstream->place.keep_alive_us = timeout_us > 2 * KEEP_ALIVE_MARGIN_US
	    ? timeout_us - KEEP_ALIVE_MARGIN_US
	    : timeout_us / 2;
}

static void
note_keep_alive(struct upstream *upstream, const struct head *response)
{
	const struct field *field = head_find(response, FIELD_KEEP_ALIVE);
	struct span member;

	if (field == NULL)
		return;
	for (struct span list = field->value; head_next_member(&list, &member);)
		note_timeout(upstream, member);
}

static void
on_parsed_body(void *arg, const char *bytes, size_t length)
{
	struct upstream *upstream = arg;

	if (upstream->stream != NULL)
		upstream->callbacks->on_body(upstream->arg, bytes, length);
}

static void
report_complete(struct upstream *upstream)
{
	size_t count;
	const struct field *trailer = http_trailer(upstream->parser, &count);

	upstream->callbacks->on_complete(upstream->arg, trailer, count);
}

/* Unless the last callback ended the lease. */
static void
report_pause(struct upstream *upstream)
{
	if (upstream->stream != NULL && upstream->callbacks != NULL)
		upstream->callbacks->on_paused(upstream->arg);
}

/*
 * Feeds the parser until the bytes or the lease end.  Returns how many were
 * taken.  Each callback may close the upstream or give it back.
 */
static size_t
parse(struct upstream *upstream, const char *bytes, size_t length)
{
	size_t offset = 0;

	while (upstream->stream != NULL && upstream->callbacks != NULL) {
		size_t taken;
		enum http_progress progress = http_feed(
		    upstream->parser, bytes + offset, length - offset, &taken);

		offset += taken;
		switch (progress) {
		case HTTP_NEEDS_MORE:
			report_pause(upstream);
			return offset;
		case HTTP_HAS_HEAD:
			note_keep_alive(upstream, http_head(upstream->parser));
			upstream->callbacks->on_head(
			    upstream->arg, http_head(upstream->parser));
			break;
		case HTTP_HAS_MESSAGE:
			upstream->sink = NULL;
			upstream->has_surplus = offset < length ||
			    (length == 0 &&
				stream_has_unread(upstream->stream));
			report_complete(upstream);
			break;
		case HTTP_IS_BAD:
			upstream->callbacks->on_failed(
			    upstream->arg, UPSTREAM_MALFORMED);
			break;
		}
	}
	return offset;
}

static size_t
on_bytes(void *arg, const char *bytes, size_t length)
{
	struct upstream *upstream = arg;
	size_t taken;

	if (upstream->callbacks == NULL) {
		pool_drop(upstream->worker->pool, upstream);
		return length;
	}
	/* What is left after 101 is kept for the stream's next owner. */
	taken = parse(upstream, bytes, length);
	if (upstream->stream != NULL && upstream->sink != NULL)
		stream_pass(upstream->stream, upstream->sink,
		    upstream->worker->splice, http_body_left(upstream->parser));
	return taken;
}

/* What belongs to no response is seen in a read that reaches beyond it; here
 * the read has ended with it. */
static void
on_passed(void *arg, size_t length)
{
	struct upstream *upstream = arg;

	http_body_passed(upstream->parser, length);
	upstream->callbacks->on_passed(upstream->arg, length);
	if (upstream->stream == NULL || http_body_left(upstream->parser) > 0)
		return;
	(void)parse(upstream, "", 0);
}

static void
on_drained(void *arg)
{
	struct upstream *upstream = arg;

	if (upstream->callbacks != NULL)
		upstream->callbacks->on_drained(upstream->arg);
}

static void
report_end(struct upstream *upstream, enum stream_end how)
{
	enum upstream_failure failure = how == STREAM_END_FIN ? UPSTREAM_CLOSED
	    : how == STREAM_END_RST                           ? UPSTREAM_RESET
							      : UPSTREAM_TLS;

	/* A body that runs to the end is complete only after a clean end, which
	 * under TLS is a close_notify (RFC 9112 §9.8). */
	if (how == STREAM_END_FIN && !stream_was_cut(upstream->stream) &&
	    http_has_begun(upstream->parser) &&
	    http_feed_eof(upstream->parser) == HTTP_HAS_MESSAGE)
		report_complete(upstream);
	else
		upstream->callbacks->on_failed(upstream->arg, failure);
}

static void
on_ended(void *arg, enum stream_end how)
{
	struct upstream *upstream = arg;

	if (upstream->callbacks == NULL)
		pool_drop(upstream->worker->pool, upstream);
	else
		report_end(upstream, how);
}

static void
on_nothing(void *arg)
{
}

static const struct stream_callbacks stream_callbacks = {
    .on_bytes = on_bytes,
    .on_passed = on_passed,
    .on_drained = on_drained,
    .on_ended = on_ended,
    .on_secured = on_nothing,
    .on_finished = on_nothing,
};

struct upstream *
upstream_new(
    struct worker *worker, struct origin *origin, struct stream **stream)
{
	struct upstream *upstream = xcalloc(1, sizeof(*upstream));

	worker->upstream_count++;
	upstream->place.upstream = upstream;
	upstream->place.keep_alive_us = POOL_IDLE_US;
	upstream->worker = worker;
	upstream->origin = origin_ref(origin);
	upstream->stream = *stream;
	*stream = NULL;
	upstream->parser = http_parser_new(HTTP_KIND_RESPONSE,
	    worker->house->options->max_header_bytes, on_parsed_body, upstream);
	stream_set_owner(upstream->stream, &stream_callbacks, upstream);
	return upstream;
}

static void
free_upstream(void *arg)
{
	struct upstream *upstream = arg;

	http_parser_free(upstream->parser);
	origin_unref(&upstream->origin);
	free(upstream);
}

static void
count_end(struct upstream *upstream)
{
	upstream->worker->upstream_count--;
	pool_forget(&upstream->place);
	worker_count_upstream(upstream->worker, upstream->stream);
}

void
upstream_close(struct upstream **upstreamp)
{
	struct upstream *upstream = *upstreamp;

	*upstreamp = NULL;
	count_end(upstream);
	stream_close(&upstream->stream);
	loop_later(upstream->worker->loop, free_upstream, upstream);
}

struct stream *
upstream_release(struct upstream **upstreamp)
{
	struct upstream *upstream = *upstreamp;
	struct stream *stream = upstream->stream;

	*upstreamp = NULL;
	count_end(upstream);
	upstream->stream = NULL;
	loop_later(upstream->worker->loop, free_upstream, upstream);
	return stream;
}

void
upstream_set_owner(struct upstream *upstream,
    const struct upstream_callbacks *callbacks, void *arg)
{
	if (callbacks == NULL) {
		upstream->is_used = true;
		stream_pass_none(upstream->stream);
		worker_count_upstream(upstream->worker, upstream->stream);
		http_next(upstream->parser);
	}
	upstream->callbacks = callbacks;
	upstream->arg = arg;
}

struct stream *
upstream_stream(struct upstream *upstream)
{
	return upstream->stream;
}

struct origin *
upstream_origin(const struct upstream *upstream)
{
	return upstream->origin;
}

void
upstream_expect_no_body(struct upstream *upstream)
{
	http_expect_no_body(upstream->parser);
}

void
upstream_pass_body(struct upstream *upstream, struct stream *to)
{
	upstream->sink = to;
}

void
upstream_next(struct upstream *upstream)
{
	http_next(upstream->parser);
}

bool
upstream_has_begun(const struct upstream *upstream)
{
	return http_has_begun(upstream->parser);
}

bool
upstream_is_used(const struct upstream *upstream)
{
	return upstream->is_used;
}

bool
upstream_is_stranger(const struct upstream *upstream)
{
	const struct tls *tls = stream_tls(upstream->stream);

	return tls != NULL && !upstream->is_used && !tls_is_resumed(tls);
}

bool
upstream_is_outdated(const struct upstream *upstream)
{
	const struct tls *tls = stream_tls(upstream->stream);

	return tls != NULL && !tls_has_current_roots(tls);
}

bool
upstream_has_surplus(const struct upstream *upstream)
{
	return upstream->has_surplus;
}

enum http_error
upstream_http_error(const struct upstream *upstream)
{
	return http_error(upstream->parser);
}

struct pool_place *
upstream_place(struct upstream *upstream)
{
	return &upstream->place;
}
