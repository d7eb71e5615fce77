/* SPDX-License-Identifier: MIT */

/*
 * A parser that reads a message otherwise than its neighbours do lets one
 * caller's bytes into another's response.  So each message here is fed whole,
 * byte by byte and cut at every point, and has to come out the same; each has
 * to end at its last byte, and what is in doubt has to be refused for the
 * reason that http_errors.def gives.  The bytes lie in blocks of exactly their
 * size, so that a read beyond them is caught by the sanitizer.
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

#define LIMIT 1024
#define TRANSCRIPT_BYTES 4096
#define MAX_MESSAGES 3
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define TEN "aaaaaaaaaa"

enum {
	ERROR_COUNT = 0
#define HTTP_ERROR(name, status, token, text) +1
#include "proxy/http_errors.def"
#undef HTTP_ERROR
};

static const char *const error_names[] = {
#define HTTP_ERROR(name, status, token, text) [HTTP_##name] = #name,
#include "proxy/http_errors.def"
#undef HTTP_ERROR
};

/* Filled by the tests, and asked by the last: is every error covered? */
static bool was_refused[ERROR_COUNT];

static const char *const framing_words[] = {
    [BODY_NONE] = "none",
    [BODY_LENGTH] = "length",
    [BODY_CHUNKED] = "chunked",
    [BODY_TO_EOF] = "to-eof",
};

/* Bytes, which may hold NUL. */
struct bytes {
	const char *at;
	size_t length;
};

#define B(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

/*
 * What is fed, message by message, and what is understood of each.  `wanted`
 * is start line, version, framing, whether the connection stays, the fields,
 * the body, the trailer: "GET / 1 none keep {Host=a} <> {}".
 */
struct conversation {
	enum http_kind kind;
	bool has_no_body; /* http_expect_no_body() before each */
	bool ends;        /* the connection, behind the last byte */
	struct {
		struct bytes bytes;
		const char *wanted;
	} messages[MAX_MESSAGES];
};

/* ---- reading, and writing down what was read ---- */

struct reader {
	struct http_parser *parser;
	const struct conversation *conversation;
	char transcript[TRANSCRIPT_BYTES];
	size_t length;
	char body[LIMIT];
	size_t body_length;
	size_t position; /* in the stream, for where messages end */
	bool is_bad;
};

static void __attribute__((format(printf, 2, 3)))
note(struct reader *reader, const char *format, ...)
{
	size_t room = sizeof(reader->transcript) - reader->length;
	va_list args;
	int length;

	va_start(args, format);
	length =
	    vsnprintf(reader->transcript + reader->length, room, format, args);
	va_end(args);
	assert_true(length >= 0 && (size_t)length < room);
	reader->length += (size_t)length;
}

static void
take_body(void *arg, const char *bytes, size_t length)
{
	struct reader *reader = arg;

	assert_true(length > 0);
	assert_true(reader->body_length + length <= sizeof(reader->body));
	memcpy(reader->body + reader->body_length, bytes, length);
	reader->body_length += length;
}

static void
note_fields(struct reader *reader, const struct field *fields, size_t count)
{
	note(reader, "{");
	for (size_t i = 0; i < count; i++)
		note(reader, "%s%.*s=%.*s", i == 0 ? "" : "|",
		    (int)fields[i].name.length, fields[i].name.at,
		    (int)fields[i].value.length, fields[i].value.at);
	note(reader, "}");
}

static void
note_head(struct reader *reader)
{
	const struct head *head = http_head(reader->parser);

	if (reader->conversation->kind == HTTP_KIND_REQUEST)
		note(reader, "%.*s %.*s", (int)head->method.length,
		    head->method.at, (int)head->target.length, head->target.at);
	else
		note(reader, "%d %.*s", head->status, (int)head->reason.length,
		    head->reason.at);
	note(reader, " %u %s", head->http_minor, framing_words[head->framing]);
	if (head->content_length >= 0)
		note(reader, ":%lld", (long long)head->content_length);
	note(reader, " %s ", head->keeps_alive ? "keep" : "close");
	note_fields(reader, head->fields, head->field_count);
	note(reader, " ");
}

static void
begin_message(struct reader *reader)
{
	if (reader->conversation->has_no_body)
		http_expect_no_body(reader->parser);
}

static void
note_message(struct reader *reader)
{
	size_t count;
	const struct field *trailer = http_trailer(reader->parser, &count);
	const struct head *head = http_head(reader->parser);

	note(reader, "<%.*s> ", (int)reader->body_length, reader->body);
	note_fields(reader, trailer, count);
	note(reader, " @%zu\n", reader->position);
	/* The trailer is told apart, and found by name as well. */
	for (size_t i = 0; i < count; i++)
		assert_ptr_equal(
		    &head->fields[head->field_count - count + i], &trailer[i]);
	reader->body_length = 0;
	http_next(reader->parser);
	assert_false(http_has_begun(reader->parser));
	begin_message(reader);
}

/* A refused parser takes nothing more, and goes on saying why. */
static void
note_refusal(struct reader *reader)
{
	enum http_error error = http_error(reader->parser);
	size_t taken = 1;

	note(reader, "bad %s\n", error_names[error]);
	was_refused[error] = true;
	reader->is_bad = true;
	assert_int_equal(
	    http_feed(reader->parser, "GET", 3, &taken), HTTP_IS_BAD);
	assert_int_equal(taken, 0);
	assert_int_equal(http_feed_eof(reader->parser), HTTP_IS_BAD);
	assert_int_equal(http_error(reader->parser), error);
}

/* Feeds one piece as the proxy does: until all is taken and no message is
 * left to be told of. */
static void
feed(struct reader *reader, const char *bytes, size_t length)
{
	size_t offset = 0;

	for (;;) {
		size_t taken = SIZE_MAX;
		enum http_progress progress = http_feed(
		    reader->parser, bytes + offset, length - offset, &taken);

		assert_true(taken <= length - offset);
		offset += taken;
		reader->position += taken;
		switch (progress) {
		case HTTP_NEEDS_MORE:
			assert_int_equal(offset, length);
			return;
		case HTTP_HAS_HEAD:
			note_head(reader);
			break;
		case HTTP_HAS_MESSAGE:
			note_message(reader);
			if (offset == length)
				return;
			break;
		case HTTP_IS_BAD:
			note_refusal(reader);
			return;
		}
	}
}

/* The piece ends where its memory ends. */
static void
feed_copy(struct reader *reader, const char *bytes, size_t length)
{
	char *copy;

	if (length == 0 || reader->is_bad)
		return;
	copy = malloc(length);
	assert_non_null(copy);
	memcpy(copy, bytes, length);
	feed(reader, copy, length);
	free(copy);
}

static void
feed_end(struct reader *reader)
{
	if (reader->is_bad)
		return;
	switch (http_feed_eof(reader->parser)) {
	case HTTP_HAS_MESSAGE:
		note_message(reader);
		return;
	case HTTP_IS_BAD:
		note_refusal(reader);
		return;
	case HTTP_NEEDS_MORE:
	case HTTP_HAS_HEAD:
		assert_int_equal(
		    http_feed_eof(reader->parser), HTTP_NEEDS_MORE);
		return;
	}
}

static void
start(struct reader *reader, const struct conversation *conversation)
{
	*reader = (struct reader){.conversation = conversation};
	reader->parser =
	    http_parser_new(conversation->kind, LIMIT, take_body, reader);
	assert_false(http_has_begun(reader->parser));
	begin_message(reader);
}

static void
finish(struct reader *reader, const char *wanted)
{
	if (reader->conversation->ends)
		feed_end(reader);
	assert_string_equal(reader->transcript, wanted);
	http_parser_free(reader->parser);
}

/* ---- a conversation, fed in every way ---- */

/* One block of all the messages' bytes. */
static struct bytes
join(const struct conversation *conversation, char *block, size_t size)
{
	struct bytes all = {block, 0};

	for (size_t i = 0; i < MAX_MESSAGES; i++) {
		struct bytes part = conversation->messages[i].bytes;

		assert_true(all.length + part.length <= size);
		if (part.length > 0)
			memcpy(block + all.length, part.at, part.length);
		all.length += part.length;
	}
	return all;
}

/* What the transcript has to be: each message ends behind its own bytes. */
static void
write_wanted(const struct conversation *conversation, char *wanted, size_t size)
{
	size_t position = 0;
	size_t length = 0;

	wanted[0] = '\0';
	for (size_t i = 0; i < MAX_MESSAGES; i++) {
		const char *text = conversation->messages[i].wanted;

		if (text == NULL)
			break;
		position += conversation->messages[i].bytes.length;
		if (strstr(text, "bad ") != NULL)
			length += (size_t)snprintf(
			    wanted + length, size - length, "%s\n", text);
		else
			length += (size_t)snprintf(wanted + length,
			    size - length, "%s @%zu\n", text, position);
	}
}

static void
converse(const struct conversation *conversation)
{
	char block[2 * LIMIT];
	char wanted[TRANSCRIPT_BYTES];
	struct bytes all = join(conversation, block, sizeof(block));
	struct reader reader;

	write_wanted(conversation, wanted, sizeof(wanted));
	start(&reader, conversation);
	feed_copy(&reader, all.at, all.length);
	finish(&reader, wanted);

	start(&reader, conversation);
	for (size_t i = 0; i < all.length; i++)
		feed_copy(&reader, all.at + i, 1);
	finish(&reader, wanted);

	for (size_t cut = 1; cut < all.length; cut++) {
		start(&reader, conversation);
		feed_copy(&reader, all.at, cut);
		feed_copy(&reader, all.at + cut, all.length - cut);
		finish(&reader, wanted);
	}
}

static void
converse_all(const struct conversation *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		converse(&rows[i]);
}

#define CONVERSE(rows) converse_all(rows, COUNT(rows))

/* ---- what is taken ---- */

/* A message, alone on its connection. */
#define ONE(kind, literal, text)                 \
	{                                        \
		kind, false, false,              \
		{                                \
			{                        \
				B(literal), text \
			}                        \
		}                                \
	}
#define REQUEST(literal, text) ONE(HTTP_KIND_REQUEST, literal, text)
#define RESPONSE(literal, text) ONE(HTTP_KIND_RESPONSE, literal, text)

/* To HEAD or CONNECT. */
#define BODILESS(literal, text)                  \
	{                                        \
		HTTP_KIND_RESPONSE, true, false, \
		{                                \
			{                        \
				B(literal), text \
			}                        \
		}                                \
	}

/* The connection ends behind it. */
#define LAST(kind, literal, text)                \
	{                                        \
		HTTP_KIND_##kind, false, true,   \
		{                                \
			{                        \
				B(literal), text \
			}                        \
		}                                \
	}

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

#define CHUNKED_HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED "200 OK 1 chunked keep {Transfer-Encoding=chunked} "

/* RFC 9112 §7.1.1: extensions that nobody knows are ignored. */
static void
test_chunk_extensions_and_trailers(void **state)
{
	static const struct conversation rows[] = {
	    RESPONSE(
		CHUNKED_HEAD "5;a\r\nhello\r\n0\r\n\r\n", CHUNKED "<hello> {}"),
	    RESPONSE(CHUNKED_HEAD "5;a=b;c=\"d e\"\r\nhello\r\n0;e\r\n\r\n",
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
		"204 No Content 1 none:5 keep {Content-Length=5} <> {}"),
	    RESPONSE("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
		"304 Not Modified 1 none:99 keep {Content-Length=99} <> {}"),
	    RESPONSE("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"304 x 1 none keep {Transfer-Encoding=chunked} <> {}"),
	    RESPONSE("HTTP/1.1 100 Continue\r\n\r\n",
		"100 Continue 1 none keep {} <> {}"),
	    RESPONSE("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n",
		"103 x 1 none:5 keep {Content-Length=5} <> {}"),
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

/* ---- what is refused ---- */

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
	    REQUEST("GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", "bad FIELD_NAME"),
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
		"bad FIELD_NAME"),
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
	    CHUNKS("10000000000000000\r\nx"),
	    CHUNKS("fffffffffffffffff\r\nx"),
	    CHUNKS("1\nx\r\n"),
	    CHUNKS("1\rx\r\n"),
	    CHUNKS("1\r\rx\r\n"),
	    CHUNKS("1;a\nx\r\n"),
	    CHUNKS("1;a\rx\r\n"),
	    CHUNKS("1;a\0\r\nx\r\n"),
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
	    {"\x16\x03\x01\0\xa5", 5, "bad NUL\n"},
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
}

/* ---- errors ---- */

static void
test_errors_can_be_answered(void **state)
{
	for (size_t i = 1; i < ERROR_COUNT; i++) {
		enum http_error error = (enum http_error)i;
		int status = http_error_status(error);

		assert_true(status == 400 || status == 431 || status == 501 ||
		    status == 505);
		assert_true(strlen(http_error_token(error)) > 0);
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
	    cmocka_unit_test(test_start_lines_that_are_refused),
	    cmocka_unit_test(test_field_lines_that_are_refused),
	    cmocka_unit_test(test_framing_that_is_in_doubt),
	    cmocka_unit_test(test_transfer_codings_that_are_unknown),
	    cmocka_unit_test(test_chunks_that_are_malformed),
	    cmocka_unit_test(test_trailers_that_are_malformed),
	    cmocka_unit_test(test_messages_that_are_truncated),
	    cmocka_unit_test(test_a_head_at_the_limit_is_taken),
	    cmocka_unit_test(test_a_head_without_end_is_refused_at_the_limit),
	    cmocka_unit_test(test_a_bad_head_does_not_wait_for_its_end),
	    cmocka_unit_test(test_a_trailer_has_the_head_s_limit),
	    cmocka_unit_test(test_chunk_extensions_are_bounded),
	    cmocka_unit_test(test_errors_can_be_answered),
	    cmocka_unit_test(test_every_error_was_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
