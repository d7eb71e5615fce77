/* SPDX-License-Identifier: MIT */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

/*
 * One byte stream over a TCP socket, plain or TLS: the only place that reads
 * and writes sockets.  Incoming bytes are shown to the owner, who may take a
 * part; outgoing bytes that the socket does not take are queued, and the
 * watermarks say when to stop feeding.  The worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "accounting/units.h"
#include "proxy/base/loop.h"
#include "proxy/tls.h"

/* Above this the stream is full: stop what feeds it ... */
#define STREAM_HIGH_BYTES (64 * 1024)
/* ... until it has drained to this. */
#define STREAM_LOW_BYTES (16 * 1024)

struct splice;
struct stream;

enum stream_end {
	STREAM_END_FIN, /* the other side closed its way */
	STREAM_END_RST, /* reset, or the socket failed */
	STREAM_END_TLS, /* TLS failed; stream_tls() tells how */
};

/* Each is called from the loop, never from inside a stream_ function. */
struct stream_callbacks {
	/* Bytes came.  Returns how many were taken; the rest is kept, and
	 * nothing more is read until stream_resume(). */
	size_t (*on_bytes)(void *arg, const char *bytes, size_t length);

	/* So many bytes came and went to the stream of stream_pass(), which may
	 * be full now.  NULL where that is never called. */
	void (*on_passed)(void *arg, size_t length);

	/* It was full, and has drained. */
	void (*on_drained)(void *arg);

	/* Nothing more will come.  Called once. */
	void (*on_ended)(void *arg, enum stream_end how);

	/* The TLS handshake is done. */
	void (*on_secured)(void *arg);

	/* After stream_finish(): all is written, and our FIN is out. */
	void (*on_finished)(void *arg);
};

/* Takes `fd`, a connected, non-blocking socket.  Borrows `callbacks`.  Reading
 * starts at once. */
struct stream *stream_new(struct loop *loop, int fd,
    const struct stream_callbacks *callbacks, void *arg);

/* Ends the stream: what is queued is dropped; an orderly stream should be
 * finished first.  Where nothing is dropped, TLS says close_notify, if the
 * socket takes it at once.  *stream is NULL then; memory goes later. */
void stream_close(struct stream **stream);

/* Like stream_close(), with RST and without close_notify: the other side must
 * not take what it got for a whole message. */
void stream_abort(struct stream **stream);

void stream_set_owner(
    struct stream *stream, const struct stream_callbacks *callbacks, void *arg);

/* Takes *tls and starts the handshake.  What was kept unread is dropped: give
 * it to tls_accept() as early bytes. */
void stream_secure(struct stream *stream, struct tls **tls);

/* What on_bytes left untaken; borrowed until the next call. */
const char *stream_kept(struct stream *stream, size_t *length);

/* Stops and starts reading.  What was kept is shown again by the loop. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/*
 * Lets what comes next pass to `to` within the kernel, unseen, where both are
 * plain and it pays; else it is shown as ever, and the owner must write it
 * there.  Until `limit_bytes` have passed, or anything was shown: on_bytes has
 * to say so again.  Borrows `to` and `splice` until then, or until
 * stream_pass_none().
 */
void stream_pass(struct stream *stream, struct stream *to,
    struct splice *splice, int64_t limit_bytes);
void stream_pass_none(struct stream *stream);

/* Keeps the kernel's receive buffer as it is until more has come than who never
 * reads would let through: for a connection to an origin. */
void stream_start_modestly(struct stream *stream);

/* Queues bytes without sending: the next write takes them along. */
void stream_hold(struct stream *stream, const void *bytes, size_t length);

/* Writes what was held and then `parts`; queues what the socket does not
 * take. */
void stream_write(
    struct stream *stream, const struct iovec *parts, size_t count);
void stream_flush(struct stream *stream);

/* Whether a write failed.  on_ended() tells too, unless it has been called. */
bool stream_has_failed(const struct stream *stream);

/* Whether what feeds it should wait for on_drained(): much is queued, or the
 * kernel holds all it wants to. */
bool stream_is_full(const struct stream *stream);
size_t stream_queued_bytes(const struct stream *stream);

/* Sends close_notify and FIN once the queue is empty; on_finished then.  After
 * it the TLS state and all buffers are freed, and what still comes is only
 * counted. */
void stream_finish(struct stream *stream);

/* Sends close_notify and FIN once the queue is empty, and goes on reading;
 * on_finished then.  For relays, whose two ways end apart. */
void stream_half_close(struct stream *stream);

/* Whether the other side's FIN came without the close_notify that TLS wants
 * before it: anybody on the way may have cut off the rest (RFC 8446 §6.1). */
bool stream_was_cut(const struct stream *stream);

/* Whether the other side has sent what nobody has seen. */
bool stream_has_unread(const struct stream *stream);

/* Bytes that came after stream_finish(). */
int64_t stream_bytes_after_fin(const struct stream *stream);

/* What our end added to the other side's receive queue: close_notify, and one
 * for the FIN itself.  0 before it. */
int64_t stream_fin_bytes(const struct stream *stream);

int stream_fd(const struct stream *stream);

/* NULL for a plain stream, and after stream_finish().  Borrowed. */
struct tls *stream_tls(const struct stream *stream);

/* Wire bytes so far. */
int64_t stream_received_bytes(const struct stream *stream);
int64_t stream_sent_bytes(const struct stream *stream);

/* Adds to each count what has passed since the last call. */
void stream_take_bytes(
    struct stream *stream, uint64_t *received, uint64_t *sent);

#endif
