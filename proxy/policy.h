/* SPDX-License-Identifier: MIT */
#ifndef PROXY_POLICY_H
#define PROXY_POLICY_H

/*
 * What SIGHUP reads anew: who may use the proxy, what it tunnels, how it
 * counts, whom it believes.  One is filled in by one thread and never changes
 * afterwards; a reload hands each worker a new one.  Counted, so that the
 * last who lets go of the old one frees it.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "accounting/route.h"
#include "proxy/units.h"

struct tls_roots;

struct strings {
	char **items;
	size_t count;
};

struct policy {
	atomic_uint references;
	/* owned */
	struct strings passthrough; /* host patterns, lower case, "*" allowed */
	struct cidr *allow;
	size_t allow_count;
	struct route_set *routes;
	struct tls_roots *roots; /* NULL: not read yet */
};

/* Returns an empty one.  Free with policy_unref(). */
struct policy *policy_new(void);
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy);

/* Returns whether `sockaddr` is inside --allow. */
bool policy_allows(
    const struct policy *policy, const struct sockaddr *sockaddr);

/* Returns whether `host` (lower case, no port) matches --passthrough. */
bool policy_passes_through(const struct policy *policy, const char *host);

/* Appends `item`, which is taken. */
void strings_append(struct strings *strings, char *item);
void strings_fini(struct strings *strings);

#endif
