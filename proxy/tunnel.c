/* SPDX-License-Identifier: MIT */

/*
 * An opaque relay.  Each way has its own end: a FIN on one side is passed on
 * once all before it is written, and the other way goes on.  A full queue on
 * one side pauses reading on the other.
 */

#include "proxy/tunnel.h"

#include <stdlib.h>

#include "accounting/memory.h"

struct tunnel {
	struct worker *worker;   /* borrowed */
	struct stream *client;   /* borrowed, outlives the tunnel */
	struct stream *upstream; /* owned; NULL once freed */
	bool client_is_finished; /* our FIN to it is out */
	bool upstream_is_finished;
	tunnel_ended_cb on_ended;
	void *arg; /* borrowed */
};

static void
pause_if_full(struct stream *from, const struct stream *to)
{
	if (stream_is_full(to))
		stream_pause(from);
}

/* Moves bytes one way, and lets more of them pass unseen. */
static size_t
pass(struct tunnel *tunnel, struct stream *from, struct stream *to,
    const char *bytes, size_t length)
{
	union {
		const char *in;
		char *out;
	} cast = {bytes}; /* an iovec has no const; it is only read */
	struct iovec part = {cast.out, length};

	stream_write(to, &part, 1);
	stream_pass(from, to, tunnel->worker->splice, INT64_MAX);
	pause_if_full(from, to);
	return length;
}

/* A side is finished after the other's end, and after all that came before. */
bool
tunnel_is_done(const struct tunnel *tunnel)
{
	return tunnel->client_is_finished && tunnel->upstream_is_finished;
}

static void
end_if_done(struct tunnel *tunnel)
{
	if (tunnel_is_done(tunnel))
		tunnel->on_ended(tunnel->arg, false);
}

static size_t
on_upstream_bytes(void *arg, const char *bytes, size_t length)
{
	struct tunnel *tunnel = arg;

	return pass(tunnel, tunnel->upstream, tunnel->client, bytes, length);
}

static void
on_upstream_passed(void *arg, size_t length)
{
	struct tunnel *tunnel = arg;

	pause_if_full(tunnel->upstream, tunnel->client);
}

static void
on_upstream_drained(void *arg)
{
	struct tunnel *tunnel = arg;

	stream_resume(tunnel->client);
}

static void
on_upstream_ended(void *arg, enum stream_end how)
{
	struct tunnel *tunnel = arg;

	if (how != STREAM_END_FIN)
		tunnel->on_ended(tunnel->arg, true);
	else
		stream_half_close(tunnel->client);
}

static void
on_nothing(void *arg)
{
}

static void
on_upstream_finished(void *arg)
{
	struct tunnel *tunnel = arg;

	tunnel->upstream_is_finished = true;
	end_if_done(tunnel);
}

static const struct stream_callbacks upstream_callbacks = {
    .on_bytes = on_upstream_bytes,
    .on_passed = on_upstream_passed,
    .on_drained = on_upstream_drained,
    .on_ended = on_upstream_ended,
    .on_secured = on_nothing,
    .on_finished = on_upstream_finished,
};

/* What either side had read already is shown again: by the loop, because the
 * streams may be in the middle of showing it. */
static void
resume_both(void *arg)
{
	struct tunnel *tunnel = arg;

	if (tunnel->upstream == NULL)
		return;
	stream_resume(tunnel->client);
	stream_resume(tunnel->upstream);
}

struct tunnel *
tunnel_new(struct worker *worker, struct stream *client,
    struct stream **upstream, tunnel_ended_cb on_ended, void *arg)
{
	struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));

	tunnel->worker = worker;
	tunnel->client = client;
	tunnel->upstream = *upstream;
	*upstream = NULL;
	tunnel->on_ended = on_ended;
	tunnel->arg = arg;
	stream_set_owner(tunnel->upstream, &upstream_callbacks, tunnel);
	loop_later(worker->loop, resume_both, tunnel);
	return tunnel;
}

void
tunnel_free(struct tunnel **tunnelp)
{
	struct tunnel *tunnel = *tunnelp;

	*tunnelp = NULL;
	/* What was broken off must not look finished on the other side. */
	if (tunnel_is_done(tunnel))
		stream_close(&tunnel->upstream);
	else
		stream_abort(&tunnel->upstream);
	loop_later(tunnel->worker->loop, free, tunnel);
}

size_t
tunnel_client_bytes(struct tunnel *tunnel, const char *bytes, size_t length)
{
	return pass(tunnel, tunnel->client, tunnel->upstream, bytes, length);
}

void
tunnel_client_passed(struct tunnel *tunnel)
{
	pause_if_full(tunnel->client, tunnel->upstream);
}

void
tunnel_client_drained(struct tunnel *tunnel)
{
	stream_resume(tunnel->upstream);
}

void
tunnel_client_fin(struct tunnel *tunnel)
{
	stream_half_close(tunnel->upstream);
}

void
tunnel_client_finished(struct tunnel *tunnel)
{
	tunnel->client_is_finished = true;
	end_if_done(tunnel);
}

void
tunnel_count_bytes(struct tunnel *tunnel)
{
	worker_count_upstream(tunnel->worker, tunnel->upstream);
}

int64_t
tunnel_upstream_bytes(const struct tunnel *tunnel)
{
	return stream_received_bytes(tunnel->upstream) +
	    stream_sent_bytes(tunnel->upstream);
}

bool
tunnel_is_broken(const struct tunnel *tunnel)
{
	return stream_has_failed(tunnel->client) ||
	    stream_has_failed(tunnel->upstream);
}
