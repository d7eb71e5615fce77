/* SPDX-License-Identifier: MIT */

/*
 * A number is taken as it was meant or not at all: no unit is guessed, no
 * overflow wraps to something small, and an address on one family is never
 * let in by a network of the other.
 */

#include "proxy/units.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))
#define UNTOUCHED 4711

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		mono_us duration_us;
	} good[] = {
	    {"0", 0},
	    {"0s", 0},
	    {"1ms", 1000},
	    {"500ms", 500000},
	    {"30s", 30000000},
	    {"5m", 300000000},
	    {"2h", INT64_C(7200000000)},
	    {"87600h", UNITS_MAX_DURATION_US},
	};
	static const char *const bad[] = {"", "5", "5x", "s", "-5s", "+5s",
	    " 5s", "5s ", "5 s", "1.5s", "5S", "5sec", "0x5s", "5m30s",
	    "87601h", "9223372036854775807s", "18446744073709551616ms",
	    "18446744073709551617s", "99999999999999999999999h"};

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		mono_us duration_us = UNTOUCHED;

		if (!units_parse_duration(good[i].text, &duration_us))
			fail_msg("\"%s\" is refused", good[i].text);
		assert_int_equal(duration_us, good[i].duration_us);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		mono_us duration_us = UNTOUCHED;

		if (units_parse_duration(bad[i], &duration_us))
			fail_msg("\"%s\" is taken", bad[i]);
		assert_int_equal(duration_us, UNTOUCHED);
	}
}

static void
test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size_bytes;
	} good[] = {
	    {"0", 0},
	    {"100", 100},
	    {"64KiB", 65536},
	    {"1MiB", 1048576},
	    {"2GiB", UINT64_C(2147483648)},
	    {"18446744073709551615", UINT64_MAX},
	    {"17179869183GiB", UINT64_C(17179869183) << 30},
	};
	static const char *const bad[] = {"", "KiB", "64K", "64kb", "64kib",
	    "64 KiB", "1.5MiB", "-1", "18446744073709551616", "17179869184GiB",
	    "18014398509481984KiB"};

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		size_t size_bytes = UNTOUCHED;

		if (!units_parse_size(good[i].text, &size_bytes))
			fail_msg("\"%s\" is refused", good[i].text);
		assert_int_equal(size_bytes, good[i].size_bytes);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		size_t size_bytes = UNTOUCHED;

		if (units_parse_size(bad[i], &size_bytes))
			fail_msg("\"%s\" is taken", bad[i]);
		assert_int_equal(size_bytes, UNTOUCHED);
	}
}

static void
test_numbers_keep_their_bound(void **state)
{
	uint64_t number = UNTOUCHED;

	assert_true(units_parse_number("256", 256, &number));
	assert_int_equal(number, 256);
	assert_true(units_parse_number("007", 7, &number));
	assert_int_equal(number, 7);
	assert_false(units_parse_number("257", 256, &number));
	assert_false(units_parse_number("1000", 256, &number));
	assert_false(units_parse_number("8", 7, &number));
	assert_false(units_parse_number("1", 0, &number));
	assert_false(units_parse_number("", 9, &number));
	assert_false(units_parse_number("1a", 99, &number));
	assert_int_equal(number, 7);
}

/* What is read is written back the same, or as `shown`. */
static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		const char *shown;
		int family;
	} good[] = {
	    {"127.0.0.1:8080", "127.0.0.1:8080", AF_INET},
	    {"0.0.0.0:0", "0.0.0.0:0", AF_INET},
	    {"127.0.0.1:65535", "127.0.0.1:65535", AF_INET},
	    {"[::1]:9901", "[::1]:9901", AF_INET6},
	    {"[::]:80", "[::]:80", AF_INET6},
	    {"[2001:DB8:0:0::1]:1", "[2001:db8::1]:1", AF_INET6},
	    {"localhost:80", "127.0.0.1:80", AF_INET},
	};
	static const char *const bad[] = {"", ":", ":8080", "127.0.0.1",
	    "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x",
	    "127.0.0:80", "127.0.0.256:80", "::1:80", "[::1]", "[::1]80",
	    "[::1:80", "[127.0.0.1]:80", "[]:80", "example.com:80",
	    "localhosts:80", "http://127.0.0.1:80",
	    "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80"};
	char shown[UNITS_ADDRESS_TEXT_BYTES];
	struct address address;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (!units_parse_address(good[i].text, &address))
			fail_msg("\"%s\" is refused", good[i].text);
		assert_int_equal(address.sockaddr.ss_family, good[i].family);
		assert_int_equal(address.length,
		    good[i].family == AF_INET ? sizeof(struct sockaddr_in)
					      : sizeof(struct sockaddr_in6));
		units_address_text(&address, shown);
		assert_string_equal(shown, good[i].shown);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (units_parse_address(bad[i], &address))
			fail_msg("\"%s\" is taken", bad[i]);
	}
	assert_true(units_parse_host_address("[::1]", &address));
	assert_int_equal(units_port(&address), 0);
	assert_true(units_parse_host_address("192.0.2.1", &address));
	units_set_port(&address, 443);
	assert_int_equal(units_port(&address), 443);
	assert_false(units_parse_host_address("::1", &address));
	assert_false(units_parse_host_address("192.0.2.1:1", &address));
}

static bool
contains(const char *network, const char *host)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct cidr cidr;

	if (!units_parse_cidr(network, &cidr))
		fail_msg("\"%s\" is refused", network);
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		return units_cidr_contains(&cidr, (struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
	return units_cidr_contains(&cidr, (struct sockaddr *)&v6);
}

static void
test_networks(void **state)
{
	static const struct {
		const char *network;
		const char *host;
		bool is_inside;
	} cases[] = {
	    {"10.0.0.0/8", "10.255.255.255", true},
	    {"10.0.0.0/8", "11.0.0.0", false},
	    {"10.1.2.3/8", "10.9.9.9", true}, /* bits behind it do not count */
	    {"192.168.1.128/25", "192.168.1.128", true},
	    {"192.168.1.128/25", "192.168.1.127", false},
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.0", false},
	    {"192.0.2.1/32", "192.0.2.1", true},
	    {"0.0.0.0/0", "203.0.113.9", true},
	    {"0.0.0.0/0", "::1", false},
	    {"::/0", "::1", true},
	    {"::/0", "203.0.113.9", false},
	    {"::1", "::1", true},
	    {"::1", "::2", false},
	    {"fd00::/8", "fdff::1", true},
	    {"fd00::/8", "fe00::1", false},
	    {"2001:db8::/33", "2001:db8:7fff::1", true},
	    {"2001:db8::/33", "2001:db8:8000::1", false},
	    /* A dual-stack socket shows IPv4 clients as mapped. */
	    {"127.0.0.0/8", "::ffff:127.0.0.1", true},
	    {"127.0.0.0/8", "::ffff:126.0.0.1", false},
	    {"::1", "::ffff:127.0.0.1", false},
	    {"::ffff:10.0.0.0/104", "10.1.1.1", true},
	    {"::ffff:10.0.0.0/104", "11.1.1.1", false},
	    {"::ffff:10.0.0.1", "::ffff:10.0.0.1", true},
	};
	static const char *const bad[] = {"", "/", "10.0.0.0/", "10.0.0.0/33",
	    "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8", "::/129", "[::1]",
	    "[::1]/128", "localhost", "10.0.0.0/8/8", " 10.0.0.0/8"};
	struct cidr cidr;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (contains(cases[i].network, cases[i].host) !=
		    cases[i].is_inside)
			fail_msg("%s and %s", cases[i].network, cases[i].host);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (units_parse_cidr(bad[i], &cidr))
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

static void
test_other_families_are_outside(void **state)
{
	struct sockaddr local = {.sa_family = AF_UNIX};
	struct cidr cidr;

	assert_true(units_parse_cidr("0.0.0.0/0", &cidr));
	assert_false(units_cidr_contains(&cidr, &local));
	assert_true(units_parse_cidr("::/0", &cidr));
	assert_false(units_cidr_contains(&cidr, &local));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_numbers_keep_their_bound),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_other_families_are_outside),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
