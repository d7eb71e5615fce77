/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TLS_BIO_H
#define PROXY_TLS_BIO_H

/*
 * The socket under a TLS session, as a BIO of our own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>

#define TLS_HEADER_BYTES 5

/* Where the bytes that came stand among TLS records (RFC 8446 §5.1). */
struct tls_records {
	uint8_t header[TLS_HEADER_BYTES];
	uint8_t header_length; /* of the next record, so far */
	size_t left_bytes;     /* of the record that has begun */
	size_t last_bytes;     /* the size of the last whole header's */
};

/* Embedded by value in the session that it serves; all zero to begin with. */
struct tls_bio {
	int fd; /* borrowed */
	bool is_dry; /* the last read got less than there was room for */
	bool was_reset;
	bool has_more;         /* what is written is followed at once by more */
	size_t read_max_bytes; /* at a time */
	struct tls_records records;
	bool saw_eof;
	char *early; /* owned: read before TLS began */
	size_t early_length;
	size_t early_offset;
	int64_t received_bytes; /* on the wire */
	int64_t sent_bytes;
};

/* Returns a BIO, which is OpenSSL's to free.  Borrows `end` for its life. */
BIO *tls_bio_new(struct tls_bio *end, int fd);

/* What was read from the socket already; copied. */
void tls_bio_set_early(struct tls_bio *end, const void *bytes, size_t length);

void tls_bio_fini(struct tls_bio *end);

#endif
