/* SPDX-License-Identifier: MIT */
#ifndef PROXY_HTTP_PARTS_H
#define PROXY_HTTP_PARTS_H

/*
 * What the three files about HTTP/1 messages share, and nobody else sees:
 * http.c (a parser's life, and what feeds it), http_head.c (heads, checked and
 * parsed) and http_body.c (bodies and chunks).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

#include "proxy/http.h"

enum phase {
	PHASE_HEAD, /* collecting the head */
	PHASE_BODY, /* the head has been reported */
	PHASE_DONE, /* the message has been reported */
	PHASE_BAD,
};

/* What the next byte of a chunked body is. */
enum chunk_place {
	CHUNK_SIZE,
	CHUNK_BLANK, /* between the size and a semicolon */
	CHUNK_EXTENSION,
	CHUNK_QUOTED, /* a string in it */
	CHUNK_QUOTED_PAIR,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER,
};

struct http_parser {
	llhttp_t llhttp;
	enum http_kind kind;
	enum phase phase;
	enum http_error error;
	bool has_no_body;     /* whatever the head says: HEAD, CONNECT */
	size_t interim_bytes; /* of 1xx heads before the final one */
	bool is_complete;     /* llhttp reported the message's end */
	size_t max_head_bytes;
	char *partial; /* owned: the head or trailer so far */
	size_t partial_length;
	size_t empty_lines;
	struct head head;
	struct head trailer; /* nothing but fields */
	enum chunk_place place;
	int64_t chunk_left;
	size_t chunk_line_length;
	int64_t chunk_excess; /* bytes in chunks' lines, beyond their due */
	struct span name;     /* of the field whose value is next */
	bool has_value;
	http_body_cb on_body;
	void *arg; /* borrowed */
};

enum http_progress http_refuse(
    struct http_parser *parser, enum http_error error);

/* The message is over. */
enum http_progress http_complete(struct http_parser *parser);

/*
 * Collects bytes up to an empty line.  Returns HTTP_HAS_HEAD when the parser's
 * partial is whole.
 */
enum http_progress http_collect(struct http_parser *parser, const char *bytes,
    size_t length, size_t *taken);

/* ---- http_head.c ---- */

/*
 * Line ends are CR LF and nothing else (RFC 9112 §2.2), lines are not folded
 * (§5.2), and no NUL comes along (RFC 9110 §5.5).  What is before `from` was
 * checked before.
 */
enum http_error http_check_bytes(const char *block, size_t from, size_t length);

/* The head is whole: `block` of `length` bytes, which the head takes. */
enum http_progress http_parse_head(
    struct http_parser *parser, char *block, size_t length);

/* Whether all fields' names are tokens. */
bool http_are_names_tokens(const struct head *head);

/* What llhttp's code says, of the line at which it stopped. */
enum http_error http_error_of_llhttp(
    const struct http_parser *parser, llhttp_errno_t code);

/* ---- http_body.c ---- */

enum http_progress http_feed_body(struct http_parser *parser, const char *bytes,
    size_t length, size_t *taken);

#endif
