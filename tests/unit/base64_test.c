/* SPDX-License-Identifier: MIT */

/*
 * Bodies that are no text travel in base64: ours to others' tools, and others'
 * files, which people edit, to us.
 */

#include "admin/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define MAX_BYTES 300

/* RFC 4648 §10 */
static void
test_vectors(void **state)
{
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="},
	    {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t length;
		char *text = base64_encode(rows[i][0], strlen(rows[i][0]));
		char *bytes = base64_decode(rows[i][1], &length);

		assert_string_equal(text, rows[i][1]);
		assert_int_equal(length, strlen(rows[i][0]));
		assert_string_equal(bytes, rows[i][0]);
		free(text);
		free(bytes);
	}
}

static void
test_round_trip(void **state)
{
	unsigned char bytes[MAX_BYTES];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7);
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		size_t again;
		char *text = base64_encode(bytes, length);
		char *back = base64_decode(text, &again);

		assert_int_equal(again, length);
		assert_memory_equal(back, bytes, length);
		free(text);
		free(back);
	}
}

static void
test_line_ends(void **state)
{
	size_t length;
	char *bytes = base64_decode("Zm9v\r\nYmFy\n", &length);

	assert_int_equal(length, 6);
	assert_string_equal(bytes, "foobar");
	free(bytes);
}

static void
test_what_is_none(void **state)
{
	static const char *const texts[] = {"a", "ab", "abc", "abc!", "ab=c",
	    "====", "abcde===", "ab==ab==", "Zm9v ", "\xff\xff\xff\xff"};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		size_t length;

		assert_null(base64_decode(texts[i], &length));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_line_ends),
	    cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
