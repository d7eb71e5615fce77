/* SPDX-License-Identifier: MIT */
#ifndef PROXY_EVENTLOG_H
#define PROXY_EVENTLOG_H

/*
 * Where --events go: lines appended to a file, a named pipe or stdout.  It
 * never waits for a reader or a disk that is full: lines wait in memory,
 * within a bound, and are dropped beyond it, with one warning when the
 * trouble begins and one line when it is over.  The main thread.
 */

#include <stdbool.h>

#include "accounting/units.h"

/* What may wait, in bytes. */
#define EVENTLOG_MAX_BYTES (1 << 20)
#define EVENTLOG_ERROR_BYTES 600

struct eventlog;

/* Opens `path`, "-" for stdout.  Borrows it until eventlog_close().  Returns
 * NULL with one line in `error` that names the option and the remedy. */
struct eventlog *eventlog_open(
    const char *path, char error[EVENTLOG_ERROR_BYTES]);

/*
 * Appends `lines`, each ended by a newline, and what has waited, each line
 * with one write(2).  Call it once a second also with "": that is when a file
 * that was renamed or removed (logrotate) is opened anew.
 */
void eventlog_append(struct eventlog *log, const char *lines);

/* Lines that still wait are lost. */
void eventlog_close(struct eventlog *log);

#endif
