/* SPDX-License-Identifier: MIT */

/*
 * Message bodies, parsed as they come.  The lines between chunks are read
 * here, strictly (RFC 9112 §7.1); llhttp is shown what they say.
 */

#include "proxy/http_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"

/* A size has no more: leading zeros are read differently by who counts them
 * and who does not. */
#define MAX_SIZE_DIGITS 16

/* What a chunk's line may have however short its data. */
#define LINE_DUE 16

#define DEL 0x7f

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum http_error
execute(struct http_parser *parser, const char *bytes, size_t length)
{
	llhttp_errno_t code = llhttp_execute(&parser->llhttp, bytes, length);

	return code == HPE_OK ? HTTP_OK : http_error_of_llhttp(parser, code);
}

static enum http_error
read_chunk_size(struct http_parser *parser, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		if (parser->chunk_left > INT64_MAX >> 4 ||
		    parser->chunk_line_length > MAX_SIZE_DIGITS)
			return HTTP_CHUNK;
		parser->chunk_left = parser->chunk_left << 4 | digit;
		return HTTP_OK;
	}
	/* The first byte counts as 1. */
	if (parser->chunk_line_length == 1)
		return HTTP_CHUNK;
	if (c == ';')
		parser->place = CHUNK_EXTENSION;
	else if (is_blank(c))
		parser->place = CHUNK_BLANK;
	else if (c == '\r')
		parser->place = CHUNK_SIZE_LF;
	else
		return HTTP_CHUNK;
	return HTTP_OK;
}

/* A string that is not closed would end elsewhere for who heeds quotes. */
static enum http_error
read_chunk_extension(struct http_parser *parser, char c)
{
	bool is_quoted = parser->place != CHUNK_EXTENSION;

	if (c == '\r' && !is_quoted) {
		parser->place = CHUNK_SIZE_LF;
		return HTTP_OK;
	}
	if (((unsigned char)c < ' ' && c != '\t') || c == DEL)
		return HTTP_CHUNK;
	if (parser->place == CHUNK_QUOTED_PAIR)
		parser->place = CHUNK_QUOTED;
	else if (c == '"')
		parser->place = is_quoted ? CHUNK_EXTENSION : CHUNK_QUOTED;
	else if (c == '\\' && is_quoted)
		parser->place = CHUNK_QUOTED_PAIR;
	return HTTP_OK;
}

/*
 * A sender of many small chunks, or of long extensions, makes us read what
 * nobody wants; each chunk has a due in proportion to its data, and who is
 * beyond it for long is refused (RFC 9112 §7.1.1).
 */
static enum http_error
end_chunk_size(struct http_parser *parser)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "%llx\r\n",
	    (unsigned long long)parser->chunk_left);

	parser->chunk_excess +=
	    (int64_t)parser->chunk_line_length - LINE_DUE - parser->chunk_left;
	if (parser->chunk_excess < 0)
		parser->chunk_excess = 0;
	if (parser->chunk_excess > (int64_t)parser->max_head_bytes)
		return HTTP_CHUNK;
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
	if (++parser->chunk_line_length > parser->max_head_bytes)
		return HTTP_CHUNK;
	switch (parser->place) {
	case CHUNK_SIZE:
		return read_chunk_size(parser, c);
	case CHUNK_BLANK:
		/* RFC 9112 §7.1.1: blanks before a semicolon, not instead. */
		if (c == ';')
			parser->place = CHUNK_EXTENSION;
		return c == ';' || is_blank(c) ? HTTP_OK : HTTP_CHUNK;
	case CHUNK_EXTENSION:
	case CHUNK_QUOTED:
	case CHUNK_QUOTED_PAIR:
		return read_chunk_extension(parser, c);
	case CHUNK_SIZE_LF:
		return c == '\n' ? end_chunk_size(parser) : HTTP_CHUNK;
	case CHUNK_DATA_CR:
		parser->place = CHUNK_DATA_LF;
		return c == '\r' ? HTTP_OK : HTTP_CHUNK;
	case CHUNK_DATA_LF:
		parser->place = CHUNK_SIZE;
		parser->chunk_line_length = 0;
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
feed_trailer(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	enum http_progress progress =
	    http_collect(parser, bytes, length, taken);
	enum http_error error;
	llhttp_errno_t code;

	if (progress != HTTP_HAS_HEAD)
		return progress;
	error = http_check_bytes(parser->partial, 0, parser->partial_length);
	if (error != HTTP_OK)
		return http_refuse(parser, error);
	parser->trailer.block = parser->partial;
	parser->partial = NULL;
	/* Without the line end before it, which llhttp has seen. */
	code = llhttp_execute(&parser->llhttp, parser->trailer.block + 2,
	    parser->partial_length - 2);
	parser->partial_length = 0;
	if (!parser->is_complete)
		return http_refuse(parser, http_error_of_llhttp(parser, code));
	if (!http_are_names_tokens(&parser->trailer))
		return http_refuse(parser, HTTP_FIELD_NAME);
	/* Who merges trailers into heads would frame the next message. */
	if (head_has(&parser->trailer, FIELD_CONTENT_LENGTH) ||
	    head_has(&parser->trailer, FIELD_TRANSFER_ENCODING))
		return http_refuse(parser, HTTP_FRAMING);
	return http_complete(parser);
}

static enum http_progress
feed_chunked(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	enum http_error error = read_chunks(parser, bytes, length, taken);
	size_t before_trailer = *taken;
	enum http_progress progress;

	if (error != HTTP_OK)
		return http_refuse(parser, error);
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

enum http_progress
http_feed_body(
    struct http_parser *parser, const char *bytes, size_t length, size_t *taken)
{
	llhttp_errno_t code;

	*taken = 0;
	if (parser->is_complete)
		return http_complete(parser);
	if (parser->head.framing == BODY_CHUNKED)
		return feed_chunked(parser, bytes, length, taken);
	code = llhttp_execute(&parser->llhttp, bytes, length);
	*taken = length;
	if (parser->is_complete) {
		*taken =
		    (size_t)(llhttp_get_error_pos(&parser->llhttp) - bytes);
		return http_complete(parser);
	}
	if (code == HPE_OK)
		return HTTP_NEEDS_MORE;
	return http_refuse(parser, http_error_of_llhttp(parser, code));
}

int64_t
http_body_left(const struct http_parser *parser)
{
	if (parser->phase != PHASE_BODY || parser->is_complete ||
	    parser->head.framing != BODY_LENGTH)
		return 0;
	return (int64_t)parser->llhttp.content_length;
}

/* llhttp counts what is left down, and does nothing else in a body. */
void
http_body_passed(struct http_parser *parser, size_t length)
{
	assert((int64_t)length <= http_body_left(parser));
	parser->llhttp.content_length -= length;
	parser->is_complete = parser->llhttp.content_length == 0;
}
