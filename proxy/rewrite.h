/* SPDX-License-Identifier: MIT */
#ifndef PROXY_REWRITE_H
#define PROXY_REWRITE_H

/*
 * Heads as they leave: serialised anew from what was understood; raw bytes of
 * a head never pass through.  Hop-by-hop fields go (RFC 9110 §7.6.1), Via is
 * added (§7.6.3), the framing is ours.  Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proxy/head.h"
#include "proxy/origin.h"
#include "proxy/text.h"

struct request_rewrite {
	const struct origin *origin;
	struct span path;          /* origin-form; "" becomes "/" */
	struct span host;          /* Host as received, when it agrees with the
	                         target; empty: made from the origin */
	const char *via_name;      /* our pseudonym */
	bool is_upgrade;           /* Connection and Upgrade are issued again */
	bool is_absolute;          /* to another proxy (RFC 9112 §3.2.2) */
	const char *authorization; /* Proxy-Authorization for it, or NULL */
	bool has_max_forwards;
	int64_t max_forwards; /* in place of the caller's */
};

void rewrite_request(const struct head *head,
    const struct request_rewrite *rewrite, struct text *out);

struct response_rewrite {
	enum body_framing framing; /* towards the caller */
	const char *via_name;
	bool says_close;
	bool says_keep_alive; /* to an HTTP/1.0 caller */
	bool is_upgrade;      /* 101: Connection and Upgrade are issued again */
	unsigned keep_alive_s; /* Keep-Alive: timeout=; 0: none */
};

void rewrite_response(const struct head *head,
    const struct response_rewrite *rewrite, struct text *out);

/* Adds the trailer fields that may pass, and the final empty line. */
void rewrite_trailer(
    const struct field *fields, size_t count, struct text *out);

/* Whether the head came through a proxy with this pseudonym: a loop. */
bool rewrite_is_loop(const struct head *head, const char *via_name);

#endif
