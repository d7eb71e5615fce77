/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SIGNALS_H
#define PROXY_SIGNALS_H

/*
 * Signals as events of a loop: SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1,
 * SIGUSR2, SIGWINCH and SIGCHLD, by signalfd.  libevent's own signal events
 * would hide who sent them, which exec has to know.
 */

#include <signal.h>
#include <stdbool.h>

#include "proxy/base/loop.h"

struct signals;

struct signal_notice {
	int number;
	bool is_from_kernel; /* a terminal's Ctrl-C, not somebody's kill() */
};

typedef void (*signals_cb)(const struct signal_notice *notice, void *arg);

/*
 * Blocks these signals, ignores SIGPIPE, and calls `on_signal` in the loop
 * for each that comes.  Call it in the main thread before any other is
 * started: threads inherit the mask.  One that the parent had us ignore
 * (nohup, or a shell's `&`) stays ignored and is not reported, except
 * SIGCHLD.  Borrows the loop until signals_close().  One at a time.
 */
struct signals *signals_open(
    struct loop *loop, signals_cb on_signal, void *arg);

/* Puts mask and dispositions back; signals that came and were not yet
 * reported are dropped. */
void signals_close(struct signals *signals);

/* Returns whether the signal asks a service to end: SIGTERM, SIGINT, SIGHUP
 * or SIGQUIT. */
bool signals_means_stop(int number);

/* What a child must get instead of ours: the mask of before signals_open(),
 * and the set of signals to put back to SIG_DFL. */
void signals_before(
    const struct signals *signals, sigset_t *mask, sigset_t *to_default);

#endif
