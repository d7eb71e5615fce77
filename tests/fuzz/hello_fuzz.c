/* SPDX-License-Identifier: MIT */

/*
 * What a caller may say instead of a TLS handshake.  The first byte is how
 * much of the rest was read before TLS began, the second in what pieces the
 * others come.  Strangers who hold no keys get no session; what is known of
 * the ClientHello has its bounds, and the end is always told.
 */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/tls_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FINGERPRINT_DIGITS 32

struct bytes {
	const uint8_t *at;
	size_t length;
};

static enum tls_result
step(struct tls *tls)
{
	enum tls_result result = tls_handshake(tls);

	assert(result != TLS_DONE);
	if (result == TLS_FAILED)
		assert(*tls_error(tls) != '\0');
	return result;
}

/* Sends the bytes piece by piece for as long as they are wanted, and then the
 * end. */
static enum tls_result
say(struct tls *tls, int fd, struct bytes rest, size_t piece)
{
	enum tls_result result = step(tls);

	while (result == TLS_WANT_READ && rest.length > 0) {
		size_t length = rest.length < piece ? rest.length : piece;

		if (send(fd, rest.at, length, MSG_NOSIGNAL) != (ssize_t)length)
			abort();
		rest.at += length;
		rest.length -= length;
		result = step(tls);
	}
	if (result != TLS_WANT_READ)
		return result;
	shutdown(fd, SHUT_WR);
	return step(tls);
}

static void
check(const struct tls *tls, size_t sent)
{
	const char *fingerprint = tls_fingerprint(tls);
	const char *name = tls_server_name(tls);
	size_t digits = strspn(fingerprint, "0123456789abcdef");

	assert(fingerprint[digits] == '\0');
	assert(digits == 0 || digits == FINGERPRINT_DIGITS);
	/* RFC 6066 §3: a name of two length bytes, which OpenSSL bounds. */
	assert(name == NULL || strlen(name) <= 255);
	assert(tls_received_bytes(tls) >= 0);
	assert((size_t)tls_received_bytes(tls) <= sent);
	assert(leaf_cache_count(fixture_leaves) <= FIXTURE_MAX_LEAVES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_server *server = fixture_server();
	struct bytes rest;
	enum tls_result result;
	struct tls *tls;
	size_t early;
	int pair[2];

	if (size < 2)
		return 0;
	rest = (struct bytes){data + 2, size - 2};
	early = rest.length * data[0] / UINT8_MAX;
	fixture_socket_pair(pair);
	tls = tls_accept(server, pair[0], "h.test", rest.at, early);
	rest.at += early;
	rest.length -= early;
	result = say(tls, pair[1], rest, 1 + (size_t)data[1] * 16);
	assert(result != TLS_WANT_READ && result != TLS_WANT_WRITE);
	check(tls, size);
	tls_free(tls);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
