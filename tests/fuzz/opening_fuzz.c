/* SPDX-License-Identifier: MIT */

/*
 * The first bytes of a connection that the kernel redirected, which may be
 * anything.  They come in pieces of any size, so what was said of fewer bytes
 * must hold for more: one that has been taken for no ClientHello, or for no
 * request, stays so, and a whole ClientHello is read the same with whatever
 * follows it.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/client_hello.h"
#include "proxy/opening.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const char *name)
{
	size_t length = strlen(name);

	assert(length < ORIGIN_HOST_BYTES);
	for (size_t i = 0; i < length; i++) {
		assert(name[i] > ' ' && name[i] < 0x7f);
		assert(name[i] < 'A' || name[i] > 'Z');
		assert(strchr("/:@[]%?#\\\"", name[i]) == NULL);
	}
}

static void
check_hello(const char *bytes, size_t size)
{
	enum client_hello_result before = CLIENT_HELLO_NEEDS_MORE;
	struct client_hello first = {0};

	for (size_t length = 0; length <= size; length++) {
		struct client_hello hello = {0};
		enum client_hello_result result =
		    client_hello_read(bytes, length, &hello);

		assert(before == CLIENT_HELLO_NEEDS_MORE || result == before);
		if (result == CLIENT_HELLO_WHOLE) {
			check_name(hello.server_name);
			if (before != CLIENT_HELLO_WHOLE)
				first = hello;
			assert(
			    strcmp(hello.server_name, first.server_name) == 0);
			assert(hello.speaks_http1 == first.speaks_http1);
		}
		before = result;
	}
}

static void
check_request(const char *bytes, size_t size)
{
	bool was_request = true;

	for (size_t length = 1; length <= size; length++) {
		bool is_request = opening_is_request(bytes, length);

		assert(was_request || !is_request);
		was_request = is_request;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of exactly that size, so that a read beyond it is seen. */
	char *bytes = calloc(1, size == 0 ? 1 : size);

	if (bytes == NULL)
		abort();
	if (size > 0)
		memcpy(bytes, data, size);
	check_hello(bytes, size);
	check_request(bytes, size);
	free(bytes);
	return 0;
}
