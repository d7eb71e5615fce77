/* SPDX-License-Identifier: MIT */

/*
 * What is in doubt is refused, for the reason that http_errors.def gives: a
 * message of two readings is how one caller's bytes get into another's
 * response (request smuggling, response splitting).
 */

#include "proxy/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/http_parts.h"
#include "tests/unit/http_fixture.h"

static void
test_start_lines_that_are_refused(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST("GET\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET /\r\n\r\n", "bad SYNTAX"),
	    REQUEST(" GET / HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("G(T / HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("G\xc3\x89T / HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET\t/ HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET /a\tb HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET /a\x01 HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET /a\x7f HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET / HTTPS/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET / http/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET /  HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET  / HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET / RTSP/1.0\r\n\r\n", "bad SYNTAX"),
	    REQUEST("SOURCE / ICE/1.0\r\n\r\n", "bad SYNTAX"),
	    REQUEST("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("HTTP/1.1 200 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("GET / HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1 2OO OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1 20 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1 099 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1 000 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("ICY 200 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1 2000 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1 -20 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1  200 OK\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("HTTP/1.1\r\n\r\n", "bad VERSION"),
	    RESPONSE("\r\n\r\n", "bad SYNTAX"),
	    RESPONSE("\r\nHTTP/1.1 200 OK\r\n\r\n", "bad SYNTAX"),
	    REQUEST("GET / HTTP/2.0\r\n\r\n", "bad VERSION"),
	    REQUEST("GET / HTTP/0.9\r\n\r\n", "bad VERSION"),
	    REQUEST("GET / HTTP/1.2\r\n\r\n", "bad VERSION"),
	    REQUEST("GET / HTTP/11.1\r\n\r\n", "bad VERSION"),
	    REQUEST("GET / HTTP/1.1 \r\n\r\n", "bad VERSION"),
	    REQUEST("GET /a b HTTP/1.1\r\n\r\n", "bad SYNTAX"),
	    REQUEST("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad VERSION"),
	    RESPONSE("HTTP/2.0 200 OK\r\n\r\n", "bad VERSION"),
	};

	CONVERSE(rows);
}

/* RFC 9112 §2.2, §5.1, §5.2; RFC 9110 §5.5 */
static void
test_field_lines_that_are_refused(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST("GET / HTTP/1.1\rA: b\r\n\r\n", "bad BARE_CR"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "bad BARE_CR"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\r\r\n\r\n", "bad BARE_CR"),
	    REQUEST("GET / HTTP/1.1\r\nA\r: b\r\n\r\n", "bad BARE_CR"),
	    REQUEST("\rGET / HTTP/1.1\r\n\r\n", "bad BARE_CR"),
	    REQUEST("GET / HTTP/1.1\nA: b\r\n\r\n", "bad BARE_LF"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", "bad BARE_LF"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\r\n\nC: d\r\n\r\n", "bad BARE_LF"),
	    REQUEST("\nGET / HTTP/1.1\r\n\r\n", "bad BARE_LF"),
	    REQUEST(
		"GET / HTTP/1.1\r\n\nGET / HTTP/1.1\r\n\r\n", "bad BARE_LF"),
	    REQUEST("GET /\0 HTTP/1.1\r\n\r\n", "bad NUL"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", "bad NUL"),
	    REQUEST("GET / HTTP/1.1\r\nA\0: b\r\n\r\n", "bad NUL"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "bad FOLDED"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", "bad FOLDED"),
	    REQUEST("GET / HTTP/1.1\r\n A: b\r\n\r\n", "bad FOLDED"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\r\n \r\n\r\n", "bad FOLDED"),
	    REQUEST("GET / HTTP/1.1\r\nA : b\r\n\r\n", "bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nA\t: b\r\n\r\n", "bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nHost : b\r\n\r\n", "bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nContent-Length : 3\r\n\r\n",
		"bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
		"bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nA B: c\r\n\r\n", "bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nA@: c\r\n\r\n", "bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nA\r\n\r\n", "bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\n: b\r\n\r\n", "bad FIELD_NAME"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", "bad FIELD_VALUE"),
	    REQUEST("GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", "bad FIELD_VALUE"),
	    REQUEST(
		"GET / HTTP/1.1\r\nA: b\r\nC@: d\r\n\r\n", "bad FIELD_NAME"),
	    RESPONSE("HTTP/1.1 200 OK\rA: b\r\n\r\n", "bad BARE_CR"),
	    RESPONSE("HTTP/1.1 200 OK\nA: b\r\n\r\n", "bad BARE_LF"),
	    RESPONSE("HTTP/1.1 200 O\0K\r\n\r\n", "bad NUL"),
	    RESPONSE("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "bad FOLDED"),
	    RESPONSE("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "bad FIELD_NAME"),
	};

	CONVERSE(rows);
}

#define POST "POST / HTTP/1.1\r\n"
#define LENGTH "Content-Length: "
#define CODING "Transfer-Encoding: "

/* RFC 9112 §6.1, §6.3: two readings of a length are one too many. */
static void
test_framing_that_is_in_doubt(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST(
		POST LENGTH "5\r\n" CODING "chunked\r\n\r\n", "bad FRAMING"),
	    REQUEST(
		POST CODING "chunked\r\n" LENGTH "5\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "5\r\n" LENGTH "6\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "5\r\n" LENGTH "5\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "5, 5\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "+5\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "-5\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "5 5\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "0x5\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "5.0\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "9223372036854775808\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "18446744073709551616\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "18446744073709551621\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "99999999999999999999\r\n\r\n", "bad FRAMING"),
	    REQUEST(POST LENGTH "00000000000000000001\r\n\r\n", "bad FRAMING"),
	    REQUEST(
		"POST / HTTP/1.0\r\n" CODING "chunked\r\n\r\n", "bad FRAMING"),
	    REQUEST(
		"CONNECT a:1 HTTP/1.1\r\n" LENGTH "5\r\n\r\n", "bad FRAMING"),
	    REQUEST("CONNECT a:1 HTTP/1.1\r\n" CODING "chunked\r\n\r\n",
		"bad FRAMING"),
	    RESPONSE("HTTP/1.1 200 OK\r\n" LENGTH "5\r\n" CODING
		     "chunked\r\n\r\n",
		"bad FRAMING"),
	    RESPONSE("HTTP/1.1 200 OK\r\n" LENGTH "5\r\n" LENGTH "6\r\n\r\n",
		"bad FRAMING"),
	    RESPONSE(
		"HTTP/1.0 200 OK\r\n" CODING "chunked\r\n\r\n", "bad FRAMING"),
	    RESPONSE("HTTP/1.1 200 OK\r\n" LENGTH "x\r\n\r\n", "bad FRAMING"),
	    RESPONSE(
		"HTTP/1.1 200 OK\r\n" LENGTH "5\x01\r\n\r\n", "bad FRAMING"),
	    RESPONSE("HTTP/1.1 103 x\r\n" LENGTH "5\r\n\r\n", "bad INTERIM"),
	    RESPONSE(
		"HTTP/1.1 100 x\r\n" CODING "chunked\r\n\r\n", "bad INTERIM"),
	};

	CONVERSE(rows);
}

static void
test_transfer_codings_that_are_unknown(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST(POST CODING "gzip\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "gzip, chunked\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "chunked, gzip\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "chunked, chunked\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "chunked;a=b\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "chunked\r\n" CODING "chunked\r\n\r\n",
		"bad CODING"),
	    REQUEST(POST CODING "xchunked\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "chunkedx\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "\"chunked\"\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "\x0b"
				"chunked\r\n\r\n",
		"bad FIELD_VALUE"),
	    REQUEST(POST CODING ", chunked\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "chunked,\r\n\r\n", "bad CODING"),
	    RESPONSE("HTTP/1.1 200 OK\r\n" CODING "\x0b"
		     "chunked\r\n\r\n",
		"bad CODING"),
	    REQUEST(POST CODING "identity\r\n\r\n", "bad CODING"),
	    REQUEST(POST CODING "\r\n\r\n", "bad CODING"),
	    RESPONSE("HTTP/1.1 200 OK\r\n" CODING "gzip\r\n\r\n", "bad CODING"),
	    RESPONSE(
		"HTTP/1.1 200 OK\r\n" CODING "identity\r\n\r\n", "bad CODING"),
	};

	CONVERSE(rows);
}

#define CHUNKS(literal) RESPONSE(CHUNKED_HEAD literal, CHUNKED "bad CHUNK")
#define TRAILER(literal, text) \
	RESPONSE(CHUNKED_HEAD "0\r\n" literal, CHUNKED "bad " text)

/* RFC 9112 §7.1: the lines of the framing are as strict as those of the
 * head. */
static void
test_chunks_that_are_malformed(void **state)
{
	static const struct conversation rows[] = {
	    CHUNKS("x\r\n"),
	    CHUNKS("\r\n"),
	    CHUNKS(";a\r\n"),
	    CHUNKS("-1\r\n"),
	    CHUNKS("+1\r\nx\r\n"),
	    CHUNKS(" 1\r\nx\r\n"),
	    CHUNKS("1 \r\nx\r\n"),
	    CHUNKS("0x1\r\nx\r\n"),
	    CHUNKS("1x\r\nx\r\n"),
	    CHUNKS("00000000000000001\r\nx\r\n"),
	    CHUNKS("8000000000000000\r\nx"),
	    CHUNKS("10000000000000000\r\nx"),
	    CHUNKS("fffffffffffffffff\r\nx"),
	    CHUNKS("1\nx\r\n"),
	    CHUNKS("1\rx\r\n"),
	    CHUNKS("1\r\rx\r\n"),
	    CHUNKS("1;a\nx\r\n"),
	    CHUNKS("1;a\rx\r\n"),
	    CHUNKS("1;a\0\r\nx\r\n"),
	    CHUNKS("1;a\x7f\r\nx\r\n"),
	    CHUNKS("1 \r\nx\r\n"),
	    CHUNKS("1 \t\r\nx\r\n"),
	    CHUNKS("1 1\r\nx\r\n"),
	    CHUNKS("1 ;a=\"\r\nx\r\n"),
	    CHUNKS("1;a=\"b\\\"\r\nx\r\n"),
	    CHUNKS("1;a=\"b\nc\"\r\nx\r\n"),
	    CHUNKS("1\r\nxy\r\n"),
	    CHUNKS("1\r\nx\n"),
	    CHUNKS("1\r\nx\rx"),
	    CHUNKS("1\r\nx\r\r\n"),
	    CHUNKS("1\r\nx\r\n\r\n"),
	    CHUNKS("1\r\nx0\r\n\r\n"),
	};

	CONVERSE(rows);
}

static void
test_trailers_that_are_malformed(void **state)
{
	static const struct conversation rows[] = {
	    TRAILER("A: b\rC: d\r\n\r\n", "BARE_CR"),
	    TRAILER("A: b\r\r\n\r\n", "BARE_CR"),
	    TRAILER("A: b\r\n\rC: d\r\n\r\n", "BARE_CR"),
	    TRAILER("A: b\nC: d\r\n\r\n", "BARE_LF"),
	    TRAILER("A: b\r\n\n", "BARE_LF"),
	    TRAILER("\n", "BARE_LF"),
	    TRAILER("A: b\0c\r\n\r\n", "NUL"),
	    TRAILER("A: b\r\n c\r\n\r\n", "FOLDED"),
	    TRAILER(" A: b\r\n\r\n", "FOLDED"),
	    TRAILER("A : b\r\n\r\n", "FIELD_NAME"),
	    TRAILER("A\r\n\r\n", "FIELD_NAME"),
	    TRAILER("A: b\r\nContent-Length: 5\r\n\r\n", "FRAMING"),
	    TRAILER("A: b\r\nTransfer-Encoding: chunked\r\n\r\n", "FRAMING"),
	    TRAILER("A: b\r\nTransfer-Encoding: gzip\r\n\r\n", "FRAMING"),
	};

	CONVERSE(rows);
}

/* RFC 9112 §8: what ends too early is never a clean end. */
static void
test_messages_that_are_truncated(void **state)
{
	static const struct conversation rows[] = {
	    LAST(REQUEST, "G", "bad TRUNCATED"),
	    LAST(REQUEST, "GET / HTTP/1.1\r\nA: b\r\n", "bad TRUNCATED"),
	    LAST(REQUEST, "GET / HTTP/1.1\r\nA: b\r\n\r", "bad TRUNCATED"),
	    LAST(REQUEST, POST LENGTH "5\r\n\r\nhell",
		"POST / 1 length:5 keep {Content-Length=5} bad TRUNCATED"),
	    LAST(REQUEST, POST LENGTH "5\r\n\r\n",
		"POST / 1 length:5 keep {Content-Length=5} bad TRUNCATED"),
	    LAST(RESPONSE, "HTTP/1.1 200 OK\r\n", "bad TRUNCATED"),
	    LAST(RESPONSE, "HTTP/1.1 200 OK\r\n" LENGTH "2\r\n\r\nh",
		"200 OK 1 length:2 keep {Content-Length=2} bad TRUNCATED"),
	    LAST(RESPONSE, CHUNKED_HEAD, CHUNKED "bad TRUNCATED"),
	    LAST(RESPONSE, CHUNKED_HEAD "1\r\nx\r\n", CHUNKED "bad TRUNCATED"),
	    LAST(RESPONSE, CHUNKED_HEAD "1\r\nx\r\n0\r\n",
		CHUNKED "bad TRUNCATED"),
	    LAST(RESPONSE, CHUNKED_HEAD "0\r\nA: b\r\n",
		CHUNKED "bad TRUNCATED"),
	};

	CONVERSE(rows);
}

/* ---- limits ---- */

/* Feeds `length` bytes in pieces of `step`; the transcript has to begin so.
 * Returns how many bytes were taken until it was refused. */
static size_t
assert_long(enum http_kind kind, const char *bytes, size_t length, size_t step,
    const char *wanted)
{
	struct conversation conversation = {.kind = kind};
	struct reader reader;
	size_t fed = 0;

	start(&reader, &conversation);
	while (fed < length && !reader.is_bad) {
		size_t piece = length - fed < step ? length - fed : step;

		feed_copy(&reader, bytes + fed, piece);
		fed += piece;
	}
	reader.transcript[strlen(wanted)] = '\0';
	assert_string_equal(reader.transcript, wanted);
	http_parser_free(reader.parser);
	return fed;
}

static const size_t steps[] = {1, 2, 3, 7, 100, 100000};

/* A request whose head has so many bytes. */
static size_t
write_head(char *bytes, size_t length)
{
	static const char first[] = "GET / HTTP/1.1\r\nA: ";
	static const char last[] = "\r\n\r\n";

	memset(bytes, 'a', length);
	memcpy(bytes, first, strlen(first));
	memcpy(bytes + length - strlen(last), last, strlen(last));
	return length;
}

static void
test_a_head_at_the_limit_is_taken(void **state)
{
	char bytes[LIMIT + 100];

	for (size_t i = 0; i < COUNT(steps); i++) {
		size_t length = write_head(bytes, LIMIT);

		assert_long(HTTP_KIND_REQUEST, bytes, length, steps[i],
		    "GET / 1 none keep {A=aaaa");
		length = write_head(bytes, LIMIT + 1);
		assert_long(HTTP_KIND_REQUEST, bytes, length, steps[i],
		    "bad HEAD_TOO_LARGE\n");
		/* What follows does not count: here, the next request. */
		length = write_head(bytes, LIMIT);
		memcpy(bytes + length, "GET", 3);
		assert_long(HTTP_KIND_REQUEST, bytes, length + 3, steps[i],
		    "GET / 1 none keep {A=aaaa");
	}
}

/* An endless head is not collected for ever. */
static void
test_a_head_without_end_is_refused_at_the_limit(void **state)
{
	char bytes[8 * LIMIT];

	write_head(bytes, sizeof(bytes));
	for (size_t i = 0; i < COUNT(steps); i++) {
		size_t fed = assert_long(HTTP_KIND_REQUEST, bytes,
		    sizeof(bytes) - 4, steps[i], "bad HEAD_TOO_LARGE\n");

		if (steps[i] < sizeof(bytes))
			assert_in_range(fed, LIMIT + 1, LIMIT + steps[i]);
	}
}

/* A target that is too long is told apart from fields that are; what came
 * first of a response or a trailer is no target. */
static void
test_a_request_line_that_is_too_long_is_told_apart(void **state)
{
	static const char first[] = "GET /";
	static const char last[] = " HTTP/1.1\r\n\r\n";
	char bytes[3 * LIMIT];

	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, first, strlen(first));
	memcpy(bytes + sizeof(bytes) - strlen(last), last, strlen(last));
	for (size_t i = 0; i < COUNT(steps); i++) {
		assert_long(HTTP_KIND_REQUEST, bytes, sizeof(bytes), steps[i],
		    "bad LINE_TOO_LONG\n");
		assert_long(HTTP_KIND_RESPONSE, bytes, sizeof(bytes), steps[i],
		    "bad HEAD_TOO_LARGE\n");
	}
}

/* Feeds text whole to a parser with room for it. */
static enum http_error
error_of(enum http_kind kind, const char *text)
{
	struct http_parser *parser =
	    http_parser_new(kind, strlen(text), NULL, NULL);
	enum http_error error;
	size_t taken;

	(void)http_feed(parser, text, strlen(text), &taken);
	error = http_error(parser);
	was_refused[error] = error != HTTP_OK || was_refused[error];
	http_parser_free(parser);
	return error;
}

/* `first`, `count` times `piece`, and `last`. */
static char *
repeated(const char *first, const char *piece, size_t count, const char *last)
{
	size_t size = strlen(first) + count * strlen(piece) + strlen(last) + 1;
	char *text = malloc(size);
	char *at = text;

	assert_non_null(text);
	at = stpcpy(at, first);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, piece);
	stpcpy(at, last);
	return text;
}

/* Every field is compared with every member of Connection. */
static void
test_fields_and_connection_options_are_bounded(void **state)
{
	static const struct {
		const char *first;
		const char *piece;
		size_t count;
		enum http_error error;
	} rows[] = {
	    {"GET / HTTP/1.1\r\n", "A:b\r\n", 1000, HTTP_OK},
	    {"GET / HTTP/1.1\r\n", "A:b\r\n", 1001, HTTP_TOO_MANY_FIELDS},
	    {"GET / HTTP/1.1\r\n", "A:\r\n", 1001, HTTP_TOO_MANY_FIELDS},
	    {"HTTP/1.1 200 OK\r\n", "A:b\r\n", 1001, HTTP_TOO_MANY_FIELDS},
	    {"GET / HTTP/1.1\r\nConnection: a", ",b", 99, HTTP_OK},
	    {"GET / HTTP/1.1\r\nConnection: a", ",b", 100,
		HTTP_TOO_MANY_FIELDS},
	    {"GET / HTTP/1.1\r\n", "Connection: a, b\r\n", 51,
		HTTP_TOO_MANY_FIELDS},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool is_open = strchr(rows[i].piece, '\n') == NULL;
		char *text = repeated(rows[i].first, rows[i].piece,
		    rows[i].count, is_open ? "\r\n\r\n" : "\r\n");
		enum http_kind kind =
		    text[0] == 'G' ? HTTP_KIND_REQUEST : HTTP_KIND_RESPONSE;

		assert_int_equal(error_of(kind, text), rows[i].error);
		free(text);
	}
}

static void
test_trailer_fields_are_bounded(void **state)
{
	char *text = repeated(CHUNKED_HEAD "0\r\n", "A:b\r\n", 1001, "\r\n");
	struct http_parser *parser =
	    http_parser_new(HTTP_KIND_RESPONSE, 1 << 20, NULL, NULL);
	size_t length = strlen(text);
	size_t taken;
	size_t head;

	assert_int_equal(http_feed(parser, text, length, &head), HTTP_HAS_HEAD);
	assert_int_equal(
	    http_feed(parser, text + head, length - head, &taken), HTTP_IS_BAD);
	assert_int_equal(http_error(parser), HTTP_TOO_MANY_FIELDS);
	http_parser_free(parser);
	free(text);
}

/* Interim responses come until they do not; each message's count is its own.
 */
static void
test_interim_responses_are_bounded(void **state)
{
	static const char interim[] = "HTTP/1.1 102 x\r\n\r\n";
	static const char final[] = "HTTP/1.1 204 x\r\n\r\n";
	size_t most = 4 * LIMIT / strlen(interim);
	struct http_parser *parser =
	    http_parser_new(HTTP_KIND_RESPONSE, LIMIT, NULL, NULL);
	size_t taken;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < most; i++) {
			assert_int_equal(
			    http_feed(parser, interim, strlen(interim), &taken),
			    HTTP_HAS_HEAD);
			http_next(parser);
		}
		if (round == 0) {
			assert_int_equal(
			    http_feed(parser, final, strlen(final), &taken),
			    HTTP_HAS_HEAD);
			http_next(parser);
		}
	}
	assert_int_equal(
	    http_feed(parser, interim, strlen(interim), &taken), HTTP_IS_BAD);
	assert_int_equal(http_error(parser), HTTP_INTERIM);
	http_parser_free(parser);
}

/* A head that can never be good is refused before its end comes. */
static void
test_a_bad_head_does_not_wait_for_its_end(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *wanted;
	} rows[] = {
	    {"GET / HTTP/1.1\nA", 16, "bad BARE_LF\n"},
	    {"GET / HTTP/1.1\rA", 16, "bad BARE_CR\n"},
	    {"GET / HTTP/1.1\r\n A", 18, "bad FOLDED\n"},
	    {"GET /\0", 6, "bad NUL\n"},
	    {"\x16\x03\x01\0\xa5", 5, "bad TLS\n"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(steps); j++)
			assert_long(HTTP_KIND_REQUEST, rows[i].bytes,
			    rows[i].length, steps[j], rows[i].wanted);
	}
}

static void
test_a_trailer_has_the_head_s_limit(void **state)
{
	static const char head[] = CHUNKED_HEAD "0\r\n";
	char bytes[4 * LIMIT];
	size_t length = strlen(head);

	memcpy(bytes, head, length);
	while (length < LIMIT / 2)
		length += (size_t)sprintf(bytes + length, "A: %s\r\n", TEN);
	memcpy(bytes + length, "\r\n", 2);
	for (size_t i = 0; i < COUNT(steps); i++)
		assert_long(HTTP_KIND_RESPONSE, bytes, length + 2, steps[i],
		    CHUNKED "<> {A=aaaaaaaaaa|");
	while (length < sizeof(bytes) - 20)
		length += (size_t)sprintf(bytes + length, "A: %s\r\n", TEN);
	for (size_t i = 0; i < COUNT(steps); i++)
		assert_long(HTTP_KIND_RESPONSE, bytes, length, steps[i],
		    CHUNKED "bad HEAD_TOO_LARGE\n");
	/* Nor can it be passed by blanks or by one long line. */
	memcpy(bytes, head, strlen(head));
	memset(bytes + strlen(head), ' ', sizeof(bytes) - strlen(head));
	memcpy(bytes + strlen(head), "A:", 2);
	for (size_t i = 0; i < COUNT(steps); i++)
		assert_long(HTTP_KIND_RESPONSE, bytes, sizeof(bytes), steps[i],
		    CHUNKED "bad HEAD_TOO_LARGE\n");
}

/* RFC 9112 §7.1.1: what is ignored is bounded all the same. */
static void
test_chunk_extensions_are_bounded(void **state)
{
	static const char head[] = CHUNKED_HEAD "1;";
	char bytes[8 * LIMIT];

	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, head, strlen(head));
	for (size_t i = 0; i < COUNT(steps); i++)
		assert_long(HTTP_KIND_RESPONSE, bytes, sizeof(bytes), steps[i],
		    CHUNKED "bad CHUNK\n");
	memset(bytes + strlen(head) - 2, '0', sizeof(bytes) - strlen(head) + 2);
	for (size_t i = 0; i < COUNT(steps); i++)
		assert_long(HTTP_KIND_RESPONSE, bytes, sizeof(bytes), steps[i],
		    CHUNKED "bad CHUNK\n");
	memset(bytes + strlen(head) - 1, ' ', sizeof(bytes) - strlen(head) + 1);
	for (size_t i = 0; i < COUNT(steps); i++)
		assert_long(HTTP_KIND_RESPONSE, bytes, sizeof(bytes), steps[i],
		    CHUNKED "bad CHUNK\n");
}

static void
drop_body(void *arg, const char *bytes, size_t length)
{
}

/* Feeds many chunks of so much data, each with an extension.  Returns whether
 * they were taken. */
static bool
are_taken(size_t data_length, size_t extension_length, size_t count)
{
	char *extension = repeated("", "a", extension_length, "");
	char *data = repeated("", "x", data_length, "");
	char *chunk = malloc(data_length + extension_length + 40);
	int length =
	    sprintf(chunk, "%zx;%s\r\n%s\r\n", data_length, extension, data);
	struct http_parser *parser =
	    http_parser_new(HTTP_KIND_RESPONSE, LIMIT, drop_body, NULL);
	enum http_progress progress;
	size_t taken;

	progress =
	    http_feed(parser, CHUNKED_HEAD, strlen(CHUNKED_HEAD), &taken);
	assert_int_equal(progress, HTTP_HAS_HEAD);
	for (size_t i = 0; i < count && progress != HTTP_IS_BAD; i++)
		progress = http_feed(parser, chunk, (size_t)length, &taken);
	http_parser_free(parser);
	free(extension);
	free(data);
	free(chunk);
	return progress == HTTP_NEEDS_MORE;
}

/* Their sum too: many small ones are as much to read as one.  A signature on
 * each chunk of a large body is no flood. */
static void
test_the_sum_of_chunk_extensions_is_bounded(void **state)
{
	assert_true(are_taken(1, 8, 100000));
	assert_true(are_taken(100, 90, 100000));
	assert_false(are_taken(1, 100, 100));
	assert_false(are_taken(100, 900, 10));
}

/* ---- errors ---- */

static void
test_errors_can_be_answered(void **state)
{
	for (size_t i = 1; i < ERROR_COUNT; i++) {
		enum http_error error = (enum http_error)i;
		int status = http_error_status(error);

		assert_true(status == 400 || status == 414 || status == 431 ||
		    status == 501 || status == 505);
		assert_true(strlen(http_error_response_token(error)) > 0);
		assert_true(strlen(http_error_text(error)) > 0);
		assert_null(strchr(http_error_text(error), '\n'));
	}
	assert_int_equal(http_error_status(HTTP_HEAD_TOO_LARGE), 431);
	assert_int_equal(http_error_status(HTTP_CODING), 501);
	assert_int_equal(http_error_status(HTTP_VERSION), 505);
	assert_int_equal(http_error_status(HTTP_BARE_CR), 400);
}

/* Last: no error is in the list for nothing. */
static void
test_every_error_was_met(void **state)
{
	for (size_t i = 1; i < ERROR_COUNT; i++) {
		if (!was_refused[i])
			fail_msg("no message here is %s", error_names[i]);
	}
	assert_false(was_refused[HTTP_OK]);
}

/* ---- bytes that no head may have ---- */

/* As http_check_bytes() says it, byte by byte. */
static bool
is_clean(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char next = i + 1 < length ? bytes[i + 1] : 'x';

		if (bytes[i] == '\0' || (bytes[i] == '\r') != (next == '\n') ||
		    (bytes[i] == '\n' && (next == ' ' || next == '\t')))
			return false;
	}
	return length == 0 || bytes[0] != '\n';
}

/* Sixteen at a time or one by one: wherever something wrong is, it is seen,
 * and nothing else is. */
static void
test_wrong_bytes_are_seen_wherever_they_are(void **state)
{
	static const struct bytes pieces[] = {B("\r\n"), B("\r"), B("\n"),
	    B("\0"), B(" "), B("\t"), B("\r\n "), B("\n\r"), B("\xff"),
	    B("\x8d\x8a")};
	const size_t lengths = 70;

	for (size_t length = 1; length < lengths; length++) {
		char *block = malloc(length);

		for (size_t i = 0; i < COUNT(pieces) * length; i++) {
			struct bytes piece = pieces[i % COUNT(pieces)];
			size_t at = i / COUNT(pieces);
			size_t room = length - at;

			memset(block, 'a', length);
			memcpy(block + at, piece.at,
			    piece.length < room ? piece.length : room);
			assert_int_equal(
			    http_check_bytes(block, 0, length) == HTTP_OK,
			    is_clean(block, length));
		}
		free(block);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wrong_bytes_are_seen_wherever_they_are),
	    cmocka_unit_test(test_start_lines_that_are_refused),
	    cmocka_unit_test(test_field_lines_that_are_refused),
	    cmocka_unit_test(test_framing_that_is_in_doubt),
	    cmocka_unit_test(test_transfer_codings_that_are_unknown),
	    cmocka_unit_test(test_chunks_that_are_malformed),
	    cmocka_unit_test(test_trailers_that_are_malformed),
	    cmocka_unit_test(test_messages_that_are_truncated),
	    cmocka_unit_test(test_a_head_at_the_limit_is_taken),
	    cmocka_unit_test(test_a_head_without_end_is_refused_at_the_limit),
	    cmocka_unit_test(
		test_a_request_line_that_is_too_long_is_told_apart),
	    cmocka_unit_test(test_fields_and_connection_options_are_bounded),
	    cmocka_unit_test(test_trailer_fields_are_bounded),
	    cmocka_unit_test(test_interim_responses_are_bounded),
	    cmocka_unit_test(test_a_bad_head_does_not_wait_for_its_end),
	    cmocka_unit_test(test_a_trailer_has_the_head_s_limit),
	    cmocka_unit_test(test_chunk_extensions_are_bounded),
	    cmocka_unit_test(test_the_sum_of_chunk_extensions_is_bounded),
	    cmocka_unit_test(test_errors_can_be_answered),
	    cmocka_unit_test(test_every_error_was_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
