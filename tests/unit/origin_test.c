/* SPDX-License-Identifier: MIT */

/*
 * Where a request goes is read out of text that anybody may send.  A reading
 * that differs from the origin's own, or from that of the list of what may be
 * reached, is a way around both; so whatever is not plainly a host and a port
 * is refused, and one origin has one key, however it is spelled.
 */

#include "proxy/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define TEN "abcdefghij"
#define FIFTY TEN TEN TEN TEN TEN
#define HOST_AT_BOUND FIFTY FIFTY FIFTY FIFTY FIFTY "abc"

/* A copy that ends where the memory ends. */
static struct span
copy(const char *text)
{
	size_t length = strlen(text);
	char *bytes = malloc(length == 0 ? 1 : length);

	assert_non_null(bytes);
	memcpy(bytes, text, length);
	return (struct span){bytes, length};
}

static void
drop(struct span span)
{
	free((void *)(uintptr_t)span.at);
}

static void
test_authorities(void **state)
{
	static const struct {
		const char *authority;
		uint16_t default_port;
		const char *key;
		const char *host;
	} rows[] = {
	    {"registry.test:5000", 0, "http://registry.test:5000",
		"registry.test"},
	    {"registry.test", 80, "http://registry.test:80", "registry.test"},
	    {"registry.test", 443, "https://registry.test:443",
		"registry.test"},
	    {"registry.test:5000", 443, "https://registry.test:5000",
		"registry.test"},
	    {"Registry.TEST:1", 0, "http://registry.test:1", "registry.test"},
	    {"a:65535", 0, "http://a:65535", "a"},
	    {"a:1", 0, "http://a:1", "a"},
	    {"a:00080", 0, "http://a:80", "a"},
	    {"a_b-c.d9.:80", 0, "http://a_b-c.d9.:80", "a_b-c.d9."},
	    {"127.0.0.1:80", 0, "http://127.0.0.1:80", "127.0.0.1"},
	    {"[::1]:80", 0, "http://[::1]:80", "::1"},
	    {"[::1]", 443, "https://[::1]:443", "::1"},
	    {"[2001:DB8:0:0::1]:80", 0, "http://[2001:db8::1]:80",
		"2001:db8::1"},
	    {"[::ffff:1.2.3.4]:80", 0, "http://[::ffff:1.2.3.4]:80",
		"::ffff:1.2.3.4"},
	    {HOST_AT_BOUND ":65535", 443, "https://" HOST_AT_BOUND ":65535",
		HOST_AT_BOUND},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span authority = copy(rows[i].authority);
		struct origin_draft draft;

		if (!origin_parse_authority(
			authority, rows[i].default_port, &draft))
			fail_msg("refused: %s", rows[i].authority);
		assert_string_equal(draft.key, rows[i].key);
		assert_string_equal(draft.host, rows[i].host);
		assert_int_equal(draft.origin.is_tls,
		    strncmp(rows[i].key, "https:", 6) == 0);
		drop(authority);
	}
}

static void
test_authorities_that_are_refused(void **state)
{
	static const char *const rows[] = {
	    "",
	    ":80",
	    "a:",
	    "a:0",
	    "a:00000",
	    "a:65536",
	    "a:99999",
	    "a:000080",
	    "a:-1",
	    "a:+80",
	    "a: 80",
	    "a:80 ",
	    "a:8o",
	    "a:0x50",
	    "a:80:80",
	    "a::80",
	    "user@a:80",
	    "user:pass@a:80",
	    "@a:80",
	    "a@b",
	    "a b:80",
	    " a:80",
	    "a/b:80",
	    "a\\b:80",
	    "a%2e:80",
	    "a?b:80",
	    "a#b:80",
	    "a,b:80",
	    "a\xc3\xa9:80",
	    "a\x01:80",
	    "a\x7f:80",
	    "http://a:80",
	    "*:80",
	    "[::1",
	    "[::1:80",
	    "::1",
	    "::1:80",
	    "[]:80",
	    "[",
	    "]",
	    "[::1]80",
	    "[::1]880",
	    "[::1]:",
	    "[::1]:0",
	    "[::1]x:80",
	    "[::g]:80",
	    "[1.2.3.4]:80",
	    "[a]:80",
	    "[fe80::1%25eth0]:80",
	    "[fe80::1%eth0]:80",
	    "[::1]]:80",
	    "[[::1]]:80",
	    "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:1]:80",
	    HOST_AT_BOUND "d:80",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span authority = copy(rows[i]);
		struct origin_draft draft;

		if (origin_parse_authority(authority, 443, &draft))
			fail_msg("taken: \"%s\"", rows[i]);
		drop(authority);
	}
}

static void
test_a_port_has_to_be_there_without_a_default(void **state)
{
	static const char *const rows[] = {"a", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span authority = copy(rows[i]);
		struct origin_draft draft;

		assert_false(origin_parse_authority(authority, 0, &draft));
		assert_true(origin_parse_authority(authority, 80, &draft));
		drop(authority);
	}
}

static void
test_absolute_forms(void **state)
{
	static const struct {
		const char *target;
		const char *key;
		const char *path;
	} rows[] = {
	    {"http://a/", "http://a:80", "/"},
	    {"http://a", "http://a:80", ""},
	    {"https://a", "https://a:443", ""},
	    {"HTTP://A/B", "http://a:80", "/B"},
	    {"hTTpS://a:8443/b?c=d", "https://a:8443", "/b?c=d"},
	    {"https://a:80/", "https://a:80", "/"},
	    {"http://a:443/", "http://a:443", "/"},
	    {"http://a?b", "http://a:80", "?b"},
	    {"http://a:81?b/c", "http://a:81", "?b/c"},
	    {"http://[::1]/x", "http://[::1]:80", "/x"},
	    {"http://[::1]:81", "http://[::1]:81", ""},
	    /* Only the authority counts: none of these names b. */
	    {"http://a/@b", "http://a:80", "/@b"},
	    {"http://a/http://b/", "http://a:80", "/http://b/"},
	    {"http://a?@b", "http://a:80", "?@b"},
	    {"http://a#@b", "http://a:80", "#@b"},
	    /* A signature may cover the path: it stays as it came. */
	    {"http://a/%7Eb/../c//d;e?f=%20&&", "http://a:80",
		"/%7Eb/../c//d;e?f=%20&&"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span target = copy(rows[i].target);
		struct origin_draft draft;
		struct span path;

		if (!origin_parse_absolute(target, &draft, &path))
			fail_msg("refused: %s", rows[i].target);
		assert_string_equal(draft.key, rows[i].key);
		assert_int_equal(path.length, strlen(rows[i].path));
		assert_memory_equal(path.at, rows[i].path, path.length);
		drop(target);
	}
}

static void
test_absolute_forms_that_are_refused(void **state)
{
	static const char *const rows[] = {
	    "",
	    "/",
	    "*",
	    "a:80",
	    "http:",
	    "http:/",
	    "http://",
	    "https://",
	    "http:///",
	    "http://?a",
	    "http://:80/",
	    "http://a:/",
	    "http://a:0/",
	    "http://a:65536/",
	    "http:/a/",
	    "http//a/",
	    "httpx://a/",
	    "ftp://a/",
	    "ws://a/",
	    " http://a/",
	    "http://user@a/",
	    "http://user:pass@a/",
	    "http://a@b:80/",
	    "http://a:80@b/",
	    "http://a\\@b/",
	    "http://a%00.b/",
	    "http://[::1/",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span target = copy(rows[i]);
		struct origin_draft draft;
		struct span path;

		if (origin_parse_absolute(target, &draft, &path))
			fail_msg("taken: \"%s\"", rows[i]);
		drop(target);
	}
}

/* The port is named where it is not the scheme's own. */
static void
test_host_fields(void **state)
{
	static const struct {
		const char *target;
		const char *field;
	} rows[] = {
	    {"http://a/", "a"},
	    {"http://a:80/", "a"},
	    {"http://a:443/", "a:443"},
	    {"https://a/", "a"},
	    {"https://a:443/", "a"},
	    {"https://a:80/", "a:80"},
	    {"http://[::1]/", "[::1]"},
	    {"http://[::1]:81/", "[::1]:81"},
	    {"http://" HOST_AT_BOUND ":65535", HOST_AT_BOUND ":65535"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span target = copy(rows[i].target);
		char field[ORIGIN_KEY_BYTES];
		struct origin_draft draft;
		struct span path;

		assert_true(origin_parse_absolute(target, &draft, &path));
		origin_host_field(&draft.origin, field);
		assert_string_equal(field, rows[i].field);
		drop(target);
	}
}

static void
test_the_scheme_can_be_set(void **state)
{
	struct span authority = copy("[::1]:8443");
	char field[ORIGIN_KEY_BYTES];
	struct origin_draft draft;

	assert_true(origin_parse_authority(authority, 0, &draft));
	origin_set_tls(&draft, true);
	assert_string_equal(draft.key, "https://[::1]:8443");
	draft.origin.port = 443;
	origin_set_tls(&draft, true);
	origin_host_field(&draft.origin, field);
	assert_string_equal(field, "[::1]");
	origin_set_tls(&draft, false);
	assert_string_equal(draft.key, "http://[::1]:443");
	origin_host_field(&draft.origin, field);
	assert_string_equal(field, "[::1]:443");
	drop(authority);
}

/* CONNECT says where, the SNI who: people see who, and what is kept is kept by
 * both. */
static void
test_a_server_name(void **state)
{
	static const struct {
		const char *authority;
		const char *name;
		const char *key; /* NULL: refused */
		const char *route;
	} rows[] = {
	    {"a.test:443", "a.test", "https://a.test:443",
		"https://a.test:443"},
	    {"a.test:443", "A.Test", "https://a.test:443",
		"https://a.test:443"},
	    {"a.test:443", "b.test", "https://b.test:443",
		"https://b.test:443@a.test"},
	    {"10.0.0.1:443", "b.test", "https://b.test:443",
		"https://b.test:443@10.0.0.1"},
	    {"[::1]:8443", "B.test", "https://b.test:8443",
		"https://b.test:8443@::1"},
	    {"[::1]:8443", "::1", "https://[::1]:8443", "https://[::1]:8443"},
	    {"a.test:443", "", NULL, NULL},
	    {"a.test:443", "b.test/", NULL, NULL},
	    {"a.test:443", "b@c", NULL, NULL},
	    {"a.test:443", "::1", NULL, NULL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span authority = copy(rows[i].authority);
		char route[ORIGIN_ROUTE_BYTES];
		struct origin_draft draft;

		assert_true(origin_parse_authority(authority, 0, &draft));
		origin_set_tls(&draft, true);
		assert_int_equal(origin_set_server_name(&draft, rows[i].name),
		    rows[i].key != NULL);
		if (rows[i].key != NULL) {
			assert_string_equal(draft.key, rows[i].key);
			assert_string_equal(
			    origin_route(&draft.origin, route), rows[i].route);
			/* Without TLS there is no name but the place's. */
			origin_set_tls(&draft, false);
			assert_string_equal(
			    origin_route(&draft.origin, route), draft.key);
			assert_non_null(strstr(draft.key, draft.host));
			/* ... unless a redirected request has a Host. */
			assert_true(
			    origin_set_server_name(&draft, "host.test"));
			assert_non_null(strstr(draft.key, "http://host.test:"));
			assert_string_equal(
			    strchr(origin_route(&draft.origin, route), '@') + 1,
			    draft.host);
		}
		drop(authority);
	}
}

/* A copy outlives its draft, and who refers to one sees no other's name. */
static void
test_what_is_kept(void **state)
{
	struct span authority = copy("10.0.0.1:443");
	char route[ORIGIN_ROUTE_BYTES];
	struct origin_draft draft;
	struct origin *kept;
	struct origin *other;

	assert_true(origin_parse_authority(authority, 0, &draft));
	origin_set_tls(&draft, true);
	kept = origin_new(&draft.origin);
	other = origin_ref(kept);
	memset(&draft, 'x', sizeof(draft));
	assert_true(origin_rename(&other, "A.test"));
	assert_string_equal(
	    origin_route(other, route), "https://a.test:443@10.0.0.1");
	assert_false(origin_rename(&other, "a b"));
	assert_string_equal(other->key, "https://a.test:443");
	assert_string_equal(kept->key, "https://10.0.0.1:443");
	origin_draft(&draft, other);
	origin_unref(&other);
	assert_null(other);
	assert_string_equal(origin_server_name(&draft.origin), "a.test");
	assert_string_equal(draft.key, "https://a.test:443");
	assert_true(draft.origin.is_tls && draft.origin.port == 443);
	origin_unref(&kept);
	origin_unref(&kept);
	drop(authority);
}

static void
test_authorities_are_compared_whatever_the_scheme(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool is_same;
	} rows[] = {
	    {"http://a:1/", "https://A:1/b", true},
	    {"http://a/", "http://a:80", true},
	    {"http://a/", "https://a/", false},
	    {"http://a:1/", "http://a:2/", false},
	    {"http://a/", "http://aa/", false},
	    {"http://[::1]/", "http://[0:0::1]/", true},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span targets[] = {copy(rows[i].a), copy(rows[i].b)};
		struct origin_draft a;
		struct origin_draft b;
		struct span path;

		assert_true(origin_parse_absolute(targets[0], &a, &path));
		assert_true(origin_parse_absolute(targets[1], &b, &path));
		if (origin_is_same_authority(&a.origin, &b.origin) !=
		    rows[i].is_same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		drop(targets[0]);
		drop(targets[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_authorities),
	    cmocka_unit_test(test_authorities_that_are_refused),
	    cmocka_unit_test(test_a_port_has_to_be_there_without_a_default),
	    cmocka_unit_test(test_absolute_forms),
	    cmocka_unit_test(test_absolute_forms_that_are_refused),
	    cmocka_unit_test(test_host_fields),
	    cmocka_unit_test(test_the_scheme_can_be_set),
	    cmocka_unit_test(test_a_server_name),
	    cmocka_unit_test(test_what_is_kept),
	    cmocka_unit_test(test_authorities_are_compared_whatever_the_scheme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
