/* SPDX-License-Identifier: MIT */

/*
 * Thousands of connections share what their process is called: it has to stay
 * until the last of them has gone, and a copy has to do without them all.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounting/owner.h"
#include "accounting/pack.h"
#include "accounting/process.h"
#include "tests/unit/owner_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define CONTAINER "0123456789ab"

static void
test_it_stays_for_the_last(void **state)
{
	struct process *first = process_new("coderd", "coderd -v", CONTAINER);
	struct process *second = process_ref(first);

	process_unref(&first);
	assert_null(first);
	assert_string_equal(second->command, "coderd");
	assert_string_equal(second->command_line, "coderd -v");
	assert_string_equal(second->container, CONTAINER);
	process_unref(&second);
	process_unref(&second); /* of none: nothing */
}

static void
test_a_copy_is_its_own(void **state)
{
	struct process *process = process_new("coderd", "coderd -v", CONTAINER);
	struct process *copy = process_copy(process);

	assert_true(process_is_same(process, copy));
	process_unref(&process);
	assert_string_equal(copy->command, "coderd");
	assert_string_equal(copy->command_line, "coderd -v");
	process_unref(&copy);
	assert_null(process_copy(NULL));
}

static void
test_a_pack_is_its_own(void **state)
{
	_Alignas(max_align_t) char room[256];
	struct pack pack = {.at = room, .end = room + sizeof(room)};
	struct owner *owner = fixture_owner(4242, 37, 1000, "coderd");
	struct owner *packed = owner_pack(owner, &pack);
	struct pack full = {.at = room, .end = room + 1};

	assert_null(owner_pack(owner, &full));
	assert_int_equal(full.wanted_bytes, pack.wanted_bytes);
	owner_unref(&owner);
	assert_int_equal(packed->pid, 4242);
	assert_string_equal(packed->process->command, "coderd");
	assert_null(owner_pack(NULL, &pack));
}

static void
test_what_is_the_same(void **state)
{
	static const struct row {
		const char *names[3];
		bool is_same;
	} rows[] = {
	    {{"coderd", "coderd -v", CONTAINER}, true},
	    {{"coder", "coderd -v", CONTAINER}, false},
	    {{"coderd", "coderd", CONTAINER}, false},
	    {{"coderd", "coderd -v", ""}, false},
	    {{"coderd", NULL, CONTAINER}, false},
	    {{NULL, "coderd -v", CONTAINER}, false},
	};
	struct process *process = process_new("coderd", "coderd -v", CONTAINER);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct process *other = process_new(
		    rows[i].names[0], rows[i].names[1], rows[i].names[2]);

		assert_int_equal(
		    process_is_same(process, other), rows[i].is_same);
		process_unref(&other);
	}
	assert_false(process_is_same(process, NULL));
	assert_false(process_is_same(NULL, process));
	assert_true(process_is_same(NULL, NULL));
	process_unref(&process);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_it_stays_for_the_last),
	    cmocka_unit_test(test_a_copy_is_its_own),
	    cmocka_unit_test(test_a_pack_is_its_own),
	    cmocka_unit_test(test_what_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
