/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_OUTBOX_H
#define ACCOUNTING_OUTBOX_H

/*
 * Exchanges on their way out of a worker's thread: copies, packed one behind
 * the other into a few large blocks, so that one of them costs neither an
 * allocation nor a lock.  Whoever carries them out takes the blocks as they
 * are.  What the bound leaves no room for is left out; the caller counts it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/record.h"
#include "accounting/units.h"

struct outbox;
struct outbox_block;

/* Returns an empty one.  Free with outbox_free(). */
struct outbox *outbox_new(size_t max_bytes);
void outbox_free(struct outbox *outbox);

/* Puts in a copy, with its capture.  Returns false where there is no room. */
bool outbox_put(
    struct outbox *outbox, const struct exchange_record *exchange) MUST_CHECK;

/* Returns all that was put in, oldest first, and leaves the outbox empty; NULL
 * where nothing was.  Free with outbox_free_blocks(); any thread may. */
struct outbox_block *outbox_take(struct outbox *outbox);
void outbox_free_blocks(struct outbox_block *blocks);

/* How much of the bound they take. */
size_t outbox_blocks_bytes(const struct outbox_block *blocks);

/*
 * Walks what was taken: `at` is 0 at first, and both are moved on.  Returns
 * the exchange, which may be changed and lives as long as its block; NULL at
 * the end.
 */
struct exchange_record *outbox_next(struct outbox_block **block, size_t *at);

#endif
