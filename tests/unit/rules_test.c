/* SPDX-License-Identifier: MIT */

/*
 * The rules are what an operator pipes into nft as root: here is what they
 * say; test_redirect.py has the kernel take them.
 */

#include "proxy/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REMOVAL                  \
	"table inet leakproxy\n" \
	"delete table inet leakproxy\n"

static char *
text_of(const struct rules *rules)
{
	struct text out = {0};

	if (rules == NULL)
		rules_add_removal(&out);
	else
		rules_add(rules, &out);
	text_add(&out, "", 1);
	return out.bytes;
}

static void
test_both_families(void **state)
{
	const struct rules rules = {
	    .uid = 997, .v4_port = 15001, .v6_port = 15006};
	char *text = text_of(&rules);

	assert_string_equal(text,
	    REMOVAL
	    "table inet leakproxy {\n"
	    "\tchain output {\n"
	    "\t\ttype nat hook output priority -100; policy accept;\n"
	    "\t\toifname \"lo\" return\n"
	    "\t\tmeta skuid 997 return\n"
	    "\t\tip daddr 169.254.0.0/16 return\n"
	    "\t\tip6 daddr { fe80::/10, fd00:ec2::254, fd20:ce::254 } return\n"
	    "\t\tmeta nfproto ipv4 meta l4proto tcp redirect to :15001\n"
	    "\t\tmeta nfproto ipv6 meta l4proto tcp redirect to :15006\n"
	    "\t}\n"
	    "}\n");
	free(text);
}

/* A connection to where nobody listens would be lost. */
static void
test_a_family_without_a_port_is_left_alone(void **state)
{
	const struct rules v4 = {.uid = 0, .v4_port = 1};
	const struct rules v6 = {.uid = UINT32_MAX - 1, .v6_port = 1};
	char *text = text_of(&v4);

	assert_non_null(strstr(text, "skuid 0 return"));
	assert_non_null(strstr(text, "nfproto ipv4"));
	assert_null(strstr(text, "nfproto ipv6"));
	free(text);
	text = text_of(&v6);
	assert_non_null(strstr(text, "skuid 4294967294 return"));
	assert_non_null(strstr(text, "nfproto ipv6"));
	assert_null(strstr(text, "nfproto ipv4"));
	free(text);
}

static void
test_removal(void **state)
{
	char *text = text_of(NULL);

	assert_string_equal(text, REMOVAL);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_families),
	    cmocka_unit_test(test_a_family_without_a_port_is_left_alone),
	    cmocka_unit_test(test_removal),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
