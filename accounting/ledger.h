/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_LEDGER_H
#define ACCOUNTING_LEDGER_H

/*
 * One worker's shard of the accounts.  The proxy tells it facts, in the past
 * tense; it keeps the records, judges them, and counts.  Every call belongs
 * to the worker's thread; time is an argument.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/batch.h"
#include "accounting/callers.h"
#include "accounting/capture.h"
#include "accounting/filter.h"
#include "accounting/outbox.h"
#include "accounting/record.h"
#include "accounting/route.h"
#include "accounting/snapshot.h"
#include "accounting/span.h"
#include "accounting/suspicion.h"
#include "accounting/units.h"
#include "accounting/verdict.h"

/* Finished exchanges kept in memory, a shard. */
#define LEDGER_MAX_ORDINARY 2048  /* none, drained, abandoned, unproven */
#define LEDGER_MAX_EVIDENCE 16384 /* undrained, suspected; ended */
#define LEDGER_MAX_CLOSED_CONNS 256

struct ledger;
struct ledger_conn;
struct ledger_exchange;

struct ledger_config {
	struct patience patience;
	const struct route_set *routes; /* borrowed, until others are set */
	struct callers *callers;        /* borrowed, outlives the ledger */
	struct suspicion *suspicion;    /* borrowed, outlives the ledger */
	struct capture_config capture;  /* of this shard */
	bool keeps_changes;             /* for ledger_take_changes() */
	size_t outbox_bytes;            /* for ledger_take_outbox(); 0: none */
	const struct filter *outbox_filter; /* of what is put there; borrowed,
	                                       outlives; NULL: all */
	unsigned shard; /* of `shard_count`; makes ids unique */
	unsigned shard_count;
};

struct ledger *ledger_new(
    const struct ledger_config *config, wall_us wall, mono_us now);

/* Every connection must have been closed. */
void ledger_free(struct ledger *ledger);

/* From now on what comes is counted by these routes; borrowed as those of the
 * configuration are, which are not used any more. */
void ledger_set_routes(struct ledger *ledger, const struct route_set *routes);

/* The counters, for the proxy to add to. */
struct counters *ledger_counters(struct ledger *ledger);

/* ---- connections ---- */

struct ledger_conn *ledger_conn_opened(struct ledger *ledger,
    const char *client_address, wall_us wall, mono_us now);

/* The live record, for the proxy to note what it learns: transport, target,
 * tags, TLS, owner, bytes.  State, user agent, reason and counts are the
 * ledger's. */
struct conn_record *ledger_conn_record(struct ledger_conn *conn);

/* A request that is no exchange, CONNECT, said who asks; or did not, at NULL.
 */
void ledger_user_agent_seen(struct ledger_conn *conn, struct span user_agent);

/* The process at the other end was found, and noted as the record's owner:
 * what it is called is shared with the connections before it. */
void ledger_owner_found(struct ledger_conn *conn);

/* Ends the connection and every exchange on it.  *conn is NULL then. */
void ledger_conn_closed(struct ledger_conn **conn, enum close_reason reason,
    wall_us wall, mono_us now);

/* The last response was whole, and the rest of its request never came; before
 * ledger_conn_closed(). */
void ledger_conn_half_sent(struct ledger_conn *conn);

/* Our FIN went out: close probe, or the end that the response announced. */
void ledger_conn_probed(struct ledger_conn *conn, mono_us now);

/* ---- exchanges ---- */

/* Borrowed for the call. */
struct request_facts {
	struct span method;
	struct span user_agent;  /* at NULL: none */
	struct span traceparent; /* at NULL: none */
	const char *url;         /* redacted by the ledger */
	const char *origin;
	const struct tags *tags;
	bool is_pipelined; /* its bytes came before the response before it was
	                      handed over: proves nothing of that one */
};

/* A request head came.  Proves the response before it drained. */
struct ledger_exchange *ledger_request_began(struct ledger_conn *conn,
    const struct request_facts *request, wall_us wall, mono_us now);

void ledger_request_body_came(struct ledger_exchange *exchange, size_t bytes);

/* The body of the last request is complete; its response may have ended
 * before. */
void ledger_request_ended(struct ledger_conn *conn);

struct response_facts {
	int status;
	bool has_body;
	bool says_close; /* Connection: close */
	bool is_early;   /* the request has not ended */
	bool is_escalated;
	const char *error; /* Proxy-Status token of our own response, or NULL */
};

void ledger_response_began(struct ledger_exchange *exchange,
    const struct response_facts *response, mono_us now);

/*
 * Returns whether the body should travel in a segment of its own, after the
 * head: only so can it be seen unread in a local caller's socket (DESIGN §1).
 * It costs a write, and is not owed where the last responses of the kind were
 * all drained.  After ledger_response_began().
 */
bool ledger_wants_segment(struct ledger_exchange *exchange);

void ledger_response_body_came(struct ledger_exchange *exchange, size_t bytes);

/*
 * Returns whether this response should say Connection: close, because its
 * group (caller, route, status) is under suspicion.  Before
 * ledger_response_began(); costs one atomic load while nobody is.
 */
bool ledger_wants_close(struct ledger_exchange *exchange, int status);

enum response_end {
	RESPONSE_COMPLETE,  /* the whole of it was handed to the socket */
	RESPONSE_TRUNCATED, /* the origin broke off */
	RESPONSE_ABANDONED, /* the caller did not wait for it */
};

/* The exchange stays with its connection until that proves something;
 * *exchange is NULL then. */
void ledger_response_ended(
    struct ledger_exchange **exchange, enum response_end end, mono_us now);

/* ---- captures ---- */

/* Returns the shelf on which to begin the exchange's head, NULL where nothing
 * is kept; ledger_head_taken() must follow.  Borrowed. */
struct capture_shelf *ledger_captures(struct ledger_exchange *exchange);
void ledger_head_taken(
    struct ledger_exchange *exchange, enum capture_side side);

/* Beside ledger_request_body_came() and ledger_response_body_came(). */
void ledger_body_passed(struct ledger_exchange *exchange,
    enum capture_side side, const char *bytes, size_t length);

/* ---- evidence ---- */

/* What was seen at the caller's end of the connection. */
struct delivery {
	int64_t waiting_bytes; /* handed over and not ACKed */
	int64_t unsent_bytes;  /* of these, not yet on the wire */
	int64_t acked_bytes;   /* in all, over the connection's life */
	int64_t unread_bytes;  /* local peer's receive queue; -1 not known */
	int64_t
	    received_bytes;   /* from the caller, over the connection's life */
	int64_t window_bytes; /* the peer's receive window; -1 not known */
	mono_us rtt_us;
	bool is_dead;        /* the kernel has given the socket up */
	bool is_our_end_out; /* our FIN, behind all that was handed over */
};

/* Judges the unproven responses of the connection anew. */
void ledger_delivery_seen(
    struct ledger_conn *conn, const struct delivery *delivery, mono_us now);

/* The same at the connection's end, before ledger_conn_closed(): judges
 * nothing yet, and what lay unread stays as it was seen last. */
void ledger_delivery_ended(
    struct ledger_conn *conn, const struct delivery *delivery);

/* The process at the other end was ending when its socket did; before
 * ledger_conn_closed(). */
void ledger_owner_exited(struct ledger_conn *conn);

/* What the proxy needs to decide what to look at. */
struct conn_standing {
	bool is_unproven;    /* a response with a body waits for its proof */
	bool is_complete;    /* ... and was handed over whole */
	bool is_held;        /* ... and is undrained */
	bool is_taken;       /* by the last sample, nothing of it was on its way
	                        or unread in a local caller's socket */
	mono_us progress_at; /* when the caller last took something */
	mono_us idle_since;  /* when the last response was handed over; the
	                        connection's opening where there was none */
	mono_us probed_at;   /* 0: not yet */
};

void ledger_conn_standing(
    const struct ledger_conn *conn, struct conn_standing *standing);

/* Returns a copy of what the query asks for.  Takes nothing; free with
 * snapshot_free(). */
struct snapshot *ledger_snapshot(struct ledger *ledger,
    const struct snapshot_query *query, wall_us wall, mono_us now);

/*
 * The same in steps, between which the worker can go on with its work: at the
 * ledger's bounds a copy takes tens of milliseconds.  Each record is copied as
 * it is when its turn comes, at least once where it was there throughout;
 * snapshot_seal() drops those that came twice, as they moved meanwhile.
 */
struct ledger_view;

/* Records a step: some tenths of a millisecond. */
#define LEDGER_VIEW_RECORDS 128

/* Begins.  Borrows the query until the view is finished. */
struct ledger_view *ledger_view_begin(struct ledger *ledger,
    const struct snapshot_query *query, wall_us wall, mono_us now);

/* Copies LEDGER_VIEW_RECORDS more, where there are as many.  Returns false when
 * there are no more. */
bool ledger_view_step(struct ledger_view *view, mono_us now);

/* Returns what was copied; *view is NULL then.  Free with snapshot_free(). */
struct snapshot *ledger_view_finish(struct ledger_view **view);

/* Whether a view was begun that is not finished. */
bool ledger_is_viewed(const struct ledger *ledger);

/* Returns what has changed since the last call, for the store.  Where nothing
 * leaked, that is a few counts.  Free with batch_free(). */
struct batch *ledger_take_changes(struct ledger *ledger, wall_us wall);

/*
 * Returns the exchanges, with their captures, that have settled since the last
 * call, or were judged undrained or suspected: those come again when that
 * changes, and when they settle.  NULL where there are none.  What the outbox
 * has no room for is counted and left out.  Free with outbox_free_blocks().
 */
struct outbox_block *ledger_take_outbox(struct ledger *ledger);

#endif
