/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_BATCH_H
#define ACCOUNTING_BATCH_H

/*
 * What has happened since the last batch, on its way from a ledger shard to
 * the store.  Counts are differences, so batches of several shards, and of
 * several moments where the store could not write, add up to one; where a
 * verdict was taken back, a difference wraps below 0 and adds up all the same.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/exposure.h"
#include "accounting/leak.h"
#include "accounting/record.h"
#include "accounting/snapshot.h"
#include "accounting/units.h"

/* Bounds of what waits while the store cannot write: the oldest exchanges are
 * dropped, and kinds of responses beyond these. */
#define BATCH_MAX_EXCHANGES 16384
#define BATCH_MAX_LEAKS 4096
#define BATCH_MAX_EXPOSURES (4 * EXPOSURES_MAX)
#define BATCH_MAX_MARKS 1024

/* A job's announcement. */
struct batch_mark {
	wall_us at;
	char *name;
	char *phase; /* "start", "stop" */
};

struct batch {
	wall_us taken_at;     /* the latest */
	struct totals totals; /* differences, without held_now */
	struct leak *leaks;   /* owned; counts are differences; no callers, no
	                         example */
	size_t leak_count;
	struct exposures exposures;
	struct exchange_record *exchanges; /* owned; later ones replace earlier
	                                      ones of the same id */
	size_t exchange_count;
	size_t exchange_max;
	struct batch_mark *marks; /* owned */
	size_t mark_count;
	uint64_t dropped; /* exchanges, leaks, kinds and marks out of bounds */
};

/* Returns an empty batch.  Free with batch_free(). */
struct batch *batch_new(void);
void batch_free(struct batch *batch);

/* Returns whether there is nothing in it to keep. */
bool batch_is_empty(const struct batch *batch);

/* Adds a copy of the exchange. */
void batch_add_exchange(
    struct batch *batch, const struct exchange_record *exchange);

void batch_add_mark(
    struct batch *batch, const char *name, const char *phase, wall_us at);

/* Moves all of *part into `whole` and frees part: *part is NULL then. */
void batch_merge(struct batch *whole, struct batch **part);

#endif
