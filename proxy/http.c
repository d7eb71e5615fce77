/* SPDX-License-Identifier: MIT */

/*
 * HTTP/1 messages out of bytes.
 *
 * A head is collected whole and only then parsed, so that the spans that
 * llhttp reports lie in one block; a trailer likewise.  Bodies are parsed as
 * they come.
 */

#include "proxy/http_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

/* Lines before a request's head that are ignored (RFC 9112 §2.2). */
#define MAX_EMPTY_LINES 4

/* What TLS begins with, and no HTTP/1 message. */
#define TLS_HANDSHAKE 0x16

/* ---- life ---- */

struct http_parser *
http_parser_new(
    enum http_kind kind, size_t max_head_bytes, http_body_cb on_body, void *arg)
{
	struct http_parser *parser = xcalloc(1, sizeof(*parser));

	parser->kind = kind;
	parser->max_head_bytes = max_head_bytes;
	parser->on_body = on_body;
	parser->arg = arg;
	return parser;
}

void
http_next(struct http_parser *parser)
{
	/* An interim response leaves the request unanswered. */
	if (parser->head.status / 100 != 1) {
		parser->has_no_body = false;
		parser->interim_bytes = 0;
	}
	head_clear(&parser->head);
	head_fini(&parser->trailer);
	free(parser->partial);
	parser->partial = NULL;
	parser->partial_length = 0;
	parser->place = CHUNK_SIZE;
	parser->chunk_left = 0;
	parser->chunk_line_length = 0;
	parser->chunk_excess = 0;
	parser->name = (struct span){0};
	parser->has_value = false;
	parser->phase = PHASE_HEAD;
	parser->error = HTTP_OK;
	parser->is_complete = false;
	parser->empty_lines = 0;
}

void
http_parser_free(struct http_parser *parser)
{
	if (parser == NULL)
		return;
	http_next(parser);
	head_fini(&parser->head);
	free(parser);
}

void
http_parser_set_owner(
    struct http_parser *parser, http_body_cb on_body, void *arg)
{
	assert(!http_has_begun(parser));
	parser->on_body = on_body;
	parser->arg = arg;
}

enum http_progress
http_refuse(struct http_parser *parser, enum http_error error)
{
	parser->phase = PHASE_BAD;
	parser->error = error;
	return HTTP_IS_BAD;
}

enum http_progress
http_complete(struct http_parser *parser)
{
	parser->phase = PHASE_DONE;
	return HTTP_HAS_MESSAGE;
}

/* ---- collecting a head ---- */

/* From line end to line end: that is fewer steps than memmem() takes. */
static const char *
find_head_end(const char *bytes, size_t length)
{
	const char *end = bytes + length;

	for (const char *p = bytes;
	     (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++) {
		if (end - p >= 4 && memcmp(p, "\r\n\r\n", 4) == 0)
			return p + 4;
	}
	return NULL;
}

/* Skips empty lines before a request (RFC 9112 §2.2).  Returns how many bytes
 * that are. */
static size_t
skip_empty_lines(struct http_parser *parser, const char *bytes, size_t length)
{
	size_t skipped = 0;

	if (parser->kind != HTTP_KIND_REQUEST)
		return 0;
	/* One may come in two pieces. */
	if (parser->partial_length == 1 && parser->partial[0] == '\r' &&
	    length > 0 && bytes[0] == '\n' &&
	    parser->empty_lines < MAX_EMPTY_LINES) {
		free(parser->partial);
		parser->partial = NULL;
		parser->partial_length = 0;
		parser->empty_lines++;
		skipped = 1;
	}
	while (parser->partial_length == 0 && length - skipped >= 2 &&
	    memcmp(bytes + skipped, "\r\n", 2) == 0 &&
	    parser->empty_lines < MAX_EMPTY_LINES) {
		skipped += 2;
		parser->empty_lines++;
	}
	return skipped;
}

/* A request line that is too long all by itself is told apart (RFC 9110
 * §15.5.15). */
static enum http_error
too_large(const struct http_parser *parser)
{
	bool has_line =
	    memchr(parser->partial, '\r', parser->max_head_bytes) != NULL;

	return parser->kind == HTTP_KIND_REQUEST &&
		parser->phase == PHASE_HEAD && !has_line
	    ? HTTP_LINE_TOO_LONG
	    : HTTP_HEAD_TOO_LARGE;
}

/* A block that will never end properly must not wait for its limit. */
static enum http_error
check_partial(const struct http_parser *parser, size_t checked)
{
	size_t length = parser->partial_length;

	if (length > parser->max_head_bytes)
		return too_large(parser);
	/* The last byte may be a CR whose LF is on its way. */
	if (parser->partial[length - 1] == '\r')
		length--;
	/* Nor was it known what would follow the last line's end. */
	return http_check_bytes(
	    parser->partial, checked < 2 ? 0 : checked - 2, length);
}

enum http_progress
http_collect(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	size_t before = parser->partial_length;
	size_t search_from = before < 3 ? 0 : before - 3;
	enum http_error error;
	const char *end = before == 0 ? find_head_end(bytes, length) : NULL;

	bool is_whole = end != NULL;

	/* What is behind a head that came in one piece is not copied. */
	if (is_whole)
		length = (size_t)(end - bytes);
	parser->partial = parser->partial == NULL
	    ? xmalloc(length + 1)
	    : xreallocarray(parser->partial, before + length + 1, 1);
	memcpy(parser->partial + before, bytes, length);
	parser->partial_length = before + length;
	/* strncmp() may look on behind a difference, up to a NUL. */
	parser->partial[parser->partial_length] = '\0';
	*taken = length;
	if (!is_whole) {
		end = find_head_end(parser->partial + search_from,
		    parser->partial_length - search_from);
		is_whole = end != NULL;
		if (is_whole) {
			parser->partial_length =
			    (size_t)(end - parser->partial);
			*taken = parser->partial_length - before;
		}
	}
	if (is_whole)
		return parser->partial_length > parser->max_head_bytes
		    ? http_refuse(parser, too_large(parser))
		    : HTTP_HAS_HEAD;
	error = check_partial(parser, before);
	return error == HTTP_OK ? HTTP_NEEDS_MORE : http_refuse(parser, error);
}

static enum http_progress
collect_head(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	enum http_progress progress =
	    http_collect(parser, bytes, length, taken);
	char *block = parser->partial;
	size_t block_length = parser->partial_length;

	if (progress != HTTP_HAS_HEAD)
		return progress;
	parser->partial = NULL;
	parser->partial_length = 0;
	return http_parse_head(parser, block, block_length);
}

static enum http_progress
feed_head(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	size_t skipped = skip_empty_lines(parser, bytes, length);
	enum http_progress progress;

	*taken = length;
	if (skipped == length)
		return HTTP_NEEDS_MORE;
	if (parser->kind == HTTP_KIND_REQUEST && parser->partial_length == 0 &&
	    bytes[skipped] == TLS_HANDSHAKE)
		return http_refuse(parser, HTTP_TLS);
	progress =
	    collect_head(parser, bytes + skipped, length - skipped, taken);
	*taken += skipped;
	return progress;
}

/* ---- feeding ---- */

enum http_progress
http_feed(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	switch (parser->phase) {
	case PHASE_HEAD:
		return feed_head(parser, bytes, length, taken);
	case PHASE_BODY:
		return http_feed_body(parser, bytes, length, taken);
	case PHASE_DONE:
		*taken = 0;
		return HTTP_HAS_MESSAGE;
	case PHASE_BAD:
		break;
	}
	*taken = 0;
	return HTTP_IS_BAD;
}

enum http_progress
http_feed_eof(struct http_parser *parser)
{
	if (parser->phase == PHASE_BAD)
		return HTTP_IS_BAD;
	if (parser->phase == PHASE_HEAD && parser->partial_length == 0)
		return HTTP_NEEDS_MORE;
	if (parser->phase == PHASE_DONE)
		return HTTP_HAS_MESSAGE;
	if (parser->phase == PHASE_BODY &&
	    (parser->is_complete || parser->head.framing == BODY_TO_EOF))
		return http_complete(parser);
	return http_refuse(parser, HTTP_TRUNCATED);
}

struct head *
http_head(struct http_parser *parser)
{
	assert(parser->phase != PHASE_HEAD);
	return &parser->head;
}

bool
http_has_head(const struct http_parser *parser)
{
	return parser->phase == PHASE_BODY || parser->phase == PHASE_DONE;
}

const struct field *
http_trailer(struct http_parser *parser, size_t *count)
{
	*count = parser->trailer.field_count;
	return parser->trailer.fields;
}

void
http_expect_no_body(struct http_parser *parser)
{
	assert(parser->phase == PHASE_HEAD);
	parser->has_no_body = true;
}

bool
http_has_begun(const struct http_parser *parser)
{
	return parser->phase != PHASE_HEAD || parser->partial_length > 0;
}

/* ---- errors ---- */

static const struct {
	int status;
	const char *response_token;
	const char *text;
} errors[] = {
#define HTTP_ERROR(name, status, token, text) \
	[HTTP_##name] = {status, token, text},
#include "proxy/http_errors.def"
#undef HTTP_ERROR
};

enum http_error
http_error(const struct http_parser *parser)
{
	return parser->error;
}

int
http_error_status(enum http_error error)
{
	return errors[error].status;
}

const char *
http_error_response_token(enum http_error error)
{
	return errors[error].response_token;
}

const char *
http_error_text(enum http_error error)
{
	return errors[error].text;
}
