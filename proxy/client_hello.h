/* SPDX-License-Identifier: MIT */
#ifndef PROXY_CLIENT_HELLO_H
#define PROXY_CLIENT_HELLO_H

/*
 * What a TLS client says first, read without answering it: whether to take the
 * connection apart is decided before.  Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/origin.h"

/* Longer ones, records and all, are taken for something else. */
#define CLIENT_HELLO_MAX_BYTES ((size_t)16 * 1024)

struct client_hello {
	char server_name[ORIGIN_HOST_BYTES]; /* lower case; "" without SNI, and
	                                       where that is no host name */
	bool speaks_http1; /* says so by ALPN, or says nothing by it */
};

enum client_hello_result {
	CLIENT_HELLO_WHOLE,
	CLIENT_HELLO_NEEDS_MORE,
	CLIENT_HELLO_NONE, /* this is no ClientHello */
};

/* Reads the first `length` bytes of a connection.  *hello is filled in where
 * it is whole. */
enum client_hello_result client_hello_read(
    const char *bytes, size_t length, struct client_hello *hello) MUST_CHECK;

#endif
