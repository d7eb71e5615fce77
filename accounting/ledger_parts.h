/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_LEDGER_PARTS_H
#define ACCOUNTING_LEDGER_PARTS_H

/*
 * What the ledger's files share, and nobody else sees: ledger.c (the life of
 * records), ledger_delivery.c (what callers have taken), ledger_judge.c
 * (verdicts), ledger_view.c (snapshots) and ledger_changes.c (what the store
 * and the outbox are told).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "accounting/groups.h"
#include "accounting/ledger.h"
#include "accounting/reuse.h"
#include "accounting/timeline.h"

struct ledger_exchange {
	struct exchange_record record;
	struct ledger_conn *conn; /* borrowed; NULL once finished */
	uint64_t kind;            /* its leak_hash(); 0: not asked for yet */
	TAILQ_ENTRY(ledger_exchange) link;
	LIST_ENTRY(ledger_exchange) change_link;
	bool is_changed;   /* is among the ledger's changes */
	bool was_sent_out; /* was put in the outbox */
	char texts[];      /* what only this record has of its request */
};

TAILQ_HEAD(exchange_list, ledger_exchange);

/* Who is at the other end: shared by the record of a connection and those of
 * its exchanges, which may outlive it.  It goes with its owner. */
struct ledger_caller {
	struct owner owner; /* first: records have this */
	char address[];
};

struct ledger_conn {
	struct conn_record record;
	struct ledger *ledger;         /* borrowed, outlives the connection */
	struct exchange_list unproven; /* owned, oldest first */
	struct reuse *reuse;           /* borrowed; NULL before an exchange */
	mono_us opened_at;
	mono_us idle_since;
	mono_us probed_at;
	bool is_announced; /* the last response said Connection: close */
	bool owner_exited;
	/* by the last sample; those of 32 bits are far below their bound */
	uint32_t rtt_us;
	int32_t unread_bytes; /* -1 not known */
	int32_t waiting_bytes;
	int32_t window_bytes; /* -1 not known */
	int64_t acked_bytes;
	int64_t received_bytes;
	TAILQ_ENTRY(ledger_conn) link;
};

TAILQ_HEAD(conn_list, ledger_conn);

/* Finished records, oldest first. */
struct ring {
	struct exchange_list list;
	size_t count;
	size_t max;
};

struct ledger {
	struct ledger_config config;
	struct counters counters;
	struct totals totals;
	struct groups *groups;     /* owned */
	struct reuse_table *reuse; /* owned */
	/* a reference each, to the one that came last: the next is likely to
	 * be the same */
	struct process *process;
	char *user_agent;               /* shared */
	struct capture_shelf *captures; /* owned; NULL: nothing is kept */
	struct outbox *outbox;          /* owned; NULL: nobody takes it */
	struct conn_list live;          /* owned by the proxy until closed */
	struct conn_list closed;        /* owned, oldest first */
	size_t closed_count;
	struct ring ordinary;
	struct ring evidence;
	/* for the next ledger_take_changes() */
	LIST_HEAD(, ledger_exchange) changes; /* borrowed, newest first */
	struct exposures exposures;
	struct totals taken; /* the totals, when they were taken last */
	uint64_t conn_serial;
	wall_us since;
	mono_us since_mono;
	struct timeline timeline;
	LIST_HEAD(, ledger_view) views; /* borrowed: those under way */
};

/* Returns the id that the next connection will have: more than any has. */
uint64_t ledger_next_conn_id(const struct ledger *ledger);

/* Frees one that is in no list but that of the changes. */
void ledger_free_exchange(struct ledger_exchange *exchange);

/* ---- ledger_judge.c ---- */

/*
 * Returns what a caller is known by; free with free().  With its process,
 * where that is known; without, two processes behind one address share their
 * manners, which only makes us slower to accuse.
 */
char *ledger_name_caller(const struct ledger_conn *conn, bool with_process);

/* Fills in the record's route. */
void ledger_ensure_route(struct ledger *ledger, struct exchange_record *record);

/* Judges by the facts as they are. */
void ledger_rejudge(struct ledger_exchange *exchange, mono_us now);
void ledger_rejudge_all(struct ledger_conn *conn, mono_us now);

/* When the response's head came; 0: it has not. */
mono_us ledger_response_at(const struct ledger_exchange *exchange);

/* The response holds its connection now, or does no more. */
void ledger_set_held(
    struct ledger_exchange *exchange, bool is_held, mono_us now);

/* Takes the exchange off its connection: nothing more can be learned. */
void ledger_finish(struct ledger_exchange *exchange, mono_us now);

/* ---- ledger_changes.c ---- */

/* The exchange is or was evidence, and the store should know how it is. */
void ledger_note_change(struct ledger *ledger, struct ledger_exchange *x);

/* Puts a copy in the outbox, if there is one and its filter lets it pass, or
 * let it before: what was said of it must not stay as it was. */
void ledger_send_out(
    struct ledger *ledger, struct ledger_exchange *x, mono_us now);

/* ---- ledger_view.c ---- */

/* The record is about to leave its list: views that have come to it go on to
 * the next. */
void ledger_view_pass_conn(struct ledger *ledger, struct ledger_conn *conn);
void ledger_view_pass_exchange(
    struct ledger *ledger, struct ledger_exchange *x);

/* Returns the record as it is shown: with what the
 * clock says.  Borrows everything from the live one. */
struct exchange_record ledger_show(
    const struct ledger_exchange *x, mono_us now);

#endif
