/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SHIP_H
#define ACCOUNTING_SHIP_H

/*
 * Copies runs from the store of one machine, their spool, to one that a fleet
 * shares.
 *
 *      spool: run.rev = 9   ──▶   shared: run.rev = 7
 *             rows with rev 8 and 9 are written there, and run.rev = 9, in one
 *             transaction; then the spool notes in `shipped` how far it got
 *
 * The shared store itself knows what it has of a run, by the run's uuid: what
 * was committed and never acknowledged is not sent twice, and what was changed
 * since is sent as it is now.  A row's numbers there are its own; runs go by
 * uuid, kinds by leak_id.  The timeline stays here: in steps of ten seconds, a
 * large fleet's would outweigh all the rest, and Prometheus has it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/store.h"

struct ship;

enum ship_result {
	SHIP_DONE, /* there is nothing more to send */
	SHIP_MORE,
	SHIP_FAILED, /* ship_error() says why; nothing is half sent */
};

/* Borrows both.  Free with ship_free(). */
struct ship *ship_new(struct store *from, struct store *to);
void ship_free(struct ship *ship);

/* Sends a part of the oldest run of which there is something to send, some
 * thousand rows, and adds their number to *rows. */
enum ship_result ship_next(struct ship *ship, uint64_t *rows);

/* Of the store that failed; borrowed until the next call. */
const struct store_error *ship_error(const struct ship *ship);

/* How many exchanges and marks wait: beside them, only counts change. */
bool ship_count_waiting(struct store *from, int64_t *rows) MUST_CHECK;

#endif
