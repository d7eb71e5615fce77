/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SHIPPER_H
#define PROXY_SHIPPER_H

/*
 * Sends what the recorder has written on to the store that a fleet shares: a
 * thread of its own, which alone waits for that server.  While the server is
 * away, all stays in the state directory; what a process that was killed has
 * left there is sent by the next.
 */

#include <stdbool.h>

#include "accounting/shipping.h"
#include "proxy/options.h"

struct shipper;

/* Borrows the options until shipper_finish(). */
struct shipper *shipper_new(const struct options *options);

/* Opens the spool, with the privileges that we may give up next; the thread
 * tries again where that fails. */
void shipper_open(struct shipper *shipper);

/* Starts the thread.  Returns false where there can be none. */
bool shipper_start(struct shipper *shipper) MUST_CHECK;

/* Any thread: notes rows that went from the spool unsent. */
void shipper_note_lost(struct shipper *shipper, uint64_t rows);

/* Any thread: copies how things are. */
void shipper_look(struct shipper *shipper, struct shipping *shipping);

/* Sends what there is, for some seconds at most; ends the thread, and frees
 * all. */
void shipper_finish(struct shipper *shipper);

#endif
