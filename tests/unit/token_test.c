/* SPDX-License-Identifier: MIT */

/*
 * The bearer token: what a file may hold, that no complaint quotes it, and
 * that only the whole of it matches.
 */

#include "proxy/base/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define TOKEN "0123456789abcdef"
#define PATH "build/token_test.file"
#define WHY_BYTES 512

static void
write_file(const char *content, size_t length)
{
	FILE *file = fopen(PATH, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, length, file), length);
	fclose(file);
}

static int
remove_file(void **state)
{
	unlink(PATH);
	return 0;
}

static void
test_good_files(void **state)
{
	static const struct {
		const char *content;
		const char *token;
	} cases[] = {
	    {TOKEN, TOKEN},
	    {TOKEN "\n", TOKEN},
	    {TOKEN "\r\n", TOKEN},
	    {" \t" TOKEN " \t\n", TOKEN},
	    {TOKEN "\nanything else\n", TOKEN},
	    {"AZaz09-._~+/AZaz09==\n", "AZaz09-._~+/AZaz09=="},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char why[WHY_BYTES] = "";
		char *token;

		write_file(cases[i].content, strlen(cases[i].content));
		token = token_read_file(PATH, why, sizeof(why));
		assert_string_equal(why, "");
		assert_string_equal(token, cases[i].token);
		free(token);
	}
}

static void
test_bad_files(void **state)
{
	static const struct {
		const char *content;
		size_t length; /* 0: up to the zero */
		const char *why;
	} cases[] = {
	    {"", 0, "no token in its first line"},
	    {"\n" TOKEN, 0, "no token in its first line"},
	    {" \t \n", 0, "no token in its first line"},
	    {"hush-hush-hush1", 0, "less than 16 characters"},
	    {"hush-hush-hush1\0more", 20, "less than 16 characters"},
	    {"hush hush hush hush", 0, "other characters"},
	    {"hush=hush-hush-hush", 0, "other characters"},
	    {"hush-hush-hush-h\xc3\xa9", 0, "other characters"},
	    {"hush-hush\thush-hush", 0, "other characters"},
	    {"================", 0, "other characters"},
	};
	char why[WHY_BYTES];
	char *longest = xcalloc(1, 5000);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t length = cases[i].length;

		write_file(cases[i].content,
		    length == 0 ? strlen(cases[i].content) : length);
		assert_null(token_read_file(PATH, why, sizeof(why)));
		if (strstr(why, cases[i].why) == NULL ||
		    strstr(why, "openssl rand -hex 16") == NULL ||
		    strstr(why, "hush") != NULL)
			fail_msg("case %zu: %s", i, why);
	}
	memset(longest, 'x', 4999);
	write_file(longest, 4999);
	assert_null(token_read_file(PATH, why, sizeof(why)));
	assert_non_null(strstr(why, "more than 512"));
	write_file(longest, 513);
	assert_null(token_read_file(PATH, why, sizeof(why)));
	free(longest);
}

static void
test_unreadable_files(void **state)
{
	static const char *const paths[] = {"/no/such/file", "/proc", ""};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char why[WHY_BYTES] = "";

		assert_null(token_read_file(paths[i], why, sizeof(why)));
		assert_non_null(strstr(why, "cannot read"));
	}
}

static void
test_exposure(void **state)
{
	static const struct {
		mode_t mode;
		bool is_exposed;
	} cases[] = {{0600, false}, {0400, false}, {0640, true}, {0604, true},
	    {0644, true}, {0602, true}};

	write_file(TOKEN, strlen(TOKEN));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		chmod(PATH, cases[i].mode);
		assert_int_equal(token_is_exposed(PATH), cases[i].is_exposed);
	}
	assert_false(token_is_exposed("/no/such/file"));
	assert_false(token_is_exposed("/dev/null"));
}

static void
test_matching(void **state)
{
	static const struct {
		const char *field;
		bool matches;
	} cases[] = {
	    {"Bearer " TOKEN, true},
	    {"bearer " TOKEN, true},
	    {"BEARER   " TOKEN, true},
	    {NULL, false},
	    {"", false},
	    {"Bearer", false},
	    {"Bearer ", false},
	    {TOKEN, false},
	    {"Bearer" TOKEN, false},
	    {"Basic " TOKEN, false},
	    {"Bearer " TOKEN "0", false},
	    {"Bearer " TOKEN " ", false},
	    {"Bearer " TOKEN ", x", false},
	    {"Bearer 0123456789abcde", false},
	    {"Bearer 0123456789abcdeF", false},
	    {"Bearer 1123456789abcdef", false},
	    {"Bearer 0123456789abcdee", false},
	    {"Bearer " TOKEN TOKEN, false},
	};
	char *longest = xcalloc(1, 100000);
	char *token;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (token_matches(TOKEN, cases[i].field) != cases[i].matches)
			fail_msg("case %zu", i);
	}
	memset(longest, 'x', 99999);
	memcpy(longest, "Bearer ", 7);
	assert_false(token_matches(TOKEN, longest));
	longest[7 + TOKEN_MAX_BYTES] = '\0';
	assert_false(token_matches(TOKEN, longest));
	assert_true(token_matches(longest + 7, longest));
	/* One more than the longest is not its beginning. */
	token = xstrdup(longest + 7);
	longest[7 + TOKEN_MAX_BYTES] = 'x';
	assert_false(token_matches(token, longest));
	free(token);
	free(longest);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_good_files, remove_file),
	    cmocka_unit_test_teardown(test_bad_files, remove_file),
	    cmocka_unit_test(test_unreadable_files),
	    cmocka_unit_test_teardown(test_exposure, remove_file),
	    cmocka_unit_test(test_matching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
