/* SPDX-License-Identifier: MIT */

/*
 * HTTP/1 messages out of bytes.
 *
 * A head is collected whole, checked for what llhttp lets pass (8.1.0 takes a
 * bare CR for a line's end, CVE-2023-30589) and only then parsed, so that the
 * spans it reports lie in one block; a trailer likewise.  Bodies are parsed as
 * they come.  The framing is decided by llhttp and checked against our own
 * reading of the fields: where two readings differ, the message is refused.
 * The lines between chunks are read here, strictly.
 */

#include "proxy/http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llhttp.h>

#include "accounting/memory.h"

/* Lines before a request's head that are ignored (RFC 9112 §2.2). */
#define MAX_EMPTY_LINES 4

enum phase {
	PHASE_HEAD,    /* collecting the head */
	PHASE_BODY,    /* the head has been reported */
	PHASE_DONE,    /* the message has been reported */
	PHASE_BAD,
};

/* What the next byte of a chunked body is. */
enum chunk_place {
	CHUNK_SIZE,
	CHUNK_EXTENSION,
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
	bool has_no_body; /* whatever the head says: HEAD, CONNECT */
	bool is_complete; /* llhttp reported the message's end */
	size_t max_head_bytes;
	char *partial;    /* owned: the head or trailer so far */
	size_t partial_length;
	size_t empty_lines;
	struct head head;
	size_t header_count; /* fields before the trailer */
	char *trailer;       /* owned: as received */
	enum chunk_place place;
	int64_t chunk_left;
	size_t chunk_line_length;
	struct span name;    /* of the field whose value is next */
	bool has_value;
	http_body_cb on_body;
	void *arg; /* borrowed */
};

/* 1xx, 204 and 304 have no body whatever they say (RFC 9112 §6.3). */
static bool
is_bodiless_status(const struct http_parser *parser, int status)
{
	return parser->kind == HTTP_KIND_RESPONSE &&
	    (status / 100 == 1 || status == 204 || status == 304);
}

/* ---- llhttp's callbacks ---- */

static int
on_llhttp_url(llhttp_t *llhttp, const char *at, size_t length)
{
	struct http_parser *parser = llhttp->data;

	parser->head.target = (struct span){at, length};
	return 0;
}

static int
on_llhttp_status(llhttp_t *llhttp, const char *at, size_t length)
{
	struct http_parser *parser = llhttp->data;

	parser->head.reason = (struct span){at, length};
	return 0;
}

static int
on_llhttp_field(llhttp_t *llhttp, const char *at, size_t length)
{
	struct http_parser *parser = llhttp->data;

	parser->name = (struct span){at, length};
	return 0;
}

static int
on_llhttp_value(llhttp_t *llhttp, const char *at, size_t length)
{
	struct http_parser *parser = llhttp->data;

	/* Trailing whitespace is no part of the value (RFC 9112 §5.1). */
	while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
		length--;
	head_add(&parser->head, parser->name, (struct span){at, length});
	parser->has_value = true;
	return 0;
}

static int
on_llhttp_value_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = llhttp->data;

	if (!parser->has_value)
		head_add(&parser->head, parser->name, (struct span){"", 0});
	parser->has_value = false;
	return 0;
}

static int
on_llhttp_headers_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = llhttp->data;

	if (parser->phase != PHASE_HEAD)
		return 0;
	return parser->has_no_body || 
	    is_bodiless_status(parser, llhttp->status_code);
}

static int
on_llhttp_body(llhttp_t *llhttp, const char *at, size_t length)
{
	struct http_parser *parser = llhttp->data;

	parser->on_body(parser->arg, at, length);
	return 0;
}

static int
on_llhttp_message_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = llhttp->data;

	parser->is_complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_llhttp_url,
    .on_status = on_llhttp_status,
    .on_header_field = on_llhttp_field,
    .on_header_value = on_llhttp_value,
    .on_header_value_complete = on_llhttp_value_complete,
    .on_headers_complete = on_llhttp_headers_complete,
    .on_body = on_llhttp_body,
    .on_message_complete = on_llhttp_message_complete,
};

/* ---- life ---- */

struct http_parser *
http_parser_new(enum http_kind kind, size_t max_head_bytes,
    http_body_cb on_body, void *arg)
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
	if (parser->head.status / 100 != 1)
		parser->has_no_body = false;
	head_fini(&parser->head);
	free(parser->partial);
	free(parser->trailer);
	parser->partial = NULL;
	parser->partial_length = 0;
	parser->trailer = NULL;
	parser->place = CHUNK_SIZE;
	parser->chunk_left = 0;
	parser->chunk_line_length = 0;
	parser->phase = PHASE_HEAD;
	parser->error = HTTP_OK;
	parser->is_complete = false;
	parser->header_count = 0;
	parser->empty_lines = 0;
}

void
http_parser_free(struct http_parser *parser)
{
	if (parser == NULL)
		return;
	http_next(parser);
	free(parser);
}

/* ---- the head ---- */

static enum http_progress
refuse(struct http_parser *parser, enum http_error error)
{
	parser->phase = PHASE_BAD;
	parser->error = error;
	return HTTP_IS_BAD;
}

/* Line ends are CR LF and nothing else (RFC 9112 §2.2), lines are not folded
 * (§5.2), and no NUL comes along (RFC 9110 §5.5).  What is before `from` was
 * checked before. */
static enum http_error
check_bytes(const char *block, size_t from, size_t length)
{
	const char *start = block + from;
	const char *end = block + length;

	if (memchr(start, '\0', length - from) != NULL)
		return HTTP_NUL;
	for (const char *p = start; (p = memchr(p, '\r', (size_t)(end - p))) !=
	     NULL; p += 2) {
		if (p + 1 == end || p[1] != '\n')
			return HTTP_BARE_CR;
		if (p + 2 < end && (p[2] == ' ' || p[2] == '\t'))
			return HTTP_FOLDED;
	}
	for (const char *p = start; p < end &&
	     (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) {
		if (p == block || p[-1] != '\r')
			return HTTP_BARE_LF;
	}
	return HTTP_OK;
}

static enum http_error
error_of_llhttp(llhttp_errno_t code)
{
	switch ((int)code) {
	case HPE_INVALID_HEADER_TOKEN:
		return HTTP_FIELD_NAME;
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_CONTENT_LENGTH:
		return HTTP_FRAMING;
	case HPE_INVALID_TRANSFER_ENCODING:
		return HTTP_CODING;
	case HPE_INVALID_CHUNK_SIZE:
	case HPE_STRICT:
		return HTTP_CHUNK;
	case HPE_INVALID_VERSION:
		return HTTP_VERSION;
	default:
		return HTTP_SYNTAX;
	}
}

static bool
is_known_method(struct span method)
{
#define XX(number, name, string) \
	if (method.length == sizeof(#string) - 1 && \
	    memcmp(method.at, #string, method.length) == 0) \
		return true;
	HTTP_METHOD_MAP(XX)
#undef XX
	return false;
}

static bool
is_token(struct span span)
{
	static const char others[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 §5.6.2 */

	for (size_t i = 0; i < span.length; i++) {
		char c = span.at[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && strchr(others, c) == NULL)
			return false;
	}
	return span.length > 0;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* llhttp 8 takes other protocols' names, blanks in a target, and a status of
 * one digit (RFC 9112 §3, §4). */
static bool
is_start_line(const struct http_parser *parser, const char *block)
{
	static const char protocol[] = " HTTP/";
	struct span method = parser->head.method;
	struct span target = parser->head.target;

	if (parser->kind == HTTP_KIND_RESPONSE)
		return strncmp(block, "HTTP/", 5) == 0 && block[8] == ' ' &&
		    is_digit(block[9]) && is_digit(block[10]) &&
		    is_digit(block[11]) &&
		    (block[12] == ' ' || block[12] == '\r');
	for (size_t i = 0; i < target.length; i++) {
		if ((unsigned char)target.at[i] <= ' ' || target.at[i] == 0x7f)
			return false;
	}
	return target.length > 0 &&
	    target.at == method.at + method.length + 1 &&
	    strncmp(target.at + target.length, protocol,
	        strlen(protocol)) == 0;
}

/* Fields from `first` on.  llhttp 8 takes "Host : x" for a field's start. */
static bool
are_names_tokens(const struct head *head, size_t first)
{
	for (size_t i = first; i < head->field_count; i++) {
		if (!is_token(head->fields[i].name))
			return false;
	}
	return true;
}

/*
 * Runs llhttp over the head.  A method that it does not know is any token to
 * us (RFC 9110 §9.1): it is shown POST instead, which has the same framing.
 */
static llhttp_errno_t
execute_head(struct http_parser *parser, const char *block, size_t length)
{
	const char *space;

	llhttp_init(&parser->llhttp,
	    parser->kind == HTTP_KIND_REQUEST ? HTTP_REQUEST
	                                 : HTTP_RESPONSE,
	    &settings);
	parser->llhttp.data = parser;
	if (parser->kind == HTTP_KIND_RESPONSE)
		return llhttp_execute(&parser->llhttp, block, length);
	space = memchr(block, ' ', length);
	parser->head.method = (struct span){block,
	    space == NULL ? 0 : (size_t)(space - block)};
	if (!is_token(parser->head.method))
		return HPE_INVALID_METHOD;
	if (!is_known_method(parser->head.method)) {
		(void)llhttp_execute(&parser->llhttp, "POST", 4);
		length -= parser->head.method.length;
		block = space;
	}
	return llhttp_execute(&parser->llhttp, block, length);
}

static bool
are_all_digits(struct span span)
{
	for (size_t i = 0; i < span.length; i++) {
		if (!is_digit(span.at[i]))
			return false;
	}
	return span.length > 0 && span.length <= 19;
}

/*
 * Reads the length fields ourselves.  One Content-Length, digits only, and
 * never beside Transfer-Encoding; Transfer-Encoding is "chunked" and nothing
 * else, and not in HTTP/1.0 (RFC 9112 §6.1, §6.3).
 */
static enum http_error
check_framing(struct http_parser *parser)
{
	struct head *head = &parser->head;
	const struct field *length = head_find(head, "Content-Length");
	const struct field *coding = head_find(head, "Transfer-Encoding");

	head->content_length = -1;
	if (head_count(head, "Content-Length") > 1 ||
	    head_count(head, "Transfer-Encoding") > 1)
		return HTTP_FRAMING;
	if (length != NULL && coding != NULL)
		return HTTP_FRAMING;
	if (coding != NULL && head->http_minor == 0)
		return HTTP_FRAMING;
	if (coding != NULL && !head_span_is(coding->value, "chunked"))
		return HTTP_CODING;
	if (length == NULL)
		return HTTP_OK;
	if (!are_all_digits(length->value))
		return HTTP_FRAMING;
	head->content_length = 0;
	for (size_t i = 0; i < length->value.length; i++) {
		int digit = length->value.at[i] - '0';

		if (head->content_length > (INT64_MAX - digit) / 10)
			return HTTP_FRAMING;
		head->content_length = head->content_length * 10 + digit;
	}
	return HTTP_OK;
}

static enum body_framing
framing_of(const struct http_parser *parser)
{
	const struct head *head = &parser->head;

	if (parser->has_no_body || is_bodiless_status(parser, head->status))
		return BODY_NONE;
	if (head_find(head, "Transfer-Encoding") != NULL)
		return BODY_CHUNKED;
	if (head->content_length >= 0)
		return head->content_length == 0 ? BODY_NONE : BODY_LENGTH;
	return parser->kind == HTTP_KIND_REQUEST ? BODY_NONE : BODY_TO_EOF;
}

static bool
does_keep_alive(const struct head *head)
{
	if (head_lists(head, "Connection", "close"))
		return false;
	return head->http_minor >= 1 ||
	    head_lists(head, "Connection", "keep-alive");
}

/* The head is whole: `block` of `length` bytes, which the head takes. */
static enum http_progress
parse_head(struct http_parser *parser, char *block, size_t length)
{
	struct head *head = &parser->head;
	enum http_error error = check_bytes(block, 0, length);
	llhttp_errno_t code;

	head->block = block;
	if (error != HTTP_OK)
		return refuse(parser, error);
	code = execute_head(parser, block, length);
	if (code != HPE_OK && code != HPE_PAUSED && code != HPE_PAUSED_UPGRADE)
		return refuse(parser, error_of_llhttp(code));
	if (!is_start_line(parser, block))
		return refuse(parser, HTTP_SYNTAX);
	head->status = parser->llhttp.status_code;
	head->http_minor = parser->llhttp.http_minor;
	if (parser->llhttp.http_major != 1)
		return refuse(parser, HTTP_VERSION);
	if (!are_names_tokens(head, 0))
		return refuse(parser, HTTP_FIELD_NAME);
	error = check_framing(parser);
	if (error != HTTP_OK)
		return refuse(parser, error);
	head->framing = framing_of(parser);
	head->keeps_alive = does_keep_alive(head);
	parser->header_count = head->field_count;
	/* llhttp must agree on whether a body follows. */
	if (parser->is_complete != (head->framing == BODY_NONE) &&
	    code != HPE_PAUSED_UPGRADE)
		return refuse(parser, HTTP_FRAMING);
	if (code == HPE_PAUSED)
		llhttp_resume(&parser->llhttp);
	parser->phase = PHASE_BODY;
	return HTTP_HAS_HEAD;
}

static const char *
find_head_end(const char *bytes, size_t length)
{
	const char *end = memmem(bytes, length, "\r\n\r\n", 4);

	return end == NULL ? NULL : end + 4;
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

/* A block that will never end properly must not wait for its limit. */
static enum http_error
check_partial(const struct http_parser *parser, size_t checked)
{
	size_t length = parser->partial_length;

	if (length > parser->max_head_bytes)
		return HTTP_HEAD_TOO_LARGE;
	/* The last byte may be a CR whose LF is on its way. */
	if (parser->partial[length - 1] == '\r')
		length--;
	/* Nor was it known what would follow the last line's end. */
	return check_bytes(parser->partial, checked < 2 ? 0 : checked - 2,
	    length);
}

/*
 * Collects bytes up to an empty line.  Returns HTTP_HAS_HEAD when parser's
 * partial is whole.
 */
static enum http_progress
collect(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	size_t before = parser->partial_length;
	size_t search_from = before < 3 ? 0 : before - 3;
	enum http_error error;
	const char *end;

	parser->partial =
	    xreallocarray(parser->partial, before + length + 1, 1);
	memcpy(parser->partial + before, bytes, length);
	parser->partial_length = before + length;
	end = find_head_end(parser->partial + search_from,
	    parser->partial_length - search_from);
	*taken = length;
	if (end != NULL) {
		parser->partial_length = (size_t)(end - parser->partial);
		*taken = parser->partial_length - before;
		return parser->partial_length > parser->max_head_bytes
		    ? refuse(parser, HTTP_HEAD_TOO_LARGE)
		    : HTTP_HAS_HEAD;
	}
	error = check_partial(parser, before);
	return error == HTTP_OK ? HTTP_NEEDS_MORE : refuse(parser, error);
}

static enum http_progress
collect_head(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	enum http_progress progress = collect(parser, bytes, length, taken);
	char *block = parser->partial;
	size_t block_length = parser->partial_length;

	if (progress != HTTP_HAS_HEAD)
		return progress;
	parser->partial = NULL;
	parser->partial_length = 0;
	return parse_head(parser, block, block_length);
}

static enum http_progress
feed_head(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	size_t skipped = skip_empty_lines(parser, bytes, length);
	enum http_progress progress;

	if (skipped == length) {
		*taken = length;
		return HTTP_NEEDS_MORE;
	}
	progress = collect_head(parser, bytes + skipped, length - skipped,
	    taken);
	*taken += skipped;
	return progress;
}

/* ---- the body ---- */

static int
hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum http_error
execute(struct http_parser *parser, const char *bytes, size_t length)
{
	llhttp_errno_t code = llhttp_execute(&parser->llhttp, bytes, length);

	return code == HPE_OK ? HTTP_OK : error_of_llhttp(code);
}

static enum http_error
read_chunk_size(struct http_parser *parser, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		if (parser->chunk_left > INT64_MAX >> 4 ||
		    ++parser->chunk_line_length > parser->max_head_bytes)
			return HTTP_CHUNK;
		parser->chunk_left = parser->chunk_left << 4 | digit;
		return HTTP_OK;
	}
	if (parser->chunk_line_length == 0 || (c != ';' && c != '\r'))
		return HTTP_CHUNK;
	parser->place = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
	return HTTP_OK;
}

static enum http_error
end_chunk_size(struct http_parser *parser)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "%llx\r\n",
	    (unsigned long long)parser->chunk_left);

	parser->chunk_line_length = 0;
	parser->place = parser->chunk_left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	return execute(parser, line, (size_t)length);
}

/*
 * Reads one byte between the data of two chunks (RFC 9112 §7.1).  llhttp 8
 * takes anything for the LF of such a line and refuses most extensions, so it
 * is shown what the line says and not the line.
 */
static enum http_error
read_chunk_line(struct http_parser *parser, char c)
{
	switch (parser->place) {
	case CHUNK_SIZE:
		return read_chunk_size(parser, c);
	case CHUNK_EXTENSION:
		if (c == '\r')
			parser->place = CHUNK_SIZE_LF;
		else if (((unsigned char)c < ' ' && c != '\t') ||
		    ++parser->chunk_line_length > parser->max_head_bytes)
			return HTTP_CHUNK;
		return HTTP_OK;
	case CHUNK_SIZE_LF:
		return c == '\n' ? end_chunk_size(parser) : HTTP_CHUNK;
	case CHUNK_DATA_CR:
		parser->place = CHUNK_DATA_LF;
		return c == '\r' ? HTTP_OK : HTTP_CHUNK;
	case CHUNK_DATA_LF:
		parser->place = CHUNK_SIZE;
		return c == '\n' ? execute(parser, "\r\n", 2) : HTTP_CHUNK;
	case CHUNK_DATA:
	case CHUNK_TRAILER:
		break;
	}
	return HTTP_CHUNK;
}

/* Reads up to the trailer.  *taken is how many bytes that are. */
static enum http_error
read_chunks(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	enum http_error error = HTTP_OK;
	size_t at = 0;

	while (
	    at < length && parser->place != CHUNK_TRAILER && error == HTTP_OK) {
		size_t data = length - at;

		if (parser->place != CHUNK_DATA) {
			error = read_chunk_line(parser, bytes[at++]);
			continue;
		}
		if (data >= (uint64_t)parser->chunk_left) {
			data = (size_t)parser->chunk_left;
			parser->place = CHUNK_DATA_CR;
		}
		parser->chunk_left -= (int64_t)data;
		error = execute(parser, bytes + at, data);
		at += data;
	}
	*taken = at;
	return error;
}

static enum http_progress
complete(struct http_parser *parser)
{
	parser->phase = PHASE_DONE;
	return HTTP_HAS_MESSAGE;
}

static enum http_progress
feed_trailer(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	enum http_progress progress = collect(parser, bytes, length, taken);
	enum http_error error;
	llhttp_errno_t code;

	if (progress != HTTP_HAS_HEAD)
		return progress;
	error = check_bytes(parser->partial, 0, parser->partial_length);
	if (error != HTTP_OK)
		return refuse(parser, error);
	parser->trailer = parser->partial;
	parser->partial = NULL;
	/* Without the line end before it, which llhttp has seen. */
	code = llhttp_execute(&parser->llhttp, parser->trailer + 2,
	    parser->partial_length - 2);
	parser->partial_length = 0;
	if (!parser->is_complete)
		return refuse(parser, error_of_llhttp(code));
	if (!are_names_tokens(&parser->head, parser->header_count))
		return refuse(parser, HTTP_FIELD_NAME);
	return complete(parser);
}

static enum http_progress
feed_chunked(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	enum http_error error = read_chunks(parser, bytes, length, taken);
	size_t before_trailer = *taken;
	enum http_progress progress;

	if (error != HTTP_OK)
		return refuse(parser, error);
	if (parser->place != CHUNK_TRAILER)
		return HTTP_NEEDS_MORE;
	/* A trailer begins behind a line end, as an empty line's end does. */
	if (parser->partial == NULL) {
		parser->partial = xstrdup("\r\n");
		parser->partial_length = 2;
	}
	if (before_trailer == length)
		return HTTP_NEEDS_MORE;
	progress = feed_trailer(
	    parser, bytes + before_trailer, length - before_trailer, taken);
	*taken += before_trailer;
	return progress;
}

static enum http_progress
feed_body(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	llhttp_errno_t code;

	*taken = 0;
	if (parser->is_complete)
		return complete(parser);
	if (parser->head.framing == BODY_CHUNKED)
		return feed_chunked(parser, bytes, length, taken);
	code = llhttp_execute(&parser->llhttp, bytes, length);
	*taken = length;
	if (parser->is_complete) {
		*taken = (size_t)(llhttp_get_error_pos(&parser->llhttp) -
		    bytes);
		return complete(parser);
	}
	if (code == HPE_OK)
		return HTTP_NEEDS_MORE;
	return refuse(parser, error_of_llhttp(code));
}

enum http_progress
http_feed(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	switch (parser->phase) {
	case PHASE_HEAD:
		return feed_head(parser, bytes, length, taken);
	case PHASE_BODY:
		return feed_body(parser, bytes, length, taken);
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
		return complete(parser);
	return refuse(parser, HTTP_TRUNCATED);
}

struct head *
http_head(struct http_parser *parser)
{
	assert(parser->phase == PHASE_BODY || parser->phase == PHASE_DONE);
	return &parser->head;
}

const struct field *
http_trailer(struct http_parser *parser, size_t *count)
{
	*count = parser->head.field_count - parser->header_count;
	return parser->head.fields + parser->header_count;
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
	const char *token;
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
http_error_token(enum http_error error)
{
	return errors[error].token;
}

const char *
http_error_text(enum http_error error)
{
	return errors[error].text;
}
