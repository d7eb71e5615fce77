/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SPLICE_H
#define PROXY_SPLICE_H

/*
 * Bytes from socket to socket within the kernel (splice(2)), by a pipe that is
 * empty whenever nobody is at it, so that one serves all streams of a thread.
 * SIGPIPE must be ignored: no flag keeps splice(2) from it.  The thread's own.
 */

#include <stdbool.h>
#include <stddef.h>

struct splice;

/* To take at a time. */
#define SPLICE_MAX_BYTES (240 * 1024)

enum splice_result {
	SPLICE_MOVED,
	SPLICE_LATER,   /* nothing has come */
	SPLICE_FIN,     /* the socket's other side has closed its way */
	SPLICE_FAILED,  /* reset, or the socket failed */
	SPLICE_UNKNOWN, /* this kernel cannot: read and write instead */
};

/* Returns a pipe, or NULL where there is no descriptor left for one.  Free
 * with splice_free(). */
struct splice *splice_new(void);
void splice_free(struct splice *splice);

/* Whether it works on this kernel, as far as is known; false of NULL. */
bool splice_is_usable(const struct splice *splice);

/* Takes up to `size` bytes that have come to `fd`; *length is how many.  They
 * must be given away at once, by the two below. */
enum splice_result splice_take(
    struct splice *splice, int fd, size_t size, size_t *length);

/* Gives `length` bytes to `fd`; *given is how many it took.  Returns
 * SPLICE_MOVED, or SPLICE_FAILED where the socket has failed. */
enum splice_result splice_give(
    struct splice *splice, int fd, size_t length, size_t *given);

/* Copies the `length` bytes that were not given. */
void splice_empty(struct splice *splice, char *bytes, size_t length);

#endif
