/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

/*
 * An opaque relay between a client's stream and an upstream: passthrough
 * hosts, what is not HTTP inside CONNECT, and what follows 101.  The worker's
 * thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/stream.h"
#include "proxy/worker.h"

struct tunnel;

/* Both ways are done, or the origin reset its own.  Called once, from the
 * loop. */
typedef void (*tunnel_ended_cb)(void *arg, bool was_reset);

/* Borrows the client's stream, whose owner hands over its events; takes
 * *upstream. */
struct tunnel *tunnel_new(struct worker *worker, struct stream *client,
    struct stream **upstream, tunnel_ended_cb on_ended, void *arg);
/* Resets the upstream unless the tunnel is done. */
void tunnel_free(struct tunnel **tunnel);

/* Whether both ways have ended in order. */
bool tunnel_is_done(const struct tunnel *tunnel);

/* The client's events. */
size_t tunnel_client_bytes(
    struct tunnel *tunnel, const char *bytes, size_t length);
void tunnel_client_passed(struct tunnel *tunnel);
void tunnel_client_drained(struct tunnel *tunnel);
void tunnel_client_fin(struct tunnel *tunnel);
void tunnel_client_finished(struct tunnel *tunnel);

/* Counts the upstream's bytes up to now. */
void tunnel_count_bytes(struct tunnel *tunnel);

/* Bytes on the wire so far, both ways, on the upstream's side. */
int64_t tunnel_upstream_bytes(const struct tunnel *tunnel);

/* Whether a way can no longer be written to, without its end having been
 * told. */
bool tunnel_is_broken(const struct tunnel *tunnel);

#endif
