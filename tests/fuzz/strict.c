/* SPDX-License-Identifier: MIT */

/*
 * A second reading of HTTP/1 messages.  A line is found first and its grammar
 * checked afterwards, unlike in the readers that this one is to judge.
 */

#include "tests/fuzz/strict.h"

#include <string.h>

#define MAX_SIZE_DIGITS 15

/* What is still to be read. */
struct rest {
	const char *at;
	size_t length;
};

/* ---- grammar ---- */

static bool
is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

/* RFC 9110 §5.6.2 */
static bool
is_tchar(char c)
{
	return c != '\0' &&
	    (is_alphanumeric(c) || strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(struct span span)
{
	for (size_t i = 0; i < span.length; i++) {
		if (!is_tchar(span.at[i]))
			return false;
	}
	return span.length > 0;
}

/* Field values and reasons: no control byte but HTAB (RFC 9110 §5.5). */
static bool
is_text(struct span span)
{
	for (size_t i = 0; i < span.length; i++) {
		unsigned char c = (unsigned char)span.at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* What an origin may say. */
static bool
is_harmless(struct span span)
{
	return span.length == 0 ||
	    (memchr(span.at, '\0', span.length) == NULL &&
		memchr(span.at, '\r', span.length) == NULL);
}

static bool
is_value(const struct strict_message *message, struct span span)
{
	return message->kind == STRICT_REQUEST ? is_text(span)
					       : is_harmless(span);
}

static bool
is_target(struct span span)
{
	for (size_t i = 0; i < span.length; i++) {
		unsigned char c = (unsigned char)span.at[i];

		if (c <= ' ' || c == 0x7f)
			return false;
	}
	return span.length > 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
starts_with(struct span span, const char *text)
{
	return span.length >= strlen(text) &&
	    memcmp(span.at, text, strlen(text)) == 0;
}

bool
strict_is_same(struct span a, struct span b)
{
	return a.length == b.length &&
	    (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

/* Cuts off what is before `separator`, which goes too. */
static bool
cut(struct span *span, char separator, struct span *before)
{
	const char *at = span->length == 0
	    ? NULL
	    : memchr(span->at, separator, span->length);

	if (at == NULL)
		return false;
	*before = (struct span){span->at, (size_t)(at - span->at)};
	span->length -= before->length + 1;
	span->at = at + 1;
	return true;
}

/* A line up to CR LF; a CR or an LF by itself ends nothing. */
static enum strict_result
read_line(struct rest *rest, struct span *line)
{
	const char *end =
	    rest->length == 0 ? NULL : memchr(rest->at, '\n', rest->length);

	if (end == NULL)
		return STRICT_MORE;
	if (end == rest->at || end[-1] != '\r')
		return STRICT_BAD;
	*line = (struct span){rest->at, (size_t)(end - rest->at) - 1};
	rest->length -= line->length + 2;
	rest->at = end + 1;
	return memchr(line->at, '\r', line->length) == NULL ? STRICT_OK
							    : STRICT_BAD;
}

/* ---- fields ---- */

static bool
add_field(struct strict_message *message, struct span line)
{
	struct field *field = &message->fields[message->field_count];
	struct span value = line;

	if (message->field_count == STRICT_MAX_FIELDS ||
	    !cut(&value, ':', &field->name) || !is_token(field->name) ||
	    !is_value(message, value))
		return false;
	while (value.length > 0 && is_blank(*value.at)) {
		value.at++;
		value.length--;
	}
	while (value.length > 0 && is_blank(value.at[value.length - 1]))
		value.length--;
	field->value = value;
	message->field_count++;
	return true;
}

/* Up to the empty line. */
static enum strict_result
read_fields(struct strict_message *message, struct rest *rest)
{
	for (;;) {
		struct span line;
		enum strict_result result = read_line(rest, &line);

		if (result != STRICT_OK || line.length == 0)
			return result;
		if (!add_field(message, line))
			return STRICT_BAD;
	}
}

size_t
strict_count(const struct strict_message *message, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < message->header_count; i++)
		count += head_span_is(message->fields[i].name, name);
	return count;
}

const struct field *
strict_find(const struct strict_message *message, const char *name)
{
	for (size_t i = 0; i < message->header_count; i++) {
		if (head_span_is(message->fields[i].name, name))
			return &message->fields[i];
	}
	return NULL;
}

/* ---- start lines ---- */

static bool
read_version(struct strict_message *message, struct span version)
{
	if (version.length != strlen("HTTP/1.1") ||
	    !starts_with(version, "HTTP/1."))
		return false;
	message->http_minor = (unsigned)(version.at[7] - '0');
	return message->http_minor <= 1;
}

static bool
read_request_line(struct strict_message *message, struct span line)
{
	return cut(&line, ' ', &message->method) && is_token(message->method) &&
	    cut(&line, ' ', &message->target) && is_target(message->target) &&
	    read_version(message, line);
}

static bool
read_status_line(struct strict_message *message, struct span line)
{
	struct span version;
	struct span status;

	if (!cut(&line, ' ', &version) || !read_version(message, version) ||
	    !cut(&line, ' ', &status) || status.length != 3)
		return false;
	for (size_t i = 0; i < status.length; i++) {
		if (status.at[i] < '0' || status.at[i] > '9')
			return false;
		message->status = message->status * 10 + status.at[i] - '0';
	}
	message->reason = line;
	return message->status >= 100 && is_value(message, line);
}

/* ---- framing ---- */

static bool
read_length(struct strict_message *message, struct span value)
{
	message->content_length = 0;
	for (size_t i = 0; i < value.length; i++) {
		if (value.at[i] < '0' || value.at[i] > '9' ||
		    message->content_length > INT64_MAX / 10 - 1)
			return false;
		message->content_length =
		    message->content_length * 10 + value.at[i] - '0';
	}
	return value.length > 0;
}

/* RFC 9112 §6.3, and doubt is an error. */
static bool
decide_framing(struct strict_message *message)
{
	enum strict_kind kind = message->kind;
	size_t lengths = strict_count(message, "Content-Length");
	size_t codings = strict_count(message, "Transfer-Encoding");
	bool is_request = kind == STRICT_REQUEST;
	bool is_bodiless = kind == STRICT_RESPONSE_TO_HEAD ||
	    (!is_request && message->status / 100 == 1) ||
	    message->status == 204 || message->status == 304;

	message->content_length = -1;
	if (lengths + codings > 1 || (codings > 0 && message->http_minor == 0))
		return false;
	if (lengths > 0 &&
	    !read_length(
		message, strict_find(message, "Content-Length")->value))
		return false;
	if (codings > 0 &&
	    !head_span_is(
		strict_find(message, "Transfer-Encoding")->value, "chunked"))
		return false;
	if (is_bodiless || message->content_length == 0)
		message->framing = BODY_NONE;
	else if (codings > 0)
		message->framing = BODY_CHUNKED;
	else if (lengths > 0)
		message->framing = BODY_LENGTH;
	else
		message->framing = is_request ? BODY_NONE : BODY_TO_EOF;
	return true;
}

/* ---- chunks ---- */

static int
digit_of(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)((at - digits) % 16);
}

static void
skip_while(struct span *span, bool (*is_it)(char c))
{
	while (span->length > 0 && is_it(*span->at)) {
		span->at++;
		span->length--;
	}
}

static bool
skip_quoted(struct span *span)
{
	for (size_t i = 1; i < span->length; i++) {
		if (span->at[i] == '\\') {
			i++;
		} else if (span->at[i] == '"') {
			span->at += i + 1;
			span->length -= i + 1;
			return true;
		}
	}
	return false;
}

/* chunk-ext of RFC 9112 §7.1.1, without its bad whitespace. */
static bool
is_plain_extension(struct span text)
{
	while (text.length > 0) {
		struct span before = text;

		if (text.at[0] != ';')
			return false;
		text.at++;
		text.length--;
		before = text;
		skip_while(&text, is_tchar);
		if (text.length == before.length)
			return false;
		if (text.length == 0 || text.at[0] != '=')
			continue;
		text.at++;
		text.length--;
		before = text;
		if (text.length > 0 && text.at[0] == '"') {
			if (!skip_quoted(&text))
				return false;
		} else {
			skip_while(&text, is_tchar);
			if (text.length == before.length)
				return false;
		}
	}
	return true;
}

static bool
is_zero(char c)
{
	return c == '0';
}

static bool
read_size_line(struct strict_message *message, struct span line, uint64_t *size)
{
	struct span significant = line;
	size_t digits;

	*size = 0;
	skip_while(&significant, is_zero);
	digits = line.length - significant.length;
	if (digits > 1)
		message->has_plain_chunks = false;
	for (; digits < line.length && digit_of(line.at[digits]) >= 0;
	     digits++) {
		if (*size >> 59 != 0)
			return false;
		*size = *size << 4 | (uint64_t)digit_of(line.at[digits]);
	}
	line.at += digits;
	line.length -= digits;
	if (line.length > 0 && is_blank(*line.at)) {
		message->has_plain_chunks = false;
		skip_while(&line, is_blank);
		if (line.length == 0)
			return false;
	}
	if (digits > MAX_SIZE_DIGITS || !is_plain_extension(line))
		message->has_plain_chunks = false;
	return digits > 0 && is_text(line) &&
	    (line.length == 0 || line.at[0] == ';');
}

static enum strict_result
read_chunks(struct strict_message *message, struct rest *rest)
{
	uint64_t size;

	message->has_plain_chunks = true;
	do {
		struct span line;
		enum strict_result result = read_line(rest, &line);

		if (result != STRICT_OK)
			return result;
		if (!read_size_line(message, line, &size))
			return STRICT_BAD;
		if (size == 0)
			break;
		if (rest->length < size)
			return STRICT_MORE;
		text_add(&message->body, rest->at, size);
		rest->at += size;
		rest->length -= size;
		result = read_line(rest, &line);
		if (result != STRICT_OK)
			return result;
		if (line.length != 0)
			return STRICT_BAD;
	} while (size != 0);
	return read_fields(message, rest);
}

/* ---- messages ---- */

static enum strict_result
read_body(struct strict_message *message, struct rest *rest)
{
	size_t length = rest->length;

	switch (message->framing) {
	case BODY_NONE:
		return STRICT_OK;
	case BODY_CHUNKED:
		return read_chunks(message, rest);
	case BODY_LENGTH:
		if (length < (uint64_t)message->content_length)
			return STRICT_MORE;
		length = (size_t)message->content_length;
		break;
	case BODY_TO_EOF:
		break;
	}
	text_add(&message->body, rest->at, length);
	rest->at += length;
	rest->length -= length;
	return STRICT_OK;
}

enum strict_result
strict_read(struct strict_message *message, enum strict_kind kind,
    const char *bytes, size_t length)
{
	struct rest rest = {bytes, length};
	struct span line;
	enum strict_result result;

	*message = (struct strict_message){.kind = kind};
	result = read_line(&rest, &line);
	if (result != STRICT_OK)
		return result;
	if (!(kind == STRICT_REQUEST ? read_request_line(message, line)
				     : read_status_line(message, line)))
		return STRICT_BAD;
	result = read_fields(message, &rest);
	if (result != STRICT_OK)
		return result;
	message->header_count = message->field_count;
	if (!decide_framing(message))
		return STRICT_BAD;
	result = read_body(message, &rest);
	message->length = length - rest.length;
	return result;
}

enum strict_result
strict_read_chunks(struct strict_message *message, enum strict_kind kind,
    const char *bytes, size_t length)
{
	struct rest rest = {bytes, length};
	enum strict_result result;

	*message =
	    (struct strict_message){.kind = kind, .framing = BODY_CHUNKED};
	result = read_chunks(message, &rest);
	message->length = length - rest.length;
	return result;
}

void
strict_fini(struct strict_message *message)
{
	text_fini(&message->body);
}
