/* SPDX-License-Identifier: MIT */

/*
 * Chunked bodies alone, behind a head that is always good.  The first byte
 * chooses request or response, the second the size of the pieces in which the
 * rest comes.  Whatever the pieces, the outcome is the same; what is taken is
 * what a strict reader takes, and what is plainly well-formed is taken.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http.h"
#include "tests/fuzz/strict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_HEAD_BYTES 4096

struct outcome {
	enum http_progress progress;
	size_t taken; /* of a complete body */
	size_t trailer_count;
	struct text body;
};

static void
on_body(void *arg, const char *bytes, size_t length)
{
	struct outcome *outcome = arg;

	text_add(&outcome->body, bytes, length);
}

static struct http_parser *
parser_behind_head(enum http_kind kind, struct outcome *outcome)
{
	static const char *const heads[] = {
	    [HTTP_KIND_REQUEST] = "PUT http://h/ HTTP/1.1\r\nHost: h\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n",
	    [HTTP_KIND_RESPONSE] = "HTTP/1.1 200 OK\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n",
	};
	struct http_parser *parser =
	    http_parser_new(kind, MAX_HEAD_BYTES, on_body, outcome);
	size_t taken;

	if (http_feed(parser, heads[kind], strlen(heads[kind]), &taken) !=
	    HTTP_HAS_HEAD)
		abort();
	return parser;
}

static void
run(struct outcome *outcome, enum http_kind kind, struct span bytes,
    size_t piece)
{
	struct http_parser *parser = parser_behind_head(kind, outcome);
	size_t offset = 0;

	outcome->progress = HTTP_NEEDS_MORE;
	while (offset < bytes.length && outcome->progress == HTTP_NEEDS_MORE) {
		size_t left = bytes.length - offset;
		size_t taken;

		outcome->progress = http_feed(parser, bytes.at + offset,
		    left < piece ? left : piece, &taken);
		offset += taken;
	}
	if (outcome->progress == HTTP_HAS_MESSAGE) {
		outcome->taken = offset;
		(void)http_trailer(parser, &outcome->trailer_count);
	}
	assert(outcome->progress != HTTP_HAS_HEAD);
	http_parser_free(parser);
}

static bool
is_same_text(const struct text *a, const struct text *b)
{
	return a->length == b->length &&
	    (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

static void
check_same(const struct outcome *a, const struct outcome *b)
{
	assert(a->progress == b->progress);
	assert(a->taken == b->taken);
	assert(a->trailer_count == b->trailer_count);
	if (a->progress != HTTP_IS_BAD)
		assert(is_same_text(&a->body, &b->body));
}

static bool
has_framing_trailer(const struct strict_message *strict)
{
	for (size_t i = 0; i < strict->field_count; i++) {
		if (head_span_is(strict->fields[i].name, "Content-Length") ||
		    head_span_is(strict->fields[i].name, "Transfer-Encoding"))
			return true;
	}
	return false;
}

static void
check_strict(
    const struct outcome *outcome, enum http_kind kind, struct span bytes)
{
	struct strict_message strict;
	enum strict_result result = strict_read_chunks(&strict,
	    kind == HTTP_KIND_REQUEST ? STRICT_REQUEST : STRICT_RESPONSE,
	    bytes.at, bytes.length);

	if (outcome->progress == HTTP_HAS_MESSAGE) {
		assert(result == STRICT_OK);
		assert(strict.length == outcome->taken);
		assert(strict.field_count == outcome->trailer_count);
		assert(is_same_text(&strict.body, &outcome->body));
	} else if (outcome->progress == HTTP_NEEDS_MORE) {
		assert(result != STRICT_OK);
	} else {
		assert(result != STRICT_OK || !strict.has_plain_chunks ||
		    has_framing_trailer(&strict));
	}
	strict_fini(&strict);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole = {0};
	struct outcome pieces = {0};
	enum http_kind kind;
	struct span bytes;

	if (size < 3)
		return 0;
	kind = (data[0] & 1) != 0 ? HTTP_KIND_RESPONSE : HTTP_KIND_REQUEST;
	bytes = (struct span){(const char *)data + 2, size - 2};
	run(&whole, kind, bytes, bytes.length);
	run(&pieces, kind, bytes, 1 + data[1] % 16);
	check_same(&whole, &pieces);
	check_strict(&whole, kind, bytes);
	text_fini(&whole.body);
	text_fini(&pieces.body);
	return 0;
}
