/* SPDX-License-Identifier: MIT */

/*
 * The socket as OpenSSL sees it.  It hands out first what was read before TLS
 * began, counts what passes, and tells a reset from an end.
 *
 * OpenSSL reads ahead, so that a record costs one read and not two; but it
 * keeps its buffer while there is a piece of a record in it, and who waits
 * with such a piece waits with all of the buffer.  So reads are made to end
 * where a record does, by guessing that the next ones are as long as the last.
 */

#include "proxy/tls_bio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "accounting/memory.h"

static void
follow(struct tls_records *records, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t part =
		    records->left_bytes < length ? records->left_bytes : length;

		records->left_bytes -= part;
		bytes += part;
		length -= part;
		while (length > 0 && records->left_bytes == 0 &&
		    records->header_length < TLS_HEADER_BYTES) {
			records->header[records->header_length++] = *bytes++;
			length--;
		}
		if (records->header_length < TLS_HEADER_BYTES)
			continue;
		records->left_bytes =
		    (size_t)records->header[3] << 8 | records->header[4];
		records->last_bytes = TLS_HEADER_BYTES + records->left_bytes;
		records->header_length = 0;
	}
}

/* Returns how much of `size` to read, so that it may end with a record. */
static size_t
whole_records(const struct tls_records *records, size_t size)
{
	size_t begun = records->left_bytes;
	size_t last = records->last_bytes;

	if (last == 0 || records->header_length > 0 || begun > size)
		return size;
	size = begun + (size - begun) / last * last;
	return size > 0 ? size : last;
}

static int
read_early(struct tls_bio *end, char *bytes, size_t size)
{
	size_t left = end->early_length - end->early_offset;

	if (size > left)
		size = left;
	memcpy(bytes, end->early + end->early_offset, size);
	end->early_offset += size;
	follow(&end->records, (const uint8_t *)bytes, size);
	if (end->early_offset == end->early_length) {
		free(end->early);
		end->early = NULL;
		end->early_length = end->early_offset = 0;
	}
	return (int)size;
}

static size_t
read_size(const struct tls_bio *end, size_t size)
{
	size_t wanted = whole_records(&end->records,
	    size < end->read_max_bytes ? size : end->read_max_bytes);

	return wanted < size ? wanted : size;
}

static void
note_received(struct tls_bio *end, const char *bytes, size_t length)
{
	end->received_bytes += (int64_t)length;
	follow(&end->records, (const uint8_t *)bytes, length);
}

static int
on_read(BIO *bio, char *bytes, int size)
{
	struct tls_bio *end = BIO_get_data(bio);
	size_t wanted;
	ssize_t length;

	BIO_clear_retry_flags(bio);
	if (end->early != NULL)
		return read_early(end, bytes, (size_t)size);
	wanted = read_size(end, (size_t)size);
	do {
		length = recv(end->fd, bytes, wanted, 0);
	} while (length < 0 && errno == EINTR);
	end->is_dry = length < (ssize_t)wanted;
	if (length > 0)
		note_received(end, bytes, (size_t)length);
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
