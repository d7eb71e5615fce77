/* SPDX-License-Identifier: MIT */
#ifndef PROXY_STATUS_H
#define PROXY_STATUS_H

/*
 * How it goes, while somebody watches the terminal.  The main thread.
 */

#include "proxy/base/loop.h"
#include "proxy/service.h"

enum status_manner {
	STATUS_IN_PLACE, /* one line, kept below the log */
	STATUS_IN_LINES, /* a line when it has changed, now and then: the
	                    terminal is a child's too */
};

/* Returns one line, without its end, in at most `columns`.  Free with
 * free(). */
typedef char *(*status_line_cb)(
    const struct snapshot *snapshot, unsigned columns);

struct status;

/* Borrows all.  Free with status_free() before the loop, after
 * service_drain(). */
struct status *status_start(struct loop *loop, struct service *service,
    enum status_manner manner, status_line_cb line);

/* Takes the line off the terminal; nothing more is shown. */
void status_stop(struct status *status);
void status_free(struct status *status);

#endif
