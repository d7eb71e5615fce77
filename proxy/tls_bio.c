/* SPDX-License-Identifier: MIT */

/*
 * The socket as OpenSSL sees it.  It hands out first what was read before TLS
 * began, counts what passes, and tells a reset from an end.
 */

#include "proxy/tls_bio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "accounting/memory.h"

static int
read_early(struct tls_bio *end, char *bytes, size_t size)
{
	size_t left = end->early_length - end->early_offset;

	if (size > left)
		size = left;
	memcpy(bytes, end->early + end->early_offset, size);
	end->early_offset += size;
	if (end->early_offset == end->early_length) {
		free(end->early);
		end->early = NULL;
		end->early_length = end->early_offset = 0;
	}
	return (int)size;
}

static int
on_read(BIO *bio, char *bytes, int size)
{
	struct tls_bio *end = BIO_get_data(bio);
	ssize_t length;

	BIO_clear_retry_flags(bio);
	if (end->early != NULL)
		return read_early(end, bytes, (size_t)size);
	if ((size_t)size > end->read_max_bytes)
		size = (int)end->read_max_bytes;
	do {
		length = recv(end->fd, bytes, (size_t)size, 0);
	} while (length < 0 && errno == EINTR);
	if (length > 0)
		end->received_bytes += length;
	else if (length == 0)
		end->saw_eof = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(bio);
	else
		end->was_reset = true;
	return (int)length;
}

static int
on_write(BIO *bio, const char *bytes, int size)
{
	struct tls_bio *end = BIO_get_data(bio);
	ssize_t length;

	BIO_clear_retry_flags(bio);
	do {
		length = send(end->fd, bytes, (size_t)size,
		    MSG_NOSIGNAL | (end->has_more ? MSG_MORE : 0));
	} while (length < 0 && errno == EINTR);
	if (length > 0)
		end->sent_bytes += length;
	else if (length < 0 && errno == EAGAIN)
		BIO_set_retry_write(bio);
	else
		end->was_reset = true;
	return (int)length;
}

static long
on_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct tls_bio *end = BIO_get_data(bio);

	if (command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP)
		return 1;
	if (command == BIO_CTRL_EOF)
		return end->saw_eof;
	return 0;
}

static BIO_METHOD *method; /* made before main(), read-only then */

static void __attribute__((constructor)) make_method(void)
{
	method = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "leakproxy socket");
	if (method == NULL)
		abort();
	BIO_meth_set_read(method, on_read);
	BIO_meth_set_write(method, on_write);
	BIO_meth_set_ctrl(method, on_ctrl);
}

static void __attribute__((destructor)) free_method(void)
{
	BIO_meth_free(method);
}

BIO *
tls_bio_new(struct tls_bio *end, int fd)
{
	BIO *bio = BIO_new(method);

	if (bio == NULL)
		abort(); /* only for want of memory */
	end->fd = fd;
	BIO_set_data(bio, end);
	BIO_set_init(bio, 1);
	return bio;
}

void
tls_bio_set_early(struct tls_bio *end, const void *bytes, size_t length)
{
	if (length == 0)
		return;
	end->early = xcalloc(1, length);
	memcpy(end->early, bytes, length);
	end->early_length = length;
}

void
tls_bio_fini(struct tls_bio *end)
{
	free(end->early);
}
