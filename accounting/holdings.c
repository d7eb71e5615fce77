/* SPDX-License-Identifier: MIT */

/*
 * A process's sockets, by /proc/PID/fd.
 */

#include "accounting/holdings.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "accounting/memory.h"

#define FIRST_SIZE 64
#define PATH_BYTES 64

static void
add(struct holdings *holdings, uint64_t inode, int fd)
{
	if (holdings->count == HOLDINGS_MAX)
		return;
	if (holdings->count == holdings->size) {
		holdings->size =
		    holdings->size == 0 ? FIRST_SIZE : 2 * holdings->size;
		holdings->list = xreallocarray(
		    holdings->list, holdings->size, sizeof(*holdings->list));
	}
	holdings->list[holdings->count++] = (struct holding){inode, fd};
}

static int
by_inode(const void *a, const void *b)
{
	const struct holding *left = a;
	const struct holding *right = b;

	return (left->inode > right->inode) - (left->inode < right->inode);
}

void
holdings_read(struct holdings *holdings, pid_t pid)
{
	char path[PATH_BYTES];
	struct dirent *entry;
	DIR *folder;

	holdings->count = 0;
	holdings->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		char target[PATH_BYTES];
		uint64_t inode;
		ssize_t length = readlinkat(
		    dirfd(folder), entry->d_name, target, sizeof(target) - 1);

		if (length < 0)
			continue;
		target[length] = '\0';
		if (sscanf(target, "socket:[%" SCNu64 "]", &inode) == 1)
			add(holdings, inode, atoi(entry->d_name));
	}
	closedir(folder);
	if (holdings->count > 0)
		qsort(holdings->list, holdings->count, sizeof(*holdings->list),
		    by_inode);
}

int
holdings_find(const struct holdings *holdings, uint64_t inode)
{
	const struct holding wanted = {.inode = inode};
	const struct holding *found = NULL;

	if (holdings->count > 0)
		found = bsearch(&wanted, holdings->list, holdings->count,
		    sizeof(wanted), by_inode);
	return found == NULL ? -1 : found->fd;
}

void
holdings_fini(struct holdings *holdings)
{
	free(holdings->list);
	*holdings = (struct holdings){0};
}
