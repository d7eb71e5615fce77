/* SPDX-License-Identifier: MIT */

/*
 * A service that knows of no proxy may speak anything: only what is a request
 * to an origin is taken apart.
 */

#include "proxy/opening.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void
check(const char *const *texts, size_t count, bool expected)
{
	for (size_t i = 0; i < count; i++) {
		if (opening_is_request(texts[i], strlen(texts[i])) != expected)
			fail_msg("%s", texts[i]);
	}
}

static void
test_requests(void **state)
{
	static const char *const texts[] = {"GET / HTTP/1.1\r\n", "GET /",
	    "GET /a b HTTP/1.0\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n",
	    "VERSION-CONTROL / HTTP/1.1\r\n", "M-SEARCH * HTTP/1.1\r\n", "G",
	    "GET", "GET ", "POST / HTTP/1.1\r\n\r\nbody\n"};

	check(texts, COUNT(texts), true);
}

static void
test_other_protocols(void **state)
{
	static const char *const texts[] = {"SSH-2.0-OpenSSH_9.2\r\n",
	    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT\naccept-version:1.2\n",
	    "CONNECT {\"verbose\":false}\r\n",
	    "CONNECT a.test:443 HTTP/1.1\r\n",
	    "GET http://a.test/ HTTP/1.1\r\n", "INVITE sip:a@b SIP/2.0\r\n",
	    "OPTIONS * RTSP/1.0\r\n", "*1\r\n$4\r\nPING\r\n", "get key\r\n",
	    "EHLO a.test\r\n", " GET / HTTP/1.1\r\n", "\x16\x03\x01",
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "GET /\n", "GET /\r\n", "-A /"};

	check(texts, COUNT(texts), false);
}

/* Bytes may come one by one: whatever the beginning of a request is, it is
 * not taken for something else. */
static void
test_any_beginning_of_a_request(void **state)
{
	static const char request[] = "DELETE /a HTTP/1.1\r\nHost: a\r\n";

	for (size_t length = 1; length < sizeof(request); length++)
		assert_true(opening_is_request(request, length));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_other_protocols),
	    cmocka_unit_test(test_any_beginning_of_a_request),
	};

	return cmocka_run_group_tests_name("opening", tests, NULL, NULL);
}
