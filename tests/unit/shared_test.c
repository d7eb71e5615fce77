/* SPDX-License-Identifier: MIT */

/*
 * A text that many records share must outlive all of them but the last, and
 * is asked with every request whether it still says the same.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounting/shared.h"

static void
test_it_stays_for_the_last(void **state)
{
	char *first = shared_new((struct span){"curl/8.14", 4});
	char *second = shared_ref(first);

	assert_ptr_equal(first, second);
	shared_unref(&first);
	assert_null(first);
	assert_string_equal(second, "curl");
	shared_unref(&second);
	shared_unref(&second); /* of none: nothing */
}

static void
test_what_it_says(void **state)
{
	static const struct row {
		struct span span;
		bool says;
	} rows[] = {
	    {{"curl", 4}, true},
	    {{"curl/8", 4}, true},
	    {{"cur", 3}, false},
	    {{"curly", 5}, false},
	    {{"curb", 4}, false},
	    {{"", 0}, false},
	    {{"curl\0curl", 9}, false},
	};
	char *text = shared_new((struct span){"curl", 4});

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(shared_says(text, rows[i].span), rows[i].says);
	assert_false(shared_says(NULL, rows[0].span));
	shared_unref(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_it_stays_for_the_last),
	    cmocka_unit_test(test_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
