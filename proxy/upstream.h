/* SPDX-License-Identifier: MIT */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

/*
 * Our connection to an origin: a stream, and the parser of what comes back.
 * An exchange owns it from the lease until it gives it back to the pool or
 * closes it.  The worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "proxy/http.h"
#include "proxy/origin.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

struct upstream;

enum upstream_failure {
	UPSTREAM_CLOSED, /* the origin ended the connection */
	UPSTREAM_RESET,
	UPSTREAM_TLS,       /* tls_error() of its stream tells */
	UPSTREAM_MALFORMED, /* upstream_http_error() tells */
};

/* Called from the loop, while leased. */
struct upstream_callbacks {
	/* A response head; 1xx too.  Borrowed until upstream_next(). */
	void (*on_head)(void *arg, struct head *head);
	void (*on_body)(void *arg, const char *bytes, size_t length);
	/* So much of the body went to the stream of upstream_pass_body(). */
	void (*on_passed)(void *arg, size_t length);
	/* All that has come was handed over, and the response goes on. */
	void (*on_paused)(void *arg);
	/* The response is complete.  `trailer` is borrowed for the call. */
	void (*on_complete)(
	    void *arg, const struct field *trailer, size_t trailer_count);
	void (*on_failed)(void *arg, enum upstream_failure failure);
	/* The queue was full and has drained. */
	void (*on_drained)(void *arg);
};

/* Takes *stream, and refers to `origin`. */
struct upstream *upstream_new(
    struct worker *worker, struct origin *origin, struct stream **stream);
void upstream_close(struct upstream **upstream);

/* Whose the answers are; NULL callbacks while it rests in the pool. */
void upstream_set_owner(struct upstream *upstream,
    const struct upstream_callbacks *callbacks, void *arg);

struct stream *upstream_stream(struct upstream *upstream);
struct origin *upstream_origin(const struct upstream *upstream);

/* The request was HEAD: no body follows the next head. */
void upstream_expect_no_body(struct upstream *upstream);

/* After on_head for 1xx, and after on_complete: read the next message. */
void upstream_next(struct upstream *upstream);

/* From on_head: what comes of the body may pass to `to` within the kernel; what
 * on_body is shown all the same has to be written there.  Borrows `to` until
 * the message is complete. */
void upstream_pass_body(struct upstream *upstream, struct stream *to);

/* Ends the upstream and returns its stream, the caller's from now on: after
 * 101, from on_head.  *upstream is NULL then. */
struct stream *upstream_release(struct upstream **upstream);

/* Whether a byte of the response has come. */
bool upstream_has_begun(const struct upstream *upstream);

/* Whether it has served an exchange before this one. */
bool upstream_is_used(const struct upstream *upstream);

/* Whether nothing says that its origin will be asked again: TLS of its first
 * visit, which has served one exchange at most. */
bool upstream_is_stranger(const struct upstream *upstream);

/* Whether its origin was verified by roots that are no longer in force. */
bool upstream_is_outdated(const struct upstream *upstream);

/* Whether bytes came that belong to no response. */
bool upstream_has_surplus(const struct upstream *upstream);

enum http_error upstream_http_error(const struct upstream *upstream);

/* While it rests: its place in the pool.  pool.c alone looks inside. */
struct pool_place {
	struct upstream *upstream; /* whose place this is */
	struct pool_shelf *shelf;  /* borrowed */
	mono_us idle_since;
	mono_us keep_alive_us; /* how long the origin lets it rest */
	bool is_stranger;      /* is among the pool's strangers */
	TAILQ_ENTRY(pool_place) by_origin;
	TAILQ_ENTRY(pool_place) by_age;
	TAILQ_ENTRY(pool_place) by_strangeness;
};
struct pool_place *upstream_place(struct upstream *upstream);

#endif
