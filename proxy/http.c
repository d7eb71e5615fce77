/* SPDX-License-Identifier: MIT */

/*
 * HTTP/1 messages out of bytes.
 *
 * A head is collected whole, checked for what llhttp lets pass (8.1.0 takes a
 * bare CR for a line's end, CVE-2023-30589) and only then parsed, so that the
 * spans it reports lie in one block.  Bodies are parsed as they come.  The
 * framing is decided by llhttp and checked against our own reading of the
 * fields: where two readings differ, the message is refused.
 */

#include "proxy/http.h"

#include <assert.h>
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

struct http_parser {
	llhttp_t llhttp;
	enum http_kind kind;
	enum phase phase;
	enum http_error error;
	bool has_no_body; /* whatever the head says: HEAD, CONNECT */
	bool is_complete; /* llhttp reported the message's end */
	size_t max_head_bytes;
	char *partial;    /* owned: the head so far, when it comes in pieces */
	size_t partial_length;
	size_t empty_lines;
	struct head head;
	size_t header_count; /* fields before the trailer */
	char *trailer;       /* owned: names and values of the trailer */
	size_t trailer_length;
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

/* Trailer spans lie in the caller's buffer, maybe in pieces: collect them. */
static void
collect_trailer(struct http_parser *parser, const char *at, size_t length)
{
	size_t end = parser->trailer_length;

	if (end + length > parser->max_head_bytes) {
		parser->error = HTTP_HEAD_TOO_LARGE;
		return;
	}
	parser->trailer = xreallocarray(parser->trailer, end + length + 1, 1);
	memcpy(parser->trailer + end, at, length);
	parser->trailer_length = end + length;
}

static int
on_llhttp_field(llhttp_t *llhttp, const char *at, size_t length)
{
	struct http_parser *parser = llhttp->data;

	if (parser->phase == PHASE_HEAD)
		parser->name = (struct span){at, length};
	else
		collect_trailer(parser, at, length);
	return parser->error == HTTP_OK ? 0 : HPE_USER;
}

static int
on_llhttp_value(llhttp_t *llhttp, const char *at, size_t length)
{
	struct http_parser *parser = llhttp->data;

	if (parser->phase != PHASE_HEAD) {
		collect_trailer(parser, at, length);
		return parser->error == HTTP_OK ? 0 : HPE_USER;
	}
	/* Trailing whitespace is no part of the value (RFC 9112 §5.1). */
	while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
		length--;
	head_add(&parser->head, parser->name, (struct span){at, length});
	parser->has_value = true;
	return 0;
}

/* A trailer line's parts are separated by NUL, which neither can contain. */
static int
on_llhttp_part_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = llhttp->data;

	if (parser->phase != PHASE_HEAD)
		collect_trailer(parser, "", 1);
	return parser->error == HTTP_OK ? 0 : HPE_USER;
}

static int
on_llhttp_value_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = llhttp->data;

	if (parser->phase == PHASE_HEAD && !parser->has_value)
		head_add(&parser->head, parser->name, (struct span){"", 0});
	parser->has_value = false;
	return on_llhttp_part_complete(llhttp);
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
    .on_header_field_complete = on_llhttp_part_complete,
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
	parser->trailer_length = 0;
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
 * (§5.2), and no NUL comes along (RFC 9110 §5.5). */
static enum http_error
check_bytes(const char *block, size_t length)
{
	const char *end = block + length;

	if (memchr(block, '\0', length) != NULL)
		return HTTP_NUL;
	for (const char *p = block; (p = memchr(p, '\r', (size_t)(end - p))) !=
	     NULL; p += 2) {
		if (p + 1 == end || p[1] != '\n')
			return HTTP_BARE_CR;
		if (p + 2 < end && (p[2] == ' ' || p[2] == '\t'))
			return HTTP_FOLDED;
	}
	for (const char *p = block; p < end &&
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
		if (span.at[i] < '0' || span.at[i] > '9')
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
	enum http_error error = check_bytes(block, length);
	llhttp_errno_t code;

	head->block = block;
	if (error != HTTP_OK)
		return refuse(parser, error);
	code = execute_head(parser, block, length);
	if (code != HPE_OK && code != HPE_PAUSED && code != HPE_PAUSED_UPGRADE)
		return refuse(parser, error_of_llhttp(code));
	head->status = parser->llhttp.status_code;
	head->http_minor = parser->llhttp.http_minor;
	if (parser->llhttp.http_major != 1)
		return refuse(parser, HTTP_VERSION);
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

	while (parser->kind == HTTP_KIND_REQUEST && parser->partial_length == 0 &&
	    length - skipped >= 2 && memcmp(bytes + skipped, "\r\n", 2) == 0 &&
	    parser->empty_lines < MAX_EMPTY_LINES) {
		skipped += 2;
		parser->empty_lines++;
	}
	return skipped;
}

/* A head that will never end properly must not wait for its limit. */
static enum http_error
check_partial(const struct http_parser *parser)
{
	size_t length = parser->partial_length;

	/* The last byte may be a CR whose LF is on its way. */
	if (length > 0 && parser->partial[length - 1] == '\r')
		length--;
	return check_bytes(parser->partial, length);
}

static enum http_progress
collect_head(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	size_t before = parser->partial_length;
	size_t search_from = before < 3 ? 0 : before - 3;
	size_t head_length;
	const char *end;
	char *block;

	parser->partial =
	    xreallocarray(parser->partial, before + length + 1, 1);
	memcpy(parser->partial + before, bytes, length);
	parser->partial_length = before + length;
	end = find_head_end(parser->partial + search_from,
	    parser->partial_length - search_from);
	*taken = length;
	if (end == NULL) {
		enum http_error error = check_partial(parser);

		if (error == HTTP_OK &&
		    parser->partial_length > parser->max_head_bytes)
			error = HTTP_HEAD_TOO_LARGE;
		return error == HTTP_OK ? HTTP_NEEDS_MORE
		                        : refuse(parser, error);
	}
	head_length = (size_t)(end - parser->partial);
	*taken = head_length - before;
	if (head_length > parser->max_head_bytes)
		return refuse(parser, HTTP_HEAD_TOO_LARGE);
	block = parser->partial;
	parser->partial = NULL;
	parser->partial_length = 0;
	return parse_head(parser, block, head_length);
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

/* Turns the collected trailer into fields of the head. */
static void
add_trailer(struct http_parser *parser)
{
	const char *at = parser->trailer;
	const char *end = at + parser->trailer_length;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		head_add(&parser->head, (struct span){at, strlen(at)},
		    (struct span){value, strlen(value)});
		at = value + strlen(value) + 1;
	}
}

static enum http_progress
complete(struct http_parser *parser)
{
	parser->phase = PHASE_DONE;
	if (parser->trailer != NULL)
		add_trailer(parser);
	return HTTP_HAS_MESSAGE;
}

static enum http_progress
feed_body(struct http_parser *parser, const char *bytes, size_t length,
    size_t *taken)
{
	llhttp_errno_t code;

	*taken = 0;
	if (parser->is_complete)
		return complete(parser);
	code = llhttp_execute(&parser->llhttp, bytes, length);
	*taken = length;
	if (parser->is_complete) {
		*taken = (size_t)(llhttp_get_error_pos(&parser->llhttp) -
		    bytes);
		return complete(parser);
	}
	if (code == HPE_OK)
		return HTTP_NEEDS_MORE;
	return refuse(parser, parser->error != HTTP_OK
	        ? parser->error
	        : error_of_llhttp(code));
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
