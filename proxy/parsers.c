/* SPDX-License-Identifier: MIT */

/*
 * A few parsers are kept, so that the warm path allocates none; those beyond
 * come and go with their requests.
 */

#include "proxy/parsers.h"

#include <stdlib.h>

#include "accounting/memory.h"

#define MAX_KEPT 128

struct parsers {
	struct http_parser *kept[MAX_KEPT]; /* owned */
	size_t kept_count;
	size_t max_head_bytes;
};

struct parsers *
parsers_new(size_t max_head_bytes)
{
	struct parsers *parsers = xcalloc(1, sizeof(*parsers));

	parsers->max_head_bytes = max_head_bytes;
	return parsers;
}

void
parsers_free(struct parsers *parsers)
{
	if (parsers == NULL)
		return;
	while (parsers->kept_count > 0)
		http_parser_free(parsers->kept[--parsers->kept_count]);
	free(parsers);
}

struct http_parser *
parsers_lend(struct parsers *parsers, http_body_cb on_body, void *arg)
{
	struct http_parser *parser;

	if (parsers->kept_count == 0)
		return http_parser_new(
		    HTTP_KIND_REQUEST, parsers->max_head_bytes, on_body, arg);
	parser = parsers->kept[--parsers->kept_count];
	http_parser_set_owner(parser, on_body, arg);
	return parser;
}

void
parsers_give_back(struct parsers *parsers, struct http_parser **parserp)
{
	struct http_parser *parser = *parserp;

	*parserp = NULL;
	if (parser == NULL)
		return;
	if (parsers->kept_count == MAX_KEPT) {
		http_parser_free(parser);
		return;
	}
	http_next(parser);
	parsers->kept[parsers->kept_count++] = parser;
}
