/* SPDX-License-Identifier: MIT */

/*
 * The writing of a stream: at once where the socket takes it, from a queue
 * where it does not, and at last the FIN.  A failure is told by the loop, not
 * by the call that wrote.
 */

#include "proxy/stream_parts.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>

void
stream_free_queue(struct stream *stream)
{
	if (stream->queue == NULL)
		return;
	evbuffer_free(stream->queue);
	stream->queue = NULL;
}

void
stream_fail(struct stream *stream)
{
	if (stream->has_failed)
		return;
	stream->has_failed = true;
	if (stream->state != STREAM_ENDED)
		event_active(&stream->read_event, EV_READ, 0);
}

static struct evbuffer *
queue_of(struct stream *stream)
{
	if (stream->queue == NULL) {
		stream->queue = evbuffer_new();
		if (stream->queue == NULL)
			abort();
	}
	return stream->queue;
}

void
stream_hold(struct stream *stream, const void *bytes, size_t length)
{
	if (evbuffer_add(queue_of(stream), bytes, length) != 0)
		abort();
}

/* Sends what the socket takes.  Returns how much that was; a failure is told
 * later. */
static size_t
send_plain(struct stream *stream, struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	ssize_t sent;

	/* The kernel takes one part for less than a list of one. */
	do {
		sent = count == 1 ? send(stream->fd, parts[0].iov_base,
					parts[0].iov_len, MSG_NOSIGNAL)
				  : sendmsg(stream->fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0) {
		stream->sent_bytes += sent;
		return (size_t)sent;
	}
	if (errno != EAGAIN)
		stream_fail(stream);
	return 0;
}

static size_t
send_tls(struct stream *stream, const char *bytes, size_t length)
{
	size_t sent = 0;

	while (sent < length) {
		size_t written;
		enum tls_result result = tls_write(
		    stream->tls, bytes + sent, length - sent, &written);

		if (result == TLS_DONE) {
			sent += written;
			continue;
		}
		if (result != TLS_WANT_WRITE && result != TLS_WANT_READ)
			stream_fail(stream);
		break;
	}
	return sent;
}

/* OpenSSL retries a record from its first byte, so give it a whole one. */
static bool
flush_tls_once(struct stream *stream)
{
	size_t queued = evbuffer_get_length(stream->queue);
	size_t length =
	    queued < STREAM_RECORD_BYTES ? queued : STREAM_RECORD_BYTES;
	const char *bytes =
	    (const char *)evbuffer_pullup(stream->queue, (ev_ssize_t)length);
	size_t sent = send_tls(stream, bytes, length);

	evbuffer_drain(stream->queue, sent);
	return sent == length;
}

static bool
flush_plain_once(struct stream *stream)
{
	struct iovec parts[16];
	int used = evbuffer_peek(stream->queue, -1, NULL, parts, 16);
	size_t offered = 0;
	size_t sent;

	if (used > 16)
		used = 16;
	for (int i = 0; i < used; i++)
		offered += parts[i].iov_len;
	sent = send_plain(stream, parts, (size_t)used);
	evbuffer_drain(stream->queue, sent);
	return sent == offered;
}

bool
stream_may_send(const struct stream *stream)
{
	return !stream->has_failed && !stream->has_sent_fin &&
	    (stream->state == STREAM_OPEN || stream->state == STREAM_ENDED);
}

static void
tell_finished(void *arg)
{
	struct stream *stream = arg;

	if (stream->state != STREAM_CLOSED)
		stream->callbacks->on_finished(stream->arg);
}

static void
strip(struct stream *stream)
{
	if (stream->tls != NULL) {
		stream->received_bytes += tls_received_bytes(stream->tls);
		stream->sent_bytes += tls_sent_bytes(stream->tls);
		tls_free(stream->tls);
		stream->tls = NULL;
	}
	stream_keep(stream, NULL, 0);
}

static void
send_fin(struct stream *stream)
{
	stream->fin_bytes = 1;
	if (stream->tls != NULL) {
		int64_t before = tls_sent_bytes(stream->tls);

		(void)tls_shutdown(stream->tls);
		stream->fin_bytes +=
		    (int)(tls_sent_bytes(stream->tls) - before);
	}
	(void)shutdown(stream->fd, SHUT_WR);
	stream->has_sent_fin = true;
	if (!stream->reads_on) {
		strip(stream);
		if (stream->state != STREAM_ENDED) {
			stream_set_state(stream, STREAM_FINISHED);
			stream_resume(stream);
		}
	}
	loop_later(stream->loop, tell_finished, stream);
}

void
stream_say_goodbye(struct stream *stream)
{
	if (stream->tls != NULL && stream->queue == NULL &&
	    stream_may_send(stream))
		(void)tls_shutdown(stream->tls);
}

void
stream_flush(struct stream *stream)
{
	while (stream->queue != NULL && stream_may_send(stream)) {
		bool is_all;

		if (evbuffer_get_length(stream->queue) == 0) {
			stream_free_queue(stream);
			break;
		}
		is_all = stream->tls != NULL ? flush_tls_once(stream)
					     : flush_plain_once(stream);
		if (!is_all) {
			stream_await_writable(stream);
			break;
		}
	}
	if (stream->queue == NULL && stream->is_finishing &&
	    stream_may_send(stream))
		send_fin(stream);
	if (stream_is_full(stream))
		stream->was_full = true;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;

	if (stream->state == STREAM_SECURING) {
		stream_shake_hands(stream);
		return;
	}
	stream->is_stuffed = false;
	stream_flush(stream);
	if (stream->was_full &&
	    stream_queued_bytes(stream) <= STREAM_LOW_BYTES) {
		stream->was_full = false;
		stream->callbacks->on_drained(stream->arg);
	}
}

void
stream_await_writable(struct stream *stream)
{
	if (stream->write_event == NULL) {
		stream->write_event = event_new(loop_base(stream->loop),
		    stream->fd, EV_WRITE, on_writable, stream);
		if (stream->write_event == NULL)
			abort();
	}
	event_add(stream->write_event, NULL);
}

void
stream_forget_writable(struct stream *stream)
{
	if (stream->write_event == NULL)
		return;
	event_free(stream->write_event);
	stream->write_event = NULL;
}

/* A kernel that is full would leave the next piece to our queue.  Better the
 * origin keeps it. */
void
stream_await_room(struct stream *stream)
{
	struct pollfd socket = {.fd = stream->fd, .events = POLLOUT};

	if (stream->queue == NULL && poll(&socket, 1, 0) != 0)
		return;
	stream_await_writable(stream);
	stream->is_stuffed = true;
	stream->was_full = true;
}

static size_t
total_length(const struct iovec *parts, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += parts[i].iov_len;
	return total;
}

static void
queue_from(struct stream *stream, const struct iovec *parts, size_t count,
    size_t offset)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = parts[i].iov_len;

		if (offset >= length) {
			offset -= length;
			continue;
		}
		stream_hold(stream, (const char *)parts[i].iov_base + offset,
		    length - offset);
		offset = 0;
	}
}

/* One record for what fits into one; else part by part. */
static size_t
write_tls(struct stream *stream, const struct iovec *parts, size_t count)
{
	char record[STREAM_RECORD_BYTES];
	size_t sent = 0;
	size_t length = 0;

	if (total_length(parts, count) <= sizeof(record)) {
		for (size_t i = 0; i < count; i++) {
			memcpy(record + length, parts[i].iov_base,
			    parts[i].iov_len);
			length += parts[i].iov_len;
		}
		return send_tls(stream, record, length);
	}
	for (size_t i = 0; i < count; i++) {
		size_t taken =
		    send_tls(stream, parts[i].iov_base, parts[i].iov_len);

		sent += taken;
		if (taken < parts[i].iov_len)
			break;
	}
	return sent;
}

void
stream_write(struct stream *stream, const struct iovec *parts, size_t count)
{
	struct iovec copy[4];
	size_t total = total_length(parts, count);
	size_t sent = 0;

	assert(count <= sizeof(copy) / sizeof(*copy));
	assert(!stream->is_finishing);
	if (stream->queue != NULL || !stream_may_send(stream)) {
		queue_from(stream, parts, count, 0);
		stream_flush(stream);
		return;
	}
	if (stream->tls != NULL) {
		sent = write_tls(stream, parts, count);
	} else {
		memcpy(copy, parts, count * sizeof(*parts));
		sent = send_plain(stream, copy, count);
	}
	if (sent == total) {
		if (total >= STREAM_BULK_BYTES)
			stream_await_room(stream);
		return;
	}
	queue_from(stream, parts, count, sent);
	stream_await_writable(stream);
	if (stream_is_full(stream))
		stream->was_full = true;
}

bool
stream_has_failed(const struct stream *stream)
{
	return stream->has_failed;
}

bool
stream_is_full(const struct stream *stream)
{
	return stream->is_stuffed ||
	    stream_queued_bytes(stream) >= STREAM_HIGH_BYTES;
}

size_t
stream_queued_bytes(const struct stream *stream)
{
	return stream->queue == NULL ? 0 : evbuffer_get_length(stream->queue);
}

void
stream_finish(struct stream *stream)
{
	if (stream->is_finishing)
		return;
	stream->is_finishing = true;
	stream_flush(stream);
}

void
stream_half_close(struct stream *stream)
{
	stream->reads_on = true;
	stream_finish(stream);
}
