/* SPDX-License-Identifier: MIT */

/*
 * Message heads: checked for what llhttp lets pass (8.1.0 takes a bare CR for
 * a line's end, CVE-2023-30589), parsed by it, and their framing read once
 * more by us.  Where two readings differ, the message is refused.
 */

#include "proxy/http_parts.h"

#include <stdlib.h>
#include <string.h>

/* Lists are walked for each other's members, so both have a bound; browsers
 * and registries send a few dozen. */
#define MAX_FIELDS 1000
#define MAX_CONNECTION_OPTIONS 100

/* What may be relayed before the final response, in heads of full size. */
#define MAX_INTERIM_HEADS 4

/* 1xx, 204 and 304 have no body whatever they say (RFC 9112 §6.3). */
static bool
is_bodiless_status(const struct http_parser *parser, int status)
{
	return parser->kind == HTTP_KIND_RESPONSE &&
	    (status / 100 == 1 || status == 204 || status == 304);
}

/* ---- llhttp's callbacks ---- */

/* Where the fields belong that are being read. */
static struct head *
fields_of(struct http_parser *parser)
{
	return parser->phase == PHASE_HEAD ? &parser->head : &parser->trailer;
}

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
	/* llhttp says of an empty one that it lies behind its line's end. */
	if (length == 0)
		return 0;
	head_add(fields_of(parser), parser->name, (struct span){at, length});
	parser->has_value = true;
	return 0;
}

static int
on_llhttp_value_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = llhttp->data;

	/* Behind the colon. */
	if (!parser->has_value)
		head_add(fields_of(parser), parser->name,
		    (struct span){
			parser->name.at + parser->name.length + 1, 0});
	parser->has_value = false;
	parser->name.length = 0;
	return fields_of(parser)->field_count > MAX_FIELDS ? -1 : 0;
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

/* Compared all at once: -1 where something is so, 0 where it is not. */
typedef signed char bytes16 __attribute__((vector_size(16)));

/* Where one of 16 bytes, seen with the one behind it, is wrong. */
static bytes16
find_wrong(const char *at)
{
	bytes16 these;
	bytes16 next;

	memcpy(&these, at, sizeof(these));
	memcpy(&next, at + 1, sizeof(next));
	return (these == '\0') | ((these == '\r') ^ (next == '\n')) |
	    ((these == '\n') & ((next == ' ') | (next == '\t')));
}

/* Whether nothing at all is wrong, as in nearly every head; what it is, is
 * looked for by http_check_bytes(). */
static bool
is_clean(const char *start, size_t length)
{
	size_t step = sizeof(bytes16);
	bytes16 wrong = {0};
	uint64_t halves[2];
	char last = start[length - 1];

	if (length <= step || start[0] == '\n' || last == '\r' || last == '\0')
		return false;
	for (size_t at = 0; at + step < length; at += step)
		wrong |= find_wrong(start + at);
	wrong |= find_wrong(start + length - 1 - step);
	memcpy(halves, &wrong, sizeof(halves));
	return (halves[0] | halves[1]) == 0;
}

enum http_error
http_check_bytes(const char *block, size_t from, size_t length)
{
	const char *start = block + from;
	const char *end = block + length;

	if (from == 0 && length > 0 && is_clean(block, length))
		return HTTP_OK;
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

/* Whether a name that was read waits for its value. */
static bool
is_in_value(const struct http_parser *parser)
{
	struct span name = parser->name;

	return name.length > 0 && name.at[name.length] == ':';
}

enum http_error
http_error_of_llhttp(const struct http_parser *parser, llhttp_errno_t code)
{
	switch ((int)code) {
	case HPE_INVALID_HEADER_TOKEN:
		return is_in_value(parser) ? HTTP_FIELD_VALUE : HTTP_FIELD_NAME;
	case HPE_CB_HEADER_VALUE_COMPLETE:
		return HTTP_TOO_MANY_FIELDS;
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_CONTENT_LENGTH:
		return HTTP_FRAMING;
	case HPE_INVALID_TRANSFER_ENCODING:
		return parser->phase == PHASE_HEAD ? HTTP_CODING : HTTP_FRAMING;
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

/* RFC 9110 §5.6.2 */
static bool
is_token(struct span span)
{
	static const bool is_letter[256] = {
	    ['a' ... 'z'] = true,
	    ['A' ... 'Z'] = true,
	    ['0' ... '9'] = true,
	    ['!'] = true,
	    ['#' ... '\''] = true,
	    ['*'] = true,
	    ['+'] = true,
	    ['-'] = true,
	    ['.'] = true,
	    ['^' ... '`'] = true,
	    ['|'] = true,
	    ['~'] = true,
	};

	for (size_t i = 0; i < span.length; i++) {
		if (!is_letter[(unsigned char)span.at[i]])
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
 * one digit (RFC 9112 §3, §4).  Below 100 there is none (RFC 9110 §15). */
static bool
is_start_line(const struct http_parser *parser, const char *block)
{
	static const char protocol[] = " HTTP/";
	struct span method = parser->head.method;
	struct span target = parser->head.target;

	if (parser->kind == HTTP_KIND_RESPONSE)
		return strncmp(block, "HTTP/", 5) == 0 && block[8] == ' ' &&
		    is_digit(block[9]) && block[9] != '0' &&
		    is_digit(block[10]) && is_digit(block[11]) &&
		    (block[12] == ' ' || block[12] == '\r');
	for (size_t i = 0; i < target.length; i++) {
		if ((unsigned char)target.at[i] <= ' ' || target.at[i] == 0x7f)
			return false;
	}
	return target.length > 0 &&
	    target.at == method.at + method.length + 1 &&
	    strncmp(target.at + target.length, protocol, strlen(protocol)) == 0;
}

/* llhttp 8 takes "Host : x" for a field's start. */
bool
http_are_names_tokens(const struct head *head)
{
	for (size_t i = 0; i < head->field_count; i++) {
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
	if (parser->kind == HTTP_KIND_RESPONSE) {
		/* Control characters in an origin's values are kept, which
		 * RFC 9110 §5.5 allows; CR, LF and NUL never are. */
		llhttp_set_lenient_headers(&parser->llhttp, 1);
		return llhttp_execute(&parser->llhttp, block, length);
	}
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

/* The fields that decide about message and connection, as read by us. */
struct framing_fields {
	struct span length; /* of the last one; see the counts */
	struct span coding;
	size_t length_count;
	size_t coding_count;
	size_t option_count; /* Connection's members */
	bool says_close;
	bool says_keep_alive;
	bool has_nominated; /* other options: names of fields */
};

static void
note_options(struct framing_fields *fields, struct span list)
{
	struct span option;

	while (fields->option_count <= MAX_CONNECTION_OPTIONS &&
	    head_next_member(&list, &option)) {
		fields->option_count++;
		if (head_span_is(option, "close"))
			fields->says_close = true;
		else if (head_span_is(option, "keep-alive"))
			fields->says_keep_alive = true;
		else
			fields->has_nominated = true;
	}
}

/* One pass over all fields. */
static enum http_error
read_fields(const struct head *head, struct framing_fields *fields)
{
	for (size_t i = 0; i < head->field_count; i++) {
		struct span name = head->fields[i].name;
		struct span value = head->fields[i].value;

		/* Those that we know are tokens. */
		if (head->fields[i].id <= FIELD_LEAKPROXY && !is_token(name))
			return HTTP_FIELD_NAME;
		if (head->fields[i].id == FIELD_CONNECTION) {
			note_options(fields, value);
		} else if (head->fields[i].id == FIELD_CONTENT_LENGTH) {
			fields->length = value;
			fields->length_count++;
		} else if (head->fields[i].id == FIELD_TRANSFER_ENCODING) {
			fields->coding = value;
			fields->coding_count++;
		}
	}
	return fields->option_count > MAX_CONNECTION_OPTIONS
	    ? HTTP_TOO_MANY_FIELDS
	    : HTTP_OK;
}

static enum http_error
read_length(struct head *head, struct span digits)
{
	if (!are_all_digits(digits))
		return HTTP_FRAMING;
	head->content_length = 0;
	for (size_t i = 0; i < digits.length; i++) {
		int digit = digits.at[i] - '0';

		if (head->content_length > (INT64_MAX - digit) / 10)
			return HTTP_FRAMING;
		head->content_length = head->content_length * 10 + digit;
	}
	return HTTP_OK;
}

/*
 * One Content-Length, digits only, and never beside Transfer-Encoding;
 * Transfer-Encoding is "chunked" and nothing else, and not in HTTP/1.0
 * (RFC 9112 §6.1, §6.3).
 */
static enum http_error
check_framing(struct head *head, const struct framing_fields *fields)
{
	head->content_length = -1;
	if (fields->length_count + fields->coding_count > 1)
		return HTTP_FRAMING;
	if (fields->coding_count > 0 && head->http_minor == 0)
		return HTTP_FRAMING;
	if (fields->coding_count > 0 &&
	    !head_span_is(fields->coding, "chunked"))
		return HTTP_CODING;
	return fields->length_count == 0 ? HTTP_OK
					 : read_length(head, fields->length);
}

/* A flood of 1xx has an end. */
static bool
are_too_many_interim(struct http_parser *parser, size_t length)
{
	parser->interim_bytes += length;
	return parser->interim_bytes >
	    MAX_INTERIM_HEADS * parser->max_head_bytes;
}

/*
 * A body where there can be none (RFC 9112 §6.1, RFC 9110 §8.6, §9.3.6) would
 * be taken for the tunnel's first bytes, or for the next response.  So CONNECT
 * and 1xx are refused, and behind 204 the connection is not used again.
 */
static enum http_error
check_impossible_body(
    struct http_parser *parser, size_t length, bool is_chunked)
{
	struct head *head = &parser->head;
	bool is_request = parser->kind == HTTP_KIND_REQUEST;
	bool is_interim = !is_request && head->status / 100 == 1;

	if (is_interim && are_too_many_interim(parser, length))
		return HTTP_INTERIM;
	if (is_request ? !head_method_is(head, "CONNECT")
		       : !is_interim && head->status != 204)
		return HTTP_OK;
	if (head->content_length <= 0 && !is_chunked)
		return HTTP_OK;
	head->keeps_alive = false;
	if (is_request)
		return HTTP_FRAMING;
	return is_interim ? HTTP_INTERIM : HTTP_OK;
}

static enum body_framing
framing_of(const struct http_parser *parser, bool is_chunked)
{
	const struct head *head = &parser->head;

	if (parser->has_no_body || is_bodiless_status(parser, head->status))
		return BODY_NONE;
	if (is_chunked)
		return BODY_CHUNKED;
	if (head->content_length >= 0)
		return head->content_length == 0 ? BODY_NONE : BODY_LENGTH;
	return parser->kind == HTTP_KIND_REQUEST ? BODY_NONE : BODY_TO_EOF;
}

/* What the head says of the message and the connection (RFC 9112 §6, §9.3). */
static enum http_error
read_head(struct http_parser *parser, size_t length)
{
	struct head *head = &parser->head;
	struct framing_fields fields = {0};
	enum http_error error = read_fields(head, &fields);
	bool is_chunked = fields.coding_count > 0;

	if (error == HTTP_OK)
		error = check_framing(head, &fields);
	if (error != HTTP_OK)
		return error;
	head->has_nominated = fields.has_nominated;
	head->keeps_alive = !fields.says_close &&
	    (head->http_minor >= 1 || fields.says_keep_alive);
	head->framing = framing_of(parser, is_chunked);
	return check_impossible_body(parser, length, is_chunked);
}

enum http_progress
http_parse_head(struct http_parser *parser, char *block, size_t length)
{
	struct head *head = &parser->head;
	enum http_error error = http_check_bytes(block, 0, length);
	llhttp_errno_t code;

	head->block = block;
	head->block_length = length;
	if (error != HTTP_OK)
		return http_refuse(parser, error);
	code = execute_head(parser, block, length);
	if (code != HPE_OK && code != HPE_PAUSED && code != HPE_PAUSED_UPGRADE)
		return http_refuse(parser, http_error_of_llhttp(parser, code));
	if (!is_start_line(parser, block))
		return http_refuse(parser, HTTP_SYNTAX);
	head->status = parser->llhttp.status_code;
	head->http_minor = parser->llhttp.http_minor;
	if (parser->llhttp.http_major != 1)
		return http_refuse(parser, HTTP_VERSION);
	error = read_head(parser, length);
	if (error != HTTP_OK)
		return http_refuse(parser, error);
	/* llhttp must agree on whether a body follows. */
	if (parser->is_complete != (head->framing == BODY_NONE) &&
	    code != HPE_PAUSED_UPGRADE)
		return http_refuse(parser, HTTP_FRAMING);
	if (code == HPE_PAUSED)
		llhttp_resume(&parser->llhttp);
	parser->phase = PHASE_BODY;
	return HTTP_HAS_HEAD;
}
