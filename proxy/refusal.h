/* SPDX-License-Identifier: MIT */
#ifndef PROXY_REFUSAL_H
#define PROXY_REFUSAL_H

/*
 * Our own error responses: status, Proxy-Status (RFC 9209) and one line of
 * plain text that says what to do.  Pure.
 */

#include <stdbool.h>

#include "proxy/text.h"

struct refusal {
	int status;
	const char *token;  /* of RFC 9209 §2.3; "" for none */
	const char *text;   /* for people, one line without its end */
	const char *detail; /* more, maybe from outside: quoted; "" for none */
	bool says_close;
	bool has_body; /* false in answer to HEAD */
};

/* Writes the response.  Returns the body's length. */
size_t refusal_write(const struct refusal *refusal, struct text *out);

/* "Bad Gateway"; never NULL. */
const char *refusal_reason(int status);

#endif
