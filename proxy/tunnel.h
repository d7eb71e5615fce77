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

/* Both ways are done, or one was reset.  Called once, from the loop. */
typedef void (*tunnel_ended_cb)(void *arg);

/* Borrows the client's stream, whose owner hands over its events; takes
 * *upstream. */
struct tunnel *tunnel_new(struct worker *worker, struct stream *client,
    struct stream **upstream, tunnel_ended_cb on_ended, void *arg);
void tunnel_free(struct tunnel **tunnel);

/* The client's events. */
size_t tunnel_client_bytes(
    struct tunnel *tunnel, const char *bytes, size_t length);
void tunnel_client_drained(struct tunnel *tunnel);
void tunnel_client_fin(struct tunnel *tunnel);
void tunnel_client_finished(struct tunnel *tunnel);

/* The client's way broke: the upstream gets a reset too. */
void tunnel_client_reset(struct tunnel *tunnel);

/* Whether one side was reset: the other must not take that for an end. */
bool tunnel_is_reset(const struct tunnel *tunnel);

/* Whether a way can no longer be written to, without its end having been
 * told. */
bool tunnel_is_broken(const struct tunnel *tunnel);

#endif
