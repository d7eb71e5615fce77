/* SPDX-License-Identifier: MIT */
#ifndef PROXY_HOSTS_H
#define PROXY_HOSTS_H

/*
 * Hosts as people name them in options: --passthrough's patterns and
 * --resolve's rules.  Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "accounting/units.h"
#include "proxy/units.h"

/* --resolve HOST:PORT:ADDR[:PORT]; HOST "*" and PORT 0 match any. */
struct resolve_rule {
	char
	    *host; /* owned; lower case; an IPv6 address without its brackets */
	uint16_t port;
	struct address address; /* its port is 0 where the rule names none */
};

/* Reads a rule; false where it is none.  Free its host with free(). */
bool hosts_parse_rule(const char *text, struct resolve_rule *rule) MUST_CHECK;

/*
 * Returns the pattern in lower case, an IPv6 address without its brackets, or
 * NULL if it is neither a host, nor "*." and a domain, nor "*".  Free with
 * free().
 */
char *hosts_parse_pattern(const char *text) MUST_CHECK;

/* Returns whether `host` (lower case, no port) matches: "*.registry.test" is
 * any subdomain of it, and not registry.test itself. */
bool hosts_matches(const char *pattern, const char *host);

#endif
