/* SPDX-License-Identifier: MIT */

/*
 * The origin that is replayed: it listens, says where, and runs until a signal.
 */

#include "proxy/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/signals.h"
#include "proxy/visitor.h"

#define STATUS_MISTAKE 2
#define BACKLOG 128
#define MAX_VISITORS 1000
#define ACCEPT_PAUSE_S 1

struct replay {
	/* owned */
	struct loop *loop;
	struct signals *signals;
	struct event *accept_again;
	struct evconnlistener **listeners;
	size_t listener_count;
	struct visitors visitors;
};

/* ---- accepting ---- */

static void
set_accepting(struct replay *replay, bool is_accepting)
{
	for (size_t i = 0; i < replay->listener_count; i++) {
		if (is_accepting)
			evconnlistener_enable(replay->listeners[i]);
		else
			evconnlistener_disable(replay->listeners[i]);
	}
}

static void
on_connection(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *address, int length, void *arg)
{
	struct replay *replay = arg;

	visitor_accept(&replay->visitors, fd);
	if (replay->visitors.count == MAX_VISITORS)
		set_accepting(replay, false);
}

static void
on_visitor_left(void *arg)
{
	struct replay *replay = arg;

	if (replay->visitors.count == MAX_VISITORS - 1)
		set_accepting(replay, true);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct replay *replay = arg;

	if (replay->visitors.count < MAX_VISITORS)
		set_accepting(replay, true);
}

static void
on_accept_failed(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = {ACCEPT_PAUSE_S, 0};
	struct replay *replay = arg;

	log_warn("replay: cannot accept, pausing");
	set_accepting(replay, false);
	event_add(replay->accept_again, &pause);
}

/* ---- listening ---- */

static void
bound_text(struct evconnlistener *listener, char *text)
{
	struct address bound = {.length = sizeof(bound.sockaddr)};

	(void)getsockname(evconnlistener_get_fd(listener),
	    (struct sockaddr *)&bound.sockaddr, &bound.length);
	units_address_text(&bound, text);
}

static bool
listen_at(struct replay *replay, const struct address *address)
{
	struct evconnlistener *listener = evconnlistener_new_bind(
	    loop_base(replay->loop), on_connection, replay,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
	    BACKLOG, (const struct sockaddr *)&address->sockaddr,
	    (int)address->length);
	char text[UNITS_ADDRESS_TEXT_BYTES];

	if (listener == NULL) {
		units_address_text(address, text);
		fprintf(stderr,
		    "leakproxy: --listen: cannot listen on %s: %s: choose "
		    "another address, or port 0 for a free one\n",
		    text, strerror(errno));
		return false;
	}
	evconnlistener_set_error_cb(listener, on_accept_failed);
	replay->listeners[replay->listener_count++] = listener;
	return true;
}

/* --ready-fd: one JSON line, as serve's. */
static bool
tell_ready(const struct replay *replay, int fd)
{
	char text[UNITS_ADDRESS_TEXT_BYTES];
	size_t count = replay->visitors.tape->count;
	char *list = xstrdup("");
	bool is_written;

	for (size_t i = 0; i < replay->listener_count; i++) {
		char *longer;

		bound_text(replay->listeners[i], text);
		printf("listening on %s: %zu response%s\n", text, count,
		    count == 1 ? "" : "s");
		longer = xasprintf("%s%s\"%s\"", list, i == 0 ? "" : ",", text);
		free(list);
		list = longer;
	}
	fflush(stdout);
	is_written = fd < 0 ||
	    dprintf(fd, "{\"listen\":[%s],\"admin\":null,\"pid\":%d}\n", list,
		(int)getpid()) > 0;
	free(list);
	if (!is_written)
		fprintf(stderr,
		    "leakproxy: --ready-fd: cannot write to descriptor %d: "
		    "%s: open it in the parent\n",
		    fd, strerror(errno));
	return is_written;
}

/* ---- life ---- */

static void
on_signal(const struct signal_notice *notice, void *arg)
{
	struct replay *replay = arg;

	if (signals_means_stop(notice->number))
		loop_stop(replay->loop);
}

static void
begin(struct replay *replay, const struct options *options, struct tape *tape)
{
	replay->loop = loop_new();
	replay->signals = signals_open(replay->loop, on_signal, replay);
	replay->accept_again =
	    evtimer_new(loop_base(replay->loop), on_accept_again, replay);
	if (replay->accept_again == NULL)
		abort();
	replay->listeners =
	    xcalloc(options->listen_count, sizeof(*replay->listeners));
	replay->visitors = (struct visitors){.loop = replay->loop,
	    .tape = tape,
	    .on_left = on_visitor_left,
	    .arg = replay};
	TAILQ_INIT(&replay->visitors.list);
}

static void
end(struct replay *replay)
{
	for (size_t i = 0; i < replay->listener_count; i++)
		evconnlistener_free(replay->listeners[i]);
	replay->listener_count = 0;
	visitor_close_all(&replay->visitors);
	free(replay->listeners);
	event_free(replay->accept_again);
	signals_close(replay->signals);
	loop_free(replay->loop);
}

int
replay_run(const struct options *options, struct tape **tapep)
{
	struct tape *tape = *tapep;
	struct replay replay = {0};
	bool is_good = true;

	*tapep = NULL;
	begin(&replay, options, tape);
	for (size_t i = 0; i < options->listen_count && is_good; i++)
		is_good = listen_at(&replay, &options->listen[i]);
	is_good = is_good && tell_ready(&replay, options->ready_fd);
	if (is_good)
		loop_run(replay.loop);
	end(&replay);
	tape_free(tape);
	return is_good ? 0 : STATUS_MISTAKE;
}
