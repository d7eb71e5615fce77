/* SPDX-License-Identifier: MIT */

/*
 * A leak is counted under its route.  Where an identifier stays in the route,
 * a thousand requests look like a thousand harmless ones; where a word is
 * taken for an identifier, two endpoints look like one.  Paths come from
 * strangers: whatever they hold, the route is short and printable, and no
 * path makes matching slow.  The patterns are checked against a second matcher
 * that is slow and plainly right.
 */

#include "accounting/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define HEX32 "0123456789abcdef0123456789abcdef"
#define HEX64 HEX32 HEX32
#define UUID "f47ac10b-58cc-4372-A567-0e02b2c3d479"

#define HOSTILE_PATH_BYTES 65536
#define HOSTILE_MAX_S 2.0
#define HAMMER_ROUNDS 100000

struct row {
	const char *path;
	const char *route;
};

static void
check(const struct route_set *set, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char route[ROUTE_MAX_BYTES];

		route_of(set, rows[i].path, route);
		if (strcmp(route, rows[i].route) != 0)
			fail_msg("%s: %s, wanted %s", rows[i].path, route,
			    rows[i].route);
	}
}

static void
test_registry_api(void **state)
{
	static const struct row rows[] = {
	    {"/v2/", "/v2/"},
	    {"/v2", "/v2"},
	    {"/v2/_catalog", "/v2/_catalog"},
	    {"/v2/_catalog?n=100&last=x", "/v2/_catalog"},
	    {"/v2/nginx/manifests/latest", "/v2/{}/manifests/{}"},
	    {"/v2/library/nginx/manifests/sha256:" HEX64,
		"/v2/{}/manifests/{}"},
	    {"/v2/a/b/c/d/manifests/v1.2", "/v2/{}/manifests/{}"},
	    {"/v2/a/blobs/sha256:" HEX64, "/v2/{}/blobs/{}"},
	    {"/v2/a/b/blobs/uploads/", "/v2/{}/blobs/uploads/"},
	    {"/v2/a/b/blobs/uploads", "/v2/{}/blobs/uploads"},
	    {"/v2/a/b/blobs/uploads/not-an-id?_state=xyz",
		"/v2/{}/blobs/uploads/{}"},
	    {"/v2/a/b/tags/list?n=5", "/v2/{}/tags/list"},
	    {"/v2/a/b/referrers/sha256:" HEX64, "/v2/{}/referrers/{}"},
	    /* names made of the API's own words */
	    {"/v2/manifests/manifests/manifests", "/v2/{}/manifests/{}"},
	    {"/v2/blobs/uploads/tags/list", "/v2/{}/tags/list"},
	    {"/v2/x/manifests/y/blobs/z", "/v2/{}/blobs/{}"},
	    {"/v2/v2/blobs/uploads/blobs/x", "/v2/{}/blobs/{}"},
	    /* no name, no reference: not the registry API */
	    {"/v2/manifests/latest", "/v2/manifests/latest"},
	    {"/v2//manifests/latest", "/v2//manifests/latest"},
	    {"/v2/a/manifests/", "/v2/a/manifests/"},
	    {"/v2/a/manifests", "/v2/a/manifests"},
	    {"/v2/a/tags/list/", "/v2/a/tags/list/"},
	    {"/v1/a/manifests/latest", "/v1/a/manifests/latest"},
	    {"v2/a/manifests/latest", "v2/a/manifests/latest"},
	};

	check(NULL, rows, sizeof(rows) / sizeof(rows[0]));
}

static void
test_identifiers_collapse_and_words_stay(void **state)
{
	static const struct row rows[] = {
	    {"", "/"},
	    {"?q=1", "/"},
	    {"/", "/"},
	    {"*", "*"},
	    {"//", "//"},
	    {"/users/42", "/users/{}"},
	    {"/users/42/", "/users/{}/"},
	    {"/users/42/posts/7#top", "/users/{}/posts/{}"},
	    {"/1/2/3", "/{}/{}/{}"},
	    {"/api/v2/go1.22/a1b2c3", "/api/v2/go1.22/a1b2c3"},
	    {"/-5/1.5/0x1f", "/-5/1.5/0x1f"},
	    {"/o/" UUID, "/o/{}"},
	    {"/o/" UUID "0", "/o/" UUID "0"},
	    {"/o/f47ac10b-58cc-4372-a567_0e02b2c3d479",
		"/o/f47ac10b-58cc-4372-a567_0e02b2c3d479"},
	    {"/o/f47ac10b-58cc-4372-a567-0e02b2c3d47g",
		"/o/f47ac10b-58cc-4372-a567-0e02b2c3d47g"},
	    {"/c/1234abcd", "/c/{}"},
	    {"/c/ABCDEF12", "/c/{}"},
	    {"/c/123abcd", "/c/123abcd"},
	    {"/c/deadbeef", "/c/deadbeef"},
	    {"/c/effaced1x", "/c/effaced1x"},
	    {"/d/sha256:" HEX64, "/d/{}"},
	    {"/d/sha256%3A" HEX64, "/d/{}"},
	    {"/d/sha512:" HEX64 HEX64, "/d/{}"},
	    {"/d/sha256:short", "/d/sha256:short"},
	    {"/d/:" HEX64, "/d/:" HEX64},
	    {"/d/sha256:" HEX64 "x", "/d/sha256:" HEX64 "x"},
	    {"/d/sha256:", "/d/sha256:"},
	    {"/d/sha256", "/d/sha256"},
	    /* where Docker Hub and others send a client for a blob */
	    {"/docker/registry/v2/blobs/sha256/01/" HEX64 "/data",
		"/docker/registry/v2/blobs/sha256/{}/{}/data"},
	    {"/objects/ff/" HEX32, "/objects/{}/{}"},
	    {"/langs/be/about", "/langs/be/about"},
	    {"/langs/be/" UUID, "/langs/be/{}"},
	    {"/p/%2e%2e%2f%00%", "/p/%2e%2e%2f%00%"},
	    {"/p/%31%32", "/p/%31%32"},
	};

	check(NULL, rows, sizeof(rows) / sizeof(rows[0]));
}

static void
test_no_raw_bytes_get_through(void **state)
{
	static const struct row rows[] = {
	    {"/a\nb", "/a%0Ab"},
	    {"/\x1b[2J", "/%1B[2J"},
	    {"/a b\x7f", "/a%20b%7F"},
	    {"/caf\xc3\xa9", "/caf%C3%A9"},
	};

	check(NULL, rows, sizeof(rows) / sizeof(rows[0]));
}

static void
add(struct route_set *set, const char *pattern)
{
	const char *reason = route_set_add(set, pattern);

	if (reason != NULL)
		fail_msg("%s %s", pattern, reason);
}

static void
test_operator_patterns(void **state)
{
	static const char *const patterns[] = {"/users/me", "/users/*",
	    "/img-*.png", "/a/*-*/z", "/static/**", "/x/**/y/**/z",
	    "/v2/**/manifests/latest", "/trail/*/", "/*"};
	static const struct row rows[] = {
	    {"/users/me", "/users/me"},
	    {"/users/you", "/users/{}"},
	    {"/users/you?x=/y", "/users/{}"},
	    {"/users/", "/users/"},
	    {"/users/a/b", "/users/a/b"},
	    {"/img-7.png", "/img-{}.png"},
	    {"/img-a.png.png", "/img-{}.png"},
	    {"/img-.png", "/{}"},
	    {"/a/b-c/z", "/a/{}-{}/z"},
	    {"/a/b-c-d/z", "/a/{}-{}/z"},
	    {"/a/-c/z", "/a/-c/z"},
	    {"/static/a", "/static/{}"},
	    {"/static/a/b/c.js", "/static/{}"},
	    {"/static/a/", "/static/{}"},
	    {"/static/", "/static/"},
	    {"/x/1/y/2/z", "/x/{}/y/{}/z"},
	    {"/x/y/y/y/y/z/z", "/x/{}/y/{}/z"},
	    {"/x/y/y/z", "/x/y/y/z"},
	    {"/v2/n/m/manifests/latest", "/v2/{}/manifests/latest"},
	    {"/v2/n/m/manifests/3.1", "/v2/{}/manifests/{}"},
	    {"/trail/a/", "/trail/{}/"},
	    {"/trail/a", "/trail/a"},
	    {"/word", "/{}"},
	    {"/", "/"},
	};
	struct route_set *set = route_set_new();

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		add(set, patterns[i]);
	check(set, rows, sizeof(rows) / sizeof(rows[0]));
	route_set_free(set);
	route_set_free(NULL);
}

static void
test_first_match_wins(void **state)
{
	static const struct row rows[] = {{"/users/me", "/users/{}"}};
	struct route_set *set = route_set_new();

	add(set, "/users/*");
	add(set, "/users/me");
	check(set, rows, 1);
	route_set_free(set);
}

static char *
repeat(const char *head, char c, size_t count)
{
	size_t length = strlen(head);
	char *text = xcalloc(1, length + count + 1);

	memcpy(text, head, length);
	memset(text + length, c, count);
	return text;
}

static void
test_refused_patterns(void **state)
{
	static const char *const rows[] = {"", "users/*", "*", "/a\n", "/a b",
	    "/caf\xc3\xa9", "/a?b=*", "/a#b", "/a**", "/**a", "/***",
	    "/a/b**c/d"};
	struct route_set *set = route_set_new();
	char *longest = repeat("/", 'a', ROUTE_MAX_BYTES - 2);
	char *too_long = repeat("/", 'a', ROUTE_MAX_BYTES - 1);
	char *too_wide = repeat("/", 'a', ROUTE_MAX_BYTES - 2);
	char route[ROUTE_MAX_BYTES];

	too_wide[ROUTE_MAX_BYTES / 2] = '*';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (route_set_add(set, rows[i]) == NULL)
			fail_msg("accepted: %s", rows[i]);
	}
	assert_non_null(route_set_add(set, too_long));
	assert_non_null(route_set_add(set, too_wide));
	/* None of them left anything behind. */
	for (size_t i = 0; i < ROUTE_MAX_PATTERNS; i++)
		add(set, longest);
	assert_non_null(route_set_add(set, "/x"));
	route_of(set, longest, route);
	assert_string_equal(route, longest);
	free(longest);
	free(too_long);
	free(too_wide);
	route_set_free(set);
}

static void
test_long_paths_are_cut(void **state)
{
	char *path = repeat("/users/42/", 'a', 1000);
	char *numbers = repeat("", '/', 1000);
	char *controls = repeat("/", '\x01', 1000);
	char route[ROUTE_MAX_BYTES];

	route_of(NULL, path, route);
	assert_int_equal(strlen(route), ROUTE_MAX_BYTES - 1);
	assert_memory_equal(route, "/users/{}/aaa", 13);

	for (size_t i = 1; i < 1000; i += 2)
		numbers[i] = '7';
	numbers[1] = 'x';
	route_of(NULL, numbers, route);
	assert_memory_equal(route, "/x/{}/{}", 8);
	/* No placeholder and no escape is cut in half. */
	assert_string_equal(route + strlen(route) - 4, "/{}/");

	route_of(NULL, controls, route);
	assert_string_equal(route + strlen(route) - 6, "%01%01");
	assert_int_equal(strlen(route) % 3, 1);
	free(path);
	free(numbers);
	free(controls);
}

/* A path that begins to match everywhere and matches nowhere. */
static void
test_matching_is_not_exponential(void **state)
{
	char *stars = repeat("/", 'a', HOSTILE_PATH_BYTES);
	char *segments = repeat("", '/', HOSTILE_PATH_BYTES);
	struct route_set *set = route_set_new();
	char route[ROUTE_MAX_BYTES];
	clock_t start;

	for (size_t i = 1; i < HOSTILE_PATH_BYTES; i += 2)
		segments[i] = 'a';
	add(set, "/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b");
	add(set, "/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b");
	add(set, "/**/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/b");
	start = clock();
	route_of(set, stars, route);
	route_of(set, segments, route);
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < HOSTILE_MAX_S);
	free(stars);
	free(segments);
	route_set_free(set);
}

/* The definition of the two stars, tried in every possible way. */
static bool
matches_plainly(const char *pattern, const char *path)
{
	bool is_double = strncmp(pattern, "**", 2) == 0;
	size_t taken = 1;

	if (*pattern == '\0')
		return *path == '\0';
	if (*pattern != '*')
		return *pattern == *path &&
		    matches_plainly(pattern + 1, path + 1);
	for (; path[taken - 1] != '\0'; taken++) {
		bool is_boundary = path[taken] == '/' || path[taken] == '\0';

		if (!is_double && path[taken - 1] == '/')
			return false;
		if (is_double && !is_boundary)
			continue;
		if (matches_plainly(
			pattern + (is_double ? 2 : 1), path + taken))
			return true;
	}
	return false;
}

static size_t
next_random(uint64_t *random, size_t bound)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(*random >> 40) % bound;
}

static void
make_text(uint64_t *random, const char *const *parts, size_t part_count,
    char text[32])
{
	size_t count = next_random(random, 7);

	strcpy(text, "/");
	for (size_t i = 0; i < count; i++)
		strcat(text, parts[next_random(random, part_count)]);
}

static void
test_patterns_match_as_defined(void **state)
{
	static const char *const pattern_parts[] = {
	    "a", "b", "/", "/", "*", "/**/", "/**"};
	static const char *const path_parts[] = {"a", "b", "/", "/a/", "ab"};
	uint64_t random = 7;
	size_t matched = 0;
	size_t tried = 0;

	for (int i = 0; i < HAMMER_ROUNDS; i++) {
		struct route_set *set = route_set_new();
		char pattern[32];
		char path[32];
		char route[ROUTE_MAX_BYTES];

		make_text(&random, pattern_parts, 7, pattern);
		make_text(&random, path_parts, 5, path);
		/* Without a star the template is the path itself. */
		if (strchr(pattern, '*') != NULL &&
		    route_set_add(set, pattern) == NULL) {
			bool wanted = matches_plainly(pattern, path);

			route_of(set, path, route);
			if ((strcmp(route, path) != 0) != wanted)
				fail_msg("%s on %s: %s", pattern, path, route);
			matched += wanted;
			tried++;
		}
		route_set_free(set);
	}
	assert_in_range(tried, HAMMER_ROUNDS / 4, HAMMER_ROUNDS);
	assert_in_range(matched, HAMMER_ROUNDS / 200, HAMMER_ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_registry_api),
	    cmocka_unit_test(test_identifiers_collapse_and_words_stay),
	    cmocka_unit_test(test_no_raw_bytes_get_through),
	    cmocka_unit_test(test_operator_patterns),
	    cmocka_unit_test(test_first_match_wins),
	    cmocka_unit_test(test_refused_patterns),
	    cmocka_unit_test(test_long_paths_are_cut),
	    cmocka_unit_test(test_matching_is_not_exponential),
	    cmocka_unit_test(test_patterns_match_as_defined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
