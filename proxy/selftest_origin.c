/* SPDX-License-Identifier: MIT */

/*
 * The origin that the self-test asks.
 */

#include "proxy/selftest_origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "accounting/memory.h"

#define HEAD_BYTES 4096
#define BODY_DELAY_NS (100 * 1000 * 1000)
#define BACKLOG 32

struct selftest_origin {
	int listener; /* owned */
	uint16_t port;
	pthread_t thread;
};

/* Reads up to the empty line.  Returns false at the end. */
static bool
read_head(int fd, char head[HEAD_BYTES])
{
	size_t length = 0;

	while (length < HEAD_BYTES - 1) {
		ssize_t got = recv(fd, head + length, 1, 0);

		if (got <= 0)
			return false;
		head[++length] = '\0';
		if (length >= 4 && strcmp(head + length - 4, "\r\n\r\n") == 0)
			return true;
	}
	return false;
}

static bool
send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

static bool
answer(int fd, size_t body_bytes)
{
	static const struct timespec delay = {.tv_nsec = BODY_DELAY_NS};
	char *body = xcalloc(1, body_bytes);
	char *head = xasprintf("HTTP/1.1 200 OK\r\n"
			       "Content-Type: text/plain\r\n"
			       "Content-Length: %zu\r\n\r\n",
	    body_bytes);
	bool is_sent;

	memset(body, 'x', body_bytes);
	is_sent = send_all(fd, head, strlen(head));
	nanosleep(&delay, NULL);
	is_sent = is_sent && send_all(fd, body, body_bytes);
	free(head);
	free(body);
	return is_sent;
}

static void *
serve(void *arg)
{
	int fd = *(int *)arg;
	char head[HEAD_BYTES];
	int on = 1;

	free(arg);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	while (read_head(fd, head) &&
	    answer(fd,
		strncmp(head, "GET /large", 10) == 0 ? SELFTEST_LARGE_BYTES
						     : SELFTEST_SMALL_BYTES))
		;
	close(fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	const struct selftest_origin *origin = arg;
	pthread_attr_t detached;
	pthread_t thread;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int *fd = xcalloc(1, sizeof(*fd));

		*fd = accept4(origin->listener, NULL, NULL, SOCK_CLOEXEC);
		if (*fd < 0 || pthread_create(&thread, &detached, serve, fd)) {
			bool is_over = *fd < 0 && errno != EINTR;

			if (*fd >= 0)
				close(*fd);
			free(fd);
			if (is_over)
				break;
		}
	}
	pthread_attr_destroy(&detached);
	return NULL;
}

static bool
listen_somewhere(struct selftest_origin *origin)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	origin->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (origin->listener < 0)
		return false;
	if (bind(origin->listener, (struct sockaddr *)&address, length) != 0 ||
	    listen(origin->listener, BACKLOG) != 0 ||
	    getsockname(
		origin->listener, (struct sockaddr *)&address, &length) != 0)
		return false;
	origin->port = ntohs(address.sin_port);
	return true;
}

struct selftest_origin *
selftest_origin_start(void)
{
	struct selftest_origin *origin = xcalloc(1, sizeof(*origin));

	if (listen_somewhere(origin)) {
		errno =
		    pthread_create(&origin->thread, NULL, accept_all, origin);
		if (errno == 0)
			return origin;
	}
	if (origin->listener >= 0)
		close(origin->listener);
	free(origin);
	return NULL;
}

uint16_t
selftest_origin_port(const struct selftest_origin *origin)
{
	return origin->port;
}

void
selftest_origin_stop(struct selftest_origin *origin)
{
	(void)shutdown(origin->listener, SHUT_RDWR); /* accept() returns */
	pthread_join(origin->thread, NULL);
	close(origin->listener);
	free(origin);
}
