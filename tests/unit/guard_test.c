/* SPDX-License-Identifier: MIT */

/*
 * Who may ask: the Host and Origin that a page of another site, or a resolver
 * that it controls, can make a browser send are refused.
 */

#include "admin/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"

enum welcome {
	NEVER,
	WITH_TOKEN, /* a page of another site does not know it */
	ALWAYS,
};

static const struct {
	const char *host;
	enum welcome welcome;
} hosts[] = {
    {"127.0.0.1", ALWAYS},
    {"127.0.0.1:9901", ALWAYS},
    {"10.1.2.3:65535", ALWAYS},
    {"localhost", ALWAYS},
    {"LOCALHOST:1", ALWAYS},
    {"[::1]", ALWAYS},
    {"[::1]:9901", ALWAYS},
    {"[::ffff:127.0.0.1]:80", ALWAYS},

    {"evil.example", WITH_TOKEN},
    {"leakproxy.internal:9901", WITH_TOKEN},
    {"a_b.svc.cluster.local", WITH_TOKEN},
    {"localhost.evil.example", WITH_TOKEN},
    {"127.0.0.1.evil.example", WITH_TOKEN},
    {"localhost.", WITH_TOKEN},
    /* Spellings of an address that resolvers take, and we need not. */
    {"127.1", WITH_TOKEN},
    {"2130706433", WITH_TOKEN},
    {"0x7f.1", WITH_TOKEN},
    {"0177.0.0.1", WITH_TOKEN},

    {NULL, NEVER},
    {"", NEVER},
    {":9901", NEVER},
    {" ", NEVER},
    {"user@127.0.0.1", NEVER},
    {"user:secret@127.0.0.1:80", NEVER},
    {"localhost@evil.example", NEVER},
    {"127.0.0.1, evil.example", NEVER},
    {"127.0.0.1/evil.example", NEVER},
    {"127.0.0.1#", NEVER},
    {"http://127.0.0.1", NEVER},
    {"localhost:", NEVER},
    {"localhost:x", NEVER},
    {"localhost:123456", NEVER},
    {"localhost:-1", NEVER},
    {"localhost:80:80", NEVER},
    {"::1", NEVER},
    {"[]", NEVER},
    {"[::1", NEVER},
    {"[::1]x", NEVER},
    {"[::1]:", NEVER},
    {"[::1%25eth0]", NEVER},
    {"[fe80::1%eth0]:80", NEVER},
    {"[127.0.0.1]", NEVER},
    {"[evil.example]", NEVER},
    {"evil\t.example", NEVER},
    {"\xc3\xa9.example", NEVER},
};

static void
test_hosts(void **state)
{
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		const char *host = hosts[i].host;
		bool without = guard_refuse_host(host, false) == NULL;
		bool with = guard_refuse_host(host, true) == NULL;

		if (without != (hosts[i].welcome == ALWAYS) ||
		    with != (hosts[i].welcome != NEVER))
			fail_msg("%s: without a token %d, with one %d",
			    host == NULL ? "(none)" : host, without, with);
	}
}

/* As long as a name can be, and one more; and far more than fits. */
static void
test_long_hosts(void **state)
{
	static const struct {
		size_t length;
		bool is_welcome;
	} cases[] = {{255, true}, {256, false}, {100000, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *host = xcalloc(1, cases[i].length + 1);

		memset(host, 'a', cases[i].length);
		assert_int_equal(
		    guard_refuse_host(host, true) == NULL, cases[i].is_welcome);
		assert_non_null(guard_refuse_host(host, false));
		*host = '[';
		assert_non_null(guard_refuse_host(host, true));
		free(host);
	}
}

static void
test_origins(void **state)
{
	static const struct {
		const char *origin;
		const char *host;
		bool is_welcome;
	} cases[] = {
	    {NULL, "127.0.0.1:9901", true},
	    {"http://127.0.0.1:9901", "127.0.0.1:9901", true},
	    {"https://leaks.test", "leaks.test", true},
	    {"HTTP://Leaks.Test", "leaks.test", true},
	    {"http://127.0.0.1", "127.0.0.1:9901", false},
	    {"http://127.0.0.1:9901/", "127.0.0.1:9901", false},
	    {"http://127.0.0.1:9901.evil.example", "127.0.0.1:9901", false},
	    {"http://evil.example", "127.0.0.1:9901", false},
	    {"http://evil@127.0.0.1:9901", "127.0.0.1:9901", false},
	    {"null", "127.0.0.1:9901", false},
	    {"null", "null", false},
	    {"", "127.0.0.1:9901", false},
	    {"http://", "", true},
	    {"http://127.0.0.1", NULL, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool is_welcome =
		    guard_refuse_origin(cases[i].origin, cases[i].host) == NULL;

		if (is_welcome != cases[i].is_welcome)
			fail_msg("case %zu", i);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_long_hosts),
	    cmocka_unit_test(test_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
