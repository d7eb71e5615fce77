/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_GUARD_H
#define ADMIN_GUARD_H

/*
 * Who may ask.  A page in a browser can make requests to loopback, and by DNS
 * rebinding read the answers: it must use a name for that, or tell its Origin
 * (DESIGN §6).  Pure.
 */

#include <stdbool.h>

/*
 * Returns why a request with this Host field (NULL: none) is refused, or
 * NULL.  An IP literal or "localhost", with any port, is welcome: a page of
 * another site cannot have that as its own host.  Where a token is asked for
 * any host name is: such a page does not know it.
 */
const char *guard_refuse_host(const char *host, bool has_token);

/* Returns why a request with this Origin field (NULL: none) is refused, or
 * NULL: an Origin must be our own, the one that Host names. */
const char *guard_refuse_origin(const char *origin, const char *host);

#endif
