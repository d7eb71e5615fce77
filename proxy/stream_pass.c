/* SPDX-License-Identifier: MIT */

/*
 * Bytes that pass from one plain stream to another within the kernel.
 *
 * Only bulk is worth it: a read that did not fill its buffer was as cheap.  So
 * the first piece is shown and written as ever, and what the other socket does
 * not take of a later one is read from the pipe into its queue, where all that
 * is known of queues holds for it.  So that this is seldom and never much,
 * pieces are small where the other side is slow, and grow where it is not.
 */

#include "proxy/stream_parts.h"

#include <stdlib.h>

#include "accounting/memory.h"
#include "proxy/splice.h"

/* A socket that takes anything takes so much: it fits into one segment of a
 * device that segments by itself (64 KiB). */
#define PIECE_MIN_BYTES ((size_t)30 * 1024)

/* Before pieces become twice as large.  A caller that never reads does not get
 * so far: the least that its kernel takes for it is soon full. */
#define SMOOTH_PIECES 4

void
stream_pass(struct stream *stream, struct stream *to, struct splice *splice,
    int64_t limit_bytes)
{
	if (stream->passage == NULL)
		stream->passage = xcalloc(1, sizeof(*stream->passage));
	if (stream->passage->to != to)
		stream->passage->piece_bytes = PIECE_MIN_BYTES;
	stream->passage->to = to;
	stream->passage->splice = splice;
	stream->passage->left_bytes = limit_bytes;
}

void
stream_pass_none(struct stream *stream)
{
	free(stream->passage);
	stream->passage = NULL;
}

bool
stream_may_pass(const struct stream *stream)
{
	const struct stream_passage *passage = stream->passage;

	return passage != NULL && stream->is_bulk &&
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

static void
choose_piece(struct stream_passage *passage)
{
	if (passage->to->is_stuffed) {
		passage->piece_bytes = PIECE_MIN_BYTES;
		passage->smooth_count = 0;
	} else if (passage->piece_bytes < SPLICE_MAX_BYTES &&
	    ++passage->smooth_count == SMOOTH_PIECES) {
		passage->piece_bytes *= 2;
		passage->smooth_count = 0;
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
	choose_piece(passage);
}

enum socket_result
stream_pass_once(struct stream *stream)
{
	struct stream_passage *passage = stream->passage;
	size_t size = passage->piece_bytes;
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
		stream->is_bulk = false;
		return SOCKET_LATER;
	}
	stream->is_bulk = length >= STREAM_BULK_BYTES;
	stream->received_bytes += (int64_t)length;
	passage->left_bytes -= (int64_t)length;
	give(passage, length);
	stream->callbacks->on_passed(stream->arg, length);
	return length == size ? SOCKET_BYTES : SOCKET_LATER;
}
