/* SPDX-License-Identifier: MIT */
#ifndef PROXY_PARSERS_H
#define PROXY_PARSERS_H

/*
 * Parsers of requests, lent to connections that have one under way: thousands
 * that rest need none.  The worker's thread.
 */

#include <stddef.h>

#include "proxy/http.h"

struct parsers;

/* Free with parsers_free(), after all have been given back. */
struct parsers *parsers_new(size_t max_head_bytes);
void parsers_free(struct parsers *parsers);

/* Returns one that is ready for a request, whose body is told to `on_body`. */
struct http_parser *parsers_lend(
    struct parsers *parsers, http_body_cb on_body, void *arg);

/* Takes *parser, and frees the head that it has read; NULL: nothing. */
void parsers_give_back(struct parsers *parsers, struct http_parser **parser);

#endif
