/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_EVIDENCE_H
#define ACCOUNTING_EVIDENCE_H

/*
 * What the kernel knows of the caller's end: the only system calls of this
 * folder.  Any thread, each with its own struct evidence_source.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "accounting/ledger.h"
#include "accounting/record.h"

struct evidence_source;

/* Opens the netlink socket; where the kernel has no inet_diag, local peers
 * are not asked and their fields stay unknown.  Free with
 * evidence_source_free(). */
struct evidence_source *evidence_source_new(void);
void evidence_source_free(struct evidence_source *source);

/* Fills in what TCP_INFO says of our socket `fd`; unread_bytes is left -1.
 * Returns false where the socket has no TCP_INFO. */
bool evidence_sample(int fd, struct delivery *delivery) MUST_CHECK;

/* Whether the caller of `fd` is in this network namespace: its address is
 * loopback, or is our own end's. */
bool evidence_is_local(int fd);

/* What sock_diag says of the local peer's socket. */
struct peer_socket {
	int64_t unread_bytes;
	uint64_t inode; /* 0: no process holds it any more */
	int64_t uid;
};

/* Asks for the peer of `fd` by its exact 4-tuple.  Returns false where it is
 * gone, or not in this namespace. */
bool evidence_peer(struct evidence_source *source, int fd,
    struct peer_socket *peer) MUST_CHECK;

/* The same where a rule of the kernel's redirected the connection to us:
 * `destination` is where its caller meant to go. */
bool evidence_redirected_peer(struct evidence_source *source, int fd,
    const struct sockaddr_storage *destination,
    struct peer_socket *peer) MUST_CHECK;

/*
 * Finds who holds the socket with this inode, by /proc; the holder of the last
 * one is asked first, and what is known of its other sockets costs little.
 * Else processes have to be looked through, which costs milliseconds: *searches
 * says how often that may be done, and is lowered.  Every field stays unknown
 * where that cannot be seen.  Free with owner_fini().
 */
void evidence_owner(struct evidence_source *source, uint64_t inode,
    struct owner *owner, unsigned *searches);

#endif
