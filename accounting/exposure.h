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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "accounting/record.h"
#include "accounting/tag.h"
#include "accounting/units.h"
#include "accounting/verdict.h"

#define EXPOSURES_TRUSTED 32

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
	uint32_t drained_in_row; /* the last ones, by when they were proven */
	UT_hash_handle hh;
};

struct exposures {
	struct exposure *table; /* owned */
};

void exposures_fini(struct exposures *exposures);

/* Returns whether a response with this verdict is settled. */
bool exposures_is_settled(enum verdict verdict);

/* Whether there is an entry for the kind with this leak_hash(). */
bool exposures_have(const struct exposures *exposures, uint64_t hash);

/* Makes one, if there is none, and room: for the exchange's kind, with this
 * route and the leak_hash() of both. */
void exposures_add(struct exposures *exposures,
    const struct exchange_record *exchange, const char *route, uint64_t hash);

/* A response of the kind, which arrived at `at`, is judged anew; one of a kind
 * without an entry is not counted. */
void exposures_judged(struct exposures *exposures, uint64_t hash,
    enum verdict verdict, enum verdict before, wall_us at);

/* Whether the last EXPOSURES_TRUSTED responses of this kind, at least, were
 * proven drained one after the other: the next most probably will be. */
bool exposures_are_drained(const struct exposures *exposures, uint64_t hash);

/* Adds all that `from` has counted to `into`, and begins to count anew. */
void exposures_move(struct exposures *into, struct exposures *from);

#endif
