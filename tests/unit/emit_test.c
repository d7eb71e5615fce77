/* SPDX-License-Identifier: MIT */

/*
 * JSON that is written as it goes says what Jansson reads from it.
 */

#include "admin/emit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "accounting/utf8.h"
#include "admin/text.h"

static void
test_structure(void **state)
{
	struct emit json = {0};
	char *text;

	emit_begin_object(&json, NULL);
	emit_begin_array(&json, "empty");
	emit_end_array(&json);
	emit_begin_array(&json, "list");
	emit_begin_object(&json, NULL);
	emit_end_object(&json);
	emit_number(&json, NULL, 1);
	emit_text(&json, NULL, "a");
	emit_end_array(&json);
	emit_text(&json, "none", NULL);
	emit_bytes(&json, "part", "abcdef", 3);
	emit_pair(&json, "k\"ey", "value");
	emit_known(&json, "unknown", -1);
	emit_known(&json, "zero", 0);
	emit_number(&json, "least", INT64_MIN);
	emit_number(&json, "most", INT64_MAX);
	emit_bool(&json, "yes", true);
	emit_bool(&json, "no", false);
	emit_ms(&json, "ms", 1234567);
	emit_ms(&json, "small", 7);
	emit_ms(&json, "negative", -7);
	emit_end_object(&json);
	emit_newline(&json);
	text = emit_finish(&json);
	assert_string_equal(text,
	    "{\"empty\":[],\"list\":[{},1,\"a\"],\"none\":null,"
	    "\"part\":\"abc\",\"k\\\"ey\":\"value\",\"unknown\":null,"
	    "\"zero\":0,\"least\":-9223372036854775808,"
	    "\"most\":9223372036854775807,\"yes\":true,\"no\":false,"
	    "\"ms\":1234.567,\"small\":0.007,\"negative\":0.000}\n");
	free(text);
	assert_null(json.text);
}

/* As short as the number is, and never less than nine digits of it. */
static void
test_reals(void **state)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {{0, "0.0"}, {-0.0, "0.0"}, {1, "1.0"}, {-2.5, "-2.5"},
	    {0.1, "0.1"}, {0.03, "0.03"}, {0.999999999999, "0.999999999999"},
	    {0.9999999999999, "1.0"}, {1.0 / 3, "0.333333333333"},
	    {100.0 / 3, "33.333333333"}, {1234.0000005, "1234.0000005"},
	    {999999.9999999999, "1000000.0"}, {1e6, "1000000.0"},
	    {-123456789.125, "-123456789.125"}, {1e300, "1e+300"},
	    {0.001, "0.001"}, {0.00012, "0.00012"}, {1.5e-12, "1.5e-12"},
	    {NAN, "null"}, {INFINITY, "null"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct emit json = {0};
		char *text;

		emit_real(&json, NULL, cases[i].number);
		text = emit_finish(&json);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

static void
test_values_of_ours(void **state)
{
	static const struct tags none = {0};
	struct tags tags = {0};
	struct emit json = {0};
	char *text;

	assert_true(tags_set(&tags, "job", "a\"b", 3));
	emit_begin_object(&json, NULL);
	emit_time(&json, "never", 0);
	emit_time(&json, "at", INT64_C(1795485784567890));
	emit_tags(&json, "none", &none);
	emit_tags(&json, "tags", &tags);
	emit_json(&json, "json", "[1]");
	emit_end_object(&json);
	text = emit_finish(&json);
	assert_string_equal(text,
	    "{\"never\":null,\"at\":\"2026-11-24T02:03:04.567Z\","
	    "\"none\":{},\"tags\":{\"job\":\"a\\\"b\"},\"json\":[1]}");
	free(text);
	tags_fini(&tags);
}

/* Each day of four hundred years, as the C library has it. */
static void
test_timestamps(void **state)
{
	char text[TEXT_NUMBER_BYTES];
	char wanted[TEXT_NUMBER_BYTES];

	for (time_t at = 86399; at < (time_t)86400 * 146097; at += 86400) {
		struct tm utc;

		gmtime_r(&at, &utc);
		strftime(
		    wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S.007Z", &utc);
		text_timestamp(
		    (wall_us)at * US_PER_S + 7 * US_PER_MS + 999, text);
		assert_string_equal(text, wanted);
	}
}

/* Whatever a stranger sends comes out as utf8_copy() makes it. */
static void
expect_read(const char *bytes)
{
	struct emit json = {0};
	char *utf8 = utf8_copy(bytes);
	json_t *read;
	char *text;

	emit_begin_array(&json, NULL);
	emit_text(&json, NULL, bytes);
	emit_end_array(&json);
	text = emit_finish(&json);
	read = json_loads(text, 0, NULL);
	assert_non_null(read);
	assert_string_equal(json_string_value(json_array_get(read, 0)), utf8);
	json_decref(read);
	free(text);
	free(utf8);
}

static void
test_strings(void **state)
{
	static const char *const strings[] = {"", "plain", "\"", "\\",
	    "a\"b\\c", "\x01\x1f\x7f\t\r\n", "\xc3\xa9", "a\xc3\xa9\"\\\x02z",
	    "\xff", "caf\xe9 \"x\"", "\xe2\x80", "\xed\xa0\x80",
	    "\xf4\x90\x80\x80", "\xf0\x9f\x98\x80", "\xe2\x80\xae"};
	char every[256];
	char *long_one = calloc(1, 100001);

	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
		expect_read(strings[i]);
	for (size_t i = 1; i < sizeof(every); i++) {
		char one[] = {(char)i, '\0'};

		expect_read(one);
		every[i - 1] = (char)i;
	}
	every[sizeof(every) - 1] = '\0';
	expect_read(every);
	memset(long_one, '"', 100000);
	expect_read(long_one);
	free(long_one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_structure),
	    cmocka_unit_test(test_reals),
	    cmocka_unit_test(test_timestamps),
	    cmocka_unit_test(test_values_of_ours),
	    cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
