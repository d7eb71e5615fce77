/* SPDX-License-Identifier: MIT */

/*
 * Message bodies, parsed as they come.  The lines between chunks are read
 * here, strictly (RFC 9112 §7.1); llhttp is shown what they say.
 */

#include "proxy/http_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"

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

	return code == HPE_OK ? HTTP_OK : http_error_of_llhttp(code);
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
	parser->trailer = parser->partial;
	parser->partial = NULL;
	/* Without the line end before it, which llhttp has seen. */
	code = llhttp_execute(
	    &parser->llhttp, parser->trailer + 2, parser->partial_length - 2);
	parser->partial_length = 0;
	if (!parser->is_complete)
		return http_refuse(parser, http_error_of_llhttp(code));
	if (!http_are_names_tokens(&parser->head, parser->header_count))
		return http_refuse(parser, HTTP_FIELD_NAME);
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
	return http_refuse(parser, http_error_of_llhttp(code));
}
