/* SPDX-License-Identifier: MIT */
#ifndef PROXY_PULSE_H
#define PROXY_PULSE_H

/*
 * A snapshot a second for whoever looks at all times: the status line, the
 * events.  One gathering serves all, and none is made where nobody listens.
 * The main thread.
 */

#include <stdbool.h>

#include "proxy/base/loop.h"
#include "proxy/service.h"

#define PULSE_EVERY_S 1

/* The snapshot is the pulse's, but may be completed: snapshot_investigate(). */
typedef void (*pulse_cb)(struct snapshot *snapshot, void *arg);

struct pulse_listener {
	unsigned every_s;  /* a multiple of PULSE_EVERY_S */
	bool wants_rhythm; /* as in snapshot_query */
	bool wants_refusals;
	bool wants_marks;
	pulse_cb hear;
	void *arg; /* borrowed */
};

struct pulse;

/* Borrows both.  Free with pulse_free() before the loop, after
 * service_drain(). */
struct pulse *pulse_new(struct loop *loop, struct service *service);

/* From now on the listener hears, until pulse_stop(). */
#define PULSE_MAX_LISTENERS 3
void pulse_listen(struct pulse *pulse, const struct pulse_listener *listener);

/* Nobody hears anything any more. */
void pulse_stop(struct pulse *pulse);
void pulse_free(struct pulse *pulse);

#endif
