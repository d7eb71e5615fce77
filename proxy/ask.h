/* SPDX-License-Identifier: MIT */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

/*
 * Asks a running proxy, for the commands that run none.
 */

#include "proxy/options.h"

struct event_base;
struct question;

/* One of the two is not NULL, and both are the callee's: the answer's body, or
 * one sentence that says why there is none.  Free with free(). */
typedef void (*ask_cb)(char *body, char *why, void *arg);

/* Asks for `path` at --admin, with the token of --admin-token-file, and calls
 * `done` once in a later turn of the loop.  Borrows all until then. */
struct question *ask_begin(struct event_base *base,
    const struct options *options, const char *path, ask_cb done, void *arg);

/* Before it is done: nothing more comes of it.  *question is NULL then. */
void ask_cancel(struct question **question);

/* The same, and waits.  Returns the body, or NULL after one line on stderr
 * that says why.  Free with free().  In any thread that runs no loop. */
char *ask_admin(const struct options *options, const char *path);

#endif
