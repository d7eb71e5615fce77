/* SPDX-License-Identifier: MIT */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

/*
 * One request and its response.  The worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/tag.h"
#include "proxy/client.h"
#include "proxy/origin.h"

struct exchange;
struct refusal;

struct exchange_start {
	struct client *client;       /* borrowed, outlives the exchange */
	const struct origin *origin; /* borrowed for the call */
	struct span path;            /* of the request head; borrowed */
	struct span host;            /* Host to pass on; empty: the origin's */
	const struct tags *tags;     /* borrowed for the call */
	const char *url;             /* borrowed for the call */
	bool is_pipelined;
};

/* Starts with a complete request head.  Ends by client_exchange_ended(), which
 * never runs inside an exchange_ function. */
struct exchange *exchange_start(const struct exchange_start *start);

/* Whether a response is under way whose end only the connection's can tell. */
bool exchange_is_unframed(const struct exchange *exchange);

/* The caller is gone.  *exchange is NULL then. */
void exchange_abort(struct exchange **exchange);

void exchange_request_body(
    struct exchange *exchange, const char *bytes, size_t length);
void exchange_request_complete(struct exchange *exchange,
    const struct field *trailer, size_t trailer_count);

/*
 * What is left of the request cannot be understood: the origin sees it cut
 * off, and the caller gets the refusal.  Returns false, and does nothing, when
 * it is too late for that: a response is on its way.
 */
bool exchange_refuse_request(
    struct exchange *exchange, const struct refusal *refusal) MUST_CHECK;

/* Whether to stop reading the request until client_read_on(). */
bool exchange_is_full(const struct exchange *exchange);

/* Counts the upstream's bytes up to now. */
void exchange_count_bytes(struct exchange *exchange);

/* Bytes on the wire so far, both ways, of the upstream that it holds. */
int64_t exchange_upstream_bytes(const struct exchange *exchange);

/* Whether the response is whole, and the rest of its request is awaited. */
bool exchange_is_sending(const struct exchange *exchange);

/* Whether the next byte is the origin's to send: the request is with it. */
bool exchange_awaits_origin(const struct exchange *exchange);

/* Ends it for this reason: by an answer of ours where the response has not
 * begun, else by cutting the response short.  Borrows `reason`. */
void exchange_cut(struct exchange *exchange, const struct refusal *reason);

/* Whether it is over, and client_exchange_ended() about to tell. */
bool exchange_is_over(const struct exchange *exchange);

/* The caller takes response bytes again. */
void exchange_client_drained(struct exchange *exchange);

#endif
