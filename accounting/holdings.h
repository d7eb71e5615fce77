/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_HOLDINGS_H
#define ACCOUNTING_HOLDINGS_H

/*
 * Which sockets a process held when /proc was last asked.  To look through a
 * process with thousands of descriptors takes tens of milliseconds; most of
 * those that are asked about were already there the last time.  What is found
 * may be history by now: whoever asks looks at the descriptor itself.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Sockets of the process beyond so many are not known. */
#define HOLDINGS_MAX 65536

struct holding {
	uint64_t inode;
	int fd;
};

/* Embedded by value; all zero is empty. */
struct holdings {
	struct holding *list; /* owned, by inode */
	size_t count;
	size_t size;
	pid_t pid; /* 0: of nobody */
};

/* Looks through the process anew. */
void holdings_read(struct holdings *holdings, pid_t pid);

/* Returns the descriptor that was the socket with this inode, or -1. */
int holdings_find(const struct holdings *holdings, uint64_t inode);

void holdings_fini(struct holdings *holdings);

#endif
