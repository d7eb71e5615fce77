/* SPDX-License-Identifier: MIT */
#ifndef PROXY_VISITOR_H
#define PROXY_VISITOR_H

/*
 * One connection to the origin that is replayed.
 */

#include <stddef.h>
#include <sys/queue.h>

#include "accounting/tape.h"
#include "proxy/base/loop.h"

struct visitor;

TAILQ_HEAD(visitor_list, visitor);

/* What all of them share; outlives them. */
struct visitors {
	struct loop *loop; /* borrowed */
	struct tape *tape; /* borrowed */
	struct visitor_list list;
	size_t count;
	void (*on_left)(void *arg); /* one has gone */
	void *arg;
};

/* Takes `fd`, and puts itself into the list. */
void visitor_accept(struct visitors *visitors, int fd);

/* Ends all; memory goes later. */
void visitor_close_all(struct visitors *visitors);

#endif
