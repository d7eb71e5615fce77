/* SPDX-License-Identifier: MIT */

/*
 * A snapshot a second for whoever looks at all times.
 */

#include "proxy/pulse.h"

#include <assert.h>
#include <stdlib.h>

#include <event2/event.h>

#include "accounting/memory.h"

struct pulse {
	struct pulse_listener listeners[PULSE_MAX_LISTENERS];
	size_t listener_count;
	unsigned elapsed_s;
	unsigned asked_s; /* elapsed_s, when the answer was asked for */
	bool is_asking;

	struct event *timer;     /* owned; NULL: nobody listens */
	struct loop *loop;       /* borrowed */
	struct service *service; /* borrowed */
};

static bool
is_due(const struct pulse_listener *listener, unsigned at_s)
{
	return at_s % listener->every_s == 0;
}

static void
on_gathered(struct snapshot *snapshot, void *arg)
{
	struct pulse *pulse = arg;

	pulse->is_asking = false;
	for (size_t i = 0; i < pulse->listener_count; i++) {
		const struct pulse_listener *listener = &pulse->listeners[i];

		if (pulse->timer != NULL && is_due(listener, pulse->asked_s))
			listener->hear(snapshot, listener->arg);
	}
	snapshot_free(snapshot);
}

/* Asks for what those want whose turn it is; false where that is nobody. */
static bool
make_query(const struct pulse *pulse, struct snapshot_query *query)
{
	bool is_wanted = false;

	for (size_t i = 0; i < pulse->listener_count; i++) {
		const struct pulse_listener *listener = &pulse->listeners[i];

		if (!is_due(listener, pulse->elapsed_s))
			continue;
		is_wanted = true;
		query->wants_rhythm |= listener->wants_rhythm;
		query->wants_refusals |= listener->wants_refusals;
		query->wants_marks |= listener->wants_marks;
	}
	return is_wanted;
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct pulse *pulse = arg;
	struct snapshot_query query = {0};

	pulse->elapsed_s += PULSE_EVERY_S;
	/* Who is slow need not be asked twice. */
	if (pulse->is_asking || !make_query(pulse, &query))
		return;
	pulse->is_asking = true;
	pulse->asked_s = pulse->elapsed_s;
	service_gather(pulse->service, pulse->loop, &query, on_gathered, pulse);
}

struct pulse *
pulse_new(struct loop *loop, struct service *service)
{
	struct pulse *pulse = xcalloc(1, sizeof(*pulse));

	pulse->loop = loop;
	pulse->service = service;
	return pulse;
}

void
pulse_listen(struct pulse *pulse, const struct pulse_listener *listener)
{
	struct timeval every = {.tv_sec = PULSE_EVERY_S};

	assert(pulse->listener_count < PULSE_MAX_LISTENERS);
	pulse->listeners[pulse->listener_count++] = *listener;
	if (pulse->timer != NULL)
		return;
	pulse->timer =
	    event_new(loop_base(pulse->loop), -1, EV_PERSIST, on_due, pulse);
	if (pulse->timer == NULL || event_add(pulse->timer, &every) != 0)
		abort();
}

void
pulse_stop(struct pulse *pulse)
{
	if (pulse == NULL || pulse->timer == NULL)
		return;
	event_free(pulse->timer);
	pulse->timer = NULL;
}

void
pulse_free(struct pulse *pulse)
{
	if (pulse == NULL)
		return;
	pulse_stop(pulse);
	/* Behind the answer that may be on its way. */
	loop_post(pulse->loop, free, pulse);
}
