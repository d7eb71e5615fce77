/* SPDX-License-Identifier: MIT */
#ifndef PROXY_ARCHIVE_H
#define PROXY_ARCHIVE_H

/*
 * Keeps --capture-dir: a thread that takes what is in the workers' outboxes,
 * a few times a second, and writes a line for each exchange.  Workers never
 * wait for it, nor for a disk: what it cannot keep up with is dropped and
 * counted.
 */

#include <stdbool.h>

#include "accounting/record.h"
#include "proxy/options.h"
#include "proxy/service.h"

#define ARCHIVE_ERROR_BYTES 600

/* The outboxes of all workers together. */
#define ARCHIVE_OUTBOX_BYTES ((size_t)32 * 1024 * 1024)

/* Returns the line for the exchange, which `id` tells from all others, with
 * its newline.  Free with free(). */
typedef char *(*archive_line_cb)(
    const struct exchange_record *exchange, const char *id);

struct archive;

/* Opens the directory.  Borrows service and options until archive_finish().
 * Returns NULL with one line in `error`. */
struct archive *archive_open(struct service *service,
    const struct options *options, archive_line_cb line,
    char error[ARCHIVE_ERROR_BYTES]);

/* Starts the thread, as whoever we are by now.  Returns false with one line in
 * `error`. */
bool archive_start(
    struct archive *archive, char error[ARCHIVE_ERROR_BYTES]) MUST_CHECK;

/* Ends the thread, if it runs, after what was asked of it: before
 * service_drain(). */
void archive_stop(struct archive *archive);

/* Writes what has come since, and frees all.  After service_drain(), or where
 * that was never started. */
void archive_finish(struct archive *archive);

#endif
