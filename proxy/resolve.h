/* SPDX-License-Identifier: MIT */
#ifndef PROXY_RESOLVE_H
#define PROXY_RESOLVE_H

/*
 * Names to addresses, without blocking: --resolve rules first, then literal
 * addresses, then /etc/hosts and DNS by evdns.  The worker's thread.
 */

#include <stddef.h>

#include "proxy/base/loop.h"
#include "proxy/options.h"
#include "proxy/origin.h"

#define RESOLVE_MAX_ADDRESSES 8

struct resolver;
struct resolve_query;

enum resolve_result {
	RESOLVE_OK,
	RESOLVE_NO_NAME,
	RESOLVE_FAILED,
	RESOLVE_TIMEOUT
};

/* Called once, from the loop, unless cancelled.  The addresses carry the
 * port; borrowed for the call. */
typedef void (*resolve_cb)(enum resolve_result result,
    const struct address *addresses, size_t count, void *arg);

struct resolver *resolver_new(struct loop *loop, const struct options *options);
void resolver_free(struct resolver *resolver);

/* Returns the query, valid until the callback. */
struct resolve_query *resolver_ask(struct resolver *resolver,
    const struct origin *origin, resolve_cb on_resolved, void *arg);
void resolver_cancel(struct resolve_query **query);

#endif
