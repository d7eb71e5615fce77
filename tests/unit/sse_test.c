/* SPDX-License-Identifier: MIT */

/*
 * An event is what a reader of the HTML standard makes of it: no data can end
 * a line, begin a field or an event of its own.
 */

#include "admin/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
test_framing(void **state)
{
	static const struct {
		const char *data;
		const char *lines;
	} rows[] = {
	    {"{}", "data: {}\n"},
	    {"", "data: \n"},
	    {"a\nb", "data: a\ndata: b\n"},
	    {"a\rb", "data: a\ndata: b\n"},
	    {"a\r\nb", "data: a\ndata: b\n"},
	    {"a\n\revent: b", "data: a\ndata: \ndata: event: b\n"},
	    {"a\n\n", "data: a\ndata: \ndata: \n"},
	    {": comment", "data: : comment\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *event = sse_event("summary", 7 + i, rows[i].data);
		char wanted[128];

		snprintf(wanted, sizeof(wanted),
		    "id: %zu\nevent: summary\n%s\n", 7 + i, rows[i].lines);
		assert_string_equal(event, wanted);
		free(event);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_framing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
