/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_EVENTS_H
#define ADMIN_EVENTS_H

/*
 * What has happened between one snapshot and the next, of what matters: a
 * leak was first seen, grew, or its callers read on, and a caller refused our
 * certificate.  Pure: time is the snapshot's.
 */

#include <jansson.h>

#include "accounting/snapshot.h"

/* A leak that grows is told when it has doubled since it was told last, or
 * after so long; recoveries, and refusals of one caller, once in so long. */
#define EVENTS_EVERY_US (60 * US_PER_S)

/* Callers that refused, kept apart; others share their lines. */
#define EVENTS_MAX_REFUSERS 256

struct events;

enum events_when {
	EVENTS_NOW,
	EVENTS_LAST, /* tell all: nothing will follow */
};

/* Returns one that has seen nothing.  Free with events_free(). */
struct events *events_new(void);
void events_free(struct events *events);

/*
 * Returns an array of objects, a new reference: each has "time", "event", and
 * the fields that the API has for the leak or the connection.  The snapshot
 * is of the ledgers that were looked at before, sealed, and taken with
 * wants_refusals (or wants_conns) and wants_marks; of the leaks that are
 * told, rhythm and suspect are found.
 */
json_t *events_since(
    struct events *events, struct snapshot *snapshot, enum events_when when);

/* The same as newline-delimited JSON, "" where nothing happened.  Free with
 * free(). */
char *events_lines(
    struct events *events, struct snapshot *snapshot, enum events_when when);

#endif
