/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_GUESTS_H
#define ADMIN_GUESTS_H

/*
 * The admin's connections: no more than so many, and none that is silent for
 * ever.  evhttp itself bounds neither, and whoever may connect could use up
 * the descriptors of the proxy.  In the admin's thread.
 */

#include <stddef.h>

#include <event2/util.h>

#include "accounting/units.h"

struct bufferevent;
struct event_base;
struct guests;

/* Borrows the base for its life.  Free with guests_free(). */
struct guests *guests_new(
    struct event_base *base, size_t max_count, mono_us patience_us);

/*
 * Makes the bufferevent of a connection that was accepted, for evhttp, which
 * takes it.  Where there is no room the connection that has been silent for
 * longest is ended.
 */
struct bufferevent *guests_admit(struct guests *guests, size_t max_input_bytes);

/* A request has come in on the connection, and is worked on until
 * guests_answered(): so long nobody ends it. */
void guests_asked(struct guests *guests, const struct bufferevent *connection);
void guests_answered(
    struct guests *guests, const struct bufferevent *connection);

/* Ends it: evhttp sees an end of file, soon. */
void guests_drop(struct guests *guests, const struct bufferevent *connection);

/* After evhttp_free(). */
void guests_free(struct guests *guests);

#endif
