/* SPDX-License-Identifier: MIT */
#ifndef PROXY_CHILD_H
#define PROXY_CHILD_H

/*
 * The command that `exec` runs behind the proxy: its environment, the
 * signals it is passed, and how it ended.  In the loop's thread.
 */

#include <stdbool.h>
#include <sys/resource.h>

#include "proxy/base/loop.h"
#include "proxy/signals.h"

#define CHILD_STATUS_CANNOT_RUN 126
#define CHILD_STATUS_NOT_FOUND 127
#define CHILD_STATUS_SIGNAL_BASE 128

struct child;

/* All borrowed for the call. */
struct child_settings {
	rlim_t file_limit;            /* soft, of open files; 0: as ours */
	const char *proxy_url;        /* "http://127.0.0.1:41234" */
	const char *admin_url;        /* the same for the admin, or NULL */
	const char *admin_token_path; /* NULL: it asks for none */
	const char *bundle_path;      /* absolute, as the child may chdir() */
	const char *ca_path;
	const char *java_truststore;   /* PKCS12, "changeit"; NULL: none */
	const struct signals *signals; /* what the child must not inherit */
};

/* `status` is what a shell would say: 128 and the signal's number for a
 * child that a signal ended, 127 for a command that was not found, 126 for
 * one that cannot be run. */
typedef void (*child_exited_cb)(int status, void *arg);

/*
 * Starts argv[0], looked for in PATH, in our process group and with our
 * standard streams.  Calls `on_exited` once, later, in the loop, also where
 * it could not be started; the reason has gone to stderr then.  Needs
 * child_signalled() to be called from the signals' callback.  Free with
 * child_free().
 */
struct child *child_start(struct loop *loop, char **argv,
    const struct child_settings *settings, child_exited_cb on_exited,
    void *arg);

/*
 * Takes note of a signal: SIGCHLD looks after the child, which may end it;
 * all others are sent on, unless a terminal has sent them to the child too.
 * Does nothing for a child that has ended.
 */
void child_signalled(struct child *child, const struct signal_notice *notice);

/* Returns whether the child was started and has not yet been seen to end. */
bool child_is_running(const struct child *child);

/* Forgets the child; one that still runs is left alone, and on_exited is not
 * called any more. */
void child_free(struct child *child);

#endif
