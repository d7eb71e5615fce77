/* SPDX-License-Identifier: MIT */
#ifndef PROXY_DOOR_H
#define PROXY_DOOR_H

/*
 * Where connections come in, one --listen or --redirect: a descriptor for each
 * worker, all at one address.  The main thread.
 */

#include <stdbool.h>

#include "accounting/units.h"
#include "proxy/units.h"

struct door {
	bool is_redirect;
	struct address address; /* with the port that was picked */
	char text[UNITS_ADDRESS_TEXT_BYTES];
	unsigned fd_count;
	int *fds; /* owned; -1 once a worker has taken it */
};

/* Binds door->fd_count descriptors to door->address, and writes its text.
 * Returns false with errno.  End with door_close() in either case. */
bool door_open(struct door *door) MUST_CHECK;

void door_close(struct door *door);

#endif
