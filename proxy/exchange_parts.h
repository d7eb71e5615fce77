/* SPDX-License-Identifier: MIT */
#ifndef PROXY_EXCHANGE_PARTS_H
#define PROXY_EXCHANGE_PARTS_H

/*
 * What the two files about an exchange share, and nobody else sees:
 * exchange.c (its life and its request) and response.c (its response).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "proxy/chain.h"
#include "proxy/dial.h"
#include "proxy/exchange.h"
#include "proxy/refusal.h"
#include "proxy/upstream.h"

struct evbuffer;

enum exchange_state {
	EXCHANGE_LEASING,
	EXCHANGE_WAITING,
	EXCHANGE_RECEIVING,
	EXCHANGE_SENDING,
	EXCHANGE_OVER,
};

struct exchange {
	enum exchange_state state;
	struct client *client;          /* borrowed, outlives the exchange */
	struct worker *worker;          /* borrowed */
	struct ledger_exchange *record; /* NULL once the response has ended */
	struct origin *origin;          /* owned, shared */
	struct span path;               /* in the client's head */
	struct span host;
	struct dial *dial;         /* owned while LEASING */
	struct upstream *upstream; /* owned from WAITING on */
	struct evbuffer *early;    /* owned: request body before the lease */
	bool is_request_complete;
	bool has_request_body;
	bool was_retried;
	bool has_interim;          /* a 1xx came */
	bool holds_head;           /* the response's, in worker->held_head */
	enum body_framing framing; /* of the response to the caller */
	bool says_close;
	bool keeps_upstream;
	enum exchange_outcome outcome; /* for the end */
};

void exchange_set_state(struct exchange *exchange, enum exchange_state next);

/* It is over; the client is told by the loop. */
void exchange_end(struct exchange *exchange, enum exchange_outcome outcome);

/* Frees it and what it owns, later. */
void exchange_release(struct exchange *exchange);

/* Reaches the origin by a fresh connection. */
void exchange_dial(struct exchange *exchange);

/* Whether the request may be sent twice: by its method, and because it has no
 * body, which we would not have any more. */
bool exchange_is_repeatable(const struct exchange *exchange);

/*
 * Frames one piece of a body: fills at most EXCHANGE_FRAME_PARTS `parts`, with
 * the chunk's size written into `size_line` where there is one.  Returns how
 * many there are.
 */
#define EXCHANGE_FRAME_PARTS 3
#define EXCHANGE_SIZE_LINE_BYTES 32
size_t exchange_frame(struct iovec *parts,
    char size_line[EXCHANGE_SIZE_LINE_BYTES], enum body_framing framing,
    const struct span *piece);

/* The other proxy that plain requests are sent to as they are; NULL where the
 * upstream is the origin, or a tunnel to it. */
const struct chain *exchange_chain(const struct exchange *exchange);

/* ---- response.c ---- */

/* The upstream's events, for an exchange as their argument. */
extern const struct upstream_callbacks response_callbacks;

/* After an early response, the request went out whole. */
void response_sent_all(struct exchange *exchange);

/* The origin cannot answer, so we do.  Ends the exchange, which closes what it
 * still holds. */
void response_refuse(struct exchange *exchange, struct refusal *refusal);

#endif
