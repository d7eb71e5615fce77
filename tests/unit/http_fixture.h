/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

/*
 * Messages that are fed whole, byte by byte and cut at every point, and have
 * to come out the same; each has to end at its last byte.  The bytes lie in
 * blocks of exactly their size, so that a read beyond them is caught by the
 * sanitizer.  Whoever includes this has <cmocka.h> already.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http.h"

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
	size_t field_count; /* of the head when it was told */
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
	reader->field_count = head->field_count;
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
	/* What came late does not pass for what came first. */
	assert_int_equal(head->field_count, reader->field_count);
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

/* ---- how rows are written ---- */

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

#define CHUNKED_HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED "200 OK 1 chunked keep {Transfer-Encoding=chunked} "

#endif
