/* SPDX-License-Identifier: MIT */
#ifndef PROXY_BASE_LOOP_H
#define PROXY_BASE_LOOP_H

/*
 * One thread's event loop: libevent's base, a list of work for after the
 * current callback, and a mailbox for work that other threads send.
 */

#include <stdbool.h>

struct event_base;
struct loop;

typedef void (*loop_cb)(void *arg);

/* Returns a loop that is not running yet.  Free with loop_free(), after the
 * thread that ran it has ended. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Runs what was posted, and what is for later, until there is nothing more;
 * after the thread that ran the loop has ended, or in it. */
void loop_settle(struct loop *loop);

/* Borrowed, lives as long as the loop. */
struct event_base *loop_base(struct loop *loop);

/* Runs until loop_stop(); in the thread that owns the loop. */
void loop_run(struct loop *loop);

/* From the loop's own thread: ends loop_run() after this turn. */
void loop_stop(struct loop *loop);

/* From the loop's own thread: runs `work` after the current callback has
 * returned.  This is how memory is released that callers still hold. */
void loop_later(struct loop *loop, loop_cb work, void *arg);

/* From any thread: runs `work` in the loop's thread, in the order posted.
 * What was posted and not run when the loop is freed is run then. */
void loop_post(struct loop *loop, loop_cb work, void *arg);

#endif
