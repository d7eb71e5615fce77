/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_STRICT_H
#define FUZZ_STRICT_H

/*
 * A second reading of HTTP/1 messages for the fuzz targets: by RFC 9112 and
 * RFC 9110 alone, without llhttp and without our parser, and strict in all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/head.h"
#include "proxy/text.h"

#define STRICT_MAX_FIELDS 512

enum strict_kind {
	STRICT_REQUEST,
	STRICT_RESPONSE,
	STRICT_RESPONSE_TO_HEAD,
};

enum strict_result {
	STRICT_OK,
	STRICT_MORE, /* good so far */
	STRICT_BAD,
};

struct strict_message {
	enum strict_kind kind;
	struct span method;
	struct span target;
	int status;
	struct span reason;
	unsigned http_minor;
	struct field fields[STRICT_MAX_FIELDS]; /* and then the trailer */
	size_t header_count;
	size_t field_count;
	enum body_framing framing;
	int64_t content_length; /* -1 without */
	bool has_plain_chunks;  /* as RFC 9112 §7.1 and sizes of 15 digits */
	struct text body;       /* owned, without its framing */
	size_t length;          /* of it all */
};

/* Reads one message; spans borrow `bytes`.  In a response's values control
 * bytes may pass, but CR, LF and NUL (RFC 9110 §5.5).  End it with
 * strict_fini(). */
enum strict_result strict_read(struct strict_message *message,
    enum strict_kind kind, const char *bytes, size_t length);

/* Reads a chunked body with its trailer alone. */
enum strict_result strict_read_chunks(struct strict_message *message,
    enum strict_kind kind, const char *bytes, size_t length);

void strict_fini(struct strict_message *message);

/* How many header fields have this name, and the first of them or NULL. */
size_t strict_count(const struct strict_message *message, const char *name);
const struct field *strict_find(
    const struct strict_message *message, const char *name);

bool strict_is_same(struct span a, struct span b);

#endif
