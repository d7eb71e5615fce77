/* SPDX-License-Identifier: MIT */
#ifndef PROXY_CLIENT_PARTS_H
#define PROXY_CLIENT_PARTS_H

/*
 * What the files about one accepted connection share, and nobody else sees:
 * client.c (its life), caller.c (what can be seen of its caller), request.c
 * (requests on it), connect.c (CONNECT), redirect.c (what comes without one),
 * sniff.c (what is inside) and watch.c (the sweep and the close probe).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "accounting/ledger.h"
#include "proxy/client.h"
#include "proxy/dial.h"
#include "proxy/exchange.h"
#include "proxy/http.h"
#include "proxy/origin.h"
#include "proxy/refusal.h"
#include "proxy/text.h"
#include "proxy/tunnel.h"
#include "proxy/units.h"

struct event;
struct peer_socket;

#define CLIENT_MAGIC 0x636c6e74u

enum client_state {
	CLIENT_READING,
	CLIENT_EXCHANGING,
	CLIENT_SNIFFING,
	CLIENT_SECURING,
	CLIENT_DIALLING,
	CLIENT_RELAYING,
	CLIENT_FINISHING,
	CLIENT_WATCHED,
	CLIENT_CLOSED,
};

/* What a caller needs only while it speaks no HTTP to us, or not yet. */
struct opaque {
	struct dial *dial;       /* owned, while DIALLING, maybe SNIFFING */
	struct stream *listened; /* owned, maybe while SNIFFING: to the
	                            origin */
	struct tunnel *tunnel;   /* owned, while RELAYING */
	struct text hello;       /* of a ClientHello, what has come so far */
	struct event *patience;  /* owned: until a redirected caller has been
	                            silent for long; NULL without */
};

/* Idle, it costs what is here: what is rarely needed has to be elsewhere. */
struct client {
	unsigned magic;
	enum client_state state;
	enum close_reason reason; /* for an end that was announced */
	bool has_fin;             /* the caller closed its way */
	bool is_aborting;         /* its end must be an RST */
	bool is_ending;           /* this exchange is its last */
	bool is_pipelined;        /* the next request came too early to prove */
	bool is_request_read;
	bool is_half_sent; /* ... and never was, when the response was whole */
	bool has_replied;  /* CONNECT was answered */
	bool is_too_many;  /* to be told so once it asks */
	unsigned char vain_searches; /* for who holds the caller's socket */
	/* owned */
	struct stream *stream;       /* NULL once closed */
	struct http_parser *parser;  /* lent; NULL while no request is begun */
	struct exchange *exchange;   /* while EXCHANGING */
	struct opaque *opaque;       /* from a CONNECT on until it turns out
	                               to be HTTP; NULL otherwise */
	struct origin *target;       /* CONNECT's, or where it was to go when it
	                               was redirected; NULL without either */
	struct address *destination; /* where it was to go; NULL: it was not
	                                redirected */
	struct ledger_conn *record;  /* until closed */
	/* borrowed */
	struct worker *worker;
	mono_us state_since;
	mono_us sampled_at;
	/* By the sweep, in this state: when the request's head was first seen
	 * begun, or bytes were last seen to move; 0: not yet. */
	mono_us seen_at;
	int64_t moved_bytes; /* on the wire, both ways, by the last sweep */
	TAILQ_ENTRY(client) link;
};

/* Takes `fd`, and puts itself into the worker's list; who may connect is for
 * whoever calls. */
struct client *client_new(
    struct worker *worker, int fd, const struct address *address);

/* Asserts that `arg` is a client. */
struct client *client_of(void *arg);

/* No request is begun, nor will one be told of: gives its parser back. */
void client_rest(struct client *client);

/* Whether a byte of a request has come. */
bool client_has_begun(const struct client *client);

void client_set_state(struct client *client, enum client_state next);
uint64_t client_id(const struct client *client);

/* Sends what is queued, then our FIN.  `reason` is why, CLOSE_NOT_YET for a
 * probe. */
void client_finish(struct client *client, enum close_reason reason);

/* Answers with an error of ours and ends: what follows cannot be understood,
 * or shall not be served. */
void client_refuse(struct client *client, const struct refusal *refusal,
    enum close_reason reason);
void client_refuse_request(
    struct client *client, int status, const char *token, const char *text);

/* It asks, and is one too many. */
void client_turn_away(struct client *client);

/* ---- caller.c ---- */

/* Whether its socket is in this network namespace. */
bool client_is_local(const struct client *client);

/* Asks for a local caller's socket; where it was redirected, by the address
 * that this knows. */
bool client_ask_peer(
    struct client *client, struct peer_socket *peer) MUST_CHECK;

/*
 * What the kernel says of the caller's end: evidence_sample(), with what the
 * stream still queues, and without our own FIN and close_notify.
 */
bool client_sample(struct client *client, struct delivery *delivery);

/* Whether bytes of a response are still on their way to the caller. */
bool client_owes_bytes(struct client *client);

/* The same, or they lie unread in a local caller's socket. */
bool client_owes_reading(struct client *client);

/* What the caller's FIN ends the connection for: what was announced before,
 * or the FIN itself. */
enum close_reason client_reason_of_fin(const struct client *client);

/* The same after our own FIN, which the caller's answers. */
enum close_reason client_reason_of_answer(const struct client *client);

/* Whether a request came after the probe: it is lost, whether the caller then
 * reads our end or resets on it. */
bool client_has_crossed(const struct client *client);

/* Whether an RST came behind the caller's FIN. */
bool client_is_reset(struct client *client);

/* Whether an RST is on its way behind the caller's FIN, which the next sweep
 * will find. */
bool client_is_being_reset(struct client *client);

/* Whether the local caller's socket is held by no process any more: it was
 * closed, not half-closed. */
bool client_is_orphan(struct client *client);

/* ---- request.c ---- */

/* Takes bytes as the state wants them.  Returns how many were taken. */
size_t request_take_bytes(
    struct client *client, const char *bytes, size_t length);

/* The parser's callback. */
void request_on_body(void *arg, const char *bytes, size_t length);

/* Ready for the next request. */
void request_read_next(struct client *client);

/* Whether the request that was read is HEAD, whose answer has no body. */
bool request_is_head(const struct client *client);

/* Exactly one Host in HTTP/1.1 (RFC 9112 §3.2). */
bool request_has_valid_host(const struct head *request);

/* Adds the tags of a head to *tags and its marks to the house's, and counts
 * the malformed. */
void request_read_tags(
    struct client *client, const struct head *request, struct tags *tags);

/* ---- connect.c ---- */

/* A CONNECT request came. */
void connect_begin(struct client *client, const struct head *request);

/* It was redirected, and may go on: as behind a CONNECT to
 * client->destination. */
void connect_redirected(struct client *client);

/* What is inside is TLS, of which `early` has been read: takes it apart. */
void connect_secure(
    struct client *client, const char *early, size_t early_length);

/* What is inside is plain HTTP. */
void connect_clear(struct client *client);

/* What is inside is relayed as it is. */
void connect_pass_on(struct client *client);

/* The caller has been silent inside it for long: the origin may be the one
 * that speaks first. */
void connect_sniff_on(struct client *client, mono_us now);

void connect_secured(struct client *client);
void connect_handshake_ended(struct client *client, enum stream_end how);

/* Ends what client->opaque has, but for the memory. */
void connect_close(struct client *client);
void connect_free(struct client *client);

/* Takes *upstream and relays to it. */
void connect_relay(struct client *client, struct stream **upstream);

/* ---- sniff.c ---- */

/* The first bytes inside it.  Returns how many were taken. */
size_t sniff_take(struct client *client, const char *bytes, size_t length);

#endif
