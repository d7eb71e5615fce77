/* SPDX-License-Identifier: MIT */

/*
 * Message heads: checked for what llhttp lets pass (8.1.0 takes a bare CR for
 * a line's end, CVE-2023-30589), parsed by it, and their framing read once
 * more by us.  Where two readings differ, the message is refused.
 */

#include "proxy/http_parts.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- checking and parsing ---- */

enum http_error
http_check_bytes(const char *block, size_t from, size_t length)
{
	const char *start = block + from;
	const char *end = block + length;

	if (memchr(start, '\0', length - from) != NULL)
		return HTTP_NUL;
	for (const char *p = start;
	     (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p += 2) {
		if (p + 1 == end || p[1] != '\n')
			return HTTP_BARE_CR;
		if (p + 2 < end && (p[2] == ' ' || p[2] == '\t'))
			return HTTP_FOLDED;
	}
	for (const char *p = start;
	     p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) {
		if (p == block || p[-1] != '\r')
			return HTTP_BARE_LF;
	}
	return HTTP_OK;
}

enum http_error
http_error_of_llhttp(llhttp_errno_t code)
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
#define XX(number, name, string)                            \
	if (method.length == sizeof(#string) - 1 &&         \
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
	    strncmp(target.at + target.length, protocol, strlen(protocol)) == 0;
}

/* Fields from `first` on.  llhttp 8 takes "Host : x" for a field's start. */
bool
http_are_names_tokens(const struct head *head, size_t first)
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
	    parser->kind == HTTP_KIND_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
	    &settings);
	parser->llhttp.data = parser;
	if (parser->kind == HTTP_KIND_RESPONSE)
		return llhttp_execute(&parser->llhttp, block, length);
	space = memchr(block, ' ', length);
	parser->head.method =
	    (struct span){block, space == NULL ? 0 : (size_t)(space - block)};
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

enum http_progress
http_parse_head(struct http_parser *parser, char *block, size_t length)
{
	struct head *head = &parser->head;
	enum http_error error = http_check_bytes(block, 0, length);
	llhttp_errno_t code;

	head->block = block;
	if (error != HTTP_OK)
		return http_refuse(parser, error);
	code = execute_head(parser, block, length);
	if (code != HPE_OK && code != HPE_PAUSED && code != HPE_PAUSED_UPGRADE)
		return http_refuse(parser, http_error_of_llhttp(code));
	if (!is_start_line(parser, block))
		return http_refuse(parser, HTTP_SYNTAX);
	head->status = parser->llhttp.status_code;
	head->http_minor = parser->llhttp.http_minor;
	if (parser->llhttp.http_major != 1)
		return http_refuse(parser, HTTP_VERSION);
	if (!http_are_names_tokens(head, 0))
		return http_refuse(parser, HTTP_FIELD_NAME);
	error = check_framing(parser);
	if (error != HTTP_OK)
		return http_refuse(parser, error);
	head->framing = framing_of(parser);
	head->keeps_alive = does_keep_alive(head);
	parser->header_count = head->field_count;
	/* llhttp must agree on whether a body follows. */
	if (parser->is_complete != (head->framing == BODY_NONE) &&
	    code != HPE_PAUSED_UPGRADE)
		return http_refuse(parser, HTTP_FRAMING);
	if (code == HPE_PAUSED)
		llhttp_resume(&parser->llhttp);
	parser->phase = PHASE_BODY;
	return HTTP_HAS_HEAD;
}
