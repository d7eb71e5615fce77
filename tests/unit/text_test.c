/* SPDX-License-Identifier: MIT */

/*
 * Every head that leaves is written into a text, one after the other into the
 * same: what was added before must stay while it grows, and nothing of the
 * last head may be left in the next.
 */

#include "proxy/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
assert_text(const struct text *text, const char *wanted)
{
	assert_int_equal(text->length, strlen(wanted));
	if (text->length > 0)
		assert_memory_equal(text->bytes, wanted, text->length);
}

static void
test_each_way_of_adding(void **state)
{
	struct text text = {0};

	text_add(&text, "ab", 1);
	text_add_string(&text, "c");
	text_add_span(&text, (struct span){"defg", 2});
	text_addf(&text, "%d%s", 42, "!");
	text_add_field(&text, "Name", "value");
	assert_text(&text, "acde42!Name: value\r\n");
	text_fini(&text);
}

/* A span without bytes points nowhere. */
static void
test_nothing_can_be_added(void **state)
{
	struct text text = {0};

	text_add_span(&text, (struct span){0});
	text_add(&text, NULL, 0);
	text_add_string(&text, "");
	text_addf(&text, "%s", "");
	assert_text(&text, "");
	text_add_string(&text, "a");
	text_add_span(&text, (struct span){0});
	assert_text(&text, "a");
	text_fini(&text);
}

static void
test_bytes_may_be_nul(void **state)
{
	struct text text = {0};

	text_add(&text, "a\0b", 3);
	text_add(&text, "c", 1);
	assert_int_equal(text.length, 4);
	assert_memory_equal(text.bytes, "a\0bc", 4);
	text_fini(&text);
}

/* By every step over every size at which it has to grow. */
static void
test_it_grows_and_keeps_what_it_has(void **state)
{
	static char piece[3000];

	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = (char)('a' + i % 26);
	for (size_t step = 1; step <= sizeof(piece); step = step * 2 + 1) {
		struct text text = {0};

		while (text.length < 10 * sizeof(piece)) {
			size_t before = text.length;

			text_add(&text, piece, step);
			assert_int_equal(text.length, before + step);
			assert_true(text.size >= text.length);
		}
		for (size_t i = 0; i < text.length; i++)
			assert_int_equal(text.bytes[i], piece[i % step]);
		text_fini(&text);
	}
}

static void
test_a_long_format_is_not_cut(void **state)
{
	char long_string[5000];
	struct text text = {0};

	memset(long_string, 'x', sizeof(long_string) - 1);
	long_string[sizeof(long_string) - 1] = '\0';
	text_addf(&text, "<%s>", long_string);
	assert_int_equal(text.length, sizeof(long_string) + 1);
	assert_int_equal(text.bytes[text.length - 1], '>');
	text_fini(&text);
}

static void
test_numbers_at_their_ends(void **state)
{
	struct text text = {0};

	text_add_number(&text, 0);
	text_add(&text, " ", 1);
	text_add_number(&text, 100);
	text_add(&text, " ", 1);
	text_add_number(&text, INT64_MAX);
	text_add(&text, " ", 1);
	text_add_number(&text, UINT64_MAX);
	assert_text(&text, "0 100 9223372036854775807 18446744073709551615");
	text_fini(&text);
}

static void
test_clearing_keeps_the_memory(void **state)
{
	struct text text = {0};
	const char *bytes;
	size_t size;

	for (int i = 0; i < 1000; i++)
		text_add_string(&text, "0123456789");
	bytes = text.bytes;
	size = text.size;
	text_clear(&text);
	assert_text(&text, "");
	text_add_string(&text, "new");
	assert_text(&text, "new");
	assert_ptr_equal(text.bytes, bytes);
	assert_int_equal(text.size, size);
	text_fini(&text);
	assert_null(text.bytes);
	assert_int_equal(text.size, 0);
	/* All zero is empty, and usable. */
	text_add_string(&text, "again");
	assert_text(&text, "again");
	text_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_way_of_adding),
	    cmocka_unit_test(test_nothing_can_be_added),
	    cmocka_unit_test(test_bytes_may_be_nul),
	    cmocka_unit_test(test_it_grows_and_keeps_what_it_has),
	    cmocka_unit_test(test_a_long_format_is_not_cut),
	    cmocka_unit_test(test_numbers_at_their_ends),
	    cmocka_unit_test(test_clearing_keeps_the_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
