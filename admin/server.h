/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_SERVER_H
#define ADMIN_SERVER_H

/*
 * The admin server: evhttp on a thread of its own.  It never sees the
 * workers' structures; it asks the source for a snapshot and renders that.
 */

#include <stdbool.h>
#include <sys/socket.h>

#include "accounting/marks.h"
#include "accounting/snapshot.h"
#include "proxy/base/loop.h"

/*
 * Where snapshots come from.  gather() is called in the admin's thread,
 * borrows `query` for the call, and calls `done` once, later, in the admin's
 * loop, with a merged and sealed snapshot that `done` owns.
 */
typedef void (*admin_gathered_cb)(struct snapshot *snapshot, void *arg);

struct admin_source {
	void (*gather)(void *source_arg, struct loop *admin_loop,
	    const struct snapshot_query *query, admin_gathered_cb done,
	    void *done_arg);
	void *source_arg;
	bool (*is_ready)(void *source_arg); /* for /readyz; any thread */
};

struct admin_config {
	const struct sockaddr *sockaddr;
	socklen_t sockaddr_length;
	/* borrowed for the life */
	struct marks *marks; /* borrowed for the life */
	/* Served at /ca.pem: returns it, free with free(); any thread.  NULL:
	 * there is none. */
	char *(*ca_pem)(void *arg);
	void *ca_pem_arg;      /* borrowed for the life */
	const char *token;     /* who asks must know it; NULL: anybody may */
	const char *pprof_url; /* of a Go service; NULL: none is asked */
	struct admin_source source;

	/* 0: as is usual */
	size_t max_connections;
	mono_us patience_us; /* for a whole request to come in */
};

struct admin_server;

/*
 * Binds.  Returns NULL, with errno set, when the address cannot be bound.
 * `bound` receives the real address as text ("127.0.0.1:41235").  Free with
 * admin_server_stop().
 */
struct admin_server *admin_server_open(
    const struct admin_config *config, char *bound, size_t bound_size);

/* Starts the thread, which answers from now on.  Returns false, with errno
 * set, where there can be none. */
bool admin_server_start(struct admin_server *server) MUST_CHECK;

/* Stops accepting, ends the thread, frees all.  The source must still be able
 * to answer what was asked. */
void admin_server_stop(struct admin_server *server);

#endif
