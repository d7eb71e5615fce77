/* SPDX-License-Identifier: MIT */

/*
 * A caller that may use the proxy must not reach by it what it could not reach
 * by itself: the cloud's metadata behind a link-local address, or our admin
 * port.  There are many ways to write one address.
 */

#include "proxy/destination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct address
address_of(const char *text)
{
	struct address address;

	if (!units_parse_address(text, &address))
		fail_msg("no address: %s", text);
	return address;
}

static bool
is_prohibited(const struct destination_rules *rules, const char *text)
{
	struct address address = address_of(text);

	return destination_is_prohibited(
	    rules, (const struct sockaddr *)&address.sockaddr);
}

static void
check(const struct destination_rules *rules, const char *const *texts,
    size_t count, bool expected)
{
	for (size_t i = 0; i < count; i++) {
		if (is_prohibited(rules, texts[i]) != expected)
			fail_msg("%s", texts[i]);
	}
}

static void
test_link_local(void **state)
{
	static const char *const prohibited[] = {"169.254.169.254:80",
	    "169.254.0.1:80", "169.254.255.255:443", "[fe80::1]:80",
	    "[febf::1]:80", "[::ffff:169.254.169.254]:80",
	    "[::169.254.169.254]:80", "[64:ff9b::169.254.169.254]:80",
	    "[2002:a9fe:a9fe::1]:80", "[fd00:ec2::254]:80",
	    "[fd20:ce::254]:80"};
	static const char *const fine[] = {"169.253.169.254:80",
	    "169.255.0.1:80", "127.0.0.1:80", "10.0.0.1:80", "[::1]:80",
	    "[fd00::1]:80", "[fd00:ec2::253]:80", "[2001:db8::1]:80",
	    "[::ffff:10.0.0.1]:80", "[fec0::1]:80", "[2002:a00:1::1]:80",
	    "[64:ff9b::10.0.0.1]:80"};
	const struct destination_rules rules = {0};

	check(&rules, prohibited, COUNT(prohibited), true);
	check(&rules, fine, COUNT(fine), false);
}

static void
test_allowed_destinations(void **state)
{
	struct cidr metadata;
	struct destination_rules rules = {
	    .allowed = &metadata, .allowed_count = 1};

	assert_true(units_parse_cidr("169.254.169.254/32", &metadata));
	assert_false(is_prohibited(&rules, "169.254.169.254:80"));
	assert_false(is_prohibited(&rules, "[::ffff:169.254.169.254]:80"));
	assert_true(is_prohibited(&rules, "169.254.169.253:80"));
	assert_true(is_prohibited(&rules, "[fe80::1]:80"));
}

/* Linux takes the unspecified address for loopback. */
static void
test_our_own(void **state)
{
	static const char *const prohibited[] = {"127.0.0.1:9901",
	    "0.0.0.0:9901", "[::ffff:127.0.0.1]:9901", "[::ffff:0.0.0.0]:9901",
	    "[::1]:8080", "[::]:8080"};
	static const char *const fine[] = {"127.0.0.1:9902", "127.0.0.2:9901",
	    "[::1]:9901", "127.0.0.1:8080", "192.0.2.1:9901"};
	const struct address own[] = {
	    address_of("127.0.0.1:9901"), address_of("[::1]:8080")};
	const struct destination_rules rules = {
	    .own = own, .own_count = COUNT(own)};

	check(&rules, prohibited, COUNT(prohibited), true);
	check(&rules, fine, COUNT(fine), false);
}

/* Apart from what else is prohibited: it tells a loop. */
static void
test_our_own_alone(void **state)
{
	const struct address own[] = {address_of("127.0.0.1:9901")};
	const struct destination_rules rules = {
	    .own = own, .own_count = COUNT(own)};
	const struct address there = address_of("169.254.169.254:80");

	assert_true(destination_is_own(
	    &rules, (const struct sockaddr *)&own[0].sockaddr));
	assert_false(destination_is_own(
	    &rules, (const struct sockaddr *)&there.sockaddr));
}

static void
test_this_machine(void **state)
{
	static const struct {
		const char *text;
		bool is_here;
	} rows[] = {{"127.0.0.1:1", true}, {"127.9.9.9:65535", true},
	    {"[::1]:1", true}, {"[::ffff:127.0.0.1]:1", true},
	    {"192.0.2.1:1", false}, {"[2001:db8::1]:1", false}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address = address_of(rows[i].text);

		if (destination_is_here(
			(const struct sockaddr *)&address.sockaddr) !=
		    rows[i].is_here)
			fail_msg("%s", rows[i].text);
	}
}

/* A listener on every address is on each of this machine's, and on nobody
 * else's. */
static void
test_our_own_everywhere(void **state)
{
	static const char *const prohibited[] = {"127.0.0.1:8080",
	    "127.8.8.8:8080", "[::1]:8080", "0.0.0.0:8080",
	    "[::ffff:127.0.0.1]:8080"};
	static const char *const fine[] = {
	    "192.0.2.1:8080", "[2001:db8::1]:8080", "127.0.0.1:8081"};
	const struct address own[] = {address_of("0.0.0.0:8080")};
	const struct destination_rules rules = {
	    .own = own, .own_count = COUNT(own)};
	struct cidr all;
	const struct destination_rules generous = {.own = own,
	    .own_count = COUNT(own),
	    .allowed = &all,
	    .allowed_count = 1};

	check(&rules, prohibited, COUNT(prohibited), true);
	check(&rules, fine, COUNT(fine), false);
	assert_true(units_parse_cidr("127.0.0.0/8", &all));
	assert_true(is_prohibited(&generous, "127.0.0.1:8080"));
}

/* Another proxy looks the name up: what it might read as an address counts. */
static void
test_hosts(void **state)
{
	static const char *const prohibited[] = {"169.254.169.254",
	    "169.254.169.254.", "2852039166",
	    "0000000000000000000000000000000000000000000000000251.254.169.254",
	    "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "fe80::1",
	    "::ffff:169.254.169.254"};
	static const char *const fine[] = {
	    "metadata.test", "10.0.0.1", "localhost", "::1", "1", ""};
	const struct address own[] = {address_of("127.0.0.1:9901")};
	const struct destination_rules rules = {.own = own, .own_count = 1};

	for (size_t i = 0; i < COUNT(prohibited); i++) {
		if (!destination_is_prohibited_host(&rules, prohibited[i], 80))
			fail_msg("%s", prohibited[i]);
	}
	for (size_t i = 0; i < COUNT(fine); i++) {
		if (destination_is_prohibited_host(&rules, fine[i], 80))
			fail_msg("%s", fine[i]);
	}
	assert_true(destination_is_prohibited_host(&rules, "localhost", 9901));
	assert_true(destination_is_prohibited_host(&rules, "LOCALHOST.", 9901));
	assert_true(destination_is_prohibited_host(&rules, "2130706433", 9901));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_link_local),
	    cmocka_unit_test(test_allowed_destinations),
	    cmocka_unit_test(test_our_own),
	    cmocka_unit_test(test_our_own_alone),
	    cmocka_unit_test(test_this_machine),
	    cmocka_unit_test(test_our_own_everywhere),
	    cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
