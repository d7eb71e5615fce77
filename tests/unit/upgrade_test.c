/* SPDX-License-Identifier: MIT */

/*
 * Which upgrades leave the proxy, and which 101 answers one.  A 101 that is
 * let through by mistake has both sides read the same bytes differently.
 */

#include "proxy/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/head_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define GET "GET / HTTP/1.1\r\n"
#define ASK GET "Connection: Upgrade\r\nUpgrade: "

static void
test_what_is_asked(void **state)
{
	static const struct {
		const char *request;
		const char *wanted; /* "": nothing is asked */
	} rows[] = {
	    {ASK "a\r\n\r\n", "Connection: Upgrade\r\nUpgrade: a\r\n"},
	    {ASK "a ,b/2\r\nUpgrade: c\r\n\r\n",
		"Connection: Upgrade\r\nUpgrade: a, b/2, c\r\n"},
	    {ASK "h2c, a, H2C\r\n\r\n",
		"Connection: Upgrade\r\nUpgrade: a\r\n"},
	    {ASK "h2c\r\n\r\n", ""},
	    {ASK ",\r\n\r\n", ""},
	    {GET "\r\n", ""},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_parser *parser =
		    fixture_read_head(HTTP_KIND_REQUEST, rows[i].request);
		struct text out = {0};

		upgrade_write(http_head(parser), &out);
		assert_int_equal(out.length, strlen(rows[i].wanted));
		if (out.length > 0)
			assert_memory_equal(
			    out.bytes, rows[i].wanted, out.length);
		assert_int_equal(
		    upgrade_is_asked(http_head(parser)), out.length > 0);
		text_fini(&out);
		http_parser_free(parser);
	}
}

#define SWITCH "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: "

static void
test_what_is_granted(void **state)
{
	static const struct {
		const char *request;
		const char *response;
		bool is_granted;
	} rows[] = {
	    {ASK "a\r\n\r\n", SWITCH "a\r\n\r\n", true},
	    {ASK "a, b\r\n\r\n", SWITCH "B\r\n\r\n", true},
	    {ASK "a, b\r\n\r\n", SWITCH "b, a\r\n\r\n", true},
	    {ASK "a\r\n\r\n", SWITCH "b\r\n\r\n", false},
	    {ASK "a\r\n\r\n", SWITCH "a, b\r\n\r\n", false},
	    {ASK "a\r\n\r\n", SWITCH "a, h2c\r\n\r\n", false},
	    {ASK "a\r\n\r\n", SWITCH "a/1\r\n\r\n", false},
	    {ASK "a\r\n\r\n", SWITCH "\r\n\r\n", false},
	    {ASK "a\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n", false},
	    {ASK "h2c\r\n\r\n", SWITCH "h2c\r\n\r\n", false},
	    {GET "Upgrade: a\r\n\r\n", SWITCH "a\r\n\r\n", false},
	    {GET "\r\n", SWITCH "a\r\n\r\n", false},
	    {"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n",
		SWITCH "a\r\n\r\n", false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_parser *request =
		    fixture_read_head(HTTP_KIND_REQUEST, rows[i].request);
		struct http_parser *response =
		    fixture_read_head(HTTP_KIND_RESPONSE, rows[i].response);

		if (upgrade_is_granted(http_head(request),
			http_head(response)) != rows[i].is_granted)
			fail_msg("%s %s", rows[i].request, rows[i].response);
		http_parser_free(request);
		http_parser_free(response);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_asked),
	    cmocka_unit_test(test_what_is_granted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
