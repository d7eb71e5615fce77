/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_TLS_FIXTURE_H
#define FUZZ_TLS_FIXTURE_H

/*
 * The caller's side of TLS for fuzz targets: an authority that is on disk for
 * a moment only, its leaves, and a session on one end of a socket pair.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs/authority.h"
#include "certs/leaf_cache.h"
#include "proxy/tls.h"

#define FIXTURE_MAX_LEAVES 64

static struct authority *fixture_authority;
static struct leaf_cache *fixture_leaves;

static inline struct authority *
fixture_authority_new(void)
{
	char folder[] = "/tmp/leakproxy-fuzz-XXXXXX";
	char error[AUTHORITY_ERROR_BYTES];
	struct authority *authority;

	if (mkdtemp(folder) == NULL)
		abort();
	authority = authority_open(folder, error);
	if (authority == NULL) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	unlink(authority_certificate_path(authority));
	unlink(authority_key_path(authority));
	rmdir(folder);
	return authority;
}

/* The one server, made when first asked for and never freed. */
static inline struct tls_server *
fixture_server(void)
{
	static struct tls_server *server;
	char error[TLS_ERROR_BYTES];

	if (server != NULL)
		return server;
	fixture_authority = fixture_authority_new();
	fixture_leaves = leaf_cache_new(fixture_authority, FIXTURE_MAX_LEAVES);
	server = tls_server_new(fixture_leaves, NULL, error);
	if (server == NULL) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	return server;
}

static inline void
fixture_socket_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0)
		abort();
}

#endif
