/* SPDX-License-Identifier: MIT */

/*
 * Listeners, and what they hear.
 *
 *      LISTENING --> DROPPED: reads too slowly, and is shut down
 *          |            |
 *          +--> ENDING --+--> gone: its connection closed, or all was written
 *
 * evhttp lets go of a request whose connection fails before we have ended its
 * reply, and it is ours to free then; of one that we have ended it takes care.
 */

#include "admin/live.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "accounting/memory.h"
#include "accounting/snapshot.h"
#include "admin/api.h"
#include "admin/guests.h"
#include "admin/server.h"
#include "admin/sse.h"
#include "proxy/base/loop.h"

#define PUBLISH_EVERY_S 1

/* More than this unread, and the reader is too slow: minutes of summaries. */
#define MAX_BACKLOG_BYTES (64 * 1024)

/* For a write that does not get on; there is none for reads: a listener has
 * nothing to say. */
#define WRITE_TIMEOUT_S 30

enum listener_state {
	LISTENER_LISTENING,
	LISTENER_DROPPED,
	LISTENER_ENDING, /* its last chunk is on its way */
};

struct listener {
	struct live *live;              /* borrowed, outlives it */
	struct evhttp_request *request; /* ours or evhttp's, see above */
	enum listener_state state;
	TAILQ_ENTRY(listener) link;
};

struct live {
	struct event *tick; /* owned; pending while somebody listens */

	/* borrowed */
	struct loop *loop;
	const struct admin_source *source;
	struct guests *guests;
	void (*on_quiet)(void *arg);
	void *arg;

	TAILQ_HEAD(, listener) listeners; /* owned */
	size_t count;
	uint64_t serial; /* of events */
	bool is_gathering;
	bool is_stopping;
};

/* ---- one listener ---- */

static struct bufferevent *
connection_of(const struct listener *listener)
{
	return evhttp_connection_get_bufferevent(
	    evhttp_request_get_connection(listener->request));
}

/* The one end of a listener. */
static void
forget(struct listener *listener)
{
	struct live *live = listener->live;

	TAILQ_REMOVE(&live->listeners, listener, link);
	if (--live->count == 0)
		event_del(live->tick);
	free(listener);
	live->on_quiet(live->arg);
}

static void
on_closed(struct evhttp_connection *connection, void *arg)
{
	struct listener *listener = arg;

	if (evhttp_request_get_connection(listener->request) == NULL)
		evhttp_request_free(listener->request);
	forget(listener);
}

static void
on_written(struct evhttp_request *request, void *arg)
{
	struct listener *listener = arg;

	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(request), NULL, NULL);
	forget(listener);
}

static void
send_text(struct listener *listener, const char *text)
{
	struct bufferevent *connection = connection_of(listener);
	struct evbuffer *chunk;

	if (listener->state != LISTENER_LISTENING)
		return;
	if (evbuffer_get_length(bufferevent_get_output(connection)) >
	    MAX_BACKLOG_BYTES) {
		listener->state = LISTENER_DROPPED;
		guests_drop(listener->live->guests, connection);
		return;
	}
	chunk = evbuffer_new();
	if (chunk == NULL)
		abort();
	evbuffer_add(chunk, text, strlen(text));
	evhttp_send_reply_chunk(listener->request, chunk);
	evbuffer_free(chunk);
}

static void
end(struct listener *listener)
{
	if (listener->state != LISTENER_LISTENING)
		return;
	listener->state = LISTENER_ENDING;
	evhttp_request_set_on_complete_cb(
	    listener->request, on_written, listener);
	evhttp_send_reply_end(listener->request);
}

/* ---- all of them ---- */

static void
send_to_all(struct live *live, const char *text)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, &live->listeners, link)
		send_text(listener, text);
}

void
live_publish(struct live *live, const char *name, const char *json)
{
	char *text;

	if (live->count == 0)
		return;
	text = sse_event(name, ++live->serial, json);
	send_to_all(live, text);
	free(text);
}

static void
on_gathered(struct snapshot *snapshot, void *arg)
{
	struct live *live = arg;
	char *summary = api_summary(snapshot);

	live->is_gathering = false;
	snapshot_free(snapshot);
	live_publish(live, "summary", summary);
	free(summary);
	live->on_quiet(live->arg);
}

static void
gather(struct live *live)
{
	const struct snapshot_query query = {.is_brief = true};

	live->is_gathering = true;
	live->source->gather(
	    live->source->source_arg, live->loop, &query, on_gathered, live);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct live *live = arg;

	/* Workers that are slow to answer need not be asked twice. */
	if (live->is_gathering)
		send_to_all(live, SSE_KEEP_ALIVE);
	else
		gather(live);
}

void
live_listen(struct live *live, struct evhttp_request *request)
{
	static const struct timeval every = {PUBLISH_EVERY_S, 0};
	static const struct timeval patience = {WRITE_TIMEOUT_S, 0};
	struct listener *listener = xcalloc(1, sizeof(*listener));

	assert(!live_is_full(live));
	listener->live = live;
	listener->request = request;
	TAILQ_INSERT_TAIL(&live->listeners, listener, link);
	if (live->count++ == 0)
		event_add(live->tick, &every);
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(request), on_closed, listener);
	guests_asked(live->guests, connection_of(listener));
	/* Its timeouts are not for requests any more. */
	evhttp_add_header(
	    evhttp_request_get_output_headers(request), "Connection", "close");
	evhttp_send_reply_start(request, 200, NULL);
	bufferevent_set_timeouts(connection_of(listener), NULL, &patience);
	send_text(listener, LIVE_OPENING);
	if (!live->is_gathering)
		gather(live);
}

bool
live_is_full(const struct live *live)
{
	return live->is_stopping || live->count >= LIVE_MAX_LISTENERS;
}

bool
live_is_gathering(const struct live *live)
{
	return live->is_gathering;
}

bool
live_is_quiet(const struct live *live)
{
	return live->count == 0 && !live->is_gathering;
}

void
live_stop(struct live *live)
{
	struct listener *listener = TAILQ_FIRST(&live->listeners);

	live->is_stopping = true;
	while (listener != NULL) {
		struct listener *next = TAILQ_NEXT(listener, link);

		end(listener);
		listener = next;
	}
}

struct live *
live_new(struct loop *loop, const struct admin_source *source,
    struct guests *guests, void (*on_quiet)(void *arg), void *arg)
{
	struct live *live = xcalloc(1, sizeof(*live));

	live->loop = loop;
	live->source = source;
	live->guests = guests;
	live->on_quiet = on_quiet;
	live->arg = arg;
	TAILQ_INIT(&live->listeners);
	live->tick = event_new(loop_base(loop), -1, EV_PERSIST, on_tick, live);
	if (live->tick == NULL)
		abort();
	return live;
}

void
live_free(struct live *live)
{
	assert(live_is_quiet(live));
	event_free(live->tick);
	free(live);
}
