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

#include "accounting/memory.h"
#include "proxy/base/log.h"

#define IN_PLACE_EVERY_S 1
#define IN_LINES_EVERY_S 10
#define DEFAULT_COLUMNS 80

struct status {
	enum status_manner manner;
	status_line_cb line;
	char *last; /* owned: what was shown */
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
on_pulse(struct snapshot *snapshot, void *arg)
{
	struct status *status = arg;

	show(status, status->line(snapshot, columns()));
}

struct status *
status_start(
    struct pulse *pulse, enum status_manner manner, status_line_cb line)
{
	struct status *status = xcalloc(1, sizeof(*status));

	status->manner = manner;
	status->line = line;
	pulse_listen(pulse,
	    &(struct pulse_listener){
		.every_s = manner == STATUS_IN_PLACE ? IN_PLACE_EVERY_S
						     : IN_LINES_EVERY_S,
		.wants_rhythm = true,
		.hear = on_pulse,
		.arg = status,
	    });
	return status;
}

void
status_free(struct status *status)
{
	if (status == NULL)
		return;
	log_set_status(NULL);
	free(status->last);
	free(status);
}
