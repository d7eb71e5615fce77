/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SERVICE_H
#define PROXY_SERVICE_H

/*
 * The proxy as a whole: authority, listeners, workers.  serve and exec differ
 * in what they do around it.  The main thread, unless said otherwise.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/snapshot.h"
#include "proxy/base/loop.h"
#include "proxy/options.h"
#include "proxy/worker.h"

#define SERVICE_ERROR_BYTES 600

struct service;

/*
 * Opens the state directory and binds the listeners.  Borrows the options for
 * its life.  Returns NULL with one line in `error` that names the option and
 * the remedy.
 */
struct service *service_open(
    const struct options *options, char error[SERVICE_ERROR_BYTES]);

/* Makes the workers.  `admin` is where the admin
 * server listens, NULL without one: it is never proxied to.  Returns false
 * with one line in `error`. */
bool service_prepare(struct service *service, const struct address *admin,
    char error[SERVICE_ERROR_BYTES]) MUST_CHECK;

/* Starts the workers' threads.  Returns false with one line in `error`. */
bool service_start(
    struct service *service, char error[SERVICE_ERROR_BYTES]) MUST_CHECK;

/*
 * Reads the files anew that passthrough, allow, routes, upstream roots and our
 * authority come from; connections go on, and what comes once it has returned
 * lives by them.  After service_start().  Returns false, with one line in
 * `error`, where one cannot be read; then all is as it was.
 */
bool service_reload(
    struct service *service, char error[SERVICE_ERROR_BYTES]) MUST_CHECK;

/* Returns a reference to what is in force now; free with policy_unref().  Any
 * thread. */
struct policy *service_policy(struct service *service);

/* Stops accepting, lets exchanges end within --drain-timeout, and waits for
 * the workers.  Snapshots can still be taken. */
void service_drain(struct service *service);
void service_close(struct service *service);

/* Address `index` we listen on, as text; NULL beyond the last.  Borrowed. */
const char *service_listen_text(const struct service *service, size_t index);

/* The same of --redirect. */
const char *service_redirect_text(const struct service *service, size_t index);

/* Returns the CA's certificate in PEM; free with free().  Any thread. */
char *service_ca_pem(void *service);

/* Paths; borrowed, until service_reload(). */
const char *service_ca_path(const struct service *service);
const char *service_bundle_path(const struct service *service);
const char *service_truststore_path(const struct service *service);

/* Asks each worker in its thread, or, after service_drain(), at once in the
 * caller's.  Returns how many are asked: none before service_start().  Any
 * thread. */
unsigned service_ask(struct service *service, worker_ask_cb ask, void *arg);

/* What jobs announced; any thread.  Borrowed. */
struct marks *service_marks(struct service *service);

/* For admin_source: any thread. */
bool service_is_ready(void *service);
void service_gather(void *service, struct loop *asker,
    const struct snapshot_query *query,
    void (*done)(struct snapshot *snapshot, void *arg), void *arg);

/* After service_drain(): the same at once.  Free with snapshot_free(). */
struct snapshot *service_snapshot(
    struct service *service, const struct snapshot_query *query);

#endif
