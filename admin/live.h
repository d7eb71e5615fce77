/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_LIVE_H
#define ADMIN_LIVE_H

/*
 * Who listens to /api/events.  While somebody does, a summary goes out every
 * second, from one snapshot for all; nobody costs nothing.  Who does not read
 * what is sent is dropped.  In the admin's thread.
 */

#include <stdbool.h>

#include "accounting/units.h"

#define LIVE_MAX_LISTENERS 32

/* How the stream begins: how soon a reader that lost it should come again. */
#define LIVE_OPENING "retry: 2000\n\n"

struct admin_source;
struct evhttp_request;
struct guests;
struct live;
struct loop;

/* Borrows all for its life.  `on_quiet` is called, with `arg`, whenever
 * live_is_quiet() may have become true.  Free with live_free(). */
struct live *live_new(struct loop *loop, const struct admin_source *source,
    struct guests *guests, void (*on_quiet)(void *arg), void *arg);

/* After evhttp_free(), and when live_is_quiet(). */
void live_free(struct live *live);

bool live_is_full(const struct live *live);

/* Begins the stream that is the answer to `request`, whose header fields are
 * set; takes the request.  Not when live_is_full(). */
void live_listen(struct live *live, struct evhttp_request *request);

/* Sends an event of this name (a word) to all that listen now.  Another thread
 * comes here by loop_post(). */
void live_publish(struct live *live, const char *name, const char *json);

/* Ends every stream, in good order, and takes no more. */
void live_stop(struct live *live);

/* Returns whether no stream is left, and no snapshot awaited. */
bool live_is_quiet(const struct live *live);

/* Returns whether a snapshot is awaited: the source has our pointer. */
bool live_is_gathering(const struct live *live);

#endif
