/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SOCKET_FIXTURE_H
#define TESTS_UNIT_SOCKET_FIXTURE_H

/*
 * Real connections over loopback, both ends in our hands.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "accounting/evidence.h"
#include "accounting/units.h"

#define PATIENCE_MS 5000

/* Our accepted end, and the caller's, in the same process. */
struct pair {
	int ours;
	int callers;
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

enum family {
	FAMILY_V4,
	FAMILY_V6,
	FAMILY_MAPPED, /* a v4 caller at our v6 listener */
	FAMILY_COUNT
};

static inline union address
loopback(enum family family)
{
	union address address;

	memset(&address, 0, sizeof(address));
	if (family == FAMILY_V4) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_addr =
		    family == FAMILY_V6 ? in6addr_loopback : in6addr_any;
	}
	return address;
}

/* Returns -1 where the address is in use. */
static inline int
listen_at(const union address *address)
{
	int on = 1;
	int off = 0;
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	if (address->any.sa_family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off,
				     sizeof(off)),
		    0);
	if (bind(fd, &address->any, sizeof(*address)) != 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static inline union address
name_of(int fd)
{
	union address address;
	socklen_t length = sizeof(address);

	assert_int_equal(getsockname(fd, &address.any, &length), 0);
	return address;
}

static inline struct pair
connect_pair(enum family family)
{
	union address address = loopback(family);
	int listener = listen_at(&address);
	struct pair pair;

	assert_true(listener >= 0);
	address = name_of(listener);
	if (family == FAMILY_MAPPED) {
		in_port_t port = address.v6.sin6_port;

		address = loopback(FAMILY_V4);
		address.v4.sin_port = port;
	}
	pair.callers = socket(address.any.sa_family, SOCK_STREAM, 0);
	assert_true(pair.callers >= 0);
	assert_int_equal(
	    connect(pair.callers, &address.any, sizeof(address)), 0);
	pair.ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.ours >= 0);
	close(listener);
	return pair;
}

static inline void
close_pair(struct pair *pair)
{
	if (pair->ours >= 0)
		close(pair->ours);
	if (pair->callers >= 0)
		close(pair->callers);
}

static inline mono_us
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

/* Asks until the caller's socket holds so many unread bytes. */
static inline void
expect_unread(
    struct evidence_source *source, const struct pair *pair, int64_t wanted)
{
	mono_us deadline = now_us() + PATIENCE_MS * US_PER_MS;
	struct peer_socket peer;

	do {
		assert_true(evidence_peer(source, pair->ours, &peer));
		if (peer.unread_bytes == wanted)
			return;
		poll(NULL, 0, 1);
	} while (now_us() < deadline);
	assert_int_equal(peer.unread_bytes, wanted);
}

static inline void
write_bytes(int fd, size_t count)
{
	char *bytes = calloc(1, count);

	assert_non_null(bytes);
	assert_int_equal(write(fd, bytes, count), count);
	free(bytes);
}

static inline void
read_bytes(int fd, size_t count)
{
	char *bytes = malloc(count);

	assert_non_null(bytes);
	assert_int_equal(recv(fd, bytes, count, MSG_WAITALL), count);
	free(bytes);
}

#endif
