/* SPDX-License-Identifier: MIT */

/*
 * A parser that reads a message otherwise than its neighbours do lets one
 * caller's bytes into another's response.  What is taken is here; what is in
 * doubt, in http_refusals_test.c.
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

#include "tests/unit/http_fixture.h"

static void
test_requests_without_body(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a/ 1 none keep {Host=a} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\n\r\n", "GET / 1 none keep {} <> {}"),
	    REQUEST("GET /a?b=c&d=%20 HTTP/1.1\r\n\r\n",
		"GET /a?b=c&d=%20 1 none keep {} <> {}"),
	    REQUEST("HEAD / HTTP/1.1\r\n\r\n", "HEAD / 1 none keep {} <> {}"),
	    REQUEST(
		"OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * 1 none keep {} <> {}"),
	    REQUEST("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
		"CONNECT a:443 1 none keep {Host=a:443} <> {}"),
	    REQUEST("CONNECT [::1]:443 HTTP/1.1\r\n\r\n",
		"CONNECT [::1]:443 1 none keep {} <> {}"),
	    REQUEST("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"POST / 1 none:0 keep {Content-Length=0} <> {}"),
	    /* Without either length field there is no body (RFC 9112 §6.3). */
	    REQUEST("POST / HTTP/1.1\r\nConnection: close\r\n\r\n",
		"POST / 1 none close {Connection=close} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nConnection: Upgrade\r\n"
		    "Upgrade: websocket\r\n\r\n",
		"GET / 1 none keep {Connection=Upgrade|Upgrade=websocket} "
		"<> {}"),
	};

	CONVERSE(rows);
}

static void
test_fields_are_read_as_they_came(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST("GET / HTTP/1.1\r\nA: 1\r\nb: 2\r\nA: 3\r\n\r\n",
		"GET / 1 none keep {A=1|b=2|A=3} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nA:1\r\nB: \t 2 \t\r\nC: d  e\r\n\r\n",
		"GET / 1 none keep {A=1|B=2|C=d  e} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nA:\r\nB: \r\nC: :\r\n\r\n",
		"GET / 1 none keep {A=|B=|C=:} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nX: caf\xc3\xa9\r\n\r\n",
		"GET / 1 none keep {X=caf\xc3\xa9} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n",
		"GET / 1 none keep {!#$%&'*+-.^_`|~09azAZ=x} <> {}"),
	};

	CONVERSE(rows);
}

static void
test_who_keeps_the_connection(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST("GET / HTTP/1.0\r\n\r\n", "GET / 0 none close {} <> {}"),
	    REQUEST("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
		"GET / 0 none keep {Connection=Keep-Alive} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nConnection: CLOSE\r\n\r\n",
		"GET / 1 none close {Connection=CLOSE} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nConnection: x , close,\r\n\r\n",
		"GET / 1 none close {Connection=x , close,} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nConnection: x\r\n"
		    "Connection: close\r\n\r\n",
		"GET / 1 none close {Connection=x|Connection=close} <> {}"),
	    REQUEST("GET / HTTP/1.1\r\nConnection: closed\r\n\r\n",
		"GET / 1 none keep {Connection=closed} <> {}"),
	    REQUEST("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
		"GET / 0 none close {Connection=keep-alive, close} <> {}"),
	    /* Not a field that anybody should heed (RFC 9112 §C.2.2). */
	    REQUEST("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n",
		"GET / 0 none close {Proxy-Connection=keep-alive} <> {}"),
	};

	CONVERSE(rows);
}

static void
test_any_token_is_a_method(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST("BREW / HTTP/1.1\r\nA: b\r\n\r\n",
		"BREW / 1 none keep {A=b} <> {}"),
	    REQUEST("get / HTTP/1.1\r\n\r\n", "get / 1 none keep {} <> {}"),
	    REQUEST("G / HTTP/1.1\r\n\r\n", "G / 1 none keep {} <> {}"),
	    REQUEST("GETS / HTTP/1.1\r\n\r\n", "GETS / 1 none keep {} <> {}"),
	    REQUEST("M-SEARCH * HTTP/1.1\r\n\r\n",
		"M-SEARCH * 1 none keep {} <> {}"),
	    REQUEST("!#$%&'*+-.^_`|~ / HTTP/1.1\r\n\r\n",
		"!#$%&'*+-.^_`|~ / 1 none keep {} <> {}"),
	    REQUEST("BREW / HTTP/1.1\r\nContent-Length: 3\r\n\r\npot",
		"BREW / 1 length:3 keep {Content-Length=3} <pot> {}"),
	    REQUEST("BREW / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\npot\r\n0\r\n\r\n",
		"BREW / 1 chunked keep {Transfer-Encoding=chunked} <pot> {}"),
	    /* A known one with an unusual body. */
	    REQUEST("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\npot",
		"GET / 1 length:3 keep {Content-Length=3} <pot> {}"),
	};

	CONVERSE(rows);
}

static void
test_request_bodies(void **state)
{
	static const struct conversation rows[] = {
	    REQUEST("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
		"POST / 1 length:5 keep {Content-Length=5} <hello> {}"),
	    REQUEST("PUT / HTTP/1.1\r\nContent-Length: 005 \r\n\r\n\r\n\r\nx",
		"PUT / 1 length:5 keep {Content-Length=005} <\r\n\r\nx> {}"),
	    REQUEST("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
		"POST / 0 length:1 close {Content-Length=1} <x> {}"),
	    REQUEST("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
		    "5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\n",
		"POST / 1 chunked keep {Transfer-Encoding=Chunked} "
		"<hello0123456789> {}"),
	    REQUEST("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "0\r\n\r\n",
		"POST / 1 chunked keep {Transfer-Encoding=chunked} <> {}"),
	    /* Data that looks like framing is data. */
	    REQUEST("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
		"POST / 1 chunked keep {Transfer-Encoding=chunked} "
		"<\r\n0\r\n\r\n> {}"),
	    REQUEST("POST / HTTP/1.1\r\nConnection: Upgrade\r\n"
		    "Upgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
		"POST / 1 length:2 keep {Connection=Upgrade|Upgrade=h2c|"
		"Content-Length=2} <hi> {}"),
	};

	CONVERSE(rows);
}

/* RFC 9112 §7.1.1: extensions that nobody knows are ignored. */
static void
test_chunk_extensions_and_trailers(void **state)
{
	static const struct conversation rows[] = {
	    RESPONSE(
		CHUNKED_HEAD "5;a\r\nhello\r\n0\r\n\r\n", CHUNKED "<hello> {}"),
	    RESPONSE(CHUNKED_HEAD "5;a=b;c=\"d e\"\r\nhello\r\n0;e\r\n\r\n",
		CHUNKED "<hello> {}"),
	    RESPONSE(CHUNKED_HEAD "5 \t ; a = b \r\nhello\r\n0 ;\r\n\r\n",
		CHUNKED "<hello> {}"),
	    RESPONSE(CHUNKED_HEAD "5;a=\"\\\"\\\\;\"\r\nhello\r\n0\r\n\r\n",
		CHUNKED "<hello> {}"),
	    RESPONSE(CHUNKED_HEAD
		"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n",
		CHUNKED "<hello> {}"),
	    RESPONSE(CHUNKED_HEAD "1\r\nx\r\n0\r\nA: b\r\n\r\n",
		CHUNKED "<x> {A=b}"),
	    RESPONSE(CHUNKED_HEAD "0\r\nA: b\r\nC:\r\nD:  e f\r\nA: g\r\n\r\n",
		CHUNKED "<> {A=b|C=|D=e f|A=g}"),
	    /* As in a header (RFC 9112 §5.1). */
	    RESPONSE(
		CHUNKED_HEAD "0\r\nA: \t b \t\r\n\r\n", CHUNKED "<> {A=b}"),
	    RESPONSE(CHUNKED_HEAD "a\r\n0123456789\r\nA\r\n0123456789\r\n"
				  "0\r\n\r\n",
		CHUNKED "<01234567890123456789> {}"),
	};

	CONVERSE(rows);
}

static void
test_responses(void **state)
{
	static const struct conversation rows[] = {
	    RESPONSE("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"200 OK 1 length:2 keep {Content-Length=2} <hi> {}"),
	    RESPONSE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"200 OK 1 none:0 keep {Content-Length=0} <> {}"),
	    RESPONSE("HTTP/1.1 404 Not Found, sorry\r\n"
		     "Content-Length: 0\r\n\r\n",
		"404 Not Found, sorry 1 none:0 keep {Content-Length=0} <> {}"),
	    RESPONSE("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
		"200  1 none:0 keep {Content-Length=0} <> {}"),
	    RESPONSE("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		"200  1 none:0 keep {Content-Length=0} <> {}"),
	    RESPONSE("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"200 OK 0 length:2 close {Content-Length=2} <hi> {}"),
	    RESPONSE("HTTP/1.1 200 OK\r\nConnection: close\r\n"
		     "Content-Length: 2\r\n\r\nhi",
		"200 OK 1 length:2 close {Connection=close|Content-Length=2} "
		"<hi> {}"),
	    /* Until the connection ends, and not before. */
	    LAST(RESPONSE, "HTTP/1.1 200 OK\r\n\r\n",
		"200 OK 1 to-eof keep {} <> {}"),
	    LAST(RESPONSE, "HTTP/1.1 200 OK\r\nA: b\r\n\r\nto the\r\n\r\nend",
		"200 OK 1 to-eof keep {A=b} <to the\r\n\r\nend> {}"),
	    LAST(RESPONSE, "HTTP/1.0 200 OK\r\n\r\nend",
		"200 OK 0 to-eof close {} <end> {}"),
	    /* A clean end between messages is no message and no error. */
	    LAST(RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"200 OK 1 length:2 keep {Content-Length=2} <hi> {}"),
	    LAST(REQUEST, "GET / HTTP/1.1\r\n\r\n",
		"GET / 1 none keep {} <> {}"),
	    /* RFC 9110 §5.5: in a response other control characters pass. */
	    RESPONSE("HTTP/1.1 999 x\r\nContent-Length: 0\r\n"
		     "A: \x1b[1m\x7f\r\n\r\n",
		"999 x 1 none:0 keep {Content-Length=0|A=\x1b[1m\x7f} <> {}"),
	};

	CONVERSE(rows);
}

/* RFC 9112 §6.3: whatever the length fields say. */
static void
test_responses_that_cannot_have_a_body(void **state)
{
	static const struct conversation rows[] = {
	    RESPONSE("HTTP/1.1 204 No Content\r\n\r\n",
		"204 No Content 1 none keep {} <> {}"),
	    RESPONSE("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"204 No Content 1 none:5 close {Content-Length=5} <> {}"),
	    RESPONSE("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"204 x 1 none close {Transfer-Encoding=chunked} <> {}"),
	    RESPONSE("HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
		"204 x 1 none:0 keep {Content-Length=0} <> {}"),
	    RESPONSE("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
		"304 Not Modified 1 none:99 keep {Content-Length=99} <> {}"),
	    RESPONSE("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"304 x 1 none keep {Transfer-Encoding=chunked} <> {}"),
	    RESPONSE("HTTP/1.1 100 Continue\r\n\r\n",
		"100 Continue 1 none keep {} <> {}"),
	    RESPONSE("HTTP/1.1 103 x\r\nContent-Length: 0\r\n\r\n",
		"103 x 1 none:0 keep {Content-Length=0} <> {}"),
	    RESPONSE("HTTP/1.1 101 x\r\nConnection: Upgrade\r\n"
		     "Upgrade: websocket\r\n\r\n",
		"101 x 1 none keep {Connection=Upgrade|Upgrade=websocket} "
		"<> {}"),
	    BODILESS("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"200 OK 1 none:5 keep {Content-Length=5} <> {}"),
	    BODILESS(CHUNKED_HEAD,
		"200 OK 1 none keep {Transfer-Encoding=chunked} <> {}"),
	    BODILESS("HTTP/1.1 200 OK\r\n\r\n", "200 OK 1 none keep {} <> {}"),
	};

	CONVERSE(rows);
}

/* Each ends at its own last byte; what follows belongs to the next. */
static void
test_pipelined_messages(void **state)
{
	static const struct conversation rows[] = {
	    {HTTP_KIND_REQUEST, false, false,
		{{B("GET /1 HTTP/1.1\r\n\r\n"), "GET /1 1 none keep {} <> {}"},
		    {B("POST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nGET"),
			"POST /2 1 length:3 keep {Content-Length=3} <GET> {}"},
		    {B("GET /3 HTTP/1.1\r\nA: b\r\n\r\n"),
			"GET /3 1 none keep {A=b} <> {}"}}},
	    {HTTP_KIND_REQUEST, false, false,
		{{B("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "1\r\nx\r\n0\r\nT: u\r\n\r\n"),
		     "POST /1 1 chunked keep {Transfer-Encoding=chunked} "
		     "<x> {T=u}"},
		    {B("BREW /2 HTTP/1.1\r\nConnection: close\r\n\r\n"),
			"BREW /2 1 none close {Connection=close} <> {}"},
		    {B("GET /3 HTTP/1.0\r\n\r\n"),
			"GET /3 0 none close {} <> {}"}}},
	    {HTTP_KIND_RESPONSE, false, true,
		{{B(CHUNKED_HEAD "2\r\nhi\r\n0\r\n\r\n"), CHUNKED "<hi> {}"},
		    {B("HTTP/1.1 204 x\r\n\r\n"), "204 x 1 none keep {} <> {}"},
		    {B("HTTP/1.1 200 OK\r\n\r\nend"),
			"200 OK 1 to-eof keep {} <end> {}"}}},
	    {HTTP_KIND_RESPONSE, false, false,
		{{B(CHUNKED_HEAD "1;a\r\nx\r\n0\r\nT: u\r\n\r\n"),
		     CHUNKED "<x> {T=u}"},
		    {B(CHUNKED_HEAD "4\r\n\r\n\r\n\r\n0\r\n\r\n"),
			CHUNKED "<\r\n\r\n> {}"},
		    {B(CHUNKED_HEAD "0\r\n\r\n"), CHUNKED "<> {}"}}},
	    /* Empty lines before a request are no part of it; the second
	     * request comes behind one that a careless client added. */
	    {HTTP_KIND_REQUEST, false, false,
		{{B("\r\n\r\n\r\n\r\nGET /1 HTTP/1.1\r\n\r\n"),
		     "GET /1 1 none keep {} <> {}"},
		    {B("POST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"),
			"POST /2 1 length:1 keep {Content-Length=1} <x> {}"},
		    {B("\r\nGET /3 HTTP/1.1\r\n\r\n"),
			"GET /3 1 none keep {} <> {}"}}},
	};

	CONVERSE(rows);
}

/* An interim response does not answer the HEAD; the one behind it does, and
 * has no body either. */
static void
test_a_head_is_still_asked_behind_an_interim_response(void **state)
{
	static const char interim[] = "HTTP/1.1 103 x\r\n\r\n";
	static const char final[] =
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
	struct reader reader = {0};
	struct http_parser *parser =
	    http_parser_new(HTTP_KIND_RESPONSE, LIMIT, take_body, &reader);
	size_t taken;

	http_expect_no_body(parser);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    http_feed(parser, interim, strlen(interim), &taken),
		    HTTP_HAS_HEAD);
		http_next(parser);
	}
	assert_int_equal(
	    http_feed(parser, final, strlen(final), &taken), HTTP_HAS_HEAD);
	assert_int_equal(http_head(parser)->framing, BODY_NONE);
	http_next(parser);
	/* That was the answer: the next request was another. */
	assert_int_equal(
	    http_feed(parser, final, strlen(final), &taken), HTTP_HAS_HEAD);
	assert_int_equal(http_head(parser)->framing, BODY_LENGTH);
	http_parser_free(parser);
}

/* Parsers are lent to one caller after the other. */
static void
test_a_refusal_leaves_nothing_to_the_next(void **state)
{
	static const char *const refused[] = {
	    "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
	    "GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n",
	    "GET / HTTP/1.1\r\nA\r\n\r\n",
	};
	static const char good[] = "GET / HTTP/1.1\r\nA:\r\nB: c\r\n\r\n";
	struct reader reader = {0};
	struct http_parser *parser =
	    http_parser_new(HTTP_KIND_REQUEST, LIMIT, take_body, &reader);
	size_t taken;

	for (size_t i = 0; i < COUNT(refused); i++) {
		assert_int_equal(
		    http_feed(parser, refused[i], strlen(refused[i]), &taken),
		    HTTP_IS_BAD);
		http_next(parser);
		assert_int_equal(http_feed(parser, good, strlen(good), &taken),
		    HTTP_HAS_HEAD);
		assert_int_equal(http_head(parser)->field_count, 2);
		http_next(parser);
	}
	http_parser_free(parser);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests_without_body),
	    cmocka_unit_test(test_fields_are_read_as_they_came),
	    cmocka_unit_test(test_who_keeps_the_connection),
	    cmocka_unit_test(test_any_token_is_a_method),
	    cmocka_unit_test(test_request_bodies),
	    cmocka_unit_test(test_chunk_extensions_and_trailers),
	    cmocka_unit_test(test_responses),
	    cmocka_unit_test(test_responses_that_cannot_have_a_body),
	    cmocka_unit_test(test_pipelined_messages),
	    cmocka_unit_test(
		test_a_head_is_still_asked_behind_an_interim_response),
	    cmocka_unit_test(test_a_refusal_leaves_nothing_to_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
