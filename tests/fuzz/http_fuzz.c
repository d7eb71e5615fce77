/* SPDX-License-Identifier: MIT */

/*
 * Message heads and bodies from strangers.  The first byte chooses request or
 * response and where the bytes are split; whatever the split, the parser must
 * come to the same end.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "proxy/http.h"

#define MAX_HEAD_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
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
			http_next(parser);
		} else if (outcome->last != HTTP_HAS_HEAD) {
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
	struct outcome outcome = {0};
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
