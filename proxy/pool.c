/* SPDX-License-Identifier: MIT */

/*
 * Idle connections to origins: a shelf a route, the one used last on top, and
 * one list by age over all shelves; one more of those to strangers.
 */

#include "proxy/pool.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"

TAILQ_HEAD(place_list, pool_place);

struct pool_shelf {
	char *route;            /* owned */
	struct place_list idle; /* used last first */
	size_t count;
	UT_hash_handle hh;
};

struct pool {
	struct pool_shelf *shelves;
	struct place_list by_age; /* idle for longest first */
	size_t count;
	struct place_list strangers; /* the same of these alone */
	size_t stranger_count;
};

struct pool *
pool_new(void)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));

	TAILQ_INIT(&pool->by_age);
	TAILQ_INIT(&pool->strangers);
	return pool;
}

/* Takes the connection off its shelf; an empty shelf goes. */
static struct upstream *
take_out(struct pool *pool, struct pool_place *place)
{
	struct pool_shelf *shelf = place->shelf;

	TAILQ_REMOVE(&shelf->idle, place, by_origin);
	TAILQ_REMOVE(&pool->by_age, place, by_age);
	if (place->is_stranger) {
		TAILQ_REMOVE(&pool->strangers, place, by_strangeness);
		pool->stranger_count--;
	}
	place->shelf = NULL;
	pool->count--;
	if (--shelf->count == 0) {
		HASH_DEL(pool->shelves, shelf);
		free(shelf->route);
		free(shelf);
	}
	return place->upstream;
}

void
pool_drop(struct pool *pool, struct upstream *upstream)
{
	upstream = take_out(pool, upstream_place(upstream));
	upstream_close(&upstream);
}

void
pool_clear(struct pool *pool)
{
	struct pool_place *place;

	while ((place = TAILQ_FIRST(&pool->by_age)) != NULL)
		pool_drop(pool, place->upstream);
}

void
pool_free(struct pool *pool)
{
	pool_clear(pool);
	free(pool);
}

struct upstream *
pool_lease(struct pool *pool, const struct origin *origin, enum lease lease,
    mono_us now)
{
	char route[ORIGIN_ROUTE_BYTES];
	struct pool_shelf *shelf;
	struct pool_place *place;
	mono_us rested;

	for (;;) {
		HASH_FIND_STR(
		    pool->shelves, origin_route(origin, route), shelf);
		if (shelf == NULL)
			return NULL;
		place = TAILQ_FIRST(&shelf->idle);
		rested = now - place->idle_since;
		if (rested < place->keep_alive_us)
			break;
		pool_drop(pool, place->upstream);
	}
	if (lease == LEASE_RECENT && rested >= POOL_RECENT_US)
		return NULL;
	return take_out(pool, place);
}

static struct pool_shelf *
find_shelf(struct pool *pool, const char *route)
{
	struct pool_shelf *shelf;

	HASH_FIND_STR(pool->shelves, route, shelf);
	if (shelf != NULL)
		return shelf;
	shelf = xcalloc(1, sizeof(*shelf));
	shelf->route = xstrdup(route);
	TAILQ_INIT(&shelf->idle);
	HASH_ADD_KEYPTR(
	    hh, pool->shelves, shelf->route, strlen(shelf->route), shelf);
	return shelf;
}

void
pool_give_back(struct pool *pool, struct upstream **upstreamp, mono_us now)
{
	struct upstream *upstream = *upstreamp;
	struct pool_place *place = upstream_place(upstream);
	char route[ORIGIN_ROUTE_BYTES];
	struct pool_shelf *shelf =
	    find_shelf(pool, origin_route(upstream_origin(upstream), route));

	*upstreamp = NULL;
	place->is_stranger =
	    shelf->count == 0 && upstream_is_stranger(upstream);
	upstream_set_owner(upstream, NULL, NULL);
	place->shelf = shelf;
	place->idle_since = now;
	TAILQ_INSERT_HEAD(&shelf->idle, place, by_origin);
	TAILQ_INSERT_TAIL(&pool->by_age, place, by_age);
	shelf->count++;
	pool->count++;
	if (place->is_stranger) {
		TAILQ_INSERT_TAIL(&pool->strangers, place, by_strangeness);
		pool->stranger_count++;
	}
	if (shelf->count > POOL_MAX_IDLE_PER_ORIGIN)
		pool_drop(pool, TAILQ_LAST(&shelf->idle, place_list)->upstream);
	else if (pool->count > POOL_MAX_IDLE)
		pool_drop(pool, TAILQ_FIRST(&pool->by_age)->upstream);
	else if (pool->stranger_count > POOL_MAX_STRANGERS)
		pool_drop(pool, TAILQ_FIRST(&pool->strangers)->upstream);
}

void
pool_sweep(struct pool *pool, mono_us now)
{
	struct pool_place *place;

	while ((place = TAILQ_FIRST(&pool->by_age)) != NULL &&
	    now - place->idle_since >= POOL_IDLE_US)
		pool_drop(pool, place->upstream);
}

size_t
pool_idle_count(const struct pool *pool)
{
	return pool->count;
}
