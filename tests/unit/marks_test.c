/* SPDX-License-Identifier: MIT */

/*
 * Marks come from strangers, over a header and over the admin port: only what
 * is understood is kept, and no more than there is room for.
 */

#include "accounting/marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#define THREADS 4
#define THREAD_MARKS 3000

static void
test_parsing(void **state)
{
	static const struct {
		const char *text;
		const char *name; /* NULL: refused */
		enum mark_phase phase;
	} cases[] = {
	    {"imagecheck;start", "imagecheck", MARK_START},
	    {"imagecheck;stop", "imagecheck", MARK_STOP},
	    {" \t a.b_c-d/e:f9 ;\tstop ", "a.b_c-d/e:f9", MARK_STOP},
	    {"", NULL, 0},
	    {";", NULL, 0},
	    {";start", NULL, 0},
	    {"imagecheck", NULL, 0},
	    {"imagecheck;", NULL, 0},
	    {"imagecheck;Start", NULL, 0},
	    {"imagecheck;start;stop", NULL, 0},
	    {"image check;start", NULL, 0},
	    {"im\xc3\xa4ge;start", NULL, 0},
	    {"<b>;start", NULL, 0},
	    {"imagecheck start", NULL, 0},
	};
	char text[256];
	struct mark mark;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *mistake =
		    mark_parse(&mark, cases[i].text, strlen(cases[i].text));

		assert_int_equal(mistake == NULL, cases[i].name != NULL);
		if (mistake != NULL)
			continue;
		assert_string_equal(mark.name, cases[i].name);
		assert_int_equal(mark.phase, cases[i].phase);
	}
	assert_non_null(mark_parse(&mark, "a\0b;start", 9));
	assert_non_null(mark_parse(&mark, NULL, 0));
	/* the longest, and one beyond */
	memset(text, 'x', sizeof(text));
	memcpy(text + 64, ";start", 6);
	assert_null(mark_parse(&mark, text, 70));
	assert_int_equal(strlen(mark.name), 64);
	memcpy(text + 64, "x;start", 7);
	assert_non_null(mark_parse(&mark, text, 71));
	assert_string_equal(mark_phase_word(MARK_START), "start");
	assert_string_equal(mark_phase_word(MARK_STOP), "stop");
}

static void
add(struct marks *marks, mono_us at)
{
	struct mark mark = {.name = "gc", .mono_at = at};

	marks_add(marks, &mark);
}

static void
test_the_newest_are_kept(void **state)
{
	static const size_t counts[] = {
	    0, 1, 63, 64, 65, MARKS_MAX, MARKS_MAX + 1, 3 * MARKS_MAX + 7};

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct marks *marks = marks_new();
		size_t count;
		struct mark *copy;

		for (size_t j = 0; j < counts[i]; j++)
			add(marks, (mono_us)j);
		copy = marks_copy(marks, &count);
		assert_int_equal(
		    count, counts[i] < MARKS_MAX ? counts[i] : MARKS_MAX);
		for (size_t j = 0; j < count; j++)
			assert_int_equal(
			    copy[j].mono_at, counts[i] - count + j);
		free(copy);
		marks_free(marks);
	}
}

static void *
add_many(void *arg)
{
	for (size_t i = 0; i < THREAD_MARKS; i++) {
		add(arg, (mono_us)i);
		if (i % 500 == 0) {
			size_t count;

			free(marks_copy(arg, &count));
		}
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct marks *marks = marks_new();
	pthread_t threads[THREADS];
	struct mark *copy;
	size_t count;

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, add_many, marks), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	copy = marks_copy(marks, &count);
	assert_int_equal(count, MARKS_MAX);
	for (size_t i = 1; i < count; i++)
		assert_true(copy[i - 1].mono_at <= copy[i].mono_at);
	free(copy);
	marks_free(marks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parsing),
	    cmocka_unit_test(test_the_newest_are_kept),
	    cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
