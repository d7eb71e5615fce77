/* SPDX-License-Identifier: MIT */

/*
 * On a machine with forty containers "python3" is no answer to "who leaks":
 * the container and the arguments are.  The arguments may hold passwords.
 */

#include "accounting/owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"
#include "accounting/redact.h"
#include "tests/unit/owner_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void
test_containers(void **state)
{
	static const struct {
		const char *cgroup;
		const char *container;
	} rows[] = {
	    {"", ""},
	    {"0::/\n", ""},
	    {"0::/user.slice/user-1000.slice/session-1.scope\n", ""},
	    {"0::/system.slice/docker-" ID ".scope\n", "0123456789ab"},
	    {"12:pids:/docker/" ID "\n11:cpu:/docker/" ID "\n", "0123456789ab"},
	    {"0::/kubepods.slice/kubepods-pod1234abcd.slice/"
	     "cri-containerd-" ID ".scope\n",
		"0123456789ab"},
	    {"0::/kubepods/pod" OTHER "/crio-" ID "\n", "0123456789ab"},
	    {"0::/docker/" ID "/docker/" OTHER "\n", "fedcba987654"},
	    {"0::/x/" ID "0\n", ""},
	    {"0::/x/0123456789abcdef\n", ""},
	    {"0::/x/0123456789ABCDEF" ID "\n", "0123456789ab"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char container[PROCESS_CONTAINER_BYTES] = "";

		owner_read_container(rows[i].cgroup, container);
		if (strcmp(container, rows[i].container) != 0)
			fail_msg("%s: %s", rows[i].cgroup, container);
	}
}

static void
test_command_lines(void **state)
{
	static const struct {
		const char *arguments; /* '|' stands for NUL */
		const char *line;
	} rows[] = {
	    {"coderd", "coderd"},
	    {"coderd|server|--port=80", "coderd server --port=80"},
	    {"x|--token=abc", "x --token=REDACTED"},
	    {"x|--token|abc|y", "x --token REDACTED y"},
	    {"x|--token|--verbose", "x --token --verbose"},
	    {"x|-api-key|abc", "x -api-key REDACTED"},
	    {"x|DB_PASSWORD=abc", "x DB_PASSWORD=REDACTED"},
	    {"x|token|abc", "x token abc"},
	    {"x|https://joe:abc@h.test/?sig=abc&a=b",
		"x https://h.test/?sig=REDACTED&a=b"},
	    {"x||y", "x  y"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t length = strlen(rows[i].arguments);
		char *arguments = xstrdup(rows[i].arguments);
		char *line;

		for (size_t at = 0; at < length; at++) {
			if (arguments[at] == '|')
				arguments[at] = '\0';
		}
		line = redact_command_line(arguments, length);
		assert_string_equal(line, rows[i].line);
		free(line);
		free(arguments);
	}
}

static void
test_a_copy_is_its_own(void **state)
{
	struct owner *owner = fixture_owner(4242, 37, -1, "coderd");
	struct owner_view copied;
	struct owner *copy = owner_copy(owner);

	owner_unref(&owner);
	copied = owner_view(copy);
	assert_int_equal(copied.pid, 4242);
	assert_int_equal(copied.fd, 37);
	assert_int_equal(copied.uid, -1);
	assert_string_equal(copied.command, "coderd");
	assert_null(copied.command_line);
	assert_null(copied.container);
	owner_unref(&copy);
}

/* A caller from afar costs its records' copies nothing. */
static void
test_who_is_not_known(void **state)
{
	struct owner_view view = owner_view(NULL);

	assert_null(owner_copy(&OWNER_UNKNOWN));
	assert_null(owner_copy(NULL));
	assert_int_equal(view.pid, -1);
	assert_int_equal(view.fd, -1);
	assert_int_equal(view.uid, -1);
	assert_null(view.command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_containers),
	    cmocka_unit_test(test_command_lines),
	    cmocka_unit_test(test_a_copy_is_its_own),
	    cmocka_unit_test(test_who_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
