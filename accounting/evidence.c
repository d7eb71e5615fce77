/* SPDX-License-Identifier: MIT */

/*
 * What the kernel knows of the caller's end.
 *
 * TCP_INFO tells what the caller's kernel has acknowledged.  sock_diag, asked
 * for one socket by its exact 4-tuple (no dump, one hash look-up in the
 * kernel), tells what a local caller has not read.  /proc tells whose socket
 * it is.
 */

#include "accounting/evidence.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accounting/memory.h"

#define PROC_PATH_BYTES 64
#define COMMAND_MAX_BYTES 256

/* TCP_CLOSE of the kernel's include/net/tcp_states.h; <netinet/tcp.h> has it
 * too, and cannot be included beside <linux/tcp.h>. */
#define TCP_STATE_CLOSE 7

/* PF_EXITING of the kernel's include/linux/sched.h, as in /proc/PID/stat. */
#define PROCESS_IS_EXITING 0x4

struct evidence_source {
	int netlink;    /* owned; -1 where there is no inet_diag */
	pid_t last_pid; /* who held the last socket: looked at first */
};

struct evidence_source *
evidence_source_new(void)
{
	struct evidence_source *source = xcalloc(1, sizeof(*source));
	struct timeval patience = {.tv_sec = 1};

	source->netlink =
	    socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	/* The kernel answers within the send; this is for the unforeseen. */
	if (source->netlink >= 0)
		(void)setsockopt(source->netlink, SOL_SOCKET, SO_RCVTIMEO,
		    &patience, sizeof(patience));
	return source;
}

void
evidence_source_free(struct evidence_source *source)
{
	if (source->netlink >= 0)
		close(source->netlink);
	free(source);
}

bool
evidence_sample(int fd, struct delivery *delivery)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	int waiting;

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return false;
	if (ioctl(fd, SIOCOUTQ, &waiting) != 0)
		return false;
	*delivery = (struct delivery){
	    .waiting_bytes = waiting,
	    .unsent_bytes = info.tcpi_notsent_bytes,
	    .acked_bytes = (int64_t)info.tcpi_bytes_acked,
	    .unread_bytes = -1,
	    .window_bytes = -1,
	    .rtt_us = info.tcpi_rtt,
	    .is_dead = info.tcpi_state == TCP_STATE_CLOSE,
	};
	/* Added to the struct in Linux 6.2; older kernels copy less. */
	if (length >=
	    offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(info.tcpi_snd_wnd))
		delivery->window_bytes = info.tcpi_snd_wnd;
	return true;
}

/* Copies the address and port of a v4, v6 or v4-mapped socket address. */
static int
unpack(const struct sockaddr_storage *from, uint8_t address[16], uint16_t *port)
{
	memset(address, 0, 16);
	if (from->ss_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, from, sizeof(v4));
		memcpy(address, &v4.sin_addr, 4);
		*port = v4.sin_port;
		return AF_INET;
	}
	if (from->ss_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, from, sizeof(v6));
		*port = v6.sin6_port;
		if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
			memcpy(address, &v6.sin6_addr.s6_addr[12], 4);
			return AF_INET;
		}
		memcpy(address, &v6.sin6_addr, 16);
		return AF_INET6;
	}
	return AF_UNSPEC;
}

struct tuple {
	int family;
	uint8_t ours[16];
	uint8_t peers[16];
	uint16_t our_port;   /* network byte order */
	uint16_t peers_port; /* network byte order */
};

static bool
get_tuple(int fd, struct tuple *tuple)
{
	struct sockaddr_storage ours;
	struct sockaddr_storage peers;
	socklen_t ours_length = sizeof(ours);
	socklen_t peers_length = sizeof(peers);

	if (getsockname(fd, (struct sockaddr *)&ours, &ours_length) != 0 ||
	    getpeername(fd, (struct sockaddr *)&peers, &peers_length) != 0)
		return false;
	tuple->family = unpack(&ours, tuple->ours, &tuple->our_port);
	return tuple->family != AF_UNSPEC &&
	    unpack(&peers, tuple->peers, &tuple->peers_port) == tuple->family;
}

bool
evidence_is_local(int fd)
{
	static const uint8_t v6_loopback[16] = {[15] = 1};
	struct tuple tuple;

	if (!get_tuple(fd, &tuple))
		return false;
	if (tuple.family == AF_INET && tuple.peers[0] == 127)
		return true;
	if (tuple.family == AF_INET6 &&
	    memcmp(tuple.peers, v6_loopback, sizeof(v6_loopback)) == 0)
		return true;
	return memcmp(tuple.peers, tuple.ours, sizeof(tuple.ours)) == 0;
}

struct diag_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

/* The peer's socket: seen from there, its address is the source. */
static bool
send_request(int netlink, const struct tuple *tuple)
{
	struct diag_request request = {
	    .header = {.nlmsg_len = sizeof(request),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST},
	    .body = {.sdiag_family = (uint8_t)tuple->family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = ~0U},
	};
	struct inet_diag_sockid *id = &request.body.id;

	id->idiag_sport = tuple->peers_port;
	id->idiag_dport = tuple->our_port;
	memcpy(id->idiag_src, tuple->peers, sizeof(id->idiag_src));
	memcpy(id->idiag_dst, tuple->ours, sizeof(id->idiag_dst));
	id->idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return send(netlink, &request, sizeof(request), 0) ==
	    (ssize_t)sizeof(request);
}

bool
evidence_peer(struct evidence_source *source, int fd, struct peer_socket *peer)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} answer;
	struct inet_diag_msg message;
	struct tuple tuple;
	ssize_t length;

	if (source->netlink < 0 || !get_tuple(fd, &tuple) ||
	    !send_request(source->netlink, &tuple))
		return false;
	length = recv(source->netlink, &answer, sizeof(answer), 0);
	if (length < (ssize_t)NLMSG_LENGTH(sizeof(message)) ||
	    answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return false;
	memcpy(&message, NLMSG_DATA(&answer.header), sizeof(message));
	/* Where no connection fits, the kernel takes a listener that does. */
	if (message.id.idiag_dport != tuple.our_port)
		return false;
	peer->unread_bytes = message.idiag_rqueue;
	peer->inode = message.idiag_inode;
	peer->uid = message.idiag_uid;
	return true;
}

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

static char *
read_command(const char *pid)
{
	char path[PROC_PATH_BYTES];
	char command[COMMAND_MAX_BYTES];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	length = read(fd, command, sizeof(command) - 1);
	close(fd);
	if (length <= 0)
		return NULL;
	command[length] = '\0';
	command[strcspn(command, "\n")] = '\0';
	return xstrdup(command);
}

/* Fills in the owner if `pid` holds the socket. */
static bool
try_owner(const char *pid, const char *socket_name, struct owner *owner)
{
	int fd = find_descriptor(pid, socket_name);

	if (fd < 0)
		return false;
	owner->pid = atoi(pid);
	owner->fd = fd;
	owner->command = read_command(pid);
	return true;
}

static void
search_owner(const char *socket_name, struct owner *owner)
{
	struct dirent *entry;
	DIR *folder = opendir("/proc");

	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    try_owner(entry->d_name, socket_name, owner))
			break;
	}
	closedir(folder);
}

void
evidence_owner(
    struct evidence_source *source, uint64_t inode, struct owner *owner)
{
	char socket_name[PROC_PATH_BYTES];
	char last_pid[16];

	if (inode == 0)
		return;
	snprintf(
	    socket_name, sizeof(socket_name), "socket:[%" PRIu64 "]", inode);
	snprintf(last_pid, sizeof(last_pid), "%d", (int)source->last_pid);
	if (source->last_pid == 0 || !try_owner(last_pid, socket_name, owner))
		search_owner(socket_name, owner);
	if (owner->pid > 0)
		source->last_pid = owner->pid;
}

bool
evidence_is_exiting(pid_t pid)
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
