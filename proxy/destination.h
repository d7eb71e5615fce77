/* SPDX-License-Identifier: MIT */
#ifndef PROXY_DESTINATION_H
#define PROXY_DESTINATION_H

/*
 * Which addresses are not proxied to: where we listen ourselves, and
 * link-local ones, behind which clouds keep their credentials (DESIGN §6).
 * Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proxy/units.h"

struct destination_rules {
	const struct address *own; /* borrowed: where we listen */
	size_t own_count;
	const struct cidr *allowed; /* borrowed: --allow-destination */
	size_t allowed_count;
};

/*
 * Returns whether nothing may connect to this address, however it is spelled:
 * IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4), or the unspecified
 * address, by which Linux means loopback.  To be asked of the address that is
 * connected to, not of a name: what a name resolves to may change in between.
 */
bool destination_is_prohibited(
    const struct destination_rules *rules, const struct sockaddr *sockaddr);

/* Whether we listen there ourselves. */
bool destination_is_own(
    const struct destination_rules *rules, const struct sockaddr *sockaddr);

/* Whether the address, whatever its port, is one of this machine's. */
bool destination_is_here(const struct sockaddr *sockaddr);

/*
 * As destination_is_prohibited(), for a host that another proxy will look up:
 * all that can be known then is a literal address, or "localhost".
 */
bool destination_is_prohibited_host(
    const struct destination_rules *rules, const char *host, uint16_t port);

#endif
