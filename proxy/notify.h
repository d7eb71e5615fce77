/* SPDX-License-Identifier: MIT */
#ifndef PROXY_NOTIFY_H
#define PROXY_NOTIFY_H

/*
 * What systemd wants to hear of a service: sd_notify(3), without its library.
 * Where nobody listens, nothing is said.  The main thread.
 */

#include "accounting/units.h"

struct notify;

/*
 * Connects to $NOTIFY_SOCKET (a path, or an abstract name behind an "@").
 * Returns NULL where there is none, and, with one line in the log, where it
 * cannot be reached.  Free with notify_close().
 */
struct notify *notify_open(void);
void notify_close(struct notify *notify);

/* How often systemd wants to hear that we are alive, by $WATCHDOG_USEC; 0
 * where it does not ask, or asks another process. */
mono_us notify_watchdog_us(const struct notify *notify);

/* NULL is taken everywhere below.  `status` is one line for people. */
void notify_ready(struct notify *notify, const char *status);
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);
void notify_alive(struct notify *notify);

#endif
