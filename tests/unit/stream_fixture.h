/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_STREAM_FIXTURE_H
#define TESTS_UNIT_STREAM_FIXTURE_H

/*
 * A stream's owner who writes down what it is told, a pair of sockets, and a
 * loop that is turned by hand.  Whoever includes this has <cmocka.h> already.
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "proxy/base/clock.h"
#include "proxy/base/loop.h"
#include "proxy/stream.h"
#include "proxy/text.h"

/* Long enough for any machine; only a failure waits for it. */
#define PATIENCE_US (20 * US_PER_S)

/* Turns in which what is ready on this machine will have happened. */
#define SETTLE_TURNS 50

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum event_kind {
	EVENT_BYTES,
	EVENT_DRAINED,
	EVENT_ENDED,
	EVENT_SECURED,
	EVENT_FINISHED,
	EVENT_KINDS,
};

struct witness {
	struct stream *stream; /* NULL once closed */
	size_t takes;          /* at most, of what is shown */
	bool is_calling;       /* the test is inside a stream_ function */
	int told[EVENT_KINDS]; /* how often */
	size_t shown_length;   /* at the last time */
	enum stream_end how;
	struct text received;
	void (*hooks[EVENT_KINDS])(struct witness *witness);
};

/* No callback may come from inside. */
#define CALL(witness, call)                    \
	do {                                   \
		(witness)->is_calling = true;  \
		call;                          \
		(witness)->is_calling = false; \
	} while (0)

static void
note_event(struct witness *witness, enum event_kind kind)
{
	assert_false(witness->is_calling);
	witness->told[kind]++;
	if (witness->hooks[kind] != NULL)
		witness->hooks[kind](witness);
}

static size_t
witness_bytes(void *arg, const char *bytes, size_t length)
{
	struct witness *witness = arg;
	size_t taken = length < witness->takes ? length : witness->takes;

	assert_true(length > 0);
	assert_int_equal(witness->told[EVENT_ENDED], 0);
	witness->shown_length = length;
	text_add(&witness->received, bytes, taken);
	note_event(witness, EVENT_BYTES);
	return taken;
}

static void
witness_drained(void *arg)
{
	struct witness *witness = arg;

	assert_true(stream_queued_bytes(witness->stream) <= STREAM_LOW_BYTES);
	note_event(witness, EVENT_DRAINED);
}

static void
witness_ended(void *arg, enum stream_end how)
{
	struct witness *witness = arg;

	witness->how = how;
	note_event(witness, EVENT_ENDED);
}

static void
witness_secured(void *arg)
{
	note_event(arg, EVENT_SECURED);
}

static void
witness_finished(void *arg)
{
	note_event(arg, EVENT_FINISHED);
}

static const struct stream_callbacks witness_callbacks = {
    .on_bytes = witness_bytes,
    .on_drained = witness_drained,
    .on_ended = witness_ended,
    .on_secured = witness_secured,
    .on_finished = witness_finished,
};

static void
witness_open(struct witness *witness, struct loop *loop, int fd)
{
	*witness = (struct witness){.takes = SIZE_MAX};
	witness->stream = stream_new(loop, fd, &witness_callbacks, witness);
}

static void
witness_close(struct witness *witness)
{
	if (witness->stream != NULL)
		CALL(witness, stream_close(&witness->stream));
	text_fini(&witness->received);
}

/* Ends the stream from inside a callback. */
static inline void
close_stream(struct witness *witness)
{
	stream_close(&witness->stream);
}

static inline void
assert_told(const struct witness *witness, enum event_kind kind, int times)
{
	assert_int_equal(witness->told[kind], times);
}

static inline void
assert_received(const struct witness *witness, const char *wanted)
{
	assert_int_equal(witness->received.length, strlen(wanted));
	if (witness->received.length > 0)
		assert_memory_equal(
		    witness->received.bytes, wanted, strlen(wanted));
}

/* ---- the loop ---- */

static void
turn(struct loop *loop)
{
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static inline void
settle(struct loop *loop)
{
	for (int i = 0; i < SETTLE_TURNS; i++)
		turn(loop);
}

/* A loop: what follows is done before each turn. */
#define UNTIL(loop, condition)                                             \
	for (mono_us deadline_ = clock_mono() + PATIENCE_US; !(condition); \
	     assert_true(clock_mono() < deadline_), turn(loop))

#define RUN_UNTIL(loop, condition)      \
	do {                            \
		UNTIL(loop, condition); \
	} while (0)

/* ---- sockets ---- */

enum socket_kind {
	SOCKET_UNIX,
	SOCKET_TCP,
};

static inline void
connect_tcp(int fds[2])
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int yes = 1;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(
	    bind(listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(
	    getsockname(listener, (struct sockaddr *)&address, &length), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    connect(fds[0], (struct sockaddr *)&address, length), 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fds[1] >= 0);
	assert_int_equal(evutil_make_socket_nonblocking(fds[0]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY,
				     &yes, sizeof(yes)),
		    0);
	close(listener);
}

static inline void
connect_sockets(enum socket_kind kind, int fds[2])
{
	if (kind == SOCKET_TCP)
		connect_tcp(fds);
	else
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
		    0);
}

/* Closes with RST. */
static inline void
reset_socket(int fd)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
	    0);
	close(fd);
}

/* ---- bytes ---- */

static inline void
stream_write_bytes(struct witness *witness, const void *bytes, size_t length)
{
	struct iovec part = {(void *)(uintptr_t)bytes, length};

	CALL(witness, stream_write(witness->stream, &part, 1));
}

static inline void
stream_write_string(struct witness *witness, const char *string)
{
	stream_write_bytes(witness, string, strlen(string));
}

/* What stands at `offset` of a long transfer. */
static inline char
pattern(size_t offset)
{
	return (char)(offset * 31 + offset / 251);
}

static inline void
fill_pattern(char *bytes, size_t offset, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = pattern(offset + i);
}

static inline void
assert_pattern(const struct text *text, size_t length)
{
	assert_int_equal(text->length, length);
	for (size_t i = 0; i < length; i++) {
		if (text->bytes[i] != pattern(i))
			fail_msg("wrong byte at %zu", i);
	}
}

#endif
