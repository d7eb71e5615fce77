/* SPDX-License-Identifier: MIT */

/*
 * Behind a company's proxy everything goes through it, except what NO_PROXY
 * names; a name read otherwise than curl and Go read it would send internal
 * traffic outside, or find no way at all.
 */

#include "proxy/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void
test_urls(void **state)
{
	static const struct {
		const char *url;
		const char *key;
		const char *authorization;
	} rows[] = {
	    {"http://proxy.test:3128", "http://proxy.test:3128", NULL},
	    {"http://proxy.test:3128/", "http://proxy.test:3128", NULL},
	    {"HTTP://Proxy.test", "http://proxy.test:80", NULL},
	    {"http://[::1]:3128", "http://[::1]:3128", NULL},
	    {"http://127.0.0.1:3128", "http://127.0.0.1:3128", NULL},
	    {"http://joe@proxy.test:1", "http://proxy.test:1",
		"Basic am9lOg=="},
	    {"http://joe:pass@proxy.test:1", "http://proxy.test:1",
		"Basic am9lOnBhc3M="},
	    {"http://j%40e:p%3As@proxy.test:1", "http://proxy.test:1",
		"Basic akBlOnA6cw=="},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct chain chain = {0};

		if (!chain_parse(rows[i].url, &chain))
			fail_msg("refused: %s", rows[i].url);
		assert_true(chain.is_set);
		assert_string_equal(chain.proxy->key, rows[i].key);
		if (rows[i].authorization == NULL)
			assert_null(chain.authorization);
		else
			assert_string_equal(
			    chain.authorization, rows[i].authorization);
		chain_fini(&chain);
	}
}

static void
test_what_is_no_proxy(void **state)
{
	static const char *const rows[] = {"", "proxy.test", "proxy.test:3128",
	    "https://proxy.test:3128", "socks5://proxy.test", "http://",
	    "http://:3128", "http://proxy.test:0", "http://proxy.test:65536",
	    "http://proxy.test/path", "http://proxy.test/?x",
	    "http://pro xy.test", "http://proxy.test:x"};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct chain chain = {0};

		if (chain_parse(rows[i], &chain))
			fail_msg("taken: %s", rows[i]);
		assert_false(chain.is_set);
	}
}

static bool
leads_to(const char *no_proxy, const char *authority)
{
	struct chain chain = {.is_set = true};
	struct origin_draft draft;
	bool leads;

	chain.no_proxy = xstrdup_or_null(no_proxy);
	assert_true(origin_parse_authority(
	    (struct span){authority, strlen(authority)}, 443, &draft));
	leads = chain_leads_to(&chain, &draft.origin);
	chain_fini(&chain);
	return leads;
}

static void
test_no_proxy(void **state)
{
	static const struct {
		const char *no_proxy;
		const char *authority;
		bool leads;
	} rows[] = {
	    {NULL, "registry.test", true},
	    {"", "registry.test", true},
	    {" , ,", "registry.test", true},
	    {"*", "registry.test", false},
	    {"registry.test", "registry.test", false},
	    {"Registry.Test", "registry.test", false},
	    {"registry.test", "a.registry.test", false},
	    {".registry.test", "a.registry.test", false},
	    {".registry.test", "registry.test", false},
	    {"registry.test", "aregistry.test", true},
	    {"registry.test", "registry.test.evil", true},
	    {"registry.test", "registry.test.", false},
	    {"other,registry.test", "registry.test", false},
	    {"other registry.test", "registry.test", false},
	    {"registry.test:443", "registry.test", false},
	    {"registry.test:5000", "registry.test", true},
	    {"registry.test:5000", "registry.test:5000", false},
	    {"10.0.0.0/8", "10.1.2.3", false},
	    {"10.0.0.0/8", "11.1.2.3", true},
	    {"10.0.0.0/8", "ten.test", true},
	    {"10.1.2.3", "10.1.2.3", false},
	    {"10.1.2.3:80", "10.1.2.3", true},
	    {"::1", "[::1]", false},
	    {"[::1]", "[::1]", false},
	    {"[::1]:443", "[::1]", false},
	    {"[::1]:80", "[::1]", true},
	    {"fd00::/8", "[fd00::5]", false},
	    {".", "registry.test", true},
	    {"test", "registry.test", false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (leads_to(rows[i].no_proxy, rows[i].authority) !=
		    rows[i].leads)
			fail_msg("NO_PROXY=%s, %s", rows[i].no_proxy,
			    rows[i].authority);
	}
}

static void
test_without_a_proxy(void **state)
{
	struct chain chain = {0};
	struct origin origin = {.host = "registry.test"};

	assert_false(chain_leads_to(&chain, &origin));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_what_is_no_proxy),
	    cmocka_unit_test(test_no_proxy),
	    cmocka_unit_test(test_without_a_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
