/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_EXPOSURE_H
#define ACCOUNTING_EXPOSURE_H

/*
 * Exposure: how many responses of each kind (origin, method, route, status,
 * tags) have been settled, whether they leak or not.  It is what tells a leak
 * that is gone from one that was not exercised.  Settled are those proven
 * drained, undrained or abandoned; what is open, suspected or unproven says
 * nothing of either.
 *
 * Counted for every response, not only where a leak is known: else nobody
 * could say whether a leak that is new was there before.  That costs a route
 * and a hash, 0.3 us of the CPU, and no allocation once a kind has been seen.
 * One thread at a time.
 */

#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "accounting/record.h"
#include "accounting/tag.h"
#include "accounting/units.h"
#include "accounting/verdict.h"

/* Kinds kept; responses of others are not counted until exposures_move(). */
#define EXPOSURES_MAX 4096

struct exposure {
	uint64_t hash; /* leak_hash() */
	char *origin;
	char *method;
	char *route;
	int status;
	struct tags tags;
	uint64_t settled;   /* since the last move; wraps below 0 where verdicts
	                       were taken back */
	wall_us first_seen; /* of these, by their arrival; 0: none */
	wall_us last_seen;
	UT_hash_handle hh;
};

struct exposures {
	struct exposure *table; /* owned */
};

void exposures_fini(struct exposures *exposures);

/* Returns whether a response with this verdict is settled. */
bool exposures_is_settled(enum verdict verdict);

/* A response's verdict was `before` and is in its record now.  `route` is its
 * route, whether or not the record has one. */
void exposures_judged(struct exposures *exposures,
    const struct exchange_record *exchange, const char *route,
    enum verdict before);

/* Adds all that `from` has counted to `into`, and begins to count anew. */
void exposures_move(struct exposures *into, struct exposures *from);

#endif
