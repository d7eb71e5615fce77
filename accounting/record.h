/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_RECORD_H
#define ACCOUNTING_RECORD_H

/*
 * The plain records of accounting: one for a connection, one for an
 * exchange.  The ledger owns the live ones; a snapshot holds copies.  Strings
 * are owned by their record, secrets in them are already redacted.  A field
 * that is not known is NULL, or -1 where it is a number.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "accounting/capture.h"
#include "accounting/owner.h"
#include "accounting/tag.h"
#include "accounting/units.h"
#include "accounting/verdict.h"

struct pack;

enum close_reason {
#define CLOSE(name, word, ending, meaning) CLOSE_##name,
#include "accounting/closes.def"
#undef CLOSE
	CLOSE_COUNT
} ONE_BYTE;

enum transport {
	TRANSPORT_PLAIN,       /* absolute-form requests */
	TRANSPORT_TUNNEL,      /* CONNECT or redirected, opaque */
	TRANSPORT_INTERCEPTED, /* the same, TLS taken apart */
	TRANSPORT_CLEAR,       /* the same, plain HTTP inside */
} ONE_BYTE;

enum conn_state {
	CONN_ACTIVE,  /* a request or a response is under way */
	CONN_IDLE,    /* between exchanges */
	CONN_WATCHED, /* our FIN is out, the caller's is not in */
	CONN_CLOSED,
} ONE_BYTE;

struct conn_record {
	uint64_t id;
	char *client_address; /* "127.0.0.1:41234", "[::1]:41234" */
	char *target;         /* CONNECT's authority, or where a redirected one
	                         was to go; NULL without either */
	char *origin;         /* of its first exchange; set by the snapshot */
	char *user_agent;     /* of the last request that had one */
	char *tls_version;
	char *tls_fingerprint; /* of the ClientHello, hex */
	char *trust_refused;   /* the alert with which our certificate was
	                          refused, "unknown_ca"; NULL if it was not */
	struct tags tags;      /* of the connection */
	struct owner *owner;   /* owned; NULL: nothing is known */
	enum transport transport;
	enum conn_state state;
	enum close_reason close_reason;
	bool is_local; /* the caller's socket is in this network namespace */
	bool is_redirected; /* by a rule of the kernel's, without CONNECT */
	uint32_t exchange_count;
	int64_t received_bytes; /* on the wire, from the caller */
	int64_t sent_bytes;     /* on the wire, to the caller */
	wall_us opened_at;
	wall_us closed_at; /* 0 while open */
	int64_t age_us;    /* time open until now, or until closed; set by the
	                    snapshot */
};

struct exchange_record {
	uint64_t conn_id;
	uint32_t ordinal;  /* 1 for the first exchange of its connection */
	int status;        /* 0 until there is a response */
	bool is_held;      /* undrained, and its connection is still open */
	bool is_escalated; /* Connection: close was added because its group was
	                      under suspicion */
	struct judgement judgement;
	char *method;
	char *url;    /* full, redacted */
	char *origin; /* "https://registry.test:443" */
	char *route;  /* "/v2/{}/manifests/{}"; NULL until a report needs it */
	char *user_agent;
	char *traceparent;
	char *client_address;
	char *error; /* Proxy-Status error token where the response is ours */
	struct tags tags;
	struct owner *owner; /* owned; NULL: nothing is known */
	struct facts facts;
	struct capture *capture; /* what was kept of its messages, or NULL; a
	                            record's copy has none of its own */
	int64_t request_bytes;   /* of the request body */
	int64_t body_bytes;      /* of the response body, as received so far */
	int64_t delivered_bytes; /* of them, ACKed by the caller's kernel */
	wall_us began_at;
	mono_us arrived_at;    /* the same, by the clock that decides */
	int64_t first_byte_us; /* request to response head; -1 until then */
	int64_t duration_us;   /* request to end of response; -1 until then */
	int64_t age_us;        /* time since the response head; set by the
	                          snapshot */
};

#define EXCHANGE_ID_BYTES 40

/* Writes "c17x3": the id in logs, JSON and the API's paths. */
void record_exchange_id(
    const struct exchange_record *exchange, char id[EXCHANGE_ID_BYTES]);

/* Reads such an id.  Returns false where it is none. */
bool record_parse_exchange_id(
    const char *text, uint64_t *conn_id, uint32_t *ordinal) MUST_CHECK;

void record_copy_conn(struct conn_record *to, const struct conn_record *from);
void record_copy_exchange(
    struct exchange_record *to, const struct exchange_record *from);

/* Makes *to a copy of `from`, its capture too, in the pack's room. */
void record_pack_exchange(struct exchange_record *to,
    const struct exchange_record *from, struct pack *pack);
void record_fini_conn(struct conn_record *conn);
void record_fini_exchange(struct exchange_record *exchange);

/* Words, as in JSON and metrics; never NULL. */
const char *record_close_word(enum close_reason reason);
const char *record_transport_word(enum transport transport);
const char *record_conn_state_word(enum conn_state state);
enum ending record_close_ending(enum close_reason reason);

#endif
