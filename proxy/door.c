/* SPDX-License-Identifier: MIT */

/*
 * The kernel spreads new connections over the descriptors of one address
 * (SO_REUSEPORT).
 */

#include "proxy/door.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accounting/memory.h"

#define LISTEN_BACKLOG 4096

static int
bind_one(struct address *address)
{
	int on = 1;
	int fd = socket(address->sockaddr.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address->sockaddr);
	int error;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->sockaddr.ss_family == AF_INET6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&address->sockaddr, address->length) ==
		0 &&
	    listen(fd, LISTEN_BACKLOG) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address->sockaddr, &length) ==
		0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/*
 * SO_REUSEPORT would let two leakproxies share a port and each see half of
 * the traffic, so a first socket without it must have the port to itself.
 */
static bool
is_port_free(const struct address *address)
{
	int on = 1;
	int fd =
	    socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_free;
	int error;

	if (fd < 0)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->sockaddr.ss_family == AF_INET6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	is_free = bind(fd, (const struct sockaddr *)&address->sockaddr,
		      address->length) == 0;
	error = errno;
	close(fd);
	errno = error;
	return is_free;
}

bool
door_open(struct door *door)
{
	units_address_text(&door->address, door->text);
	door->fds = xcalloc(door->fd_count, sizeof(*door->fds));
	memset(door->fds, -1, door->fd_count * sizeof(*door->fds));
	for (unsigned i = 0; i < door->fd_count; i++) {
		if (i == 0 && !is_port_free(&door->address))
			return false;
		door->fds[i] = bind_one(&door->address);
		if (door->fds[i] < 0)
			return false;
	}
	units_address_text(&door->address, door->text);
	return true;
}

void
door_close(struct door *door)
{
	for (unsigned i = 0; i < door->fd_count; i++) {
		if (door->fds[i] >= 0)
			close(door->fds[i]);
	}
	free(door->fds);
}
