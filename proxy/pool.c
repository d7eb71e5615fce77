/* SPDX-License-Identifier: MIT */

/*
 * Idle connections to origins: a shelf a route, the one used last on top, and
 * one list by age over all shelves; one more of those to strangers.  A shelf
 * stays while a connection from it is on lease, and then until a sweep finds
 * it empty: on the usual way, no route is looked up twice and nothing is
 * allocated.
 */

#include "proxy/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"

TAILQ_HEAD(place_list, pool_place);

struct pool_shelf {
	char *route;            /* owned */
	struct place_list idle; /* used last first */
	size_t count;           /* idle */
	size_t lease_count;
	UT_hash_handle hh;
};

struct pool {
	struct pool_shelf *shelves;
	struct pool_shelf *last;  /* looked up; NULL: none, or gone */
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

static void
remove_empty(struct pool *pool)
{
	struct pool_shelf *shelf;
	struct pool_shelf *next;

	pool->last = NULL;
	HASH_ITER (hh, pool->shelves, shelf, next) {
		if (shelf->count > 0 || shelf->lease_count > 0)
			continue;
		HASH_DEL(pool->shelves, shelf);
		free(shelf->route);
		free(shelf);
	}
}

/* Takes the connection off its shelf, to which it may come back. */
static struct upstream *
take_out(struct pool *pool, struct pool_place *place)
{
	struct pool_shelf *shelf = place->shelf;

	TAILQ_REMOVE(&shelf->idle, place, by_origin);
	TAILQ_REMOVE(&pool->by_age, place, by_age);
	shelf->count--;
	shelf->lease_count++;
	if (place->is_stranger) {
		TAILQ_REMOVE(&pool->strangers, place, by_strangeness);
		pool->stranger_count--;
	}
	pool->count--;
	return place->upstream;
}

void
pool_forget(struct pool_place *place)
{
	if (place->shelf != NULL)
		place->shelf->lease_count--;
	place->shelf = NULL;
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
	remove_empty(pool);
	assert(pool->shelves == NULL);
	free(pool);
}

static struct pool_shelf *
find_shelf(struct pool *pool, const struct origin *origin)
{
	char buffer[ORIGIN_ROUTE_BYTES];
	const char *route = origin_route(origin, buffer);

	if (pool->last == NULL || strcmp(pool->last->route, route) != 0)
		HASH_FIND_STR(pool->shelves, route, pool->last);
	return pool->last;
}

static struct pool_shelf *
add_shelf(struct pool *pool, const struct origin *origin)
{
	char route[ORIGIN_ROUTE_BYTES];
	struct pool_shelf *shelf = xcalloc(1, sizeof(*shelf));

	shelf->route = xstrdup(origin_route(origin, route));
	TAILQ_INIT(&shelf->idle);
	HASH_ADD_KEYPTR(
	    hh, pool->shelves, shelf->route, strlen(shelf->route), shelf);
	return shelf;
}

struct upstream *
pool_lease(struct pool *pool, const struct origin *origin, enum lease lease,
    mono_us now)
{
	struct pool_shelf *shelf = find_shelf(pool, origin);
	struct pool_place *place;
	mono_us rested = 0;

	if (shelf == NULL)
		return NULL;
	while ((place = TAILQ_FIRST(&shelf->idle)) != NULL) {
		rested = now - place->idle_since;
		if (rested < place->keep_alive_us)
			break;
		pool_drop(pool, place->upstream);
	}
	if (place == NULL ||
	    (lease == LEASE_RECENT && rested >= POOL_RECENT_US))
		return NULL;
	return take_out(pool, place);
}

/* Returns the shelf that a connection comes back to, or comes to first. */
static struct pool_shelf *
shelf_for(struct pool *pool, struct upstream *upstream)
{
	struct pool_shelf *shelf = upstream_place(upstream)->shelf;

	if (shelf != NULL) {
		shelf->lease_count--;
		return shelf;
	}
	shelf = find_shelf(pool, upstream_origin(upstream));
	return shelf != NULL ? shelf
			     : add_shelf(pool, upstream_origin(upstream));
}

void
pool_give_back(struct pool *pool, struct upstream **upstreamp, mono_us now)
{
	struct upstream *upstream = *upstreamp;
	struct pool_place *place = upstream_place(upstream);
	struct pool_shelf *shelf = shelf_for(pool, upstream);

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
	remove_empty(pool);
}

size_t
pool_idle_count(const struct pool *pool)
{
	return pool->count;
}
