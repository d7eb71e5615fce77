/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_SSE_H
#define ADMIN_SSE_H

/*
 * The text of server-sent events (HTML standard, "Server-sent events").  Pure.
 */

#include <stdint.h>

#define SSE_CONTENT_TYPE "text/event-stream"

/* What a reader skips; it shows that we are there. */
#define SSE_KEEP_ALIVE ": keep-alive\n\n"

/* Returns one event.  `name` is a word of our own; `data` may have several
 * lines, however they end.  Free with free(). */
char *sse_event(const char *name, uint64_t id, const char *data);

#endif
