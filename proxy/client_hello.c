/* SPDX-License-Identifier: MIT */

/*
 * A ClientHello (RFC 8446 §4.1.2), which may lie in several records (§5.1),
 * and two of its extensions: server_name (RFC 6066 §3) and ALPN (RFC 7301
 * §3.1).  A cursor that is read beyond its end gives zeros and remembers.
 */

#include "proxy/client_hello.h"

#include <stdint.h>
#include <string.h>

#define RECORD_HANDSHAKE 22
#define RECORD_MAJOR 3
#define RECORD_HEAD_BYTES 5
#define MESSAGE_CLIENT_HELLO 1
#define MESSAGE_HEAD_BYTES 4
#define RANDOM_BYTES 32
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN 16
#define NAME_IS_HOST 0

struct cursor {
	const uint8_t *at;
	size_t left;
	bool is_short; /* more was read than is there */
};

/* Returns a cursor over the next `length` bytes, and goes behind them. */
static struct cursor
take(struct cursor *from, size_t length)
{
	struct cursor part = {from->at, length, false};

	if (length > from->left) {
		from->is_short = true;
		from->left = 0;
		return (struct cursor){from->at, 0, true};
	}
	from->at += length;
	from->left -= length;
	return part;
}

/* Reads a big-endian number. */
static size_t
take_number(struct cursor *from, size_t length)
{
	struct cursor part = take(from, length);
	size_t number = 0;

	for (size_t i = 0; i < part.left; i++)
		number = number << 8 | part.at[i];
	return number;
}

/* Reads a vector whose length stands before it, in `length_bytes`. */
static struct cursor
take_vector(struct cursor *from, size_t length_bytes)
{
	return take(from, take_number(from, length_bytes));
}

/* ---- extensions ---- */

static void
read_server_name(struct cursor extension, struct client_hello *hello)
{
	struct cursor list = take_vector(&extension, 2);

	while (list.left > 0) {
		size_t kind = take_number(&list, 1);
		struct cursor name = take_vector(&list, 2);

		if (kind == NAME_IS_HOST && !name.is_short &&
		    origin_copy_host(
			hello->server_name, (const char *)name.at, name.left))
			return;
		hello->server_name[0] = '\0'; /* no name, then */
	}
}

static void
read_alpn(struct cursor extension, struct client_hello *hello)
{
	static const char prefix[] = "http/1."; /* of 1.0 and 1.1 */
	struct cursor list = take_vector(&extension, 2);

	hello->speaks_http1 = false;
	while (list.left > 0) {
		struct cursor name = take_vector(&list, 1);

		if (name.left == strlen(prefix) + 1 &&
		    memcmp(name.at, prefix, strlen(prefix)) == 0)
			hello->speaks_http1 = true;
	}
}

/* Returns whether it is one to its end. */
static bool
read_message(struct cursor message, struct client_hello *hello)
{
	struct cursor extensions;

	*hello = (struct client_hello){.speaks_http1 = true};
	(void)take_number(&message, 2); /* version */
	(void)take(&message, RANDOM_BYTES);
	(void)take_vector(&message, 1); /* session id */
	(void)take_vector(&message, 2); /* cipher suites */
	(void)take_vector(&message, 1); /* compression methods */
	if (message.is_short)
		return false;
	if (message.left == 0)
		return true; /* without any, until TLS 1.2 */
	extensions = take_vector(&message, 2);
	while (extensions.left > 0) {
		size_t kind = take_number(&extensions, 2);
		struct cursor extension = take_vector(&extensions, 2);

		if (kind == EXTENSION_SERVER_NAME)
			read_server_name(extension, hello);
		else if (kind == EXTENSION_ALPN)
			read_alpn(extension, hello);
	}
	return !message.is_short && !extensions.is_short;
}

/* ---- records ---- */

/* What lies in handshake records, end to end. */
struct gathered {
	uint8_t bytes[CLIENT_HELLO_MAX_BYTES];
	size_t length;
	bool is_other; /* something else came between */
};

static void
gather(struct gathered *gathered, struct cursor records)
{
	while (records.left > 0) {
		size_t kind = take_number(&records, 1);
		size_t major = take_number(&records, 1);
		struct cursor record;
		size_t size;

		if (kind != RECORD_HANDSHAKE ||
		    (major != RECORD_MAJOR && !records.is_short)) {
			gathered->is_other = true;
			return;
		}
		(void)take_number(&records, 1); /* the version's other half */
		size = take_number(&records, 2);
		if (records.is_short)
			return;
		if (size == 0) {
			gathered->is_other = true;
			return;
		}
		record =
		    take(&records, size < records.left ? size : records.left);
		memcpy(
		    gathered->bytes + gathered->length, record.at, record.left);
		gathered->length += record.left;
		if (record.left < size)
			return;
	}
}

enum client_hello_result
client_hello_read(const char *bytes, size_t length, struct client_hello *hello)
{
	struct gathered gathered;
	struct cursor message;
	size_t kind;
	size_t size;

	if (length > CLIENT_HELLO_MAX_BYTES)
		length = CLIENT_HELLO_MAX_BYTES;
	gathered.length = 0;
	gathered.is_other = false;
	gather(
	    &gathered, (struct cursor){(const uint8_t *)bytes, length, false});
	message = (struct cursor){gathered.bytes, gathered.length, false};
	kind = take_number(&message, 1);
	size = take_number(&message, 3);
	if (gathered.length > 0 && kind != MESSAGE_CLIENT_HELLO)
		return CLIENT_HELLO_NONE;
	if (!message.is_short && size <= message.left)
		return read_message(take(&message, size), hello)
		    ? CLIENT_HELLO_WHOLE
		    : CLIENT_HELLO_NONE;
	if (gathered.is_other || length == CLIENT_HELLO_MAX_BYTES ||
	    (!message.is_short && size > CLIENT_HELLO_MAX_BYTES))
		return CLIENT_HELLO_NONE;
	return CLIENT_HELLO_NEEDS_MORE;
}
