/* SPDX-License-Identifier: MIT */

/*
 * The process at the other end of a connection, by /proc.
 */

#include "accounting/owner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounting/memory.h"
#include "accounting/pack.h"
#include "accounting/redact.h"

#define PROC_PATH_BYTES 64
#define COMMAND_MAX_BYTES 256
#define COMMAND_LINE_MAX_BYTES 1024
#define CGROUP_MAX_BYTES 4096
#define CONTAINER_ID_DIGITS 64

/* PF_EXITING of the kernel's include/linux/sched.h, as in /proc/PID/stat. */
#define PROCESS_IS_EXITING 0x4

/* Returns the descriptor under which `pid` holds the socket, or -1. */
static int
find_descriptor(const char *pid, const char *socket_name)
{
	char path[PROC_PATH_BYTES];
	struct dirent *entry;
	DIR *folder;
	int found = -1;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	folder = opendir(path);
	if (folder == NULL)
		return -1;
	while (found < 0 && (entry = readdir(folder)) != NULL) {
		char target[PROC_PATH_BYTES];
		ssize_t length = readlinkat(
		    dirfd(folder), entry->d_name, target, sizeof(target) - 1);

		if (length < 0)
			continue;
		target[length] = '\0';
		if (strcmp(target, socket_name) == 0)
			found = atoi(entry->d_name);
	}
	closedir(folder);
	return found;
}

/* Reads what fits of /proc/PID/NAME.  Returns its length; 0 where it cannot be
 * read. */
static size_t
read_file(const char *pid, const char *name, char *text, size_t size)
{
	char path[PROC_PATH_BYTES];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, text, size - 1);
	close(fd);
	if (length < 0)
		length = 0;
	text[length] = '\0';
	return (size_t)length;
}

/* Returns whether there is one. */
static bool
read_command(const char *pid, char command[COMMAND_MAX_BYTES])
{
	if (read_file(pid, "comm", command, COMMAND_MAX_BYTES) == 0)
		return false;
	command[strcspn(command, "\n")] = '\0';
	return true;
}

/* A kernel thread and a zombie have none. */
static char *
read_command_line(const char *pid)
{
	char line[COMMAND_LINE_MAX_BYTES];
	size_t length = read_file(pid, "cmdline", line, sizeof(line));

	while (length > 0 && line[length - 1] == '\0')
		length--;
	return length == 0 ? NULL : redact_command_line(line, length);
}

static void
read_container(const char *pid, char container[PROCESS_CONTAINER_BYTES])
{
	char cgroup[CGROUP_MAX_BYTES];

	container[0] = '\0';
	if (read_file(pid, "cgroup", cgroup, sizeof(cgroup)) > 0)
		owner_read_container(cgroup, container);
}

void
owner_read_container(
    const char *cgroup, char container[PROCESS_CONTAINER_BYTES])
{
	while (*cgroup != '\0') {
		size_t digits = strspn(cgroup, "0123456789abcdef");

		if (digits == CONTAINER_ID_DIGITS)
			snprintf(container, PROCESS_CONTAINER_BYTES, "%.*s",
			    PROCESS_CONTAINER_BYTES - 1, cgroup);
		cgroup += digits == 0 ? 1 : digits;
	}
}

/* It is the owner. */
static void
fill_in(struct owner *owner, const char *pid, int fd)
{
	char command[COMMAND_MAX_BYTES];
	char container[PROCESS_CONTAINER_BYTES];
	bool has_command = read_command(pid, command);
	char *line = read_command_line(pid);

	read_container(pid, container);
	owner->pid = atoi(pid);
	owner->fd = fd;
	process_unref(&owner->process);
	owner->process =
	    process_new(has_command ? command : NULL, line, container);
	free(line);
}

/* Fills in the owner if `pid` holds the socket. */
static bool
try_owner(const char *pid, const char *socket_name, struct owner *owner)
{
	int fd = find_descriptor(pid, socket_name);

	if (fd < 0)
		return false;
	fill_in(owner, pid, fd);
	return true;
}

static void
name_socket(uint64_t inode, char name[PROC_PATH_BYTES])
{
	snprintf(name, PROC_PATH_BYTES, "socket:[%" PRIu64 "]", inode);
}

bool
owner_find_in(struct owner *owner, pid_t pid, uint64_t inode)
{
	char socket_name[PROC_PATH_BYTES];
	char text[16];

	name_socket(inode, socket_name);
	snprintf(text, sizeof(text), "%d", (int)pid);
	return try_owner(text, socket_name, owner);
}

bool
owner_holds(struct owner *owner, pid_t pid, int fd, uint64_t inode,
    struct process **names)
{
	char path[PROC_PATH_BYTES];
	char socket_name[PROC_PATH_BYTES];
	char target[PROC_PATH_BYTES];
	char text[16];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	name_socket(inode, socket_name);
	if (strcmp(target, socket_name) != 0)
		return false;
	if (*names == NULL) {
		snprintf(text, sizeof(text), "%d", (int)pid);
		fill_in(owner, text, fd);
		*names = process_ref(owner->process);
		return true;
	}
	owner->pid = pid;
	owner->fd = fd;
	process_unref(&owner->process);
	owner->process = process_ref(*names);
	return true;
}

static int
is_process(const struct dirent *entry)
{
	return isdigit((unsigned char)entry->d_name[0]) != 0;
}

/* Who began to call is most often who was started last. */
static int
by_youth(const struct dirent **a, const struct dirent **b)
{
	long left = atol((*a)->d_name);
	long right = atol((*b)->d_name);

	return (left < right) - (left > right);
}

bool
owner_find(struct owner *owner, uint64_t inode)
{
	char socket_name[PROC_PATH_BYTES];
	struct dirent **processes;
	int count = scandir("/proc", &processes, is_process, by_youth);
	bool is_found = false;

	if (count < 0)
		return false;
	name_socket(inode, socket_name);
	for (int i = 0; i < count; i++) {
		is_found = is_found ||
		    try_owner(processes[i]->d_name, socket_name, owner);
		free(processes[i]);
	}
	free(processes);
	return is_found;
}

bool
owner_is_exiting(pid_t pid)
{
	char path[PROC_PATH_BYTES];
	char line[1024];
	const char *after_name;
	unsigned flags = 0;
	char state = 'X';
	size_t length;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stat = fopen(path, "re");
	if (stat == NULL)
		return errno == ENOENT || errno == ESRCH;
	length = fread(line, 1, sizeof(line) - 1, stat);
	line[length] = '\0';
	fclose(stat);
	/* The name in parentheses may hold anything, ")" and line ends too. */
	after_name = strrchr(line, ')');
	if (after_name == NULL)
		return true;
	if (sscanf(after_name + 1, " %c %*d %*d %*d %*d %*d %u", &state,
		&flags) != 2)
		return true;
	return state == 'Z' || state == 'X' ||
	    (flags & PROCESS_IS_EXITING) != 0;
}

struct owner_view
owner_view(const struct owner *owner)
{
	const struct process *process = owner == NULL ? NULL : owner->process;
	struct owner_view view = {.pid = -1, .fd = -1, .uid = -1};

	if (owner != NULL) {
		view.pid = owner->pid;
		view.fd = owner->fd;
		if (owner->uid != OWNER_NO_UID)
			view.uid = owner->uid;
	}
	if (process != NULL) {
		view.command = process->command;
		view.command_line = process->command_line;
		if (process->container[0] != '\0')
			view.container = process->container;
	}
	return view;
}

static bool
is_known(const struct owner *owner)
{
	return owner != NULL &&
	    (owner->pid >= 0 || owner->fd >= 0 || owner->uid != OWNER_NO_UID ||
		owner->process != NULL);
}

struct owner *
owner_copy(const struct owner *owner)
{
	struct owner *copy;

	if (!is_known(owner))
		return NULL;
	copy = xmalloc(sizeof(*copy));
	*copy = *owner;
	copy->references = 1;
	copy->process = process_copy(owner->process);
	return copy;
}

struct owner *
owner_pack(const struct owner *owner, struct pack *pack)
{
	struct process *process;
	struct owner *copy;

	if (!is_known(owner))
		return NULL;
	process = process_pack(owner->process, pack);
	copy = pack_room(pack, sizeof(*copy));
	if (copy == NULL)
		return NULL;
	*copy = *owner;
	copy->references = 1;
	copy->process = process;
	return copy;
}

void
owner_fini(struct owner *owner)
{
	process_unref(&owner->process);
}

void
owner_unref(struct owner **ownerp)
{
	struct owner *owner = *ownerp;

	*ownerp = NULL;
	if (owner == NULL || --owner->references > 0)
		return;
	owner_fini(owner);
	free(owner);
}
