/* SPDX-License-Identifier: MIT */
#ifndef PROXY_ORIGIN_H
#define PROXY_ORIGIN_H

/*
 * Where a request goes: scheme, host and port.  It is read from a request
 * target into a draft, which needs no memory, and what keeps it shares one
 * small copy.  Pure; any thread, but those that share one are of one worker.
 */

#include <stdbool.h>
#include <stdint.h>

#include "accounting/units.h"
#include "proxy/head.h"
#include "proxy/text.h"

#define ORIGIN_HOST_BYTES 254 /* RFC 1035 §2.3.4, and the NUL */
#define ORIGIN_KEY_BYTES (ORIGIN_HOST_BYTES + 20)
#define ORIGIN_ROUTE_BYTES (ORIGIN_KEY_BYTES + ORIGIN_HOST_BYTES + 1)

struct origin {
	unsigned ref_count; /* 0: a draft's */
	bool is_tls;
	uint16_t port;
	/* Where it is reached; lower case; an IPv6 address without its
	 * brackets. */
	const char *host;
	/* Who it is, where the caller's SNI said otherwise (CONNECT had an
	 * address), or the Host of a redirected request; "" elsewhere. */
	const char *server_name;
	const char *key; /* "https://registry.test:443": who */
};

/* One that can still change.  It stays where it is: not to be copied. */
struct origin_draft {
	struct origin origin; /* of these */
	char host[ORIGIN_HOST_BYTES];
	char server_name[ORIGIN_HOST_BYTES];
	char key[ORIGIN_KEY_BYTES];
};

/* Returns a copy to keep, in one allocation; end it with origin_unref(). */
struct origin *origin_new(const struct origin *origin);
struct origin *origin_ref(struct origin *origin);
/* *origin is NULL then; it may have been. */
void origin_unref(struct origin **origin);

/* Begins with what `origin` is. */
void origin_draft(struct origin_draft *draft, const struct origin *origin);

/* Writes a host name in lower case.  Returns false where it is none: it would
 * end too early in another parser's reading, or is too long. */
bool origin_copy_host(
    char copy[ORIGIN_HOST_BYTES], const char *host, size_t length) MUST_CHECK;

/*
 * Reads "host:port" or "host" (`default_port`; 0: a port must be there).
 * Returns false for user information, an invalid host, or a port that is
 * empty, 0 or too large (RFC 9110 §9.3.6).
 */
bool origin_parse_authority(struct span authority, uint16_t default_port,
    struct origin_draft *draft) MUST_CHECK;

/* Reads an absolute-form target with http or https; *path is what follows the
 * authority, empty where nothing does. */
bool origin_parse_absolute(struct span target, struct origin_draft *draft,
    struct span *path) MUST_CHECK;

/* Sets the scheme and writes the key anew.  Without TLS it has no name but
 * the place's, unless it is given one afterwards. */
void origin_set_tls(struct origin_draft *draft, bool is_tls);

/* Takes what the caller calls it as its name, and writes the key anew.
 * Returns false where that is no host. */
bool origin_set_server_name(
    struct origin_draft *draft, const char *name) MUST_CHECK;

/* The same for one that is kept: *origin is another then. */
bool origin_rename(struct origin **origin, const char *name) MUST_CHECK;

/* Who it is: SNI and certificate go by this.  Without a dot at the end. */
const char *origin_server_name(const struct origin *origin);

/*
 * Who it is and where it is reached, in one word: connections and sessions
 * are kept by it.  Returns the key, or what it wrote into `route`.
 */
const char *origin_route(
    const struct origin *origin, char route[ORIGIN_ROUTE_BYTES]);

/* Writes what belongs into Host: the port only where it is not the scheme's
 * own. */
void origin_host_field(
    const struct origin *origin, char field[ORIGIN_KEY_BYTES]);

/* Writes the URL of an origin-form path there, NUL-terminated. */
void origin_url(
    const struct origin *origin, struct span path, struct text *url);

/* Whether host and port are the same, whatever the scheme. */
bool origin_is_same_authority(const struct origin *a, const struct origin *b);

#endif
