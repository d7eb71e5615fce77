/* SPDX-License-Identifier: MIT */
#ifndef PROXY_RECORDER_H
#define PROXY_RECORDER_H

/*
 * Keeps the store: a thread that asks the workers what has changed, twice a
 * second, and writes it.  Workers never wait for it, nor for a disk.
 *
 * What is acknowledged is kept: an answer of the admin server is handed over
 * after everything in it has been committed.
 */

#include <stdbool.h>

#include "accounting/snapshot.h"
#include "proxy/base/loop.h"
#include "proxy/options.h"
#include "proxy/service.h"

struct recorder;

/* Borrows both until recorder_finish(). */
struct recorder *recorder_new(
    struct service *service, const struct options *options);

/* Opens the store and begins the run, with the privileges that we may give up
 * next. */
void recorder_open(struct recorder *recorder);

/* Starts the thread.  Returns false where there can be none. */
bool recorder_start(struct recorder *recorder) MUST_CHECK;

/* Ends the thread, if it runs, after what was asked of it: before
 * service_drain(). */
void recorder_stop(struct recorder *recorder);

/* Writes what has come since, and that the run has ended, if it was opened;
 * frees all.  After
 * service_drain(), or where that was never started. */
void recorder_finish(struct recorder *recorder);

/* For admin_source, as service_is_ready() and service_gather(). */
bool recorder_is_ready(void *recorder);
void recorder_gather(void *recorder, struct loop *asker,
    const struct snapshot_query *query,
    void (*done)(struct snapshot *snapshot, void *arg), void *arg);

#endif
