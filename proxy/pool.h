/* SPDX-License-Identifier: MIT */
#ifndef PROXY_POOL_H
#define PROXY_POOL_H

/*
 * Idle connections to origins, by origin.  The worker's thread.
 */

#include <stddef.h>

#include "accounting/units.h"
#include "proxy/upstream.h"

/* An origin's usual keep-alive is longer; ours ends first. */
#define POOL_IDLE_US (50 * US_PER_S)
#define POOL_MAX_IDLE 1024
#define POOL_MAX_IDLE_PER_ORIGIN 128

/*
 * An idle TLS connection costs 14 KiB.  Most hosts that are asked once are not
 * asked again, so of connections that are alone at an origin of which no more
 * is known, few rest.  Who comes back after all resumes the session, and is no
 * stranger any more.
 */
#define POOL_MAX_STRANGERS 16

struct pool;

struct pool *pool_new(void);
/* Closes all. */
void pool_free(struct pool *pool);

/*
 * An origin may close a connection while a request is on its way, and a
 * request that must not be sent twice is lost then.  The longer a connection
 * has rested, the likelier that is; such a request takes none that has rested
 * for longer than this.
 */
#define POOL_RECENT_US (1 * US_PER_S)

enum lease { LEASE_ANY, LEASE_RECENT };

/* Returns the connection to `origin` that was used last, or NULL; the
 * caller's from now on.  Closes those that the origin said it is about to
 * close. */
struct upstream *pool_lease(struct pool *pool, const struct origin *origin,
    enum lease lease, mono_us now);

/* Takes a connection that may serve another request. */
void pool_give_back(struct pool *pool, struct upstream **upstream, mono_us now);

/* An idle connection said something or ended: closes it. */
void pool_drop(struct pool *pool, struct upstream *upstream);

/* A connection ends that is not idle, and may have been. */
void pool_forget(struct pool_place *place);

/* Closes all; more may come. */
void pool_clear(struct pool *pool);

/* Closes what has been idle for POOL_IDLE_US. */
void pool_sweep(struct pool *pool, mono_us now);

size_t pool_idle_count(const struct pool *pool);

#endif
