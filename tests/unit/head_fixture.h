/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_HEAD_FIXTURE_H
#define TESTS_UNIT_HEAD_FIXTURE_H

/*
 * Heads, as the parser makes them of bytes.  Whoever includes this has
 * <cmocka.h> already.
 */

#include <string.h>

#include "proxy/http.h"

#define FIXTURE_HEAD_BYTES 8192

static inline void
fixture_ignore_body(void *arg, const char *bytes, size_t length)
{
}

/* Returns a parser that holds the head.  Free with http_parser_free(). */
static inline struct http_parser *
fixture_read_head(enum http_kind kind, const char *bytes)
{
	struct http_parser *parser = http_parser_new(
	    kind, FIXTURE_HEAD_BYTES, fixture_ignore_body, NULL);
	size_t taken;

	if (http_feed(parser, bytes, strlen(bytes), &taken) != HTTP_HAS_HEAD)
		fail_msg("no head: %s", bytes);
	return parser;
}

#endif
