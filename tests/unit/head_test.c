/* SPDX-License-Identifier: MIT */

/*
 * What a head says decides where a request goes and whether a connection
 * stays, and its fields come from strangers: names in any case, lists over
 * several lines, members that only look like the one that is sought.  Spans
 * are not NUL-terminated; each lies here in a block of exactly its size.
 */

#include "proxy/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_FIELDS 4
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A head out of literals, in memory that ends where each span ends. */
struct fixture {
	struct head head;
	char *copies[2 * MAX_FIELDS];
	size_t copy_count;
};

struct pair {
	const char *name;
	const char *value;
};

static struct span
copy(struct fixture *fixture, const char *text)
{
	size_t length = strlen(text);
	char *bytes = malloc(length == 0 ? 1 : length);

	assert_non_null(bytes);
	memcpy(bytes, text, length);
	fixture->copies[fixture->copy_count++] = bytes;
	return (struct span){bytes, length};
}

static void
make(struct fixture *fixture, const struct pair *pairs, size_t count)
{
	*fixture = (struct fixture){0};
	assert_true(count <= MAX_FIELDS);
	for (size_t i = 0; i < count && pairs[i].name != NULL; i++) {
		struct span name = copy(fixture, pairs[i].name);

		head_add(&fixture->head, name, copy(fixture, pairs[i].value));
	}
}

static void
drop(struct fixture *fixture)
{
	head_fini(&fixture->head);
	for (size_t i = 0; i < fixture->copy_count; i++)
		free(fixture->copies[i]);
}

static void
test_names_are_compared_without_case(void **state)
{
	static const struct {
		const char *span;
		const char *text;
		bool is_same;
	} rows[] = {
	    {"Host", "Host", true},
	    {"hOsT", "Host", true},
	    {"Hos", "Host", false},
	    {"Hosts", "Host", false},
	    {"Hosu", "Host", false},
	    {"", "Host", false},
	    {"Host", "", false},
	    {"", "", true},
	    /* Only letters have two cases. */
	    {"[", "{", false},
	    {"a-b", "a_b", false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture fixture = {0};
		struct span span = copy(&fixture, rows[i].span);

		if (head_span_is(span, rows[i].text) != rows[i].is_same)
			fail_msg(
			    "\"%s\" and \"%s\"", rows[i].span, rows[i].text);
		drop(&fixture);
	}
}

static void
test_fields_are_found_in_their_order(void **state)
{
	static const struct pair pairs[] = {
	    {"Via", "1"}, {"Host", ""}, {"vIA", "2"}, {"Age", "3"}};
	struct fixture fixture;
	const struct head *head = &fixture.head;

	make(&fixture, pairs, COUNT(pairs));
	assert_ptr_equal(head_find(head, FIELD_VIA), &head->fields[0]);
	assert_ptr_equal(head_find(head, FIELD_HOST), &head->fields[1]);
	assert_ptr_equal(head_find(head, FIELD_AGE), &head->fields[3]);
	assert_null(head_find(head, FIELD_VARY));
	assert_int_equal(head_count(head, FIELD_VIA), 2);
	assert_int_equal(head_count(head, FIELD_HOST), 1);
	assert_int_equal(head_count(head, FIELD_VARY), 0);
	assert_true(head_has(head, FIELD_AGE));
	assert_false(head_has(head, FIELD_VARY));
	drop(&fixture);
}

static void
test_a_head_grows(void **state)
{
	struct head head = {0};

	for (size_t i = 0; i < 1000; i++)
		head_add(&head, (struct span){"n", 1},
		    (struct span){"value", i % 6});
	assert_int_equal(head.field_count, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(head.fields[i].value.length, i % 6);
	head_fini(&head);
	assert_int_equal(head.field_count, 0);
	assert_null(head.fields);
	/* And can be used again. */
	head_add(&head, (struct span){"te", 2}, (struct span){"", 0});
	assert_int_equal(head_count(&head, FIELD_TE), 1);
	assert_int_equal(head_count(&head, FIELD_OTHER), 0);
	head_fini(&head);
}

static void
test_members_of_lists(void **state)
{
	static const struct {
		struct pair pairs[MAX_FIELDS];
		bool has_close;
	} rows[] = {
	    {{{"Connection", "close"}}, true},
	    {{{"connection", "CLOSE"}}, true},
	    {{{"Connection", " \t close \t "}}, true},
	    {{{"Connection", "a,close"}}, true},
	    {{{"Connection", "close,a"}}, true},
	    {{{"Connection", "a ,\tclose , b"}}, true},
	    {{{"Connection", ",,close,,"}}, true},
	    {{{"Connection", "a"}, {"Connection", "close"}}, true},
	    {{{"Connection", ""}, {"X", "y"}, {"Connection", "close"}}, true},
	    {{{NULL, NULL}}, false},
	    {{{"Connection", ""}}, false},
	    {{{"Connection", ","}}, false},
	    {{{"Connection", "clos"}}, false},
	    {{{"Connection", "closed"}}, false},
	    {{{"Connection", "not close"}}, false},
	    {{{"Connection", "close;q=1"}}, false},
	    {{{"X-Connection", "close"}}, false},
	    {{{"Proxy-Connection", "close"}}, false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture fixture;

		make(&fixture, rows[i].pairs, MAX_FIELDS);
		if (head_lists(&fixture.head, FIELD_CONNECTION, "close") !=
		    rows[i].has_close)
			fail_msg("row %zu: \"%s\"", i, rows[i].pairs[0].value);
		drop(&fixture);
	}
}

/* The walk over a list, as "[a][b]". */
static void
test_a_list_is_walked_member_by_member(void **state)
{
	static const struct {
		const char *list;
		const char *members;
	} rows[] = {
	    {"", ""},
	    {",", ""},
	    {" , \t,", ""},
	    {"a", "[a]"},
	    {"a,b,c", "[a][b][c]"},
	    {" a b ,\tc\t", "[a b][c]"},
	    {",,a,,b,,", "[a][b]"},
	    {"a,", "[a]"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture fixture = {0};
		struct span list = copy(&fixture, rows[i].list);
		struct span member;
		char text[32] = "";

		while (head_next_member(&list, &member)) {
			strcat(text, "[");
			strncat(text, member.at, member.length);
			strcat(text, "]");
		}
		assert_string_equal(text, rows[i].members);
		assert_int_equal(list.length, 0);
		drop(&fixture);
	}
}

static void
test_copies_are_terminated(void **state)
{
	static const struct pair pairs[] = {{"Via", "one"}, {"Age", ""}};
	struct fixture fixture;
	char *text;

	make(&fixture, pairs, COUNT(pairs));
	text = head_copy(&fixture.head, FIELD_VIA);
	assert_string_equal(text, "one");
	free(text);
	text = head_copy(&fixture.head, FIELD_AGE);
	assert_string_equal(text, "");
	free(text);
	assert_null(head_copy(&fixture.head, FIELD_DATE));
	text = head_span_copy((struct span){"hello", 4});
	assert_string_equal(text, "hell");
	free(text);
	drop(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names_are_compared_without_case),
	    cmocka_unit_test(test_fields_are_found_in_their_order),
	    cmocka_unit_test(test_a_head_grows),
	    cmocka_unit_test(test_members_of_lists),
	    cmocka_unit_test(test_a_list_is_walked_member_by_member),
	    cmocka_unit_test(test_copies_are_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
