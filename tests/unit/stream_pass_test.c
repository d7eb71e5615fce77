/* SPDX-License-Identifier: MIT */

/*
 * Bulk that passes from stream to stream within the kernel must be the same
 * bytes in the same order, end as its source ended, stop where it was told to,
 * and wait at its source while nobody takes it.  Two streams on a real loop
 * stand between two bare sockets: one that sends, and one that reads as the
 * test says.  All of them share one pipe, which a mistake would leave dirty.
 */

#include "proxy/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>

#include "proxy/splice.h"
#include "tests/unit/stream_fixture.h"

#define MEGABYTE (1024 * 1024)

/* A never-reading side's kernel, ours included, takes no more than this. */
#define STALLED_MAX_BYTES (6 * MEGABYTE)

struct relay {
	struct loop *loop;
	struct splice *splice; /* NULL: none to be had */
	int source;            /* a bare socket; -1 once closed */
	int reader;
	struct stream *in;
	struct witness out;
	int64_t limit_bytes;
	size_t shown_bytes;
	size_t passed_bytes;
	size_t beyond_bytes; /* shown behind the limit */
	bool has_ended;
	enum stream_end how;
	size_t sent_bytes; /* by the source */
	struct text got;   /* by the reader */
};

static void
pause_if_full(struct relay *relay)
{
	if (relay->out.stream == NULL || stream_is_full(relay->out.stream))
		stream_pause(relay->in);
}

static size_t
on_bytes(void *arg, const char *bytes, size_t length)
{
	struct relay *relay = arg;
	struct iovec part = {(void *)(uintptr_t)bytes, length};

	relay->shown_bytes += length;
	if (relay->limit_bytes == 0)
		relay->beyond_bytes += length;
	else if ((int64_t)length > relay->limit_bytes)
		relay->limit_bytes = 0;
	else
		relay->limit_bytes -= (int64_t)length;
	if (relay->out.stream != NULL) {
		stream_write(relay->out.stream, &part, 1);
		stream_pass(relay->in, relay->out.stream, relay->splice,
		    relay->limit_bytes);
	}
	pause_if_full(relay);
	return length;
}

static void
on_passed(void *arg, size_t length)
{
	struct relay *relay = arg;

	relay->passed_bytes += length;
	relay->limit_bytes -= (int64_t)length;
	assert_true(relay->limit_bytes >= 0);
	pause_if_full(relay);
}

static void
on_ended(void *arg, enum stream_end how)
{
	struct relay *relay = arg;

	relay->has_ended = true;
	relay->how = how;
}

static void
on_nothing(void *arg)
{
}

static const struct stream_callbacks in_callbacks = {
    .on_bytes = on_bytes,
    .on_passed = on_passed,
    .on_drained = on_nothing,
    .on_ended = on_ended,
    .on_secured = on_nothing,
    .on_finished = on_nothing,
};

static struct relay *drained; /* the witness knows only itself */

static void
resume_source(struct witness *witness)
{
	stream_resume(drained->in);
}

static void
relay_open(struct relay *relay, struct loop *loop, struct splice *splice)
{
	int in[2];
	int out[2];

	connect_sockets(SOCKET_TCP, in);
	connect_sockets(SOCKET_TCP, out);
	*relay = (struct relay){.loop = loop,
	    .splice = splice,
	    .source = in[1],
	    .reader = out[1],
	    .limit_bytes = INT64_MAX};
	relay->in = stream_new(loop, in[0], &in_callbacks, relay);
	witness_open(&relay->out, loop, out[0]);
	relay->out.hooks[EVENT_DRAINED] = resume_source;
	drained = relay;
}

static void
relay_close(struct relay *relay)
{
	stream_close(&relay->in);
	witness_close(&relay->out);
	settle(relay->loop);
	if (relay->source >= 0)
		close(relay->source);
	if (relay->reader >= 0)
		close(relay->reader);
	text_fini(&relay->got);
}

/* Sends on, up to `total`. */
static void
source_send(struct relay *relay, size_t total)
{
	char bytes[65536];
	size_t length = total - relay->sent_bytes;
	ssize_t sent;

	if (length > sizeof(bytes))
		length = sizeof(bytes);
	if (length == 0)
		return;
	fill_pattern(bytes, relay->sent_bytes, length);
	sent = send(relay->source, bytes, length, MSG_NOSIGNAL);
	if (sent > 0)
		relay->sent_bytes += (size_t)sent;
}

static void
reader_read(struct relay *relay)
{
	char bytes[65536];
	ssize_t length = recv(relay->reader, bytes, sizeof(bytes), 0);

	if (length > 0)
		text_add(&relay->got, bytes, (size_t)length);
}

/* Sends and reads until `total` bytes have arrived. */
static void
run_through(struct relay *relay, size_t total)
{
	UNTIL(relay->loop, relay->got.length >= total)
	{
		source_send(relay, total);
		source_send(relay, total);
		reader_read(relay);
		reader_read(relay);
	}
	assert_pattern(&relay->got, total);
	assert_int_equal(relay->shown_bytes + relay->passed_bytes, total);
	assert_int_equal(stream_received_bytes(relay->in), total);
	assert_int_equal(stream_sent_bytes(relay->out.stream), total);
}

static void
close_source(struct relay *relay)
{
	close(relay->source);
	relay->source = -1;
}

/* Nothing is read: runs until the source cannot send, and all rests. */
static void
fill_up(struct relay *relay)
{
	size_t before;

	do {
		before = relay->sent_bytes;
		for (int i = 0; i < SETTLE_TURNS; i++) {
			source_send(relay, SIZE_MAX);
			turn(relay->loop);
		}
	} while (
	    relay->sent_bytes > before && relay->sent_bytes < 64 * MEGABYTE);
}

/* ---- the tests ---- */

static void
test_bodies_of_many_sizes_arrive_as_they_were_sent(void **state)
{
	static const size_t sizes[] = {1, 16383, 16384, 65535, 65536, 65537,
	    80 * 1024, 81 * 1024 + 1, 245760, 1000003, 5 * MEGABYTE + 7};
	struct loop *loop = loop_new();
	struct splice *splice = splice_new();

	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct relay relay;

		relay_open(&relay, loop, splice);
		run_through(&relay, sizes[i]);
		/* It is about these. */
		if (sizes[i] > MEGABYTE)
			assert_true(relay.passed_bytes > sizes[i] / 2);
		close_source(&relay);
		RUN_UNTIL(loop, relay.has_ended);
		assert_int_equal(relay.how, STREAM_END_FIN);
		relay_close(&relay);
	}
	splice_free(splice);
	loop_free(loop);
}

static void
test_without_a_pipe_all_is_shown(void **state)
{
	struct loop *loop = loop_new();
	struct relay relay;

	relay_open(&relay, loop, NULL);
	run_through(&relay, 2 * MEGABYTE);
	assert_int_equal(relay.passed_bytes, 0);
	relay_close(&relay);
	loop_free(loop);
}

static void
test_what_is_behind_the_limit_is_shown(void **state)
{
	struct loop *loop = loop_new();
	struct splice *splice = splice_new();

	for (size_t odd = 0; odd < 3; odd++) {
		struct relay relay;
		size_t limit = 2 * MEGABYTE + odd * 37777;

		relay_open(&relay, loop, splice);
		relay.limit_bytes = (int64_t)limit;
		run_through(&relay, 3 * MEGABYTE);
		assert_true(relay.passed_bytes > MEGABYTE);
		assert_true(relay.passed_bytes <= limit);
		assert_true(relay.beyond_bytes >= 3 * MEGABYTE - limit - 81920);
		relay_close(&relay);
	}
	splice_free(splice);
	loop_free(loop);
}

static void
test_what_nobody_takes_stays_at_its_source(void **state)
{
	struct loop *loop = loop_new();
	struct splice *splice = splice_new();
	struct relay relay;
	size_t stalled;

	relay_open(&relay, loop, splice);
	stream_start_modestly(relay.in);
	fill_up(&relay);
	stalled = relay.shown_bytes + relay.passed_bytes;
	assert_true(stalled < STALLED_MAX_BYTES);
	/* Ours is only what could not be given back to the kernel. */
	assert_true(stream_queued_bytes(relay.out.stream) <= STREAM_HIGH_BYTES);
	/* And when it is taken after all, nothing is missing. */
	run_through(&relay, relay.sent_bytes);
	relay_close(&relay);
	splice_free(splice);
	loop_free(loop);
}

static void
test_a_reader_in_small_portions_gets_all(void **state)
{
	const size_t total = 4 * MEGABYTE;
	struct loop *loop = loop_new();
	struct splice *splice = splice_new();
	struct relay relay;
	int size = 16 * 1024;

	relay_open(&relay, loop, splice);
	assert_int_equal(setsockopt(relay.reader, SOL_SOCKET, SO_RCVBUF, &size,
			     sizeof(size)),
	    0);
	UNTIL(loop, relay.got.length >= total)
	{
		char bytes[12345];
		ssize_t length;

		for (int i = 0; i < 16; i++)
			source_send(&relay, total);
		length = recv(relay.reader, bytes, sizeof(bytes), 0);
		if (length > 0)
			text_add(&relay.got, bytes, (size_t)length);
	}
	assert_pattern(&relay.got, total);
	assert_true(relay.out.told[EVENT_DRAINED] > 0);
	relay_close(&relay);
	splice_free(splice);
	loop_free(loop);
}

static void
test_a_source_that_breaks_off_is_told_as_it_was(void **state)
{
	static const enum stream_end ends[] = {STREAM_END_FIN, STREAM_END_RST};
	struct loop *loop = loop_new();
	struct splice *splice = splice_new();

	for (size_t i = 0; i < COUNT(ends); i++) {
		struct relay relay;

		relay_open(&relay, loop, splice);
		run_through(&relay, MEGABYTE);
		assert_true(relay.passed_bytes > 0);
		if (ends[i] == STREAM_END_FIN)
			close(relay.source);
		else
			reset_socket(relay.source);
		relay.source = -1;
		RUN_UNTIL(loop, relay.has_ended);
		assert_int_equal(relay.how, ends[i]);
		relay_close(&relay);
	}
	splice_free(splice);
	loop_free(loop);
}

static size_t
count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

/* What was on its way to a reader that is gone must not come out for another:
 * that would be one caller's body in another's. */
static void
test_a_reader_that_goes_leaves_nothing_in_the_pipe(void **state)
{
	size_t before = count_descriptors();
	struct loop *loop = loop_new();
	struct splice *splice = splice_new();

	for (int i = 0; i < 8; i++) {
		struct relay relay;

		relay_open(&relay, loop, splice);
		run_through(&relay, MEGABYTE / 2);
		/* Half of them with a full kernel, half with an empty one. */
		if (i % 2 == 0)
			fill_up(&relay);
		reset_socket(relay.reader);
		relay.reader = -1;
		UNTIL(loop, relay.out.told[EVENT_ENDED] > 0)
		source_send(&relay, SIZE_MAX);
		assert_int_equal(relay.out.how, STREAM_END_RST);
		relay_close(&relay);

		relay_open(&relay, loop, splice);
		run_through(&relay, MEGABYTE);
		relay_close(&relay);
	}
	splice_free(splice);
	loop_free(loop);
	assert_int_equal(count_descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		test_bodies_of_many_sizes_arrive_as_they_were_sent),
	    cmocka_unit_test(test_without_a_pipe_all_is_shown),
	    cmocka_unit_test(test_what_is_behind_the_limit_is_shown),
	    cmocka_unit_test(test_what_nobody_takes_stays_at_its_source),
	    cmocka_unit_test(test_a_reader_in_small_portions_gets_all),
	    cmocka_unit_test(test_a_source_that_breaks_off_is_told_as_it_was),
	    cmocka_unit_test(
		test_a_reader_that_goes_leaves_nothing_in_the_pipe),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
