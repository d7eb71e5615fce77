/* SPDX-License-Identifier: MIT */

/*
 * Backpressure, ends and failures all run through the stream, and its owners
 * (clients, upstreams, tunnels) rest on its promises: nothing is lost or told
 * twice, no callback comes from inside a call, an end says how it came, and a
 * stream may be closed from inside each of its callbacks.  One side here is a
 * stream on a real loop, the other a bare socket that does what the test says.
 */

#include "proxy/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/stream_fixture.h"

#define MEGABYTE (1024 * 1024)

/* A stream, and the bare socket at the other end. */
struct pair {
	struct loop *loop;
	struct witness witness;
	int far; /* -1 once closed */
};

static void
pair_open(struct pair *pair, enum socket_kind kind)
{
	int fds[2];

	connect_sockets(kind, fds);
	pair->loop = loop_new();
	pair->far = fds[1];
	witness_open(&pair->witness, pair->loop, fds[0]);
}

static void
far_close(struct pair *pair)
{
	close(pair->far);
	pair->far = -1;
}

static void
pair_close(struct pair *pair)
{
	witness_close(&pair->witness);
	settle(pair->loop);
	if (pair->far >= 0)
		far_close(pair);
	loop_free(pair->loop);
}

static void
far_send(struct pair *pair, const char *string)
{
	ssize_t sent = send(pair->far, string, strlen(string), MSG_NOSIGNAL);

	assert_int_equal(sent, strlen(string));
}

enum far_end {
	FAR_OPEN,
	FAR_FIN,
	FAR_RST,
};

/* Takes what is there. */
static enum far_end
far_read(struct pair *pair, struct text *text)
{
	char bytes[65536];
	ssize_t length;

	while ((length = recv(pair->far, bytes, sizeof(bytes), 0)) > 0)
		text_add(text, bytes, (size_t)length);
	if (length == 0)
		return FAR_FIN;
	return errno == EAGAIN ? FAR_OPEN : FAR_RST;
}

static void
assert_far_reads(struct pair *pair, const char *wanted, enum far_end end)
{
	struct text text = {0};

	assert_int_equal(far_read(pair, &text), end);
	assert_int_equal(text.length, strlen(wanted));
	if (text.length > 0)
		assert_memory_equal(text.bytes, wanted, text.length);
	text_fini(&text);
}

/* ---- reading ---- */

static void
test_bytes_are_shown_as_they_come(void **state)
{
	static const enum socket_kind kinds[] = {SOCKET_UNIX, SOCKET_TCP};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, kinds[i]);
		settle(pair.loop);
		assert_told(witness, EVENT_BYTES, 0);
		far_send(&pair, "hello");
		RUN_UNTIL(pair.loop, witness->received.length == 5);
		far_send(&pair, ", world");
		RUN_UNTIL(pair.loop, witness->received.length == 12);
		assert_received(witness, "hello, world");
		assert_int_equal(stream_received_bytes(witness->stream), 12);
		far_close(&pair);
		RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
		assert_int_equal(witness->how, STREAM_END_FIN);
		settle(pair.loop);
		assert_told(witness, EVENT_ENDED, 1);
		pair_close(&pair);
	}
}

static void
assert_kept(const struct witness *witness, const char *wanted)
{
	size_t length;
	const char *kept = stream_kept(witness->stream, &length);

	assert_int_equal(length, strlen(wanted));
	if (length > 0)
		assert_memory_equal(kept, wanted, length);
}

static void
test_what_is_not_taken_is_kept_and_shown_again(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	witness->takes = 2;
	far_send(&pair, "hello");
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES]);
	far_send(&pair, "world");
	settle(pair.loop);
	assert_told(witness, EVENT_BYTES, 1);
	assert_kept(witness, "llo");
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES] == 2);
	assert_int_equal(witness->shown_length, 3);
	settle(pair.loop);
	assert_kept(witness, "o");
	witness->takes = SIZE_MAX;
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair.loop, witness->received.length == 10);
	assert_received(witness, "helloworld");
	assert_kept(witness, "");
	pair_close(&pair);
}

static void
test_nothing_may_be_taken_for_long(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	witness->takes = 0;
	far_send(&pair, "hello");
	for (int i = 1; i <= 3; i++) {
		RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES] == i);
		settle(pair.loop);
		assert_told(witness, EVENT_BYTES, i);
		assert_int_equal(witness->shown_length, 5);
		CALL(witness, stream_resume(witness->stream));
		CALL(witness, stream_resume(witness->stream));
	}
	witness->takes = 1;
	for (size_t i = 1; i <= 5; i++) {
		RUN_UNTIL(pair.loop, witness->received.length == i);
		CALL(witness, stream_resume(witness->stream));
	}
	assert_received(witness, "hello");
	pair_close(&pair);
}

static void
pause_stream(struct witness *witness)
{
	stream_pause(witness->stream);
}

static void
test_a_pause_holds_bytes_and_end_back(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	witness->hooks[EVENT_BYTES] = pause_stream;
	far_send(&pair, "one");
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES]);
	far_send(&pair, "two");
	far_close(&pair);
	settle(pair.loop);
	assert_received(witness, "one");
	assert_told(witness, EVENT_ENDED, 0);
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES] == 2);
	settle(pair.loop);
	assert_received(witness, "onetwo");
	assert_told(witness, EVENT_ENDED, 0);
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_int_equal(witness->how, STREAM_END_FIN);
	pair_close(&pair);
}

static void
test_an_end_waits_behind_what_is_kept(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	witness->takes = 4;
	far_send(&pair, "hello");
	far_close(&pair);
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES]);
	settle(pair.loop);
	assert_told(witness, EVENT_ENDED, 0);
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_received(witness, "hello");
	/* Of no use any more, and of no harm. */
	CALL(witness, stream_pause(witness->stream));
	CALL(witness, stream_resume(witness->stream));
	settle(pair.loop);
	assert_told(witness, EVENT_ENDED, 1);
	pair_close(&pair);
}

/* So a connection is handed from its client to a tunnel. */
static void
test_the_next_owner_is_shown_what_was_kept(void **state)
{
	struct pair pair;
	struct witness *first = &pair.witness;
	struct witness second = {.takes = SIZE_MAX};

	pair_open(&pair, SOCKET_UNIX);
	first->takes = 4;
	far_send(&pair, "headbody");
	RUN_UNTIL(pair.loop, first->told[EVENT_BYTES]);
	second.stream = first->stream;
	CALL(first,
	    stream_set_owner(second.stream, &witness_callbacks, &second));
	CALL(&second, stream_resume(second.stream));
	far_send(&pair, "more");
	far_close(&pair);
	RUN_UNTIL(pair.loop, second.told[EVENT_ENDED]);
	assert_received(first, "head");
	assert_received(&second, "bodymore");
	assert_told(first, EVENT_ENDED, 0);
	pair_close(&pair);
	text_fini(&second.received);
}

/* Much, taken in odd portions, arrives whole and in order. */
static void
test_a_long_transfer_in_odd_portions(void **state)
{
	static char bytes[4 * MEGABYTE];
	struct pair pair;
	struct witness *witness = &pair.witness;
	size_t sent = 0;
	unsigned random = 1;

	fill_pattern(bytes, 0, sizeof(bytes));
	pair_open(&pair, SOCKET_UNIX);
	UNTIL(pair.loop, witness->received.length == sizeof(bytes))
	{
		size_t kept;
		ssize_t length = send(
		    pair.far, bytes + sent, sizeof(bytes) - sent, MSG_NOSIGNAL);

		if (length > 0)
			sent += (size_t)length;
		random = random * 1103515245 + 12345;
		witness->takes = random % 150000;
		(void)stream_kept(witness->stream, &kept);
		if (kept > 0)
			CALL(witness, stream_resume(witness->stream));
	}
	assert_pattern(&witness->received, sizeof(bytes));
	pair_close(&pair);
}

/* ---- writing ---- */

static void
test_parts_are_written_in_their_order(void **state)
{
	char a[] = "a";
	char b[] = "bb";
	char c[] = "ccc";
	struct iovec parts[] = {{a, 1}, {b, 2}, {c, 0}, {c, 3}};
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	CALL(witness, stream_write(witness->stream, parts, 4));
	assert_far_reads(&pair, "abbccc", FAR_OPEN);
	CALL(witness, stream_write(witness->stream, parts, 1));
	CALL(witness, stream_write(witness->stream, parts, 0));
	assert_far_reads(&pair, "a", FAR_OPEN);
	assert_int_equal(stream_sent_bytes(witness->stream), 7);
	assert_int_equal(stream_queued_bytes(witness->stream), 0);
	settle(pair.loop);
	assert_told(witness, EVENT_DRAINED, 0);
	pair_close(&pair);
}

/* A head may wait for its body, so that both go in one segment. */
static void
test_what_is_held_goes_with_the_next_write(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	CALL(witness, stream_hold(witness->stream, "head", 4));
	settle(pair.loop);
	assert_far_reads(&pair, "", FAR_OPEN);
	assert_int_equal(stream_queued_bytes(witness->stream), 4);
	stream_write_string(witness, "body");
	assert_far_reads(&pair, "headbody", FAR_OPEN);
	CALL(witness, stream_hold(witness->stream, "more", 4));
	CALL(witness, stream_flush(witness->stream));
	assert_far_reads(&pair, "more", FAR_OPEN);
	CALL(witness, stream_hold(witness->stream, "last", 4));
	CALL(witness, stream_finish(witness->stream));
	assert_far_reads(&pair, "last", FAR_FIN);
	pair_close(&pair);
}

/* Writes until so many bytes are queued.  Returns how many were written. */
static size_t
write_until_queued(struct pair *pair, size_t offset, size_t queued)
{
	char bytes[5000];
	struct iovec parts[] = {
	    {bytes, 1999}, {bytes + 1999, 1}, {bytes + 2000, 3000}};
	struct witness *witness = &pair->witness;

	while (stream_queued_bytes(witness->stream) < queued) {
		fill_pattern(bytes, offset, sizeof(bytes));
		CALL(witness, stream_write(witness->stream, parts, 3));
		offset += sizeof(bytes);
	}
	return offset;
}

static void
test_a_full_stream_tells_once_when_it_has_drained(void **state)
{
	static const enum socket_kind kinds[] = {SOCKET_UNIX, SOCKET_TCP};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct text text = {0};
		struct pair pair;
		struct witness *witness = &pair.witness;
		size_t written = 0;

		pair_open(&pair, kinds[i]);
		for (int times = 1; times <= 3; times++) {
			assert_false(stream_is_full(witness->stream));
			written = write_until_queued(
			    &pair, written, STREAM_HIGH_BYTES);
			assert_true(stream_is_full(witness->stream));
			settle(pair.loop);
			assert_told(witness, EVENT_DRAINED, times - 1);
			UNTIL(pair.loop, text.length == written)
			{
				assert_int_equal(
				    far_read(&pair, &text), FAR_OPEN);
			}
			settle(pair.loop);
			assert_told(witness, EVENT_DRAINED, times);
			assert_int_equal(
			    stream_queued_bytes(witness->stream), 0);
		}
		assert_pattern(&text, written);
		assert_int_equal(stream_sent_bytes(witness->stream), written);
		text_fini(&text);
		pair_close(&pair);
	}
}

/* Who was never told to stop need not be told to go on. */
static void
test_a_stream_that_was_not_full_says_nothing(void **state)
{
	struct text text = {0};
	struct pair pair;
	struct witness *witness = &pair.witness;
	size_t written;

	pair_open(&pair, SOCKET_UNIX);
	written = write_until_queued(&pair, 0, 1);
	assert_false(stream_is_full(witness->stream));
	UNTIL(pair.loop, text.length == written)
	{
		(void)far_read(&pair, &text);
	}
	settle(pair.loop);
	assert_told(witness, EVENT_DRAINED, 0);
	assert_pattern(&text, written);
	text_fini(&text);
	pair_close(&pair);
}

/* Writes `length` bytes in one call, or in more pieces than one call sends. */
static void
write_at_once(struct witness *witness, char *bytes, size_t length, bool holds)
{
	const size_t piece = 8192;
	struct iovec parts[] = {
	    {bytes, length - piece}, {bytes + length - piece, piece}};

	for (size_t at = 0; holds && at < length; at += piece)
		stream_hold(witness->stream, bytes + at, piece);
	if (holds)
		CALL(witness, stream_flush(witness->stream));
	else
		CALL(witness, stream_write(witness->stream, parts, 2));
}

static void
read_until_empty(struct pair *pair, struct text *text)
{
	UNTIL(pair->loop, stream_queued_bytes(pair->witness.stream) == 0)
	{
		(void)far_read(pair, text);
	}
	settle(pair->loop);
	(void)far_read(pair, text);
}

/* The first goes out in one more call, the others in many. */
static void
test_a_large_queue_arrives_whole(void **state)
{
	static char bytes[2 * MEGABYTE];
	static const struct {
		size_t length;
		bool holds;
	} rows[] = {
	    {300000, false}, {sizeof(bytes), false}, {sizeof(bytes), true}};

	fill_pattern(bytes, 0, sizeof(bytes));
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct text text = {0};
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, SOCKET_UNIX);
		write_at_once(witness, bytes, rows[i].length, rows[i].holds);
		assert_true(stream_is_full(witness->stream));
		read_until_empty(&pair, &text);
		assert_pattern(&text, rows[i].length);
		assert_told(witness, EVENT_DRAINED, 1);
		/* Once: what is queued later was never full. */
		(void)write_until_queued(&pair, 0, 1);
		read_until_empty(&pair, &text);
		assert_told(witness, EVENT_DRAINED, 1);
		text_fini(&text);
		pair_close(&pair);
	}
}

/* The queue may go in a call of the owner's; it is told by the loop. */
static void
test_a_queue_that_is_flushed_by_hand_has_drained(void **state)
{
	struct text text = {0};
	struct pair pair;
	struct witness *witness = &pair.witness;
	size_t written;

	pair_open(&pair, SOCKET_UNIX);
	written = write_until_queued(&pair, 0, STREAM_HIGH_BYTES);
	while (stream_queued_bytes(witness->stream) > 0) {
		assert_int_equal(far_read(&pair, &text), FAR_OPEN);
		CALL(witness, stream_flush(witness->stream));
	}
	assert_told(witness, EVENT_DRAINED, 0);
	assert_int_equal(far_read(&pair, &text), FAR_OPEN);
	settle(pair.loop);
	assert_told(witness, EVENT_DRAINED, 1);
	assert_pattern(&text, written);
	text_fini(&text);
	pair_close(&pair);
}

/* An end is one-way: the other side may still want what we have. */
static void
test_writing_goes_on_after_the_other_side_s_fin(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_TCP);
	shutdown(pair.far, SHUT_WR);
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	stream_write_string(witness, "late");
	CALL(witness, stream_finish(witness->stream));
	RUN_UNTIL(pair.loop, witness->told[EVENT_FINISHED]);
	assert_far_reads(&pair, "late", FAR_FIN);
	settle(pair.loop);
	assert_told(witness, EVENT_ENDED, 1);
	assert_told(witness, EVENT_FINISHED, 1);
	pair_close(&pair);
}

/* ---- finishing ---- */

static void
test_finishing_sends_all_then_fin(void **state)
{
	static const enum socket_kind kinds[] = {SOCKET_UNIX, SOCKET_TCP};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct text text = {0};
		struct pair pair;
		struct witness *witness = &pair.witness;
		size_t written;
		enum far_end far_end = FAR_OPEN;

		pair_open(&pair, kinds[i]);
		written = write_until_queued(&pair, 0, STREAM_HIGH_BYTES);
		CALL(witness, stream_finish(witness->stream));
		CALL(witness, stream_finish(witness->stream));
		settle(pair.loop);
		assert_told(witness, EVENT_FINISHED, 0);
		assert_int_equal(stream_fin_bytes(witness->stream), 0);
		UNTIL(pair.loop, far_end == FAR_FIN)
		{
			far_end = far_read(&pair, &text);
		}
		assert_pattern(&text, written);
		settle(pair.loop);
		assert_told(witness, EVENT_FINISHED, 1);
		assert_told(witness, EVENT_ENDED, 0);
		assert_int_equal(stream_fin_bytes(witness->stream), 1);
		text_fini(&text);
		pair_close(&pair);
	}
}

/* The close probe: what comes after our FIN is counted, and how it ends is
 * told. */
static void
test_after_finishing_bytes_are_only_counted(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_TCP);
	CALL(witness, stream_finish(witness->stream));
	RUN_UNTIL(pair.loop, witness->told[EVENT_FINISHED]);
	assert_far_reads(&pair, "", FAR_FIN);
	far_send(&pair, "GET");
	RUN_UNTIL(pair.loop, stream_bytes_after_fin(witness->stream) == 3);
	far_close(&pair);
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_int_equal(witness->how, STREAM_END_FIN);
	assert_told(witness, EVENT_BYTES, 0);
	assert_told(witness, EVENT_FINISHED, 1);
	assert_int_equal(stream_received_bytes(witness->stream), 3);
	pair_close(&pair);
}

/* What was kept is of no use then, and a pause would hide the answer. */
static void
test_a_paused_stream_is_finished_and_sees_the_end(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	witness->takes = 1;
	far_send(&pair, "hello");
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES]);
	CALL(witness, stream_finish(witness->stream));
	assert_kept(witness, "");
	far_close(&pair);
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_told(witness, EVENT_BYTES, 1);
	assert_told(witness, EVENT_FINISHED, 1);
	pair_close(&pair);
}

static void
refuse_and_finish(struct witness *witness)
{
	stream_write_string(witness, "refused");
	CALL(witness, stream_finish(witness->stream));
}

/* A malformed request is refused from inside on_bytes, and the rest of it is
 * not taken: the caller's answer to our FIN must still be seen. */
static void
test_finishing_from_inside_on_bytes_sees_the_end(void **state)
{
	for (size_t takes = 0; takes <= 5; takes++) {
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, SOCKET_UNIX);
		witness->takes = takes;
		witness->hooks[EVENT_BYTES] = refuse_and_finish;
		far_send(&pair, "hello");
		RUN_UNTIL(pair.loop, witness->told[EVENT_FINISHED]);
		assert_far_reads(&pair, "refused", FAR_FIN);
		assert_kept(witness, "");
		far_close(&pair);
		RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
		assert_int_equal(witness->how, STREAM_END_FIN);
		assert_told(witness, EVENT_BYTES, 1);
		pair_close(&pair);
	}
}

/* For tunnels, whose two ways end apart. */
static void
test_a_half_close_goes_on_reading(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_TCP);
	stream_write_string(witness, "bye");
	CALL(witness, stream_half_close(witness->stream));
	assert_told(witness, EVENT_FINISHED, 0);
	RUN_UNTIL(pair.loop, witness->told[EVENT_FINISHED]);
	assert_far_reads(&pair, "bye", FAR_FIN);
	assert_int_equal(stream_fin_bytes(witness->stream), 1);
	/* That was the end of our way. */
	CALL(witness, stream_flush(witness->stream));
	CALL(witness, stream_finish(witness->stream));
	witness->takes = 2;
	far_send(&pair, "hello");
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES]);
	witness->takes = SIZE_MAX;
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair.loop, witness->received.length == 5);
	assert_int_equal(stream_bytes_after_fin(witness->stream), 0);
	far_close(&pair);
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	settle(pair.loop);
	assert_received(witness, "hello");
	assert_told(witness, EVENT_FINISHED, 1);
	assert_told(witness, EVENT_ENDED, 1);
	pair_close(&pair);
}

/* ---- closing from inside ---- */

static void
provoke(struct pair *pair, enum event_kind kind)
{
	struct text text = {0};
	struct witness *witness = &pair->witness;

	switch (kind) {
	case EVENT_BYTES:
		far_send(pair, "hello");
		break;
	case EVENT_DRAINED:
		(void)write_until_queued(pair, 0, STREAM_HIGH_BYTES);
		UNTIL(pair->loop, witness->told[kind])
		{
			(void)far_read(pair, &text);
		}
		break;
	case EVENT_ENDED:
		shutdown(pair->far, SHUT_WR);
		break;
	case EVENT_FINISHED:
		CALL(witness, stream_finish(witness->stream));
		break;
	case EVENT_SECURED:
	case EVENT_KINDS:
		break;
	}
	text_fini(&text);
}

static void
test_closing_is_safe_inside_each_callback(void **state)
{
	static const enum event_kind kinds[] = {
	    EVENT_BYTES, EVENT_DRAINED, EVENT_ENDED, EVENT_FINISHED};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct text text = {0};
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, SOCKET_UNIX);
		witness->takes = 1;
		witness->hooks[kinds[i]] = close_stream;
		provoke(&pair, kinds[i]);
		RUN_UNTIL(pair.loop, witness->told[kinds[i]]);
		assert_null(witness->stream);
		settle(pair.loop);
		for (int kind = 0; kind < EVENT_KINDS; kind++)
			assert_told(witness, (enum event_kind)kind,
			    kind == (int)kinds[i]);
		/* Unread bytes make a close a reset; both end it. */
		assert_int_not_equal(far_read(&pair, &text), FAR_OPEN);
		text_fini(&text);
		pair_close(&pair);
	}
}

/* Closing what is being shown again, too. */
static void
test_closing_is_safe_while_kept_bytes_are_shown(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	witness->takes = 1;
	far_send(&pair, "hello");
	RUN_UNTIL(pair.loop, witness->told[EVENT_BYTES]);
	witness->hooks[EVENT_BYTES] = close_stream;
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair.loop, witness->stream == NULL);
	assert_received(witness, "he");
	pair_close(&pair);
}

/* What was on its way to the owner is not told any more. */
static void
test_nothing_is_told_after_closing(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	(void)write_until_queued(&pair, 0, STREAM_HIGH_BYTES);
	far_send(&pair, "hello");
	far_close(&pair);
	stream_write_string(witness, "fails");
	CALL(witness, stream_close(&witness->stream));
	settle(pair.loop);
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		assert_told(witness, (enum event_kind)kind, 0);
	pair_close(&pair);

	pair_open(&pair, SOCKET_UNIX);
	CALL(witness, stream_finish(witness->stream));
	CALL(witness, stream_close(&witness->stream));
	settle(pair.loop);
	assert_told(witness, EVENT_FINISHED, 0);
	assert_far_reads(&pair, "", FAR_FIN);
	pair_close(&pair);
}

/* ---- failures ---- */

static void
test_a_failed_write_is_told_by_the_loop(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	far_close(&pair);
	assert_false(stream_has_failed(witness->stream));
	stream_write_string(witness, "lost");
	assert_true(stream_has_failed(witness->stream));
	stream_write_string(witness, "lost too");
	assert_told(witness, EVENT_ENDED, 0);
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_int_equal(witness->how, STREAM_END_RST);
	stream_write_string(witness, "and this");
	settle(pair.loop);
	assert_told(witness, EVENT_ENDED, 1);
	assert_told(witness, EVENT_DRAINED, 0);
	pair_close(&pair);
}

static void
test_a_failed_write_is_told_to_a_paused_owner(void **state)
{
	for (int pauses_first = 0; pauses_first <= 1; pauses_first++) {
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, SOCKET_UNIX);
		far_close(&pair);
		if (pauses_first)
			CALL(witness, stream_pause(witness->stream));
		stream_write_string(witness, "lost");
		CALL(witness, stream_pause(witness->stream));
		RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
		assert_int_equal(witness->how, STREAM_END_RST);
		settle(pair.loop);
		assert_told(witness, EVENT_ENDED, 1);
		pair_close(&pair);
	}
}

/* What has come is not lost on an owner who takes it bit by bit. */
static void
take_the_rest(struct pair *pair)
{
	struct witness *witness = &pair->witness;

	settle(pair->loop);
	assert_told(witness, EVENT_ENDED, 0);
	witness->takes = SIZE_MAX;
	CALL(witness, stream_resume(witness->stream));
	RUN_UNTIL(pair->loop, witness->told[EVENT_ENDED]);
}

/* An origin refuses a body that it does not read, and goes: a reset, behind
 * its answer. */
static void
test_an_answer_is_shown_before_a_failed_write_is_told(void **state)
{
	for (size_t takes = 3; takes <= 6; takes += 3) {
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, SOCKET_TCP);
		witness->takes = takes;
		stream_write_string(witness, "body");
		far_send(&pair, "answer");
		far_close(&pair);
		stream_write_string(witness, "more body");
		assert_true(stream_has_failed(witness->stream));
		if (takes == 3)
			take_the_rest(&pair);
		RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
		assert_int_equal(witness->how, STREAM_END_RST);
		assert_received(witness, "answer");
		settle(pair.loop);
		assert_told(witness, EVENT_BYTES, takes == 3 ? 2 : 1);
		assert_told(witness, EVENT_ENDED, 1);
		pair_close(&pair);
	}
}

static void
test_closing_is_safe_as_that_answer_is_shown(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_TCP);
	witness->hooks[EVENT_BYTES] = close_stream;
	stream_write_string(witness, "body");
	far_send(&pair, "answer");
	far_close(&pair);
	stream_write_string(witness, "more body");
	RUN_UNTIL(pair.loop, witness->stream == NULL);
	settle(pair.loop);
	assert_received(witness, "answer");
	assert_told(witness, EVENT_ENDED, 0);
	pair_close(&pair);
}

static void
write_answer(struct witness *witness)
{
	stream_write_string(witness, "answer");
}

static void
test_a_write_that_fails_inside_on_bytes_is_told(void **state)
{
	for (size_t takes = 0; takes <= 5; takes += 5) {
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, SOCKET_UNIX);
		witness->takes = takes;
		witness->hooks[EVENT_BYTES] = write_answer;
		far_send(&pair, "hello");
		far_close(&pair);
		if (takes == 0)
			take_the_rest(&pair);
		RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
		settle(pair.loop);
		assert_told(witness, EVENT_ENDED, 1);
		assert_true(stream_has_failed(witness->stream));
		pair_close(&pair);
	}
}

/* on_ended was called already; stream_has_failed() has to be asked. */
static void
test_a_write_that_fails_after_the_end_is_not_told_again(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_UNIX);
	far_close(&pair);
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_int_equal(witness->how, STREAM_END_FIN);
	assert_false(stream_has_failed(witness->stream));
	stream_write_string(witness, "lost");
	assert_true(stream_has_failed(witness->stream));
	settle(pair.loop);
	assert_told(witness, EVENT_ENDED, 1);
	pair_close(&pair);
}

/* The other side dies with our queue full: an end, and never "drained" or
 * "finished". */
static void
test_a_queue_without_a_reader_ends(void **state)
{
	static const enum socket_kind kinds[] = {SOCKET_UNIX, SOCKET_TCP};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct pair pair;
		struct witness *witness = &pair.witness;

		pair_open(&pair, kinds[i]);
		(void)write_until_queued(&pair, 0, STREAM_HIGH_BYTES);
		CALL(witness, stream_finish(witness->stream));
		far_close(&pair);
		RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
		settle(pair.loop);
		assert_told(witness, EVENT_ENDED, 1);
		assert_told(witness, EVENT_DRAINED, 0);
		assert_told(witness, EVENT_FINISHED, 0);
		pair_close(&pair);
	}
}

/* ---- resets ---- */

static void
test_a_reset_is_told_apart_from_a_fin(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_TCP);
	reset_socket(pair.far);
	pair.far = -1;
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_int_equal(witness->how, STREAM_END_RST);
	settle(pair.loop);
	assert_told(witness, EVENT_ENDED, 1);
	pair_close(&pair);
}

/* The answer to the close probe: "closed without reading" is a reset. */
static void
test_a_reset_after_finishing_is_told(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_TCP);
	stream_write_string(witness, "unread");
	CALL(witness, stream_finish(witness->stream));
	RUN_UNTIL(pair.loop, witness->told[EVENT_FINISHED]);
	far_close(&pair);
	RUN_UNTIL(pair.loop, witness->told[EVENT_ENDED]);
	assert_int_equal(witness->how, STREAM_END_RST);
	pair_close(&pair);
}

/* The other side must not take what it got for a whole message. */
static void
test_an_aborted_stream_resets(void **state)
{
	struct pair pair;
	struct witness *witness = &pair.witness;

	pair_open(&pair, SOCKET_TCP);
	stream_write_string(witness, "half");
	CALL(witness, stream_abort(&witness->stream));
	assert_null(witness->stream);
	settle(pair.loop);
	{
		struct text text = {0};

		assert_int_equal(far_read(&pair, &text), FAR_RST);
		text_fini(&text);
	}
	pair_close(&pair);

	pair_open(&pair, SOCKET_TCP);
	stream_write_string(witness, "whole");
	CALL(witness, stream_close(&witness->stream));
	assert_far_reads(&pair, "whole", FAR_FIN);
	pair_close(&pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bytes_are_shown_as_they_come),
	    cmocka_unit_test(test_what_is_not_taken_is_kept_and_shown_again),
	    cmocka_unit_test(test_nothing_may_be_taken_for_long),
	    cmocka_unit_test(test_a_pause_holds_bytes_and_end_back),
	    cmocka_unit_test(test_an_end_waits_behind_what_is_kept),
	    cmocka_unit_test(test_the_next_owner_is_shown_what_was_kept),
	    cmocka_unit_test(test_a_long_transfer_in_odd_portions),
	    cmocka_unit_test(test_parts_are_written_in_their_order),
	    cmocka_unit_test(test_what_is_held_goes_with_the_next_write),
	    cmocka_unit_test(test_a_full_stream_tells_once_when_it_has_drained),
	    cmocka_unit_test(test_a_stream_that_was_not_full_says_nothing),
	    cmocka_unit_test(test_a_large_queue_arrives_whole),
	    cmocka_unit_test(test_a_queue_that_is_flushed_by_hand_has_drained),
	    cmocka_unit_test(test_writing_goes_on_after_the_other_side_s_fin),
	    cmocka_unit_test(test_finishing_sends_all_then_fin),
	    cmocka_unit_test(test_after_finishing_bytes_are_only_counted),
	    cmocka_unit_test(test_a_paused_stream_is_finished_and_sees_the_end),
	    cmocka_unit_test(test_finishing_from_inside_on_bytes_sees_the_end),
	    cmocka_unit_test(test_a_half_close_goes_on_reading),
	    cmocka_unit_test(test_closing_is_safe_inside_each_callback),
	    cmocka_unit_test(test_closing_is_safe_while_kept_bytes_are_shown),
	    cmocka_unit_test(test_nothing_is_told_after_closing),
	    cmocka_unit_test(test_a_failed_write_is_told_by_the_loop),
	    cmocka_unit_test(test_a_failed_write_is_told_to_a_paused_owner),
	    cmocka_unit_test(
		test_an_answer_is_shown_before_a_failed_write_is_told),
	    cmocka_unit_test(test_closing_is_safe_as_that_answer_is_shown),
	    cmocka_unit_test(test_a_write_that_fails_inside_on_bytes_is_told),
	    cmocka_unit_test(
		test_a_write_that_fails_after_the_end_is_not_told_again),
	    cmocka_unit_test(test_a_queue_without_a_reader_ends),
	    cmocka_unit_test(test_a_reset_is_told_apart_from_a_fin),
	    cmocka_unit_test(test_a_reset_after_finishing_is_told),
	    cmocka_unit_test(test_an_aborted_stream_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
