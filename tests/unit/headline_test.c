/* SPDX-License-Identifier: MIT */

/*
 * The report in one line: what an engineer glances at while a test runs.
 */

#include "admin/headline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/text.h"
#include "tests/unit/admin_fixture.h"

static void
check(struct snapshot *snapshot, unsigned columns, const char *expected)
{
	char *line = headline_text(snapshot, columns);

	assert_string_equal(line, expected);
	assert_true(text_columns(line) <= columns);
	free(line);
}

static void
test_nothing_yet(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();

	check(snapshot, 200,
	    "leakproxy: 0 held, 0 undrained (~0 per hour), 0 suspected of 0 "
	    "responses, 0 leaks");
	snapshot_free(snapshot);
}

static void
test_a_leak(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct suspect *suspect = &snapshot->leaks[0].suspect;

	check(snapshot, 200,
	    "leakproxy: 12 held, 12 undrained (~1390 per hour), 0 suspected "
	    "of 55 responses, 1 leak, worst GET /v2/{}/manifests/{} 404 "
	    "job=imagecheck");
	suspect->outcome = SUSPECT_NAMED;
	strcpy(suspect->mark, "nightly");
	check(snapshot, 200,
	    "leakproxy: 12 held, 12 undrained (~1390 per hour), 0 suspected "
	    "of 55 responses, 1 leak, worst GET /v2/{}/manifests/{} 404 "
	    "job=imagecheck, suspect nightly");
	snapshot_free(snapshot);
}

/* What a caller called itself does not move the cursor. */
static void
test_a_hostile_tag(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	char *line;

	fixture_set(&snapshot->leaks[0].tags.items[0].value, "\033[2J");
	line = headline_text(snapshot, 200);
	assert_null(strchr(line, '\033'));
	free(line);
	line = headline_text(snapshot, 40);
	assert_true(text_columns(line) <= 40);
	free(line);
	snapshot_free(snapshot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_yet),
	    cmocka_unit_test(test_a_leak),
	    cmocka_unit_test(test_a_hostile_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
