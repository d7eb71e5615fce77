/* SPDX-License-Identifier: MIT */

/*
 * A caller writes Leakproxy-Tag by hand, often wrong, and a stranger may write
 * it on purpose.  What is well-formed by RFC 8941 becomes exactly the tags that
 * were meant; what is not changes nothing, not even by half, and no length or
 * count passes its bound.  The field values here are never NUL-terminated, so
 * that a parser that reads one byte too far is caught by the sanitizer.
 */

#include "accounting/tag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define HAMMER_ROUNDS 200000
#define HAMMER_MAX_BYTES 24

#define TEN "abcdefghij"
#define SIXTY TEN TEN TEN TEN TEN TEN
#define KEY_AT_BOUND SIXTY "abcd"
#define VALUE_AT_BOUND SIXTY SIXTY SIXTY SIXTY TEN "abcdef"

/* Parses a copy that ends where the memory ends. */
static bool
add_bytes(struct tags *tags, const char *value, size_t length)
{
	char *copy = malloc(length == 0 ? 1 : length);
	bool is_good;

	assert_non_null(copy);
	memcpy(copy, value, length);
	is_good = tags_add_dictionary(tags, copy, length);
	free(copy);
	return is_good;
}

static bool
add(struct tags *tags, const char *value)
{
	return add_bytes(tags, value, strlen(value));
}

static void
assert_text(const struct tags *tags, const char *wanted)
{
	char *text = tags_text(tags);

	assert_string_equal(text, wanted);
	free(text);
}

static void
test_well_formed_fields(void **state)
{
	static const struct {
		const char *field;
		const char *text;
	} rows[] = {
	    {"job=imagecheck, run=42", "job=imagecheck run=42"},
	    {"run=42,job=imagecheck", "job=imagecheck run=42"},
	    {"imagecheck", "tag=imagecheck"},
	    {"imagecheck, run=1", "run=1 tag=imagecheck"},
	    {"a, b", "tag=b"},
	    {"job=a, job=b", "job=b"},
	    {"", ""},
	    {"   ", ""},
	    {"  job=a  ", "job=a"},
	    {"job=a \t,\t b=c", "b=c job=a"},
	    {"job=\"two words\"", "job=\"two words\""},
	    {"job=\"a\\\"b\\\\c\"", "job=\"a\\\"b\\\\c\""},
	    {"job=\"plain\"", "job=plain"},
	    {"job=\"\"", "job=\"\""},
	    {"job=\"a,b;c=d\"", "job=a,b;c=d"},
	    {"n=-17", "n=-17"},
	    {"n=123456789012345", "n=123456789012345"},
	    {"n=-1.5", "n=-1.5"},
	    {"n=123456789012.125", "n=123456789012.125"},
	    {"on=?1, off=?0", "off=false on=true"},
	    {"job=*any", "job=*any"},
	    {"path=Mixed/Case:8080", "path=Mixed/Case:8080"},
	    {"t=a!#$%&'*+-.^_`|~9", "t=a!#$%&'*+-.^_`|~9"},
	    {"*key_1-2.3=x", "*key_1-2.3=x"},
	    {"job=a;v=1;  w;x=\"y, z\", b=c", "b=c job=a"},
	    {"job;v=?1, b=c", "b=c tag=job"},
	    {KEY_AT_BOUND "=x", KEY_AT_BOUND "=x"},
	    {"job=" VALUE_AT_BOUND, "job=" VALUE_AT_BOUND},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tags tags = {0};

		if (!add(&tags, rows[i].field))
			fail_msg("refused: %s", rows[i].field);
		assert_text(&tags, rows[i].text);
		tags_fini(&tags);
	}
}

static void
test_malformed_fields_change_nothing(void **state)
{
	static const char *const rows[] = {
	    ",",
	    "job=a,",
	    "job=a, ",
	    ",job=a",
	    "job=a,,b=c",
	    "job=a b=c",
	    "job=",
	    "job= a",
	    "job =a",
	    "job==a",
	    "=a",
	    "Job=a",
	    "jOb=a",
	    "1job=a",
	    "-job=a",
	    "job=(a b)",
	    "job=()",
	    "job=:aGk=:",
	    "job=a;p=:aGk=:",
	    "job=@1659578233",
	    "job=\"open",
	    "job=\"open\\",
	    "job=\"bad\\n\"",
	    "job=\"tab\t\"",
	    "job=\"del\x7f\"",
	    "job=\"caf\xc3\xa9\"",
	    "job=\"closed\"x",
	    "job=caf\xc3\xa9",
	    "job=a\nb",
	    "n=1234567890123456",
	    "n=1234567890123.1",
	    "n=1.1234",
	    "n=1.",
	    "n=.1",
	    "n=-",
	    "n=--1",
	    "n=+1",
	    "n=1.2.3",
	    "n=1a",
	    "b=?2",
	    "b=?",
	    "b=true?",
	    "b=?11",
	    "job=a;",
	    "job=a;P=1",
	    "job=a;p=",
	    "job=a ;p=1",
	    "job=a;\tp=1",
	    KEY_AT_BOUND "e=x",
	    KEY_AT_BOUND "e",
	    "job=" VALUE_AT_BOUND "g",
	    "job=\"" VALUE_AT_BOUND "g\"",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tags tags = {0};
		char *field = xasprintf("good=new, %s", rows[i]);

		assert_true(tags_set(&tags, "good", "old", 3));
		if (add(&tags, rows[i]) || add(&tags, field))
			fail_msg("accepted: %s", rows[i]);
		assert_text(&tags, "good=old");
		free(field);
		tags_fini(&tags);
	}
}

static void
test_stray_bytes_are_malformed(void **state)
{
	static const struct {
		const char *field;
		size_t length;
	} rows[] = {{"a\0b=c", 5}, {"job=a\0b", 7}, {"job=\"a\0b\"", 9},
	    {"job=a\0", 6}, {"\0job=a", 6}, {"\0", 1}, {"\tjob=a", 6}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tags tags = {0};

		assert_false(add_bytes(&tags, rows[i].field, rows[i].length));
		assert_int_equal(tags.count, 0);
	}
}

static void
fill(struct tags *tags, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *key = xasprintf("k%02zu", i);

		assert_true(tags_set(tags, key, "v", 1));
		free(key);
	}
}

static void
test_the_count_is_bounded(void **state)
{
	struct tags tags = {0};

	fill(&tags, TAG_MAX_COUNT - 1);
	assert_false(add(&tags, "one=1, two=2"));
	assert_int_equal(tags.count, TAG_MAX_COUNT - 1);
	assert_true(add(&tags, "one=1, k00=replaced"));
	assert_int_equal(tags.count, TAG_MAX_COUNT);
	assert_false(tags_set(&tags, "two", "2", 1));
	assert_false(add(&tags, "two=2"));
	assert_true(tags_set(&tags, "one", "new", 3));
	assert_string_equal(tags_get(&tags, "one"), "new");
	assert_string_equal(tags_get(&tags, "k00"), "replaced");
	assert_null(tags_get(&tags, "two"));
	tags_fini(&tags);
}

static void
test_literal_tags(void **state)
{
	static const struct {
		const char *key;
		const char *value;
		size_t length;
		const char *text; /* NULL: refused */
	} rows[] = {
	    {"user", "imagecheck", 10, "user=imagecheck"},
	    {"X-Job", "A", 1, "x-job=A"},
	    {"user", "imagecheck", 5, "user=image"},
	    {"user", "x run=2", 7, "user=\"x run=2\""},
	    {"user", "caf\xc3\xa9", 5, "user=caf\xc3\xa9"},
	    {"", "x", 1, NULL},
	    {"user", "", 0, NULL},
	    {"user", "a\0b", 3, NULL},
	    {"user", "a\nb", 3, NULL},
	    {"user", "a\tb", 3, NULL},
	    {"user", "\x1b[2J", 4, NULL},
	    {"user", "\x7f", 1, NULL},
	    {"us\ner", "x", 1, NULL},
	    {KEY_AT_BOUND, "x", 1, KEY_AT_BOUND "=x"},
	    {KEY_AT_BOUND "e", "x", 1, NULL},
	    {"user", VALUE_AT_BOUND, TAG_VALUE_MAX_BYTES,
		"user=" VALUE_AT_BOUND},
	    {"user", VALUE_AT_BOUND "g", TAG_VALUE_MAX_BYTES + 1, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tags tags = {0};

		assert_int_equal(
		    tags_set(&tags, rows[i].key, rows[i].value, rows[i].length),
		    rows[i].text != NULL);
		assert_text(&tags, rows[i].text == NULL ? "" : rows[i].text);
		tags_fini(&tags);
	}
}

static void
test_a_copy_is_deep_and_replaces(void **state)
{
	struct tags from = {0};
	struct tags to = {0};

	assert_true(add(&from, "job=a, run=1"));
	assert_true(add(&to, "old=x"));
	tags_copy(&to, &from);
	assert_true(tags_equal(&to, &from));
	assert_true(tags_set(&from, "job", "b", 1));
	assert_text(&to, "job=a run=1");
	assert_false(tags_equal(&to, &from));
	tags_copy(&to, &to);
	assert_text(&to, "job=a run=1");
	tags_fini(&from);
	tags_copy(&to, &from);
	assert_int_equal(to.count, 0);
	assert_null(to.items);
}

static void
test_equality_looks_at_keys_values_and_count(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool is_equal;
	} rows[] = {
	    {"", "", true},
	    {"job=a, run=1", "run=1, job=a", true},
	    {"job=a", "job=\"a\"", true},
	    {"job=a", "job=b", false},
	    {"job=a", "jab=a", false},
	    {"job=a", "job=a, run=1", false},
	    {"job=a", "", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tags a = {0};
		struct tags b = {0};

		assert_true(add(&a, rows[i].a));
		assert_true(add(&b, rows[i].b));
		assert_int_equal(tags_equal(&a, &b), rows[i].is_equal);
		assert_int_equal(tags_equal(&b, &a), rows[i].is_equal);
		tags_fini(&a);
		tags_fini(&b);
	}
}

static void
assert_invariants(const struct tags *tags)
{
	assert_true(tags->count <= TAG_MAX_COUNT);
	for (size_t i = 0; i < tags->count; i++) {
		const struct tag *item = &tags->items[i];

		assert_in_range(strlen(item->key), 1, TAG_KEY_MAX_BYTES);
		assert_true(strlen(item->value) <= TAG_VALUE_MAX_BYTES);
		assert_ptr_equal(tags_get(tags, item->key), item->value);
		if (i > 0)
			assert_true(strcmp(item[-1].key, item->key) < 0);
	}
}

/*
 * Random fields from an alphabet in which most of the grammar is near:
 * whatever the answer, the invariants hold.
 */
static void
test_hammer(void **state)
{
	static const char alphabet[] = "ab*=\"\\,; \t?01-.:(\x80";
	uint64_t random = 42;
	size_t accepted = 0;

	for (int round = 0; round < HAMMER_ROUNDS; round++) {
		struct tags tags = {0};
		char field[HAMMER_MAX_BYTES];
		size_t length;

		random = random * 6364136223846793005u + 1442695040888963407u;
		length = (size_t)(random >> 40) % sizeof(field);
		for (size_t i = 0; i < length; i++) {
			random = random * 6364136223846793005u +
			    1442695040888963407u;
			field[i] =
			    alphabet[(random >> 40) % (sizeof(alphabet) - 1)];
		}
		if (add_bytes(&tags, field, length))
			accepted++;
		else
			assert_int_equal(tags.count, 0);
		assert_invariants(&tags);
		tags_fini(&tags);
	}
	/* Both answers were exercised, not just the short one. */
	assert_in_range(accepted, HAMMER_ROUNDS / 100, HAMMER_ROUNDS / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_well_formed_fields),
	    cmocka_unit_test(test_malformed_fields_change_nothing),
	    cmocka_unit_test(test_stray_bytes_are_malformed),
	    cmocka_unit_test(test_the_count_is_bounded),
	    cmocka_unit_test(test_literal_tags),
	    cmocka_unit_test(test_a_copy_is_deep_and_replaces),
	    cmocka_unit_test(test_equality_looks_at_keys_values_and_count),
	    cmocka_unit_test(test_hammer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
