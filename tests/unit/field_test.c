/* SPDX-License-Identifier: MIT */

/*
 * Names of fields come from strangers, and what we take a name for decides
 * whether it passes: each of ours is found in any case, and nothing that only
 * looks like one.
 */

#include "proxy/field.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const names[] = {
#define FIELD(id, name, traits) [FIELD_##id] = name,
#include "proxy/fields.def"
#undef FIELD
};

/* In memory that ends where the name ends. */
static enum field_id
identify(const char *name, size_t length)
{
	char *copy = malloc(length == 0 ? 1 : length);
	enum field_id id;

	assert_non_null(copy);
	memcpy(copy, name, length);
	id = field_identify((struct span){copy, length});
	free(copy);
	return id;
}

static void
test_each_is_found_in_any_case(void **state)
{
	for (size_t id = FIELD_LEAKPROXY + 1; id < FIELD_COUNT; id++) {
		size_t length = strlen(names[id]);
		char other[64];

		assert_int_equal(identify(names[id], length), id);
		for (size_t i = 0; i <= length; i++)
			other[i] = (char)(i % 2 ? tolower(names[id][i])
						: toupper(names[id][i]));
		assert_int_equal(identify(other, length), id);
	}
}

static void
test_near_ones_are_not(void **state)
{
	for (size_t id = FIELD_LEAKPROXY + 1; id < FIELD_COUNT; id++) {
		size_t length = strlen(names[id]);
		char other[64] = "";

		strcpy(other, names[id]);
		other[length] = 'x';
		assert_int_not_equal(identify(other, length + 1), id);
		assert_int_not_equal(identify(other, length - 1), id);
		other[length - 1] ^= 0x01;
		assert_int_not_equal(identify(other, length), id);
		other[length - 1] ^= 0x01;
		other[0] ^= 0x40;
		assert_int_not_equal(identify(other, length), id);
	}
}

static void
test_whatever_begins_like_ours_is_ours(void **state)
{
	static const struct {
		const char *name;
		enum field_id id;
	} rows[] = {
	    {"", FIELD_OTHER},
	    {"l", FIELD_OTHER},
	    {"Leakproxy", FIELD_OTHER},
	    {"Leakproxy-", FIELD_LEAKPROXY},
	    {"leakproxy-x", FIELD_LEAKPROXY},
	    {"LEAKPROXY-TAGS", FIELD_LEAKPROXY},
	    {"leakproxy-TAG", FIELD_LEAKPROXY_TAG},
	    {"X-Leakproxy-Tag", FIELD_OTHER},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(
		    identify(rows[i].name, strlen(rows[i].name)), rows[i].id);
	assert_int_equal(field_traits(FIELD_LEAKPROXY), FIELD_IS_FOR_US);
	assert_int_equal(field_traits(FIELD_LEAKPROXY_TAG), FIELD_IS_FOR_US);
	assert_int_equal(field_traits(FIELD_OTHER), 0);
}

static void
test_long_names_are_nothing_to_us(void **state)
{
	char name[1000];

	memset(name, 'a', sizeof(name));
	for (size_t length = 200; length <= sizeof(name); length++)
		assert_int_equal(identify(name, length), FIELD_OTHER);
	/* As long as a known one, modulo a byte. */
	memcpy(name, "Host", 4);
	assert_int_equal(identify(name, 256 + 4), FIELD_OTHER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_is_found_in_any_case),
	    cmocka_unit_test(test_near_ones_are_not),
	    cmocka_unit_test(test_whatever_begins_like_ours_is_ours),
	    cmocka_unit_test(test_long_names_are_nothing_to_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
