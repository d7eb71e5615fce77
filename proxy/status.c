/* SPDX-License-Identifier: MIT */

/*
 * How it goes, while somebody watches the terminal.
 */

#include "proxy/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"

#define IN_PLACE_EVERY_S 1
#define IN_LINES_EVERY_S 10
#define DEFAULT_COLUMNS 80

struct status {
	enum status_manner manner;
	bool is_stopped;
	bool is_asking;
	char *last; /* owned: what was shown */

	struct event *timer;     /* owned; NULL once stopped */
	struct loop *loop;       /* borrowed */
	struct service *service; /* borrowed */
	status_line_cb line;
};

static unsigned
columns(void)
{
	struct winsize window;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 &&
	    window.ws_col != 0)
		return window.ws_col;
	return DEFAULT_COLUMNS;
}

static void
show(struct status *status, char *line)
{
	bool is_news = status->last == NULL || strcmp(status->last, line) != 0;

	if (status->manner == STATUS_IN_PLACE)
		log_set_status(line);
	else if (is_news)
		fprintf(stderr, "%s\n", line);
	free(status->last);
	status->last = line;
}

static void
on_gathered(struct snapshot *snapshot, void *arg)
{
	struct status *status = arg;

	status->is_asking = false;
	if (!status->is_stopped)
		show(status, status->line(snapshot, columns()));
	snapshot_free(snapshot);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	static const struct snapshot_query query = {.wants_rhythm = true};
	struct status *status = arg;

	if (status->is_asking)
		return;
	status->is_asking = true;
	service_gather(
	    status->service, status->loop, &query, on_gathered, status);
}

struct status *
status_start(struct loop *loop, struct service *service,
    enum status_manner manner, status_line_cb line)
{
	struct status *status = xcalloc(1, sizeof(*status));
	struct timeval every = {.tv_sec = manner == STATUS_IN_PLACE
		? IN_PLACE_EVERY_S
		: IN_LINES_EVERY_S};

	status->loop = loop;
	status->service = service;
	status->manner = manner;
	status->line = line;
	status->timer =
	    event_new(loop_base(loop), -1, EV_PERSIST, on_due, status);
	if (status->timer == NULL)
		abort();
	event_add(status->timer, &every);
	return status;
}

void
status_stop(struct status *status)
{
	if (status->is_stopped)
		return;
	status->is_stopped = true;
	event_free(status->timer);
	status->timer = NULL;
	log_set_status(NULL);
}

static void
release(void *arg)
{
	struct status *status = arg;

	free(status->last);
	free(status);
}

void
status_free(struct status *status)
{
	if (status == NULL)
		return;
	status_stop(status);
	/* Behind the answer that may be on its way. */
	loop_post(status->loop, release, status);
}
