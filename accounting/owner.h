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

#include "accounting/process.h"

struct pack;

#define OWNER_NO_UID ((uid_t)-1)

struct owner {
	struct process *process; /* one reference; NULL unknown */
	pid_t pid;               /* -1 unknown */
	int fd;                  /* -1 unknown */
	uid_t uid;               /* OWNER_NO_UID unknown */
	unsigned references;     /* 0 where it is not shared */
};

#define OWNER_UNKNOWN ((struct owner){.pid = -1, .fd = -1, .uid = OWNER_NO_UID})

/* An owner as it is shown.  Borrowed. */
struct owner_view {
	pid_t pid;                /* -1 unknown */
	int fd;                   /* -1 unknown */
	int64_t uid;              /* -1 unknown */
	const char *command;      /* NULL unknown */
	const char *command_line; /* NULL unknown */
	const char *container;    /* NULL none, or unknown */
};

/* Of NULL too, of which nothing is known. */
struct owner_view owner_view(const struct owner *owner);

/* Fills in an unknown owner, all but its uid, if process `pid` holds the socket
 * with this inode.  Returns whether it does. */
bool owner_find_in(struct owner *owner, pid_t pid, uint64_t inode);

/* The same, looking at one of its descriptors alone.  *names is what the
 * process is called, or NULL before that is known: a reference of the
 * caller's then. */
bool owner_holds(struct owner *owner, pid_t pid, int fd, uint64_t inode,
    struct process **names);

/* The same, looking through every process. */
bool owner_find(struct owner *owner, uint64_t inode);

/* Whether the process is ending or gone. */
bool owner_is_exiting(pid_t pid);

/* Finds a container's id in the text of /proc/PID/cgroup: the last run of 64
 * hex digits, which is how Docker, containerd and CRI-O name theirs. */
void owner_read_container(
    const char *cgroup, char container[PROCESS_CONTAINER_BYTES]);

/* Returns a copy that shares nothing, NULL where nothing is known.  Free with
 * owner_unref(). */
struct owner *owner_copy(const struct owner *owner);

/* Likewise in the pack's room, with which it goes; NULL where there is none. */
struct owner *owner_pack(const struct owner *owner, struct pack *pack);

void owner_fini(struct owner *owner);

/* Gives up one reference, of NULL too; the last one frees it, with whatever
 * lies behind it in its allocation. */
void owner_unref(struct owner **owner);

#endif
