/* SPDX-License-Identifier: MIT */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

/*
 * One worker: a thread with its own loop, listeners, upstream pool and shard
 * of the ledger.  What a connection needs, it finds here.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "accounting/callers.h"
#include "accounting/evidence.h"
#include "accounting/ledger.h"
#include "accounting/marks.h"
#include "accounting/suspicion.h"
#include "proxy/base/loop.h"
#include "proxy/destination.h"
#include "proxy/options.h"
#include "proxy/policy.h"
#include "proxy/text.h"
#include "proxy/tls.h"

struct stream;
struct client;
struct parsers;
struct pool;
struct resolver;
struct splice;

TAILQ_HEAD(client_list, client);

/* What all workers share.  Read-only once they run, or with locks inside. */
struct house {
	const struct options *options;
	struct tls_server *tls_server;   /* borrowed */
	const struct tls_keylog *keylog; /* borrowed; NULL: none */
	struct callers *callers;         /* borrowed */
	struct suspicion *suspicion;     /* borrowed */
	struct marks *marks;             /* borrowed */
	struct destination_rules destinations;
	const char *via_name;          /* borrowed */
	uint64_t plain_fields;         /* keep_plain_fields() */
	atomic_uint *connection_count; /* of all workers; borrowed */
	unsigned max_connections;
};

struct worker {
	const struct house *house;        /* borrowed */
	struct policy *policy;            /* a reference */
	struct loop *loop;                /* owned */
	struct ledger *ledger;            /* owned */
	struct evidence_source *evidence; /* owned */
	struct tls_client *tls_client;    /* owned */
	struct resolver *resolver;        /* owned */
	struct pool *pool;                /* owned */
	struct parsers *parsers;          /* owned */
	struct splice *splice;            /* owned; NULL: there is none */
	struct text scratch;              /* owned: heads are written here */
	struct text held_head;            /* owned: a response's, that waits for
	                                     what has come of its body */
	struct client_list clients;       /* each ends itself */
	struct client *swept_next;        /* borrowed; NULL: no sweep is under
	                                     way */
	mono_us search_after;             /* through processes; see watch.c */
	size_t client_count;
	size_t upstream_count; /* leased and idle */
	bool is_draining;      /* no new connections, no keep-alive */
};

struct worker_thread;

/* Where a worker accepts: a descriptor that is bound with SO_REUSEPORT. */
struct entrance {
	int fd;
	bool is_redirect; /* a --redirect, else a --listen */
};

/* Makes worker `index`, which takes a reference of its own to the policy.
 * Returns NULL with a line in `error`.  Free with worker_free(). */
struct worker_thread *worker_new(const struct house *house,
    struct policy *policy, unsigned index, char error[TLS_ERROR_BYTES]);

/* Starts its thread, listening at each of `entrances`, whose descriptors are
 * taken, also where it fails.  Returns false with a line in `error`. */
bool worker_start(struct worker_thread *thread,
    const struct entrance *entrances, size_t entrance_count,
    char error[TLS_ERROR_BYTES]) MUST_CHECK;

/* From any thread: stop accepting, let exchanges end, close idle connections,
 * and what is left after --drain-timeout.  The thread ends then. */
void worker_drain(struct worker_thread *thread);

/* Waits for the thread's end, after worker_drain().  Its accounts can still be
 * asked for. */
void worker_join(struct worker_thread *thread);

/* After worker_join(), or where it was never started. */
void worker_free(struct worker_thread *thread);

/* In the worker's thread: counts what has passed on a stream to an origin since
 * the last time. */
void worker_count_upstream(struct worker *worker, struct stream *stream);

/* In the worker's thread: what it can tell.  Free with snapshot_free(). */
struct snapshot *worker_snapshot(
    struct worker *worker, const struct snapshot_query *query);

/* The same in steps, for as long as they return NULL; borrows the query until
 * then.  The worker should get on with its work between them. */
struct ledger_view *worker_begin_view(
    struct worker *worker, const struct snapshot_query *query);
struct snapshot *worker_step_view(
    struct worker *worker, struct ledger_view **view);

/* In the worker's thread: lives by another policy from now on.  Takes the
 * reference. */
void worker_set_policy(struct worker *worker, struct policy *policy);

/* From any thread: runs `ask` with the worker in its thread, or, after
 * worker_join(), at once in the caller's. */
typedef void (*worker_ask_cb)(struct worker *worker, void *arg);
void worker_ask(struct worker_thread *thread, worker_ask_cb ask, void *arg);

#endif
