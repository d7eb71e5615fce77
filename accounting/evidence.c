/* SPDX-License-Identifier: MIT */

/*
 * What the kernel knows of the caller's end.
 *
 * TCP_INFO tells what the caller's kernel has acknowledged.  sock_diag, asked
 * for one socket by its exact 4-tuple (no dump, one hash look-up in the
 * kernel), tells what a local caller has not read.
 */

#include "accounting/evidence.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accounting/holdings.h"
#include "accounting/memory.h"

/* TCP_CLOSE of the kernel's include/net/tcp_states.h; <netinet/tcp.h> has it
 * too, and cannot be included beside <linux/tcp.h>. */
#define TCP_STATE_CLOSE 7

struct evidence_source {
	int netlink;              /* owned; -1 where there is no inet_diag */
	struct holdings holdings; /* owned; of who held the last socket */
	struct process *names;    /* a reference; what that one is called; NULL:
	                             not read yet */
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
	holdings_fini(&source->holdings);
	process_unref(&source->names);
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

static bool
ask(struct evidence_source *source, const struct tuple *tuple,
    struct peer_socket *peer)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} answer;
	struct inet_diag_msg message;
	ssize_t length;

	if (source->netlink < 0 || !send_request(source->netlink, tuple))
		return false;
	length = recv(source->netlink, &answer, sizeof(answer), 0);
	if (length < (ssize_t)NLMSG_LENGTH(sizeof(message)) ||
	    answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return false;
	memcpy(&message, NLMSG_DATA(&answer.header), sizeof(message));
	/* Where no connection fits, the kernel takes a listener that does. */
	if (message.id.idiag_dport != tuple->our_port)
		return false;
	peer->unread_bytes = message.idiag_rqueue;
	peer->inode = message.idiag_inode;
	peer->uid = message.idiag_uid;
	return true;
}

bool
evidence_peer(struct evidence_source *source, int fd, struct peer_socket *peer)
{
	struct tuple tuple;

	return get_tuple(fd, &tuple) && ask(source, &tuple, peer);
}

/* Its socket knows nothing of the address that was put in place of the one it
 * connected to. */
bool
evidence_redirected_peer(struct evidence_source *source, int fd,
    const struct sockaddr_storage *destination, struct peer_socket *peer)
{
	struct tuple tuple;

	return get_tuple(fd, &tuple) &&
	    unpack(destination, tuple.ours, &tuple.our_port) == tuple.family &&
	    ask(source, &tuple, peer);
}

static bool
is_among(struct evidence_source *source, uint64_t inode, struct owner *owner)
{
	const struct holdings *holdings = &source->holdings;
	int fd = holdings_find(holdings, inode);

	return fd >= 0 &&
	    owner_holds(owner, holdings->pid, fd, inode, &source->names);
}

static void
read_holdings(struct evidence_source *source, pid_t pid)
{
	process_unref(&source->names);
	holdings_read(&source->holdings, pid);
}

void
evidence_owner(struct evidence_source *source, uint64_t inode,
    struct owner *owner, unsigned *searches)
{
	pid_t last = source->holdings.pid;

	if (inode == 0 || is_among(source, inode, owner) || *searches == 0)
		return;
	(*searches)--;
	if (last > 0) {
		read_holdings(source, last);
		if (is_among(source, inode, owner))
			return;
	}
	if (owner_find(owner, inode))
		read_holdings(source, owner->pid);
}
