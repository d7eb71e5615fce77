/* SPDX-License-Identifier: MIT */

/*
 * A leak is named by its caller's tags, and a caller says them in three ways:
 * in a field of ours, in fields of its own, and as the user name in the
 * proxy's URL.  The later field of a head wins, what is malformed is counted
 * and left out, and a password is nobody's business.
 */

#include "proxy/tagging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"
#include "tests/unit/head_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define TEN "abcdefghij"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* --tag-header X-Job and traceparent, as options_parse() leaves them. */
static char own_header[] = "leakproxy-tag";
static char job_header[] = "x-job";
static char trace_header[] = "traceparent";
static char *tag_headers[] = {own_header, job_header, trace_header};
static const struct options options = {
    .tag_headers = {tag_headers, COUNT(tag_headers)}};

/* Reads the tags of a request with these fields over `tags`. */
static size_t
read_tags(const char *fields, struct tags *tags)
{
	char *bytes = xasprintf("GET / HTTP/1.1\r\n%s\r\n", fields);
	struct http_parser *parser =
	    fixture_read_head(HTTP_KIND_REQUEST, bytes);
	size_t malformed;

	malformed = tagging_read(http_head(parser), &options, tags);
	http_parser_free(parser);
	free(bytes);
	return malformed;
}

struct row {
	const char *fields;
	const char *text;
	size_t malformed;
};

static void
assert_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct tags tags = {0};
		size_t malformed = read_tags(rows[i].fields, &tags);
		char *text = tags_text(&tags);

		assert_string_equal(text, rows[i].text);
		if (malformed != rows[i].malformed)
			fail_msg(
			    "%s: %zu malformed", rows[i].fields, malformed);
		free(text);
		tags_fini(&tags);
	}
}

static void
test_fields_of_ours(void **state)
{
	static const struct row rows[] = {
	    {"", "", 0},
	    {"Host: a\r\nUser-Agent: b\r\n", "", 0},
	    {"Leakproxy-Tag: job=imagecheck, run=42\r\n",
		"job=imagecheck run=42", 0},
	    {"leakproxy-tag: x\r\n", "tag=x", 0},
	    {"Leakproxy-Tag: a=1\r\nLeakproxy-Tag: b=2, a=3\r\n", "a=3 b=2", 0},
	    {"Leakproxy-Tag:\r\n", "", 0},
	    {"Leakproxy-Tag: A=1\r\n", "", 1},
	    {"Leakproxy-Tag: a=1, b=(1 2)\r\nLeakproxy-Tag: c=3\r\n", "c=3", 1},
	    {"Leakproxy-Tags: a=1\r\n", "", 0},
	};

	assert_rows(rows, COUNT(rows));
}

/* The whole value, whatever it is; its name is the header's, as configured. */
static void
test_fields_of_the_caller_s_own(void **state)
{
	static const struct row rows[] = {
	    {"X-Job: imagecheck\r\n", "x-job=imagecheck", 0},
	    {"x-JOB: a=1, b=2\r\n", "x-job=\"a=1, b=2\"", 0},
	    {"X-Job: a\r\nX-Job: b\r\n", "x-job=b", 0},
	    {"Traceparent: 00-1-2-01\r\n", "traceparent=00-1-2-01", 0},
	    {"X-Job:\r\n", "", 1},
	    {"X-Job: a\tb\r\n", "", 1},
	    {"X-Job: " HUNDRED HUNDRED HUNDRED "\r\n", "", 1},
	    {"X-Jobs: a\r\nX-Jo: b\r\n", "", 0},
	};

	assert_rows(rows, COUNT(rows));
}

/* RFC 7617 §2 */
static void
test_the_user_of_the_proxy_s_url(void **state)
{
	static const struct row rows[] = {
	    /* imagecheck: */
	    {"Proxy-Authorization: Basic aW1hZ2VjaGVjazo=\r\n",
		"user=imagecheck", 0},
	    /* user:secret, user:sec:ret, user */
	    {"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n", "user=user", 0},
	    {"proxy-authorization: BASIC dXNlcjpzZWM6cmV0\r\n", "user=user", 0},
	    {"Proxy-Authorization: Basic dXNlcg==\r\n", "user=user", 0},
	    {"Proxy-Authorization: Basic dXNlcg\r\n", "user=user", 0},
	    {"Proxy-Authorization: Basic YWJj\r\n", "user=abc", 0},
	    /* ":secret" and "": no user, and no mistake. */
	    {"Proxy-Authorization: Basic OnNlY3JldA==\r\n", "", 0},
	    {"Proxy-Authorization: Basic =\r\n", "", 0},
	    /* Not Basic, or nothing behind it. */
	    {"Proxy-Authorization: Bearer dXNlcjo=\r\n", "", 1},
	    {"Proxy-Authorization: Basic\r\n", "", 1},
	    {"Proxy-Authorization: Basicx dXNlcjo=\r\n", "", 1},
	    {"Proxy-Authorization:\r\n", "", 1},
	    /* "a\nb:" cannot be a tag; "\xc3\xbf+/:" can, and uses the whole
	     * alphabet. */
	    {"Proxy-Authorization: Basic YQpiOg==\r\n", "", 1},
	    {"Proxy-Authorization: Basic w78rLzo=\r\n", "user=\xc3\xbf+/", 0},
	    {"Proxy-Authorization: Basic Pz8/Pj4+Og==\r\n", "user=?\?\?>>>", 0},
	    /* The origin's credentials are none of ours. */
	    {"Authorization: Basic dXNlcjpzZWNyZXQ=\r\n", "", 0},
	};

	assert_rows(rows, COUNT(rows));
}

static void
test_all_ways_at_once(void **state)
{
	static const struct row rows[] = {
	    {"X-Job: a\r\nLeakproxy-Tag: user=b, x-job=c\r\n"
	     "Proxy-Authorization: Basic dXNlcjo=\r\n",
		"user=user x-job=c", 0},
	    {"Proxy-Authorization: Basic dXNlcjo=\r\n"
	     "Leakproxy-Tag: user=b, x-job=c\r\nX-Job: a\r\n",
		"user=b x-job=a", 0},
	    {"Leakproxy-Tag: =\r\nX-Job:\r\nProxy-Authorization: x\r\n", "", 3},
	};

	assert_rows(rows, COUNT(rows));
}

/* A connection's tags stay under those of its requests. */
static void
test_tags_are_added_over_those_that_are_there(void **state)
{
	struct tags tags = {0};
	char *text;

	assert_int_equal(
	    read_tags("Leakproxy-Tag: job=a, run=1\r\n", &tags), 0);
	assert_int_equal(read_tags("Leakproxy-Tag: run=2\r\n", &tags), 0);
	assert_int_equal(read_tags("Leakproxy-Tag: !\r\n", &tags), 1);
	text = tags_text(&tags);
	assert_string_equal(text, "job=a run=2");
	free(text);
	tags_fini(&tags);
}

/* Beyond the bound they are left out, and counted. */
static void
test_the_count_of_tags_is_bounded(void **state)
{
	char fields[FIXTURE_HEAD_BYTES] = "";
	struct tags tags = {0};

	for (int i = 0; i < TAG_MAX_COUNT + 3; i++) {
		char line[64];

		snprintf(line, sizeof(line), "Leakproxy-Tag: k%d=v\r\n", i);
		strcat(fields, line);
	}
	assert_int_equal(read_tags(fields, &tags), 3);
	assert_int_equal(tags.count, TAG_MAX_COUNT);
	tags_fini(&tags);
}

/* It is left out whole: a name that is cut could be another's. */
static void
test_a_user_beyond_the_bound_is_no_tag(void **state)
{
	char fields[FIXTURE_HEAD_BYTES];
	char encoded[401];
	struct tags tags = {0};

	/* "YWFh" is "aaa". */
	for (size_t i = 0; i < sizeof(encoded) - 1; i++)
		encoded[i] = "YWFh"[i % 4];
	encoded[sizeof(encoded) - 1] = '\0';
	snprintf(fields, sizeof(fields), "Proxy-Authorization: Basic %s\r\n",
	    encoded);
	assert_int_equal(read_tags(fields, &tags), 1);
	assert_int_equal(tags.count, 0);
	tags_fini(&tags);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields_of_ours),
	    cmocka_unit_test(test_fields_of_the_caller_s_own),
	    cmocka_unit_test(test_the_user_of_the_proxy_s_url),
	    cmocka_unit_test(test_all_ways_at_once),
	    cmocka_unit_test(test_tags_are_added_over_those_that_are_there),
	    cmocka_unit_test(test_the_count_of_tags_is_bounded),
	    cmocka_unit_test(test_a_user_beyond_the_bound_is_no_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
