/* SPDX-License-Identifier: MIT */
#ifndef PROXY_STATUS_H
#define PROXY_STATUS_H

/*
 * How it goes, while somebody watches the terminal.  The main thread.
 */

#include "proxy/pulse.h"

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

/* Borrows the pulse until pulse_stop().  Free with status_free() after
 * that. */
struct status *status_start(
    struct pulse *pulse, enum status_manner manner, status_line_cb line);

/* Takes the line off the terminal. */
void status_free(struct status *status);

#endif
