/* SPDX-License-Identifier: MIT */

/*
 * A datagram for each thing that systemd wants to hear, as sd_notify(3) has
 * them.  The socket is connected before we become another user, who might not
 * reach it.
 */

#include "proxy/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "accounting/memory.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/units.h"

#define MESSAGE_BYTES 256

/* Who does not read for so long is not waited for. */
#define SEND_TIMEOUT_S 5

struct notify {
	int fd; /* owned */
	mono_us watchdog_us;
};

/* A pid that is given must be ours: the variables are inherited. */
static mono_us
read_watchdog(void)
{
	const char *interval = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t interval_us;
	uint64_t number;

	if (interval == NULL ||
	    !units_parse_number(interval, INT64_MAX, &interval_us))
		return 0;
	if (pid != NULL &&
	    (!units_parse_number(pid, INT32_MAX, &number) ||
		number != (uint64_t)getpid()))
		return 0;
	return (mono_us)interval_us;
}

/* Returns false for a name that is neither path nor abstract, or too long. */
static bool
read_address(const char *name, struct sockaddr_un *address, socklen_t *length)
{
	size_t name_length = strlen(name);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if ((name[0] != '/' && name[0] != '@') || name_length < 2 ||
	    name_length >= sizeof(address->sun_path))
		return false;
	memcpy(address->sun_path, name, name_length);
	if (name[0] == '@')
		address->sun_path[0] = '\0';
	*length =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_length);
	return true;
}

static int
connect_to(const char *name)
{
	struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
	struct sockaddr_un address;
	socklen_t length;
	int fd;

	if (!read_address(name, &address, &length)) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, length) == 0)
		return fd;
	close(fd);
	return -1;
}

struct notify *
notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct notify *notify;
	int fd;

	if (name == NULL || *name == '\0')
		return NULL;
	fd = connect_to(name);
	if (fd < 0) {
		log_warn(
		    "NOTIFY_SOCKET: cannot tell %s that we are ready", name);
		return NULL;
	}
	notify = xcalloc(1, sizeof(*notify));
	notify->fd = fd;
	notify->watchdog_us = read_watchdog();
	return notify;
}

void
notify_close(struct notify *notify)
{
	if (notify == NULL)
		return;
	close(notify->fd);
	free(notify);
}

mono_us
notify_watchdog_us(const struct notify *notify)
{
	return notify == NULL ? 0 : notify->watchdog_us;
}

static void
tell(struct notify *notify, const char *message)
{
	if (notify != NULL &&
	    send(notify->fd, message, strlen(message), MSG_NOSIGNAL) < 0)
		log_warn("NOTIFY_SOCKET: systemd does not hear us");
}

void
notify_ready(struct notify *notify, const char *status)
{
	char message[MESSAGE_BYTES];

	snprintf(message, sizeof(message), "READY=1\nSTATUS=%s", status);
	tell(notify, message);
}

/* Type=notify-reload tells one reload from another by the time. */
void
notify_reloading(struct notify *notify)
{
	char message[MESSAGE_BYTES];

	snprintf(message, sizeof(message),
	    "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono());
	tell(notify, message);
}

void
notify_stopping(struct notify *notify)
{
	tell(notify, "STOPPING=1");
}

void
notify_alive(struct notify *notify)
{
	tell(notify, "WATCHDOG=1");
}
