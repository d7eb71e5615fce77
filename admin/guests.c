/* SPDX-License-Identifier: MIT */

/*
 * The admin's connections.
 *
 * evhttp tells nobody of a connection before its first request, nor that it
 * has freed one.  So we hold a reference to the bufferevent of each: once
 * evhttp has let go of it, it has no callbacks any more, and a sweep lets go
 * of it too.  To end one we shut its socket down, and evhttp sees an end of
 * file, as if the other side had gone.
 */

#include "admin/guests.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/base/clock.h"

/* Until then the descriptor of a connection that is gone stays open. */
#define SWEEP_EVERY_US (100 * US_PER_MS)

enum guest_state {
	GUEST_SILENT, /* no whole request since `since` */
	GUEST_ASKING, /* waits for our answer */
	GUEST_ENDED,  /* shut down; evhttp has yet to see that */
};

struct guest {
	struct bufferevent *connection; /* owned: a reference */
	enum guest_state state;
	mono_us since;
	TAILQ_ENTRY(guest) link;
};

struct guests {
	struct event *sweep; /* owned */
	size_t max_count;
	mono_us patience_us;
	size_t count;             /* those not ended */
	TAILQ_HEAD(, guest) list; /* in the order of `since` */
};

/* The order of the list is what makes this cheap; one writer of `state`. */
static void
set_state(struct guests *guests, struct guest *guest, enum guest_state state)
{
	if (state == GUEST_ENDED && guest->state != GUEST_ENDED)
		guests->count--;
	guest->state = state;
	guest->since = clock_mono();
	TAILQ_REMOVE(&guests->list, guest, link);
	TAILQ_INSERT_TAIL(&guests->list, guest, link);
}

static void
end(struct guests *guests, struct guest *guest)
{
	set_state(guests, guest, GUEST_ENDED);
	shutdown(bufferevent_getfd(guest->connection), SHUT_RDWR);
}

static bool
is_let_go(const struct guest *guest)
{
	bufferevent_event_cb on_event;

	bufferevent_getcb(guest->connection, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

static void
forget(struct guests *guests, struct guest *guest)
{
	if (guest->state != GUEST_ENDED)
		guests->count--;
	TAILQ_REMOVE(&guests->list, guest, link);
	bufferevent_decref(guest->connection);
	free(guest);
}

static void
sweep(struct guests *guests)
{
	mono_us deadline = clock_mono() - guests->patience_us;
	struct guest *guest = TAILQ_FIRST(&guests->list);

	while (guest != NULL) {
		struct guest *next = TAILQ_NEXT(guest, link);

		if (is_let_go(guest))
			forget(guests, guest);
		else if (guest->state == GUEST_SILENT &&
		    guest->since < deadline)
			end(guests, guest);
		guest = next;
	}
}

/* Only while there is something to sweep. */
static void
start_sweeping(struct guests *guests)
{
	static const struct timeval interval = {0, SWEEP_EVERY_US};

	if (!evtimer_pending(guests->sweep, NULL))
		evtimer_add(guests->sweep, &interval);
}

static void
on_sweep_due(evutil_socket_t fd, short what, void *arg)
{
	struct guests *guests = arg;

	sweep(guests);
	if (!TAILQ_EMPTY(&guests->list))
		start_sweeping(guests);
}

struct guests *
guests_new(struct event_base *base, size_t max_count, mono_us patience_us)
{
	struct guests *guests = xcalloc(1, sizeof(*guests));

	guests->max_count = max_count;
	guests->patience_us = patience_us;
	TAILQ_INIT(&guests->list);
	guests->sweep = evtimer_new(base, on_sweep_due, guests);
	if (guests->sweep == NULL)
		abort();
	return guests;
}

static void
make_room(struct guests *guests)
{
	struct guest *guest;

	if (guests->count < guests->max_count)
		return;
	sweep(guests);
	if (guests->count < guests->max_count)
		return;
	TAILQ_FOREACH (guest, &guests->list, link) {
		if (guest->state == GUEST_SILENT) {
			end(guests, guest);
			return;
		}
	}
}

struct bufferevent *
guests_admit(struct guests *guests, size_t max_input_bytes)
{
	struct bufferevent *connection;
	struct guest *guest;

	make_room(guests);
	connection = bufferevent_socket_new(
	    event_get_base(guests->sweep), -1, BEV_OPT_CLOSE_ON_FREE);
	if (connection == NULL)
		abort();
	/* A client that sends while it does not take its reply fills no more
	 * than this of our memory; evhttp sets no bound there. */
	bufferevent_setwatermark(connection, EV_READ, 0, max_input_bytes);
	bufferevent_incref(connection);
	guest = xcalloc(1, sizeof(*guest));
	guest->connection = connection;
	guest->state = GUEST_SILENT;
	guest->since = clock_mono();
	TAILQ_INSERT_TAIL(&guests->list, guest, link);
	guests->count++;
	start_sweeping(guests);
	return connection;
}

static struct guest *
find(const struct guests *guests, const struct bufferevent *connection)
{
	struct guest *guest;

	TAILQ_FOREACH (guest, &guests->list, link) {
		if (guest->connection == connection)
			break;
	}
	return guest;
}

static void
turn(struct guests *guests, const struct bufferevent *connection,
    enum guest_state state)
{
	struct guest *guest = find(guests, connection);

	if (guest != NULL && guest->state != GUEST_ENDED)
		set_state(guests, guest, state);
}

void
guests_asked(struct guests *guests, const struct bufferevent *connection)
{
	turn(guests, connection, GUEST_ASKING);
}

void
guests_answered(struct guests *guests, const struct bufferevent *connection)
{
	turn(guests, connection, GUEST_SILENT);
}

void
guests_drop(struct guests *guests, const struct bufferevent *connection)
{
	struct guest *guest = find(guests, connection);

	if (guest != NULL && guest->state != GUEST_ENDED)
		end(guests, guest);
}

void
guests_free(struct guests *guests)
{
	struct guest *guest;

	while ((guest = TAILQ_FIRST(&guests->list)) != NULL)
		forget(guests, guest);
	event_free(guests->sweep);
	free(guests);
}
