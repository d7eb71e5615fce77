/* SPDX-License-Identifier: MIT */
#ifndef PROXY_CHAIN_H
#define PROXY_CHAIN_H

/*
 * Another proxy between us and the origins: --upstream-proxy, and NO_PROXY's
 * list of what goes past it.  Pure, read-only once filled; any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/units.h"
#include "proxy/origin.h"

struct chain {
	bool is_set;
	struct origin *proxy; /* owned: host and port */
	char *authorization;  /* owned: "Basic …"; NULL without credentials */
	char *no_proxy;       /* owned: as in the environment; NULL: none */
};

/*
 * Reads "http://[user[:password]@]host[:port]" (RFC 3986 escapes in the user
 * information; port 80 without one, as curl's -x takes 1080 but Go and Python
 * 80).  Returns false where it is none, and leaves *chain alone.
 */
bool chain_parse(const char *url, struct chain *chain) MUST_CHECK;
void chain_fini(struct chain *chain);

/*
 * Whether the way to this origin leads through the other proxy: there is one,
 * and NO_PROXY does not name the origin.  Its entries, between commas or
 * blanks, are as curl and Go read them: "*", a domain (and all below it, with
 * or without a dot in front), an address or a CIDR, each but the last with an
 * optional port.
 */
bool chain_leads_to(const struct chain *chain, const struct origin *origin);

#endif
