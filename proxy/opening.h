/* SPDX-License-Identifier: MIT */
#ifndef PROXY_OPENING_H
#define PROXY_OPENING_H

/*
 * What the first bytes of a connection are, whose caller has not said that it
 * speaks HTTP.  Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>

/* Whether they begin an HTTP/1 request to an origin, as far as they go: SIP,
 * RTSP, STOMP and HTTP/2 begin in a like way, and requests to another proxy
 * are for that proxy. */
bool opening_is_request(const char *bytes, size_t length);

#endif
