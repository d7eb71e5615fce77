/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_OWNER_H
#define ACCOUNTING_OWNER_H

/*
 * The process at the other end of a connection, where it is local and can be
 * seen; and what /proc says of it.  Another pid namespace, a missing
 * permission or hidepid leave fields unknown, never guessed.  Any thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pack;

/* A container's id, as its engine shows it: 12 hex digits. */
#define OWNER_CONTAINER_BYTES 13

struct owner {
	pid_t pid;          /* -1 unknown */
	int fd;             /* -1 unknown */
	int64_t uid;        /* -1 unknown */
	char *command;      /* "coderd"; NULL unknown */
	char *command_line; /* with its arguments, secrets redacted; NULL
	                       unknown */
	char container[OWNER_CONTAINER_BYTES]; /* "" none, or unknown */
};

#define OWNER_UNKNOWN ((struct owner){.pid = -1, .fd = -1, .uid = -1})

/* Fills in all but uid if process `pid` holds the socket with this inode.
 * Returns whether it does. */
bool owner_find_in(struct owner *owner, pid_t pid, uint64_t inode);

/* The same, looking at one of its descriptors alone. */
bool owner_holds(struct owner *owner, pid_t pid, int fd, uint64_t inode);

/* The same, looking through every process. */
bool owner_find(struct owner *owner, uint64_t inode);

/* Whether the process is ending or gone. */
bool owner_is_exiting(pid_t pid);

/* Finds a container's id in the text of /proc/PID/cgroup: the last run of 64
 * hex digits, which is how Docker, containerd and CRI-O name theirs. */
void owner_read_container(
    const char *cgroup, char container[OWNER_CONTAINER_BYTES]);

void owner_copy(struct owner *to, const struct owner *from);
void owner_pack(struct owner *to, const struct owner *from, struct pack *pack);
void owner_fini(struct owner *owner);

#endif
