/* SPDX-License-Identifier: MIT */

/*
 * A head leaves with what was meant for the other end, and with nothing that
 * was meant for us: a hop-by-hop field that slips through lets a caller speak
 * to the origin about our connection, a signed field that is changed breaks a
 * blob's URL, and a framing that is not ours desynchronises both.  Heads go in
 * as they come from the wire and are compared as they leave, to the byte.
 */

#include "proxy/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/head_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define US "leakproxy-1a2b"
#define VIA "Via: 1.1 " US "\r\n"

static void
assert_text(const struct text *text, const char *wanted)
{
	char *copy = calloc(1, text->length + 1);

	assert_non_null(copy);
	if (text->length > 0)
		memcpy(copy, text->bytes, text->length);
	assert_string_equal(copy, wanted);
	free(copy);
}

/* ---- requests ---- */

struct request_row {
	const char *received;
	const char *wanted;
};

enum request_kind {
	PLAIN,
	HOST_AGREES, /* with the target */
	UPGRADE,
};

static void
assert_request(const struct request_row *row, enum request_kind kind)
{
	struct http_parser *parser =
	    fixture_read_head(HTTP_KIND_REQUEST, row->received);
	const struct head *head = http_head(parser);
	struct request_rewrite rewrite = {
	    .via_name = US, .is_upgrade = kind == UPGRADE};
	struct origin_draft draft;
	struct text out = {0};

	if (!origin_parse_absolute(head->target, &draft, &rewrite.path))
		fail_msg("no absolute form: %s", row->received);
	rewrite.origin = &draft.origin;
	if (kind == HOST_AGREES)
		rewrite.host = head_find(head, FIELD_HOST)->value;
	rewrite_request(head, &rewrite, &out);
	assert_text(&out, row->wanted);
	text_fini(&out);
	http_parser_free(parser);
}

static void
assert_requests(
    const struct request_row *rows, size_t count, enum request_kind kind)
{
	for (size_t i = 0; i < count; i++)
		assert_request(&rows[i], kind);
}

static void
test_request_lines(void **state)
{
	static const struct request_row rows[] = {
	    {"GET http://a/b?c=%20 HTTP/1.1\r\n\r\n",
		"GET /b?c=%20 HTTP/1.1\r\nHost: a\r\n" VIA "\r\n"},
	    {"GET http://a HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" VIA "\r\n"},
	    {"GET http://a?b HTTP/1.1\r\n\r\n",
		"GET /?b HTTP/1.1\r\nHost: a\r\n" VIA "\r\n"},
	    {"BREW http://a:81/ HTTP/1.1\r\n\r\n",
		"BREW / HTTP/1.1\r\nHost: a:81\r\n" VIA "\r\n"},
	    /* Via tells what was received (RFC 9110 §7.6.3). */
	    {"GET http://a/ HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 " US "\r\n\r\n"},
	};

	assert_requests(rows, COUNT(rows), PLAIN);
}

/* RFC 9112 §3.2.4: chosen by who reads the target. */
static void
test_an_asterisk_stays_one(void **state)
{
	struct http_parser *parser = fixture_read_head(
	    HTTP_KIND_REQUEST, "OPTIONS http://a HTTP/1.1\r\n\r\n");
	struct origin_draft draft;
	struct request_rewrite rewrite = {
	    .origin = &draft.origin, .via_name = US};
	struct text out = {0};

	assert_true(origin_parse_absolute(
	    http_head(parser)->target, &draft, &rewrite.path));
	rewrite.path = (struct span){"*", 1};
	rewrite_request(http_head(parser), &rewrite, &out);
	assert_text(&out, "OPTIONS * HTTP/1.1\r\nHost: a\r\n" VIA "\r\n");
	text_fini(&out);
	http_parser_free(parser);
}

/* A signature may cover Host, so what agrees passes as it came.  A caller
 * cannot have it removed either. */
static void
test_a_host_that_agrees_is_kept(void **state)
{
	static const struct request_row rows[] = {
	    {"GET http://a/ HTTP/1.1\r\nX: y\r\nHost: A:80\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: A:80\r\nX: y\r\n" VIA "\r\n"},
	    {"GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" VIA "\r\n"},
	};

	assert_requests(rows, COUNT(rows), HOST_AGREES);
}

static void
test_else_host_is_made_from_the_origin(void **state)
{
	static const struct request_row rows[] = {
	    {"GET http://a/ HTTP/1.1\r\nX: y\r\nhost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n" VIA "\r\n"},
	    {"GET https://[::1]:8443/ HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1]:8443\r\n" VIA "\r\n"},
	};

	assert_requests(rows, COUNT(rows), PLAIN);
}

#define GET "GET http://a/ HTTP/1.1\r\n"
#define SENT "GET / HTTP/1.1\r\nHost: a\r\n"

static void
test_hop_by_hop_fields_go(void **state)
{
	static const struct request_row rows[] = {
	    {GET "Connection: close\r\nProxy-Connection: keep-alive\r\n"
		 "Keep-Alive: timeout=5\r\nTE: gzip\r\nUpgrade: h2c\r\n"
		 "Proxy-Authorization: Basic eA==\r\n\r\n",
		SENT VIA "\r\n"},
	    {GET "CONNECTION: X-One ,x-two\r\nX-One: 1\r\nX-Two: 2\r\n"
		 "X-Three: 3\r\nX: 4\r\n\r\n",
		SENT "X-Three: 3\r\nX: 4\r\n" VIA "\r\n"},
	    /* All lines of Connection, and all of what they name. */
	    {GET "Connection: a\r\nA: 1\r\nB: 2\r\na: 3\r\n"
		 "Connection: ,b,\r\nAB: 4\r\n\r\n",
		SENT "AB: 4\r\n" VIA "\r\n"},
	    {GET "X-One: 1\r\nConnection: X-One\r\n\r\n", SENT VIA "\r\n"},
	    {GET "Leakproxy-Tag: job=a\r\nleakproxy-x: y\r\n"
		 "Leakproxyx: stays\r\nLeakproxy: stays\r\n\r\n",
		SENT "Leakproxyx: stays\r\nLeakproxy: stays\r\n" VIA "\r\n"},
	};

	assert_requests(rows, COUNT(rows), PLAIN);
}

/* Order, case and spelling are the caller's (RFC 9110 §5.3). */
static void
test_everything_else_passes_as_it_came(void **state)
{
	static const struct request_row rows[] = {
	    {GET "authorization: Bearer x\r\nRange: bytes=0-1\r\n"
		 "Cookie: a=b\r\nX: 1\r\nEmpty:\r\nX: 2\r\n"
		 "Expect: 100-continue\r\nX-Forwarded-For: b\r\n"
		 "traceparent: 00-1-2-01\r\nMax-Forwards: 3\r\n"
		 "Accept:  a,  b  \r\nx: caf\xc3\xa9\r\n\r\n",
		SENT "authorization: Bearer x\r\nRange: bytes=0-1\r\n"
		     "Cookie: a=b\r\nX: 1\r\nEmpty: \r\nX: 2\r\n"
		     "Expect: 100-continue\r\nX-Forwarded-For: b\r\n"
		     "traceparent: 00-1-2-01\r\nMax-Forwards: 3\r\n"
		     "Accept: a,  b\r\nx: caf\xc3\xa9\r\n" VIA "\r\n"},
	    /* Via is a list; ours is its last member. */
	    {GET "Via: 1.0 other\r\n\r\n",
		SENT "Via: 1.0 other\r\n" VIA "\r\n"},
	};

	assert_requests(rows, COUNT(rows), PLAIN);
}

#define POST "POST http://a/ HTTP/1.1\r\n"
#define POSTED "POST / HTTP/1.1\r\nHost: a\r\n"

static void
test_the_framing_of_requests_is_ours(void **state)
{
	static const struct request_row rows[] = {
	    {POST "content-length: 0007\r\n\r\n",
		POSTED "Content-Length: 7\r\n" VIA "\r\n"},
	    {POST "Content-Length: 0\r\n\r\n",
		POSTED "Content-Length: 0\r\n" VIA "\r\n"},
	    {POST "transfer-encoding: CHUNKED\r\nTrailer: X\r\n\r\n",
		POSTED "Trailer: X\r\nTransfer-Encoding: chunked\r\n" VIA
		       "\r\n"},
	    {POST "\r\n", POSTED VIA "\r\n"},
	    /* Naming them in Connection takes neither away. */
	    {POST "Content-Length: 7\r\nConnection: content-length\r\n\r\n",
		POSTED "Content-Length: 7\r\n" VIA "\r\n"},
	    {POST "Transfer-Encoding: chunked\r\n"
		  "Connection: Transfer-Encoding\r\n\r\n",
		POSTED "Transfer-Encoding: chunked\r\n" VIA "\r\n"},
	};

	assert_requests(rows, COUNT(rows), PLAIN);
}

/* RFC 9110 §10.1.4: we pass trailers on, and say so for ourselves. */
static void
test_te_trailers_is_issued_again(void **state)
{
	static const struct request_row rows[] = {
	    {GET "TE: gzip;q=0.5, Trailers\r\nConnection: TE\r\n\r\n",
		SENT VIA "TE: trailers\r\nConnection: TE\r\n\r\n"},
	    {GET "TE: gzip\r\nTE: trailers\r\n\r\n",
		SENT VIA "TE: trailers\r\nConnection: TE\r\n\r\n"},
	    {GET "TE: trailersx\r\n\r\n", SENT VIA "\r\n"},
	    {GET "TE:\r\n\r\n", SENT VIA "\r\n"},
	};

	assert_requests(rows, COUNT(rows), PLAIN);
}

/* RFC 9110 §7.8 */
static void
test_upgrade_is_issued_again(void **state)
{
	static const struct request_row rows[] = {
	    {GET "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
		 "Sec-WebSocket-Key: x\r\n\r\n",
		SENT "Sec-WebSocket-Key: x\r\n" VIA "Connection: Upgrade\r\n"
		     "Upgrade: websocket\r\n\r\n"},
	    {GET "\r\n", SENT VIA "\r\n"},
	    /* TE would have to stand in Connection as well. */
	    {GET "Connection: Upgrade, TE\r\nUpgrade: websocket\r\n"
		 "TE: trailers\r\n\r\n",
		SENT VIA "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	};

	assert_requests(rows, COUNT(rows), UPGRADE);
}

/* ---- responses ---- */

struct response_row {
	const char *received;
	struct response_rewrite rewrite;
	const char *wanted;
};

static void
assert_responses(const struct response_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct http_parser *parser =
		    fixture_read_head(HTTP_KIND_RESPONSE, rows[i].received);
		struct response_rewrite rewrite = rows[i].rewrite;
		struct text out = {0};

		rewrite.via_name = US;
		rewrite_response(http_head(parser), &rewrite, &out);
		assert_text(&out, rows[i].wanted);
		text_fini(&out);
		http_parser_free(parser);
	}
}

#define OK "HTTP/1.1 200 OK\r\n"

static void
test_response_heads(void **state)
{
	static const struct response_row rows[] = {
	    {OK "Server: x\r\nContent-Length: 5\r\n\r\n",
		{.framing = BODY_LENGTH},
		OK "Server: x\r\nContent-Length: 5\r\n" VIA "\r\n"},
	    {"HTTP/1.0 404 Not Found, sorry\r\nContent-Length: 5\r\n\r\n",
		{.framing = BODY_LENGTH},
		"HTTP/1.1 404 Not Found, sorry\r\nContent-Length: 5\r\n"
		"Via: 1.0 " US "\r\n\r\n"},
	    /* The blank stays without a reason (RFC 9112 §4). */
	    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		{.framing = BODY_NONE},
		"HTTP/1.1 200 \r\nContent-Length: 0\r\n" VIA "\r\n"},
	    {OK "Connection: X, close\r\nX: y\r\nKeep-Alive: timeout=9\r\n"
		"Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\n"
		"Proxy-Authentication-Info: x\r\nUpgrade: h2c\r\n"
		"Leakproxy-Verdict: drained\r\nSet-Cookie: a\r\n"
		"Set-Cookie: b\r\nWWW-Authenticate: Bearer\r\n"
		"Content-Length: 0\r\n\r\n",
		{.framing = BODY_NONE},
		OK "Set-Cookie: a\r\nSet-Cookie: b\r\n"
		   "WWW-Authenticate: Bearer\r\nContent-Length: 0\r\n" VIA
		   "\r\n"},
	};

	assert_responses(rows, COUNT(rows));
}

#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static void
test_the_framing_of_responses_is_ours(void **state)
{
	static const struct response_row rows[] = {
	    {CHUNKED, {.framing = BODY_CHUNKED},
		OK "Transfer-Encoding: chunked\r\n" VIA "\r\n"},
	    /* To an HTTP/1.0 caller. */
	    {CHUNKED, {.framing = BODY_TO_EOF}, OK VIA "\r\n"},
	    {OK "\r\n", {.framing = BODY_CHUNKED},
		OK "Transfer-Encoding: chunked\r\n" VIA "\r\n"},
	    {OK "\r\n", {.framing = BODY_TO_EOF}, OK VIA "\r\n"},
	    {OK "Content-Length: 5\r\n\r\n", {.framing = BODY_TO_EOF},
		OK VIA "\r\n"},
	    /* To HEAD: what the length would have been. */
	    {OK "Content-Length: 5\r\n\r\n", {.framing = BODY_NONE},
		OK "Content-Length: 5\r\n" VIA "\r\n"},
	    {CHUNKED, {.framing = BODY_NONE}, OK VIA "\r\n"},
	    {"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
		{.framing = BODY_NONE},
		"HTTP/1.1 304 x\r\nContent-Length: 5\r\n" VIA "\r\n"},
	    /* RFC 9110 §8.6: in these, neither. */
	    {"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n",
		{.framing = BODY_NONE}, "HTTP/1.1 204 x\r\n" VIA "\r\n"},
	    {"HTTP/1.1 103 x\r\nLink: <a>\r\nContent-Length: 0\r\n\r\n",
		{.framing = BODY_NONE},
		"HTTP/1.1 103 x\r\nLink: <a>\r\n" VIA "\r\n"},
	};

	assert_responses(rows, COUNT(rows));
}

static void
test_what_a_response_says_of_its_connection(void **state)
{
	static const struct response_row rows[] = {
	    {OK "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		{.says_close = true},
		OK "Content-Length: 0\r\n" VIA "Connection: close\r\n\r\n"},
	    {OK "Content-Length: 0\r\n\r\n",
		{.says_close = true,
		    .says_keep_alive = true,
		    .keep_alive_s = 29},
		OK "Content-Length: 0\r\n" VIA "Connection: close\r\n\r\n"},
	    {OK "Content-Length: 0\r\n\r\n", {.says_keep_alive = true},
		OK "Content-Length: 0\r\n" VIA "Connection: keep-alive\r\n"
		   "\r\n"},
	    {OK "Content-Length: 0\r\n\r\n", {.keep_alive_s = 29},
		OK "Content-Length: 0\r\n" VIA "Keep-Alive: timeout=29\r\n"
		   "\r\n"},
	    {"HTTP/1.1 101 x\r\nConnection: upgrade\r\n"
	     "Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
		{.is_upgrade = true, .keep_alive_s = 29},
		"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: x\r\n" VIA
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	};

	assert_responses(rows, COUNT(rows));
}

/* ---- trailers ---- */

/* RFC 9110 §6.5.1: what decides framing, routing or trust stays out. */
static void
test_trailer_fields_are_filtered(void **state)
{
	static const char *const names[] = {
	    "Grpc-Status",
	    "content-length",
	    "TRANSFER-ENCODING",
	    "Connection",
	    "Keep-Alive",
	    "TE",
	    "Upgrade",
	    "Host",
	    "Trailer",
	    "Authorization",
	    "Proxy-Authorization",
	    "Set-Cookie",
	    "Content-Encoding",
	    "Content-Type",
	    "Content-Range",
	    "Cache-Control",
	    "Expect",
	    "Leakproxy-Tag",
	    "Digest",
	};
	struct head head = {0};
	struct text out = {0};

	for (size_t i = 0; i < COUNT(names); i++)
		head_add(&head, (struct span){names[i], strlen(names[i])},
		    (struct span){"x", 1});
	rewrite_trailer(head.fields, head.field_count, &out);
	assert_text(&out, "Grpc-Status: x\r\nDigest: x\r\n\r\n");
	head_fini(&head);
	text_clear(&out);
	rewrite_trailer(NULL, 0, &out);
	assert_text(&out, "\r\n");
	text_fini(&out);
}

/* ---- loops ---- */

static void
test_a_loop_is_seen(void **state)
{
	static const struct {
		const char *fields;
		bool is_loop;
	} rows[] = {
	    {"", false},
	    {"Via: 1.1 other\r\n", false},
	    {"Via: 1.1 " US "\r\n", true},
	    {"Via: 1.1 a, 1.0 " US " (us), 1.1 b\r\n", true},
	    {"Via: 1.1 a\r\nvia: 1.1 " US "\r\n", true},
	    {"Via: HTTP/1.1 " US "\r\n", true},
	    /* Another process of ours is no loop. */
	    {"Via: 1.1 leakproxy-3c4d\r\n", false},
	    {"X-Via: 1.1 " US "\r\n", false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char bytes[256] = GET;
		struct http_parser *parser;

		strcat(bytes, rows[i].fields);
		strcat(bytes, "\r\n");
		parser = fixture_read_head(HTTP_KIND_REQUEST, bytes);
		if (rewrite_is_loop(http_head(parser), US) != rows[i].is_loop)
			fail_msg("%s", rows[i].fields);
		http_parser_free(parser);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request_lines),
	    cmocka_unit_test(test_an_asterisk_stays_one),
	    cmocka_unit_test(test_a_host_that_agrees_is_kept),
	    cmocka_unit_test(test_else_host_is_made_from_the_origin),
	    cmocka_unit_test(test_hop_by_hop_fields_go),
	    cmocka_unit_test(test_everything_else_passes_as_it_came),
	    cmocka_unit_test(test_the_framing_of_requests_is_ours),
	    cmocka_unit_test(test_te_trailers_is_issued_again),
	    cmocka_unit_test(test_upgrade_is_issued_again),
	    cmocka_unit_test(test_response_heads),
	    cmocka_unit_test(test_the_framing_of_responses_is_ours),
	    cmocka_unit_test(test_what_a_response_says_of_its_connection),
	    cmocka_unit_test(test_trailer_fields_are_filtered),
	    cmocka_unit_test(test_a_loop_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
