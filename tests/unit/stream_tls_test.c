/* SPDX-License-Identifier: MIT */

/*
 * What holds for a plain stream has to hold with TLS inside it: bytes that
 * OpenSSL has already taken from the socket are not forgotten, a close_notify
 * is no end yet (a FIN or a reset follows, and which of them decides a
 * verdict), and a stream may be finished or closed at any point of the
 * handshake.  Both sides here are streams: one accepts as the proxy does
 * towards a caller, the other connects as it does towards an origin.
 */

#include "proxy/stream.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/stream_fixture.h"

#define HOST "origin.test"
#define KEY "https://origin.test:443"
#define MEGABYTE (1024 * 1024)

/* Shared by all tests. */
static char directory[] = "/tmp/stream_tls_test.XXXXXX";
static struct authority *authority;
static struct leaf_cache *leaves;
static struct tls_server *tls_server;
static struct tls_client *trusting;
static struct tls_client *distrusting;

static struct tls_client *
client_of(const char *ca_file)
{
	char error[TLS_ERROR_BYTES];
	struct tls_roots *roots = tls_roots_read(ca_file, error);
	struct tls_client *client;

	if (roots == NULL)
		return NULL;
	client = tls_client_new(
	    &(struct tls_client_settings){.roots = roots}, error);
	tls_roots_free(roots);
	return client;
}

static int
set_up(void **state)
{
	char error[AUTHORITY_ERROR_BYTES];
	char tls_failure[TLS_ERROR_BYTES];

	if (mkdtemp(directory) == NULL)
		return -1;
	authority = authority_open(directory, error);
	if (authority == NULL)
		return -1;
	leaves = leaf_cache_new(authority, LEAF_CACHE_DEFAULT_MAX);
	if (leaves == NULL)
		return -1;
	tls_server = tls_server_new(leaves, NULL, tls_failure);
	trusting = client_of(authority_certificate_path(authority));
	distrusting = client_of(NULL);
	return tls_server != NULL && trusting != NULL && distrusting != NULL
	    ? 0
	    : -1;
}

static int
remove_entry(
    const char *path, const struct stat *stat, int type, struct FTW *place)
{
	return remove(path);
}

static int
tear_down(void **state)
{
	tls_client_free(distrusting);
	tls_client_free(trusting);
	tls_server_free(tls_server);
	leaf_cache_free(leaves);
	authority_free(authority);
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A caller of ours, and the proxy towards it. */
struct pair {
	struct loop *loop;
	struct witness caller;
	struct witness proxy;
};

static void
pair_open(struct pair *pair)
{
	int fds[2];

	connect_sockets(SOCKET_TCP, fds);
	pair->loop = loop_new();
	witness_open(&pair->caller, pair->loop, fds[0]);
	witness_open(&pair->proxy, pair->loop, fds[1]);
}

static void
connect_caller(struct pair *pair, struct tls_client *client)
{
	struct stream *stream = pair->caller.stream;
	struct tls *tls = tls_connect(client, stream_fd(stream), HOST, KEY);

	CALL(&pair->caller, stream_secure(stream, &tls));
	assert_null(tls);
}

static void
accept_proxy(struct pair *pair, const void *early, size_t early_length)
{
	struct stream *stream = pair->proxy.stream;
	struct tls *tls = tls_accept(
	    tls_server, stream_fd(stream), "connect.test", early, early_length);

	stream_secure(stream, &tls);
	assert_null(tls);
}

static void
pair_secure(struct pair *pair)
{
	pair_open(pair);
	connect_caller(pair, trusting);
	CALL(&pair->proxy, accept_proxy(pair, NULL, 0));
	RUN_UNTIL(pair->loop,
	    pair->caller.told[EVENT_SECURED] &&
		pair->proxy.told[EVENT_SECURED]);
}

static void
pair_close(struct pair *pair)
{
	witness_close(&pair->caller);
	witness_close(&pair->proxy);
	settle(pair->loop);
	loop_free(pair->loop);
}

/* ---- the handshake ---- */

static void
test_a_handshake_and_bytes_both_ways(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	assert_string_equal(
	    tls_server_name(stream_tls(pair.proxy.stream)), HOST);
	assert_int_equal(
	    strlen(tls_fingerprint(stream_tls(pair.proxy.stream))), 32);
	assert_string_equal(
	    tls_version(stream_tls(pair.caller.stream)), "TLSv1.3");
	stream_write_string(&pair.caller, "question");
	RUN_UNTIL(pair.loop, pair.proxy.received.length == 8);
	assert_received(&pair.proxy, "question");
	stream_write_string(&pair.proxy, "an answer");
	RUN_UNTIL(pair.loop, pair.caller.received.length == 9);
	assert_received(&pair.caller, "an answer");
	settle(pair.loop);
	assert_told(&pair.caller, EVENT_SECURED, 1);
	assert_told(&pair.proxy, EVENT_SECURED, 1);
	/* Wire bytes, the same on both ends, and more than ours. */
	assert_int_equal(stream_sent_bytes(pair.caller.stream),
	    stream_received_bytes(pair.proxy.stream));
	assert_int_equal(stream_received_bytes(pair.caller.stream),
	    stream_sent_bytes(pair.proxy.stream));
	assert_true(stream_sent_bytes(pair.caller.stream) > 100);
	pair_close(&pair);
}

static struct pair *intercepting;

/* As for a CONNECT: the first bytes were read before TLS was thought of. */
static void
intercept(struct witness *witness)
{
	char early[4096];
	size_t length = witness->received.length;

	assert_in_range(length, 1, sizeof(early));
	memcpy(early, witness->received.bytes, length);
	text_clear(&witness->received);
	witness->hooks[EVENT_BYTES] = NULL;
	accept_proxy(intercepting, early, length);
}

static void
test_early_bytes_belong_to_the_handshake(void **state)
{
	struct pair pair;

	pair_open(&pair);
	intercepting = &pair;
	pair.proxy.hooks[EVENT_BYTES] = intercept;
	connect_caller(&pair, trusting);
	RUN_UNTIL(pair.loop,
	    pair.proxy.told[EVENT_SECURED] && pair.caller.told[EVENT_SECURED]);
	stream_write_string(&pair.caller, "question");
	RUN_UNTIL(pair.loop, pair.proxy.received.length == 8);
	assert_received(&pair.proxy, "question");
	pair_close(&pair);
}

/* Or they were kept, while the origin was dialled. */
static void
test_kept_bytes_belong_to_the_handshake(void **state)
{
	struct pair pair;
	char early[4096];
	const char *kept;
	size_t length;

	pair_open(&pair);
	pair.proxy.takes = 0;
	connect_caller(&pair, trusting);
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_BYTES]);
	kept = stream_kept(pair.proxy.stream, &length);
	assert_in_range(length, 1, sizeof(early));
	memcpy(early, kept, length);
	CALL(&pair.proxy, accept_proxy(&pair, early, length));
	pair.proxy.takes = SIZE_MAX;
	RUN_UNTIL(pair.loop, pair.caller.told[EVENT_SECURED]);
	stream_write_string(&pair.caller, "question");
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_BYTES] == 2);
	assert_received(&pair.proxy, "question");
	pair_close(&pair);
}

/* The caller must learn why, and so must whoever reads the report. */
static void
test_a_caller_that_does_not_trust_us(void **state)
{
	struct pair pair;

	pair_open(&pair);
	connect_caller(&pair, distrusting);
	CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
	RUN_UNTIL(pair.loop, pair.caller.told[EVENT_ENDED]);
	assert_int_equal(pair.caller.how, STREAM_END_TLS);
	assert_true(tls_is_certificate_error(stream_tls(pair.caller.stream)));
	assert_true(strlen(tls_error(stream_tls(pair.caller.stream))) > 0);
	assert_told(&pair.caller, EVENT_SECURED, 0);
	/* TLS 1.3: our side was done, and reads the alert. */
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_TLS);
	assert_string_equal(
	    tls_trust_alert(stream_tls(pair.proxy.stream)), "unknown_ca");
	pair_close(&pair);
}

static void
test_what_is_no_tls_fails(void **state)
{
	struct pair pair;

	pair_open(&pair);
	CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
	stream_write_string(&pair.caller, "GET / HTTP/1.1\r\n\r\n");
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_TLS);
	assert_null(tls_trust_alert(stream_tls(pair.proxy.stream)));
	assert_told(&pair.proxy, EVENT_BYTES, 0);
	pair_close(&pair);
}

static void
test_a_broken_record_fails(void **state)
{
	static const char record[] = "\x17\x03\x03\0\x20"
				     "broken record, of thirty-two byte";
	struct pair pair;

	pair_secure(&pair);
	assert_int_equal(
	    send(stream_fd(pair.caller.stream), record, 37, 0), 37);
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_TLS);
	assert_told(&pair.proxy, EVENT_BYTES, 0);
	pair_close(&pair);
}

/* A caller that goes before it has spoken. */
static void
test_a_handshake_that_ends(void **state)
{
	for (int resets = 0; resets <= 1; resets++) {
		struct pair pair;

		pair_open(&pair);
		CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
		if (resets)
			CALL(&pair.caller, stream_abort(&pair.caller.stream));
		else
			CALL(&pair.caller, stream_close(&pair.caller.stream));
		RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
		assert_int_equal(
		    pair.proxy.how, resets ? STREAM_END_RST : STREAM_END_FIN);
		assert_told(&pair.proxy, EVENT_SECURED, 0);
		pair_close(&pair);
	}
}

/* ---- writing before, finishing before ---- */

static void
test_what_is_written_before_the_handshake_waits_for_it(void **state)
{
	static char bytes[STREAM_HIGH_BYTES + 1000];
	struct pair pair;

	fill_pattern(bytes, 0, sizeof(bytes));
	pair_open(&pair);
	connect_caller(&pair, trusting);
	stream_write_bytes(&pair.caller, bytes, sizeof(bytes));
	assert_true(stream_is_full(pair.caller.stream));
	CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
	RUN_UNTIL(pair.loop, pair.proxy.received.length == sizeof(bytes));
	assert_pattern(&pair.proxy.received, sizeof(bytes));
	/* It was full: whoever stopped for it has to be told. */
	settle(pair.loop);
	assert_told(&pair.caller, EVENT_DRAINED, 1);
	pair_close(&pair);
}

static void
test_a_stream_may_be_finished_during_the_handshake(void **state)
{
	struct pair pair;

	pair_open(&pair);
	connect_caller(&pair, trusting);
	stream_write_string(&pair.caller, "all");
	CALL(&pair.caller, stream_finish(pair.caller.stream));
	CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_FIN);
	assert_received(&pair.proxy, "all");
	assert_told(&pair.caller, EVENT_FINISHED, 1);
	assert_null(stream_tls(pair.caller.stream));
	pair_close(&pair);
}

static void
finish_stream(struct witness *witness)
{
	CALL(witness, stream_finish(witness->stream));
}

static void
test_a_stream_may_be_finished_as_it_is_secured(void **state)
{
	struct pair pair;

	pair_open(&pair);
	pair.proxy.hooks[EVENT_SECURED] = finish_stream;
	connect_caller(&pair, trusting);
	CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
	RUN_UNTIL(pair.loop, pair.caller.told[EVENT_ENDED]);
	assert_int_equal(pair.caller.how, STREAM_END_FIN);
	assert_told(&pair.proxy, EVENT_FINISHED, 1);
	pair_close(&pair);
}

static void
pause_stream(struct witness *witness)
{
	stream_pause(witness->stream);
}

static void
test_a_stream_may_be_paused_as_it_is_secured(void **state)
{
	struct pair pair;

	pair_open(&pair);
	pair.proxy.hooks[EVENT_SECURED] = pause_stream;
	connect_caller(&pair, trusting);
	stream_write_string(&pair.caller, "early");
	CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_SECURED]);
	settle(pair.loop);
	assert_told(&pair.proxy, EVENT_BYTES, 0);
	CALL(&pair.proxy, stream_resume(pair.proxy.stream));
	RUN_UNTIL(pair.loop, pair.proxy.received.length == 5);
	assert_received(&pair.proxy, "early");
	pair_close(&pair);
}

/* ---- reading ---- */

static void
test_what_is_not_taken_is_kept_and_shown_again(void **state)
{
	struct pair pair;
	size_t length;

	pair_secure(&pair);
	pair.proxy.takes = 2;
	stream_write_string(&pair.caller, "hello");
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_BYTES]);
	stream_write_string(&pair.caller, "world");
	settle(pair.loop);
	assert_told(&pair.proxy, EVENT_BYTES, 1);
	assert_memory_equal(stream_kept(pair.proxy.stream, &length), "llo", 3);
	pair.proxy.takes = SIZE_MAX;
	CALL(&pair.proxy, stream_resume(pair.proxy.stream));
	RUN_UNTIL(pair.loop, pair.proxy.received.length == 10);
	assert_received(&pair.proxy, "helloworld");
	pair_close(&pair);
}

/* With more behind what is shown. */
static void
test_a_stream_may_be_finished_as_bytes_are_shown(void **state)
{
	static char bytes[MEGABYTE];
	struct pair pair;

	for (size_t takes = 0; takes <= sizeof(bytes); takes += sizeof(bytes)) {
		pair_secure(&pair);
		pair.proxy.takes = takes;
		pair.proxy.hooks[EVENT_BYTES] = finish_stream;
		stream_write_bytes(&pair.caller, bytes, sizeof(bytes));
		RUN_UNTIL(pair.loop, pair.caller.told[EVENT_ENDED]);
		RUN_UNTIL(
		    pair.loop, stream_queued_bytes(pair.caller.stream) == 0);
		CALL(&pair.caller, stream_close(&pair.caller.stream));
		RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
		assert_told(&pair.proxy, EVENT_BYTES, 1);
		pair_close(&pair);
	}
}

/* Bytes, a close_notify and a FIN come at once: OpenSSL takes all from the
 * socket, and a paused owner must still get each. */
static void
test_a_pause_loses_nothing_that_openssl_holds(void **state)
{
	static char bytes[MEGABYTE];
	struct pair pair;

	fill_pattern(bytes, 0, sizeof(bytes));
	pair_secure(&pair);
	pair.proxy.hooks[EVENT_BYTES] = pause_stream;
	stream_write_bytes(&pair.caller, bytes, sizeof(bytes));
	CALL(&pair.caller, stream_finish(pair.caller.stream));
	UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED])
	{
		if (pair.proxy.told[EVENT_BYTES] % 3 != 2)
			pair.proxy.takes = 70001;
		else
			pair.proxy.takes = SIZE_MAX;
		CALL(&pair.proxy, stream_resume(pair.proxy.stream));
	}
	assert_int_equal(pair.proxy.how, STREAM_END_FIN);
	assert_pattern(&pair.proxy.received, sizeof(bytes));
	pair_close(&pair);
}

static void
test_backpressure_through_tls(void **state)
{
	static char bytes[4 * MEGABYTE];
	struct pair pair;
	int kernel_bytes = 256 * 1024; /* or it might take all */
	size_t sent = 0;
	int times_full = 0;

	fill_pattern(bytes, 0, sizeof(bytes));
	pair_secure(&pair);
	assert_int_equal(setsockopt(stream_fd(pair.caller.stream), SOL_SOCKET,
			     SO_SNDBUF, &kernel_bytes, sizeof(kernel_bytes)),
	    0);
	CALL(&pair.proxy, stream_pause(pair.proxy.stream));
	UNTIL(pair.loop, pair.proxy.received.length == sizeof(bytes))
	{
		while (sent < sizeof(bytes) &&
		    !stream_is_full(pair.caller.stream)) {
			size_t left = sizeof(bytes) - sent;
			size_t length = left < 60000 ? left : 60000;
			struct iovec parts[] = {{bytes + sent, length - 1},
			    {bytes + sent + length - 1, 1}};

			CALL(&pair.caller,
			    stream_write(pair.caller.stream, parts, 2));
			sent += length;
			if (stream_is_full(pair.caller.stream))
				times_full++;
		}
		if (times_full > 0)
			CALL(&pair.proxy, stream_resume(pair.proxy.stream));
	}
	assert_pattern(&pair.proxy.received, sizeof(bytes));
	settle(pair.loop);
	assert_true(times_full > 0);
	assert_in_range(pair.caller.told[EVENT_DRAINED], 1, times_full);
	pair_close(&pair);
}

/* ---- ends ---- */

static void
test_finishing_sends_close_notify_then_fin(void **state)
{
	struct pair pair;
	int64_t before;

	pair_secure(&pair);
	stream_write_string(&pair.proxy, "all");
	RUN_UNTIL(pair.loop, pair.caller.received.length == 3);
	before = stream_sent_bytes(pair.proxy.stream);
	assert_int_equal(stream_fin_bytes(pair.proxy.stream), 0);
	CALL(&pair.proxy, stream_finish(pair.proxy.stream));
	/* All that TLS held is gone at once. */
	assert_null(stream_tls(pair.proxy.stream));
	assert_int_equal(stream_fin_bytes(pair.proxy.stream),
	    stream_sent_bytes(pair.proxy.stream) - before + 1);
	assert_true(stream_fin_bytes(pair.proxy.stream) > 1);
	RUN_UNTIL(pair.loop, pair.caller.told[EVENT_ENDED]);
	assert_int_equal(pair.caller.how, STREAM_END_FIN);
	/* What the caller says to that is only counted. */
	stream_write_string(&pair.caller, "late");
	RUN_UNTIL(pair.loop, stream_bytes_after_fin(pair.proxy.stream) > 4);
	CALL(&pair.caller, stream_close(&pair.caller.stream));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_told(&pair.proxy, EVENT_BYTES, 0);
	assert_told(&pair.proxy, EVENT_FINISHED, 1);
	pair_close(&pair);
}

static void
test_a_half_close_goes_on_reading(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	CALL(&pair.proxy, stream_half_close(pair.proxy.stream));
	RUN_UNTIL(pair.loop, pair.caller.told[EVENT_ENDED]);
	assert_told(&pair.proxy, EVENT_FINISHED, 1);
	stream_write_string(&pair.caller, "late");
	CALL(&pair.caller, stream_finish(pair.caller.stream));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_received(&pair.proxy, "late");
	assert_int_equal(pair.proxy.how, STREAM_END_FIN);
	pair_close(&pair);
}

/* Go's Close() of an unread body, through TLS: close_notify, then RST. */
static void
test_a_reset_behind_a_close_notify_is_a_reset(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	assert_int_equal(
	    tls_shutdown(stream_tls(pair.caller.stream)), TLS_DONE);
	settle(pair.loop);
	assert_told(&pair.proxy, EVENT_ENDED, 0);
	CALL(&pair.caller, stream_abort(&pair.caller.stream));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_RST);
	settle(pair.loop);
	assert_told(&pair.proxy, EVENT_ENDED, 1);
	pair_close(&pair);
}

/* Some say close_notify and wait for ours, before any FIN. */
static void
test_a_close_notify_alone_ends_after_a_while(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	assert_int_equal(
	    tls_shutdown(stream_tls(pair.caller.stream)), TLS_DONE);
	settle(pair.loop);
	assert_told(&pair.proxy, EVENT_ENDED, 0);
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_FIN);
	pair_close(&pair);
}

/* Backpressure in between must not make us wait for ever. */
static void
test_a_close_notify_is_seen_behind_a_pause(void **state)
{
	for (int pauses_late = 0; pauses_late <= 1; pauses_late++) {
		struct pair pair;

		pair_secure(&pair);
		if (!pauses_late)
			pair.proxy.hooks[EVENT_BYTES] = pause_stream;
		stream_write_string(&pair.caller, "last");
		assert_int_equal(
		    tls_shutdown(stream_tls(pair.caller.stream)), TLS_DONE);
		RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_BYTES]);
		settle(pair.loop);
		if (pauses_late)
			CALL(&pair.proxy, stream_pause(pair.proxy.stream));
		settle(pair.loop);
		assert_told(&pair.proxy, EVENT_ENDED, 0);
		CALL(&pair.proxy, stream_resume(pair.proxy.stream));
		RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
		assert_int_equal(pair.proxy.how, STREAM_END_FIN);
		assert_received(&pair.proxy, "last");
		pair_close(&pair);
	}
}

static void
test_closing_says_close_notify(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	settle(pair.loop);
	CALL(&pair.caller, stream_close(&pair.caller.stream));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_FIN);
	assert_false(stream_was_cut(pair.proxy.stream));
	pair_close(&pair);
}

/* Anybody on the way can send a FIN. */
static void
test_an_end_without_close_notify_is_a_cut(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	settle(pair.loop);
	shutdown(stream_fd(pair.caller.stream), SHUT_WR);
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_FIN);
	assert_true(stream_was_cut(pair.proxy.stream));
	pair_close(&pair);
}

/* What we throw away must not look whole. */
static void
test_closing_with_a_queue_is_a_cut(void **state)
{
	static char block[64 * 1024];
	struct pair pair;

	pair_secure(&pair);
	settle(pair.loop);
	CALL(&pair.proxy, stream_pause(pair.proxy.stream));
	while (stream_queued_bytes(pair.caller.stream) == 0)
		CALL(&pair.caller,
		    stream_write(pair.caller.stream,
			&(struct iovec){block, sizeof(block)}, 1));
	CALL(&pair.caller, stream_close(&pair.caller.stream));
	CALL(&pair.proxy, stream_resume(pair.proxy.stream));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_true(stream_was_cut(pair.proxy.stream));
	pair_close(&pair);
}

static void
test_a_reset_within_tls_is_a_reset(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	CALL(&pair.caller, stream_abort(&pair.caller.stream));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_RST);
	pair_close(&pair);
}

static void
test_a_failed_write_is_told_by_the_loop(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	CALL(&pair.caller, stream_abort(&pair.caller.stream));
	stream_write_string(&pair.proxy, "lost");
	assert_true(stream_has_failed(pair.proxy.stream));
	assert_told(&pair.proxy, EVENT_ENDED, 0);
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_RST);
	settle(pair.loop);
	assert_told(&pair.proxy, EVENT_ENDED, 1);
	pair_close(&pair);
}

static void
test_an_answer_is_shown_before_a_failed_write_is_told(void **state)
{
	struct pair pair;

	pair_secure(&pair);
	/* The caller's tickets are read, so that only this is under way. */
	settle(pair.loop);
	stream_write_string(&pair.proxy, "body");
	stream_write_string(&pair.caller, "answer");
	CALL(&pair.caller, stream_close(&pair.caller.stream));
	stream_write_string(&pair.proxy, "more body");
	assert_true(stream_has_failed(pair.proxy.stream));
	RUN_UNTIL(pair.loop, pair.proxy.told[EVENT_ENDED]);
	assert_int_equal(pair.proxy.how, STREAM_END_RST);
	assert_received(&pair.proxy, "answer");
	pair_close(&pair);
}

/* ---- closing from inside ---- */

static void
test_closing_is_safe_inside_each_callback(void **state)
{
	static const enum event_kind kinds[] = {
	    EVENT_SECURED, EVENT_BYTES, EVENT_ENDED, EVENT_FINISHED};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct pair pair;

		pair_open(&pair);
		pair.proxy.takes = 1;
		pair.proxy.hooks[kinds[i]] = close_stream;
		connect_caller(&pair, trusting);
		stream_write_string(&pair.caller, "hello");
		CALL(&pair.proxy, accept_proxy(&pair, NULL, 0));
		if (kinds[i] == EVENT_FINISHED)
			CALL(&pair.proxy, stream_finish(pair.proxy.stream));
		if (kinds[i] == EVENT_ENDED)
			CALL(&pair.caller, stream_abort(&pair.caller.stream));
		RUN_UNTIL(pair.loop, pair.proxy.told[kinds[i]]);
		assert_null(pair.proxy.stream);
		settle(pair.loop);
		assert_told(&pair.proxy, kinds[i], 1);
		if (kinds[i] != EVENT_ENDED)
			assert_told(&pair.proxy, EVENT_ENDED, 0);
		pair_close(&pair);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_handshake_and_bytes_both_ways),
	    cmocka_unit_test(test_early_bytes_belong_to_the_handshake),
	    cmocka_unit_test(test_kept_bytes_belong_to_the_handshake),
	    cmocka_unit_test(test_a_caller_that_does_not_trust_us),
	    cmocka_unit_test(test_what_is_no_tls_fails),
	    cmocka_unit_test(test_a_broken_record_fails),
	    cmocka_unit_test(test_a_handshake_that_ends),
	    cmocka_unit_test(
		test_what_is_written_before_the_handshake_waits_for_it),
	    cmocka_unit_test(
		test_a_stream_may_be_finished_during_the_handshake),
	    cmocka_unit_test(test_a_stream_may_be_finished_as_it_is_secured),
	    cmocka_unit_test(test_a_stream_may_be_paused_as_it_is_secured),
	    cmocka_unit_test(test_what_is_not_taken_is_kept_and_shown_again),
	    cmocka_unit_test(test_a_stream_may_be_finished_as_bytes_are_shown),
	    cmocka_unit_test(test_a_pause_loses_nothing_that_openssl_holds),
	    cmocka_unit_test(test_backpressure_through_tls),
	    cmocka_unit_test(test_finishing_sends_close_notify_then_fin),
	    cmocka_unit_test(test_a_half_close_goes_on_reading),
	    cmocka_unit_test(test_a_reset_behind_a_close_notify_is_a_reset),
	    cmocka_unit_test(test_a_close_notify_alone_ends_after_a_while),
	    cmocka_unit_test(test_a_close_notify_is_seen_behind_a_pause),
	    cmocka_unit_test(test_closing_says_close_notify),
	    cmocka_unit_test(test_an_end_without_close_notify_is_a_cut),
	    cmocka_unit_test(test_closing_with_a_queue_is_a_cut),
	    cmocka_unit_test(test_a_reset_within_tls_is_a_reset),
	    cmocka_unit_test(test_a_failed_write_is_told_by_the_loop),
	    cmocka_unit_test(
		test_an_answer_is_shown_before_a_failed_write_is_told),
	    cmocka_unit_test(test_closing_is_safe_inside_each_callback),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
