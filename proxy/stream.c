/* SPDX-License-Identifier: MIT */

/*
 * One byte stream.
 *
 *      SECURING --> OPEN --> FINISHED --> CLOSED
 *          |          |          |           ^
 *          +----------+----------+--> ENDED -+
 *
 * SECURING shakes hands; FINISHED has sent our FIN and only waits for the
 * other side's; ENDED has told its owner that nothing more will come, who may
 * still write.  Reads go through a buffer on the stack and are shown to the
 * owner from there, so that an idle stream holds no buffer at all.  Read
 * interest stays armed: a request on a kept connection costs no epoll_ctl.
 */

#include "proxy/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "accounting/memory.h"

#define READ_BYTES (64 * 1024)

/* Reads for one event: a busy stream must not starve the others. */
#define READS_PER_TURN 4

/* A TLS record's payload; also what is worth copying into one record. */
#define RECORD_BYTES (16 * 1024)

/* A close_notify is followed by FIN or RST; which one, decides a verdict. */
#define CLOSE_NOTIFY_PATIENCE_MS 500

enum stream_state {
	STREAM_SECURING,
	STREAM_OPEN,
	STREAM_FINISHED,
	STREAM_ENDED,
	STREAM_CLOSED,
};

struct stream {
	enum stream_state state;
	bool is_paused;
	bool is_finishing;     /* our FIN goes out when the queue is empty */
	bool has_sent_fin;
	bool reads_on;         /* ... and reading goes on after it */
	bool has_failed;       /* a write failed: to be told by the loop */
	bool was_full;
	bool has_close_notify; /* the other side's */
	int fd;                /* owned */
	struct tls *tls;       /* owned; NULL where plain */
	struct evbuffer *queue; /* owned; NULL while there is nothing */
	char *kept;             /* owned: shown and not taken */
	size_t kept_length;
	int64_t received_bytes; /* beside what tls counts */
	int64_t sent_bytes;
	int64_t bytes_after_fin;
	int64_t fin_bytes;
	struct event read_event;
	struct event write_event;
	struct loop *loop;                        /* borrowed */
	const struct stream_callbacks *callbacks; /* borrowed */
	void *arg;                                /* borrowed */
};

static void on_socket_readable(evutil_socket_t fd, short what, void *arg);
static void on_socket_writable(evutil_socket_t fd, short what, void *arg);

struct stream *
stream_new(struct loop *loop, int fd, const struct stream_callbacks *callbacks,
    void *arg)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	stream->state = STREAM_OPEN;
	stream->fd = fd;
	stream->loop = loop;
	stream->callbacks = callbacks;
	stream->arg = arg;
	event_assign(&stream->read_event, loop_base(loop), fd,
	    EV_READ | EV_PERSIST, on_socket_readable, stream);
	event_assign(&stream->write_event, loop_base(loop), fd, EV_WRITE,
	    on_socket_writable, stream);
	event_add(&stream->read_event, NULL);
	return stream;
}

static void
free_stream(void *arg)
{
	struct stream *stream = arg;

	tls_free(stream->tls);
	free(stream->kept);
	free(stream);
}

static void
free_queue(struct stream *stream)
{
	if (stream->queue == NULL)
		return;
	evbuffer_free(stream->queue);
	stream->queue = NULL;
}

void
stream_close(struct stream **streamp)
{
	struct stream *stream = *streamp;

	*streamp = NULL;
	assert(stream->state != STREAM_CLOSED);
	stream->state = STREAM_CLOSED;
	event_del(&stream->read_event);
	event_del(&stream->write_event);
	free_queue(stream);
	close(stream->fd);
	loop_later(stream->loop, free_stream, stream);
}

void
stream_abort(struct stream **streamp)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt((*streamp)->fd, SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once));
	stream_close(streamp);
}

void
stream_set_owner(struct stream *stream,
    const struct stream_callbacks *callbacks, void *arg)
{
	stream->callbacks = callbacks;
	stream->arg = arg;
}

/* ---- reading ---- */

static void
set_state(struct stream *stream, enum stream_state next)
{
	static const unsigned may_follow[] = {
	    [STREAM_SECURING] = 1u << STREAM_OPEN | 1u << STREAM_ENDED,
	    [STREAM_OPEN] = 1u << STREAM_SECURING | 1u << STREAM_FINISHED |
	        1u << STREAM_ENDED,
	    [STREAM_FINISHED] = 1u << STREAM_ENDED,
	    [STREAM_ENDED] = 0,
	    [STREAM_CLOSED] = 0,
	};

	assert(may_follow[stream->state] & (1u << next));
	stream->state = next;
}

static void
end(struct stream *stream, enum stream_end how)
{
	set_state(stream, STREAM_ENDED);
	event_del(&stream->read_event);
	stream->callbacks->on_ended(stream->arg, how);
}

static void
keep(struct stream *stream, const char *bytes, size_t length)
{
	char *copy = NULL;

	/* `bytes` may lie inside what is kept already. */
	if (length > 0) {
		copy = xcalloc(1, length);
		memcpy(copy, bytes, length);
	}
	free(stream->kept);
	stream->kept = copy;
	stream->kept_length = length;
}

/* Shows bytes to the owner.  Returns whether to go on reading. */
static bool
show(struct stream *stream, const char *bytes, size_t length)
{
	size_t taken = stream->callbacks->on_bytes(stream->arg, bytes, length);

	if (stream->state == STREAM_CLOSED)
		return false;
	assert(taken <= length);
	if (taken < length) {
		keep(stream, bytes + taken, length - taken);
		stream_pause(stream);
	}
	return stream->state == STREAM_OPEN && !stream->is_paused;
}

static bool
show_kept(struct stream *stream)
{
	char *kept = stream->kept;
	size_t length = stream->kept_length;
	bool may_read;

	if (kept == NULL)
		return true;
	stream->kept = NULL;
	stream->kept_length = 0;
	may_read = show(stream, kept, length);
	free(kept);
	return may_read;
}

enum socket_result { SOCKET_BYTES, SOCKET_LATER, SOCKET_FIN, SOCKET_RST };

static enum socket_result
receive(struct stream *stream, char *bytes, size_t size, size_t *length)
{
	ssize_t received;

	do {
		received = recv(stream->fd, bytes, size, 0);
	} while (received < 0 && errno == EINTR);
	if (received > 0) {
		stream->received_bytes += received;
		*length = (size_t)received;
		return SOCKET_BYTES;
	}
	if (received == 0)
		return SOCKET_FIN;
	return errno == EAGAIN ? SOCKET_LATER : SOCKET_RST;
}

static void
read_plain(struct stream *stream)
{
	char bytes[READ_BYTES];
	size_t length;

	for (int i = 0; i < READS_PER_TURN; i++) {
		switch (receive(stream, bytes, sizeof(bytes), &length)) {
		case SOCKET_LATER:
			return;
		case SOCKET_FIN:
			end(stream, STREAM_END_FIN);
			return;
		case SOCKET_RST:
			end(stream, STREAM_END_RST);
			return;
		case SOCKET_BYTES:
			break;
		}
		if (!show(stream, bytes, length) || length < sizeof(bytes))
			return;
	}
}

/* Our FIN is out, or the other side's close_notify is in: what comes now is
 * only counted, until the connection ends. */
static void
read_last(struct stream *stream)
{
	char bytes[RECORD_BYTES];
	size_t length;

	for (int i = 0; i < READS_PER_TURN; i++) {
		switch (receive(stream, bytes, sizeof(bytes), &length)) {
		case SOCKET_LATER:
			return;
		case SOCKET_FIN:
			end(stream, STREAM_END_FIN);
			return;
		case SOCKET_RST:
			end(stream, STREAM_END_RST);
			return;
		case SOCKET_BYTES:
			if (stream->state == STREAM_FINISHED)
				stream->bytes_after_fin += (int64_t)length;
			break;
		}
	}
}

static void
await_last(struct stream *stream)
{
	struct timeval patience = {
	    .tv_usec = CLOSE_NOTIFY_PATIENCE_MS * 1000};

	stream->has_close_notify = true;
	event_add(&stream->read_event, &patience);
	read_last(stream);
}

static void
end_tls(struct stream *stream, enum tls_result result)
{
	switch (result) {
	case TLS_DONE:
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		return;
	case TLS_CLOSED:
		await_last(stream);
		return;
	case TLS_EOF:
		end(stream, STREAM_END_FIN);
		return;
	case TLS_RESET:
		end(stream, STREAM_END_RST);
		return;
	case TLS_FAILED:
		end(stream, STREAM_END_TLS);
		return;
	}
}

static void
read_tls(struct stream *stream)
{
	char bytes[READ_BYTES];
	int reads = 0;

	do {
		size_t filled = 0;
		enum tls_result result = TLS_DONE;

		/* Records are small; fill the buffer before showing it. */
		while (sizeof(bytes) - filled >= RECORD_BYTES) {
			size_t length;

			result = tls_read(stream->tls, bytes + filled,
			    sizeof(bytes) - filled, &length);
			if (result != TLS_DONE)
				break;
			filled += length;
			if (!tls_has_pending(stream->tls))
				break;
		}
		if (filled > 0 && !show(stream, bytes, filled)) {
			/* An end behind the bytes is met again on resuming. */
			return;
		}
		if (result != TLS_DONE) {
			end_tls(stream, result);
			return;
		}
	} while (++reads < READS_PER_TURN);
	if (tls_has_pending(stream->tls))
		event_active(&stream->read_event, EV_READ, 0);
}

static void
shake_hands(struct stream *stream)
{
	enum tls_result result = tls_handshake(stream->tls);

	switch (result) {
	case TLS_WANT_READ:
		return;
	case TLS_WANT_WRITE:
		event_add(&stream->write_event, NULL);
		return;
	case TLS_DONE:
		set_state(stream, STREAM_OPEN);
		stream->callbacks->on_secured(stream->arg);
		if (stream->state != STREAM_OPEN)
			return;
		stream_flush(stream);
		if (!stream->is_paused)
			read_tls(stream);
		return;
	case TLS_CLOSED:
	case TLS_EOF:
		end(stream, STREAM_END_FIN);
		return;
	case TLS_RESET:
		end(stream, STREAM_END_RST);
		return;
	case TLS_FAILED:
		end(stream, STREAM_END_TLS);
		return;
	}
}

static void
on_socket_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;

	if (stream->has_failed)
		end(stream, STREAM_END_RST);
	else if (what & EV_TIMEOUT)
		end(stream, STREAM_END_FIN);
	else if (stream->state == STREAM_FINISHED || stream->has_close_notify)
		read_last(stream);
	else if (stream->state == STREAM_SECURING)
		shake_hands(stream);
	else if (!show_kept(stream))
		return;
	else if (stream->tls != NULL)
		read_tls(stream);
	else
		read_plain(stream);
}

const char *
stream_kept(struct stream *stream, size_t *length)
{
	*length = stream->kept_length;
	return stream->kept;
}

void
stream_pause(struct stream *stream)
{
	if (stream->is_paused || stream->state == STREAM_ENDED)
		return;
	stream->is_paused = true;
	event_del(&stream->read_event);
}

void
stream_resume(struct stream *stream)
{
	if (!stream->is_paused || stream->state == STREAM_ENDED)
		return;
	stream->is_paused = false;
	event_add(&stream->read_event, NULL);
	if (stream->kept != NULL ||
	    (stream->tls != NULL && tls_has_pending(stream->tls)))
		event_active(&stream->read_event, EV_READ, 0);
}

void
stream_secure(struct stream *stream, struct tls **tls)
{
	stream->tls = *tls;
	*tls = NULL;
	keep(stream, NULL, 0);
	set_state(stream, STREAM_SECURING);
	stream_resume(stream);
	event_active(&stream->read_event, EV_READ, 0);
}

/* ---- writing ---- */

/* A write failed: the loop tells the owner, not the call that wrote. */
static void
fail(struct stream *stream)
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

	do {
		sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0) {
		stream->sent_bytes += sent;
		return (size_t)sent;
	}
	if (errno != EAGAIN)
		fail(stream);
	return 0;
}

static size_t
send_tls(struct stream *stream, const char *bytes, size_t length)
{
	size_t sent = 0;

	while (sent < length) {
		size_t written;
		enum tls_result result = tls_write(stream->tls, bytes + sent,
		    length - sent, &written);

		if (result == TLS_DONE) {
			sent += written;
			continue;
		}
		if (result != TLS_WANT_WRITE && result != TLS_WANT_READ)
			fail(stream);
		break;
	}
	return sent;
}

/* OpenSSL retries a record from its first byte, so give it a whole one. */
static bool
flush_tls_once(struct stream *stream)
{
	size_t queued = evbuffer_get_length(stream->queue);
	size_t length = queued < RECORD_BYTES ? queued : RECORD_BYTES;
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

static bool
may_send(const struct stream *stream)
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
	keep(stream, NULL, 0);
}

static void
send_fin(struct stream *stream)
{
	stream->fin_bytes = 1;
	if (stream->tls != NULL) {
		stream->fin_bytes -= tls_sent_bytes(stream->tls);
		(void)tls_shutdown(stream->tls);
		stream->fin_bytes += tls_sent_bytes(stream->tls);
	}
	(void)shutdown(stream->fd, SHUT_WR);
	stream->has_sent_fin = true;
	if (!stream->reads_on) {
		strip(stream);
		if (stream->state != STREAM_ENDED) {
			set_state(stream, STREAM_FINISHED);
			stream_resume(stream);
		}
	}
	loop_later(stream->loop, tell_finished, stream);
}

void
stream_flush(struct stream *stream)
{
	while (stream->queue != NULL && may_send(stream)) {
		bool is_all;

		if (evbuffer_get_length(stream->queue) == 0) {
			free_queue(stream);
			break;
		}
		is_all = stream->tls != NULL ? flush_tls_once(stream)
		                             : flush_plain_once(stream);
		if (!is_all) {
			event_add(&stream->write_event, NULL);
			break;
		}
	}
	if (stream->queue == NULL && stream->is_finishing && may_send(stream))
		send_fin(stream);
	if (stream_is_full(stream))
		stream->was_full = true;
}

static void
on_socket_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;

	if (stream->state == STREAM_SECURING) {
		shake_hands(stream);
		return;
	}
	stream_flush(stream);
	if (stream->was_full && stream_queued_bytes(stream) <= STREAM_LOW_BYTES) {
		stream->was_full = false;
		stream->callbacks->on_drained(stream->arg);
	}
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
	char record[RECORD_BYTES];
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
		size_t taken = send_tls(stream, parts[i].iov_base,
		    parts[i].iov_len);

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
	if (stream->queue != NULL || !may_send(stream)) {
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
	if (sent == total)
		return;
	queue_from(stream, parts, count, sent);
	event_add(&stream->write_event, NULL);
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
	return stream_queued_bytes(stream) >= STREAM_HIGH_BYTES;
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

int64_t
stream_bytes_after_fin(const struct stream *stream)
{
	return stream->bytes_after_fin;
}

int64_t
stream_fin_bytes(const struct stream *stream)
{
	return stream->fin_bytes;
}

int
stream_fd(const struct stream *stream)
{
	return stream->fd;
}

struct tls *
stream_tls(const struct stream *stream)
{
	return stream->tls;
}

int64_t
stream_received_bytes(const struct stream *stream)
{
	return stream->received_bytes +
	    (stream->tls == NULL ? 0 : tls_received_bytes(stream->tls));
}

int64_t
stream_sent_bytes(const struct stream *stream)
{
	return stream->sent_bytes +
	    (stream->tls == NULL ? 0 : tls_sent_bytes(stream->tls));
}
