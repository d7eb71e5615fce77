/* SPDX-License-Identifier: MIT */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

/*
 * One accepted connection, from accept to close.  The worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/ledger.h"
#include "proxy/head.h"
#include "proxy/origin.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

struct client;

/* Takes `fd`.  Puts itself into the worker's list. */
void client_accept(
    struct worker *worker, int fd, const struct address *address);

/* Ends the connection and what runs on it; memory goes later. */
void client_close(struct client *client, enum close_reason reason);

/* The worker stops: idle connections end, busy ones after their exchange. */
void client_drain(struct client *client);

/* Writes the bytes so far into the connection's record, and counts them and
 * those of its upstream. */
void client_note_bytes(struct client *client);

/* ---- for the sweep ---- */

/* What one sweep may spend on all connections: probes go out in a trickle,
 * and looking for a socket's owner reads /proc. */
struct sweep_budget {
	unsigned probes;
	unsigned owners;   /* that may be looked up */
	unsigned searches; /* through processes, for these */
};

/* Looks at the caller's end where that may tell something, and probes it when
 * it has been idle for long enough.  May close it. */
void client_sweep(
    struct client *client, mono_us now, struct sweep_budget *budget);

/* ---- for the exchange ---- */

struct stream *client_stream(struct client *client);
struct ledger_conn *client_record(struct client *client);
struct worker *client_worker(struct client *client);

/* The request under way. */
const struct head *client_request(struct client *client);

/* Whether this must be its last exchange. */
bool client_is_ending(const struct client *client);

enum exchange_outcome {
	EXCHANGE_KEEP,      /* the connection may carry another request */
	EXCHANGE_CLOSE,     /* the response said close, or its end is the FIN */
	EXCHANGE_TRUNCATED, /* cut short: the FIN in its middle tells */
	EXCHANGE_ABORT,     /* cut short where only RST can tell it */
};

/* The exchange is over, and has freed itself. */
void client_exchange_ended(
    struct client *client, enum exchange_outcome outcome);

/* The origin takes request bytes again. */
void client_read_on(struct client *client);

/* 101: the exchange is over, and the connection is a relay to *upstream,
 * which is taken. */
void client_become_relay(struct client *client, struct stream **upstream);

/* ---- the list ---- */

struct client *client_first(struct worker *worker);
struct client *client_next(struct client *client);

#endif
