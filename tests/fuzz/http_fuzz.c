/* SPDX-License-Identifier: MIT */

/*
 * Message heads and bodies from strangers.  The first byte chooses request or
 * response and where the bytes are split; whatever the split, the parser must
 * come to the same end, and where it sees a message, a strict reader must see
 * the same one.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http.h"
#include "tests/fuzz/strict.h"

#define MAX_HEAD_BYTES 4096
#define MAX_EMPTY_LINES 4
#define STATUS_END sizeof("HTTP/1.1 20") /* the byte behind the 200 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum http_kind kind;
	size_t header_count; /* of the present message */
	const char *message; /* where the present one begins; NULL: unknown */
	unsigned messages;
	enum http_progress last;
	enum http_error error;
	size_t body_bytes;
};

static void
count_body(void *arg, const char *bytes, size_t length)
{
	struct outcome *outcome = arg;

	outcome->body_bytes += length;
}

static void
check_fields(const struct field *a, const struct field *b, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert(strict_is_same(a[i].name, b[i].name));
		assert(strict_is_same(a[i].value, b[i].value));
	}
}

/* A message ends before `end`. */
static void
check_message(
    const struct outcome *outcome, struct http_parser *parser, const char *end)
{
	const struct head *head = http_head(parser);
	const char *start = outcome->message;
	const struct field *trailer;
	size_t count;
	struct strict_message strict;

	if (start == NULL || head_span_is(head->method, "CONNECT"))
		return;
	for (unsigned i = 0; i < MAX_EMPTY_LINES; i++) {
		if (outcome->kind == HTTP_KIND_REQUEST && end - start >= 2 &&
		    memcmp(start, "\r\n", 2) == 0)
			start += 2;
	}
	/* The one liberty: a status line may want its last blank. */
	if (head->status != 0 && start[STATUS_END] == '\r')
		return;
	assert(strict_read(&strict,
		   outcome->kind == HTTP_KIND_REQUEST ? STRICT_REQUEST
						      : STRICT_RESPONSE,
		   start, (size_t)(end - start)) == STRICT_OK);
	assert(start + strict.length == end);
	assert(strict_is_same(strict.method, head->method));
	assert(strict_is_same(strict.target, head->target));
	assert(strict.status == head->status);
	assert(strict.framing == head->framing);
	assert(strict.header_count == outcome->header_count);
	check_fields(strict.fields, head->fields, strict.header_count);
	trailer = http_trailer(parser, &count);
	assert(strict.field_count - strict.header_count == count);
	check_fields(strict.fields + strict.header_count, trailer, count);
	strict_fini(&strict);
}

/* Feeds until the bytes are used up or cannot be. */
static void
feed(struct http_parser *parser, const char *bytes, size_t length,
    struct outcome *outcome)
{
	size_t offset = 0;

	for (;;) {
		size_t taken;

		outcome->last =
		    http_feed(parser, bytes + offset, length - offset, &taken);
		assert(taken <= length - offset);
		offset += taken;
		if (outcome->last == HTTP_HAS_MESSAGE) {
			outcome->messages++;
			check_message(outcome, parser, bytes + offset);
			outcome->message = bytes + offset;
			http_next(parser);
		} else if (outcome->last == HTTP_HAS_HEAD) {
			outcome->header_count = http_head(parser)->field_count;
		} else {
			break;
		}
		if (offset == length && outcome->last == HTTP_HAS_MESSAGE)
			break;
	}
	outcome->error = http_error(parser);
}

static struct outcome
run(enum http_kind kind, const char *bytes, size_t length, size_t split)
{
	struct outcome outcome = {.kind = kind, .message = bytes};
	struct http_parser *parser =
	    http_parser_new(kind, MAX_HEAD_BYTES, count_body, &outcome);

	feed(parser, bytes, split, &outcome);
	if (outcome.last != HTTP_IS_BAD)
		feed(parser, bytes + split, length - split, &outcome);
	http_parser_free(parser);
	return outcome;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_kind kind;
	struct outcome whole;
	struct outcome halves;
	const char *bytes;
	size_t split;

	if (size < 2)
		return 0;
	kind = data[0] & 1 ? HTTP_KIND_RESPONSE : HTTP_KIND_REQUEST;
	split = (data[0] >> 1) % size;
	bytes = (const char *)data + 1;
	size--;
	if (split > size)
		split = size;
	whole = run(kind, bytes, size, size);
	halves = run(kind, bytes, size, split);
	assert(whole.messages == halves.messages);
	assert((whole.last == HTTP_IS_BAD) == (halves.last == HTTP_IS_BAD));
	if (whole.last != HTTP_IS_BAD)
		assert(whole.body_bytes == halves.body_bytes);
	return 0;
}
