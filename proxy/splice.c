/* SPDX-License-Identifier: MIT */

/*
 * A pipe between two sockets.  What goes through it is never copied: the pipe
 * holds the pages in which the bytes came, and the other socket sends those.
 */

#include "proxy/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "accounting/memory.h"

struct splice {
	int out; /* owned */
	int in;  /* owned */
	bool is_unknown;
};

struct splice *
splice_new(void)
{
	struct splice *splice;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return NULL;
	splice = xcalloc(1, sizeof(*splice));
	/* A slot for each page that pieces may come in, and as many again. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, 2 * SPLICE_MAX_BYTES);
	splice->out = ends[0];
	splice->in = ends[1];
	return splice;
}

void
splice_free(struct splice *splice)
{
	if (splice == NULL)
		return;
	close(splice->out);
	close(splice->in);
	free(splice);
}

bool
splice_is_usable(const struct splice *splice)
{
	return splice != NULL && !splice->is_unknown;
}

static ssize_t
move(int from, int to, size_t length)
{
	ssize_t moved;

	do {
		moved = splice(from, NULL, to, NULL, length,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (moved < 0 && errno == EINTR);
	return moved;
}

enum splice_result
splice_take(struct splice *splice, int fd, size_t size, size_t *length)
{
	ssize_t taken = move(fd, splice->in, size);

	if (taken > 0) {
		*length = (size_t)taken;
		return SPLICE_MOVED;
	}
	if (taken == 0)
		return SPLICE_FIN;
	if (errno == EAGAIN)
		return SPLICE_LATER;
	/* Emulated kernels and filters of system calls know it not. */
	splice->is_unknown =
	    errno == EINVAL || errno == ENOSYS || errno == EPERM;
	return splice->is_unknown ? SPLICE_UNKNOWN : SPLICE_FAILED;
}

enum splice_result
splice_give(struct splice *splice, int fd, size_t length, size_t *given)
{
	*given = 0;
	while (*given < length) {
		ssize_t moved = move(splice->out, fd, length - *given);

		if (moved < 0)
			return errno == EAGAIN ? SPLICE_MOVED : SPLICE_FAILED;
		*given += (size_t)moved;
	}
	return SPLICE_MOVED;
}

void
splice_empty(struct splice *splice, char *bytes, size_t length)
{
	size_t taken = 0;

	while (taken < length) {
		ssize_t part = read(splice->out, bytes + taken, length - taken);

		if (part > 0)
			taken += (size_t)part;
		else if (part == 0 || errno != EINTR)
			abort(); /* they were in it */
	}
}
