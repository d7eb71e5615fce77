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

#include "proxy/stream_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"

/* Reads for one event: a busy stream must not starve the others. */
#define READS_PER_TURN 4

/* A close_notify is followed by FIN or RST; which one, decides a verdict. */
#define CLOSE_NOTIFY_PATIENCE_MS 500

static void on_socket_readable(evutil_socket_t fd, short what, void *arg);

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
	event_add(&stream->read_event, NULL);
	return stream;
}

static void
free_stream(void *arg)
{
	struct stream *stream = arg;

	tls_free(stream->tls);
	free(stream->kept);
	stream_pass_none(stream);
	free(stream);
}

static void
end_now(struct stream **streamp)
{
	struct stream *stream = *streamp;

	*streamp = NULL;
	assert(stream->state != STREAM_CLOSED);
	stream->state = STREAM_CLOSED;
	event_del(&stream->read_event);
	stream_forget_writable(stream);
	stream_free_queue(stream);
	close(stream->fd);
	loop_later(stream->loop, free_stream, stream);
}

void
stream_close(struct stream **streamp)
{
	stream_say_goodbye(*streamp);
	end_now(streamp);
}

void
stream_abort(struct stream **streamp)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(
	    (*streamp)->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	end_now(streamp);
}

void
stream_set_owner(
    struct stream *stream, const struct stream_callbacks *callbacks, void *arg)
{
	stream->callbacks = callbacks;
	stream->arg = arg;
}

/* ---- reading ---- */

void
stream_set_state(struct stream *stream, enum stream_state next)
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
	stream_set_state(stream, STREAM_ENDED);
	event_del(&stream->read_event);
	stream->callbacks->on_ended(stream->arg, how);
}

void
stream_keep(struct stream *stream, const char *bytes, size_t length)
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

/* Whether to go on reading. */
static bool
may_read(const struct stream *stream)
{
	return stream->state == STREAM_OPEN && !stream->is_paused;
}

/* Shows bytes to the owner.  Returns whether to go on reading. */
static bool
show(struct stream *stream, const char *bytes, size_t length)
{
	size_t taken;

	if (stream->passage != NULL)
		stream->passage->left_bytes = 0;
	taken = stream->callbacks->on_bytes(stream->arg, bytes, length);
	if (stream->state == STREAM_CLOSED)
		return false;
	assert(taken <= length);
	/* After stream_finish() or stream_secure() the rest is of no use. */
	if (taken < length && stream->state == STREAM_OPEN) {
		stream_keep(stream, bytes + taken, length - taken);
		stream_pause(stream);
	}
	return may_read(stream);
}

static bool
show_kept(struct stream *stream)
{
	char *kept = stream->kept;
	size_t length = stream->kept_length;
	bool goes_on;

	if (kept == NULL)
		return true;
	stream->kept = NULL;
	stream->kept_length = 0;
	goes_on = show(stream, kept, length);
	free(kept);
	return goes_on;
}

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

static enum socket_result
show_next(struct stream *stream)
{
	char bytes[STREAM_READ_BYTES];
	size_t size = stream_read_bytes(stream, sizeof(bytes));
	size_t length;
	enum socket_result result = receive(stream, bytes, size, &length);

	if (result != SOCKET_BYTES)
		return result;
	stream_note_read(stream, length);
	show(stream, bytes, length);
	return length == size ? SOCKET_BYTES : SOCKET_LATER;
}

static void
read_plain(struct stream *stream)
{
	for (int i = 0; i < READS_PER_TURN; i++) {
		switch (stream_may_pass(stream) ? stream_pass_once(stream)
						: show_next(stream)) {
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
		if (!may_read(stream))
			return;
	}
}

/* Our FIN is out, or the other side's close_notify is in: what comes now is
 * only counted, until the connection ends. */
static void
read_last(struct stream *stream)
{
	char bytes[STREAM_RECORD_BYTES];
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

/* Waits for bytes; behind a close_notify, not for ever. */
static void
watch(struct stream *stream)
{
	static const struct timeval patience = {
	    .tv_usec = CLOSE_NOTIFY_PATIENCE_MS * 1000};

	event_add(
	    &stream->read_event, stream->has_close_notify ? &patience : NULL);
}

static void
await_last(struct stream *stream)
{
	stream->has_close_notify = true;
	watch(stream);
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
		stream->was_cut = true;
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

/* Reads records until `size` bytes are filled, for they are small, or no more
 * have come. */
static enum tls_result
fill(struct stream *stream, char *bytes, size_t size, size_t *filled)
{
	enum tls_result result = TLS_DONE;

	*filled = 0;
	while (size - *filled >= STREAM_RECORD_BYTES) {
		size_t length;

		result = tls_read(
		    stream->tls, bytes + *filled, size - *filled, &length);
		if (result != TLS_DONE)
			break;
		*filled += length;
		if (!tls_has_pending(stream->tls))
			break;
	}
	return result;
}

static void
read_tls(struct stream *stream)
{
	char bytes[STREAM_READ_BYTES];

	for (int i = 0; i < READS_PER_TURN; i++) {
		size_t size = stream_read_bytes(stream, sizeof(bytes));
		size_t filled;
		enum tls_result result = fill(stream, bytes, size, &filled);

		if (filled > 0) {
			stream_note_read(stream, filled);
			/* An end behind the bytes is met again on resuming. */
			if (!show(stream, bytes, filled))
				return;
		}
		if (result != TLS_DONE) {
			end_tls(stream, result);
			return;
		}
		/* What comes later, an end too, wakes us again. */
		if (!tls_may_have_more(stream->tls))
			return;
	}
	if (tls_has_pending(stream->tls))
		event_active(&stream->read_event, EV_READ, 0);
}

void
stream_shake_hands(struct stream *stream)
{
	enum tls_result result = tls_handshake(stream->tls);

	switch (result) {
	case TLS_WANT_READ:
		return;
	case TLS_WANT_WRITE:
		stream_await_writable(stream);
		return;
	case TLS_DONE:
		stream_set_state(stream, STREAM_OPEN);
		stream->callbacks->on_secured(stream->arg);
		if (stream->state != STREAM_OPEN)
			return;
		/* What was written meanwhile goes now, and maybe our FIN. */
		if (stream->queue != NULL || stream->is_finishing)
			stream_await_writable(stream);
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

static bool
read_some(struct stream *stream, char *bytes, size_t size, size_t *length)
{
	if (stream->tls != NULL)
		return tls_read(stream->tls, bytes, size, length) == TLS_DONE;
	return receive(stream, bytes, size, length) == SOCKET_BYTES;
}

bool
stream_has_unread(const struct stream *stream)
{
	int length = 0;

	return stream->kept != NULL ||
	    (stream->tls != NULL && tls_has_pending(stream->tls)) ||
	    (ioctl(stream->fd, FIONREAD, &length) == 0 && length > 0);
}

/* The queue leads nowhere: who waits for it to drain need not. */
static void
give_up_queue(struct stream *stream)
{
	stream_free_queue(stream);
	stream_forget_writable(stream);
	if (!stream->was_full)
		return;
	stream->was_full = false;
	stream->callbacks->on_drained(stream->arg);
}

/*
 * A write failed.  What came before the reset may be the answer, as when an
 * origin refuses a body it does not read: it is shown first, and an owner who
 * has paused gets it and the end when it resumes.
 */
static void
end_failed(struct stream *stream)
{
	char bytes[STREAM_READ_BYTES];
	size_t length;
	bool goes_on = may_read(stream) && show_kept(stream);

	while (goes_on && read_some(stream, bytes, sizeof(bytes), &length))
		goes_on = show(stream, bytes, length);
	if (stream->state == STREAM_CLOSED)
		return;
	if (stream->state == STREAM_OPEN && stream->is_paused &&
	    stream_has_unread(stream))
		give_up_queue(stream);
	else
		end(stream,
		    stream->tls != NULL && tls_is_alert(stream->tls)
			? STREAM_END_TLS
			: STREAM_END_RST);
}

static void
on_socket_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;

	if (stream->has_failed)
		end_failed(stream);
	else if (what & EV_TIMEOUT)
		end(stream, STREAM_END_FIN);
	else if (stream->state == STREAM_FINISHED || stream->has_close_notify)
		read_last(stream);
	else if (stream->state == STREAM_SECURING)
		stream_shake_hands(stream);
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
	if (stream->run_count > 0)
		stream->run_count = 1;
	event_del(&stream->read_event);
	/* That a write failed is told all the same. */
	if (stream->has_failed)
		event_active(&stream->read_event, EV_READ, 0);
}

void
stream_resume(struct stream *stream)
{
	if (!stream->is_paused || stream->state == STREAM_ENDED)
		return;
	stream->is_paused = false;
	watch(stream);
	/* OpenSSL may hold bytes or an end that the socket shows no more. */
	if (stream->kept != NULL || stream->tls != NULL)
		event_active(&stream->read_event, EV_READ, 0);
}

void
stream_secure(struct stream *stream, struct tls **tls)
{
	stream->tls = *tls;
	*tls = NULL;
	stream_keep(stream, NULL, 0);
	stream_set_state(stream, STREAM_SECURING);
	stream_resume(stream);
	event_active(&stream->read_event, EV_READ, 0);
}

/* ---- answers ---- */

bool
stream_was_cut(const struct stream *stream)
{
	return stream->was_cut;
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

void
stream_take_bytes(struct stream *stream, uint64_t *received, uint64_t *sent)
{
	int64_t received_bytes = stream_received_bytes(stream);
	int64_t sent_bytes = stream_sent_bytes(stream);

	*received += (uint64_t)(received_bytes - stream->taken_received_bytes);
	*sent += (uint64_t)(sent_bytes - stream->taken_sent_bytes);
	stream->taken_received_bytes = received_bytes;
	stream->taken_sent_bytes = sent_bytes;
}
