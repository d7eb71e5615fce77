/* SPDX-License-Identifier: MIT */

/*
 * Bulk: how much is read at a time, and bytes that pass from one plain stream
 * to another within the kernel.
 *
 * A run is a row of reads that each brought much and whose owner took it.  Its
 * first read is large, for most bodies end with it; the next ones are small
 * and grow, so that a caller who never reads finds little of its body on our
 * side: by then its own kernel is full.
 *
 * Only bulk is worth passing: a read that brings little is as cheap.  What the
 * other socket does not take of a piece is read from the pipe into its queue,
 * where all that is known of queues holds for it.
 */

#include "proxy/stream_parts.h"

#include <sys/socket.h>

#include <linux/socket.h>

#include "proxy/splice.h"

/* Reads in a run before they become twice as large. */
#define READS_PER_STEP 4
#define MAX_STEPS 4

/* Beyond this a caller that never reads has long been full. */
#define MODEST_BYTES (192 * 1024)

/* ---- how much ---- */

size_t
stream_read_bytes(const struct stream *stream, size_t max)
{
	unsigned steps = (stream->run_count - 1) / READS_PER_STEP;
	size_t size;

	if (stream->run_count == 0)
		return max < STREAM_READ_BYTES ? max : STREAM_READ_BYTES;
	size = (size_t)STREAM_BULK_BYTES
	    << (steps < MAX_STEPS ? steps : MAX_STEPS);
	return size < max ? size : max;
}

static void
set_kernel_grows(const struct stream *stream, bool does_grow)
{
	int lock = does_grow ? 0 : SOCK_RCVBUF_LOCK;

	/* Linux 5.14; before it the kernel's buffer grows from the start. */
	(void)setsockopt(
	    stream->fd, SOL_SOCKET, SO_BUF_LOCK, &lock, sizeof(lock));
}

void
stream_start_modestly(struct stream *stream)
{
	stream->is_modest = true;
	set_kernel_grows(stream, false);
}

void
stream_note_read(struct stream *stream, size_t length)
{
	if (length < STREAM_BULK_BYTES)
		stream->run_count = 0;
	else if (stream->run_count < MAX_STEPS * READS_PER_STEP + 1)
		stream->run_count++;
	if (stream->is_modest && stream_received_bytes(stream) > MODEST_BYTES) {
		stream->is_modest = false;
		set_kernel_grows(stream, true);
	}
}

/* ---- passing on ---- */

void
stream_pass(struct stream *stream, struct stream *to, struct splice *splice,
    int64_t limit_bytes)
{
	stream_rare(stream)->passage =
	    (struct stream_passage){to, splice, limit_bytes};
}

void
stream_pass_none(struct stream *stream)
{
	if (stream->rare != NULL)
		stream->rare->passage = (struct stream_passage){0};
	stream->run_count = 0;
}

bool
stream_may_pass(const struct stream *stream)
{
	const struct stream_passage *passage;

	if (stream->rare == NULL)
		return false;
	passage = &stream->rare->passage;
	return passage->to != NULL && stream->run_count > 0 &&
	    passage->left_bytes >= STREAM_BULK_BYTES && stream->tls == NULL &&
	    passage->to->tls == NULL && passage->to->queue == NULL &&
	    stream_may_send(passage->to) && splice_is_usable(passage->splice);
}

/* The socket took no more: the rest waits in the queue. */
static void
queue_rest(struct stream_passage *passage, size_t length)
{
	char rest[16 * 1024];

	while (length > 0) {
		size_t part = length < sizeof(rest) ? length : sizeof(rest);

		splice_empty(passage->splice, rest, part);
		stream_hold(passage->to, rest, part);
		length -= part;
	}
}

/* Gives on what is in the pipe. */
static void
give(struct stream_passage *passage, size_t length)
{
	struct stream *to = passage->to;
	size_t given;
	enum splice_result result =
	    splice_give(passage->splice, to->fd, length, &given);

	to->sent_bytes += (int64_t)given;
	queue_rest(passage, length - given);
	if (result == SPLICE_FAILED)
		stream_fail(to);
	else
		stream_await_room(to);
}

enum socket_result
stream_pass_once(struct stream *stream)
{
	struct stream_passage *passage = &stream->rare->passage;
	size_t size = stream_read_bytes(stream, SPLICE_MAX_BYTES);
	size_t length;

	if ((int64_t)size > passage->left_bytes)
		size = (size_t)passage->left_bytes;
	switch (splice_take(passage->splice, stream->fd, size, &length)) {
	case SPLICE_MOVED:
		break;
	case SPLICE_FIN:
		return SOCKET_FIN;
	case SPLICE_FAILED:
		return SOCKET_RST;
	case SPLICE_LATER:
	case SPLICE_UNKNOWN:
		return SOCKET_LATER;
	}
	stream->received_bytes += (int64_t)length;
	stream_note_read(stream, length);
	passage->left_bytes -= (int64_t)length;
	give(passage, length);
	stream->callbacks->on_passed(stream->arg, length);
	return length == size ? SOCKET_BYTES : SOCKET_LATER;
}
