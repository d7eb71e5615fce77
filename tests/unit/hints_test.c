/* SPDX-License-Identifier: MIT */

/*
 * The hints are pasted into a root shell, so a path with a blank, a quote or
 * a line's end in it must stay one word, and no part of it may be run.  What
 * a shell makes of them is asked of a shell.
 */

#include "certs/hints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_BYTES 4096

static const struct hint_places plain = {
    .ca = "/state/ca.pem",
    .bundle = "/state/bundle.pem",
    .truststore = "/state/truststore.p12",
};

/* Free with free(). */
static char *
text_of(const struct hint_places *places, const char *name)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	hints_print(out, places, name);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void
test_one_is_a_script(void **state)
{
	char *text = text_of(&plain, "debian");

	assert_string_equal(text,
	    "# ---- debian ----\n"
	    "# Debian, Ubuntu: whatever uses the system's roots (apt, curl, "
	    "git,\n"
	    "# Go, Python but for requests, Docker, containerd, podman).  As "
	    "root.\n"
	    "install -m 644 /state/ca.pem "
	    "/usr/local/share/ca-certificates/leakproxy.crt\n"
	    "update-ca-certificates\n"
	    "# To undo:\n"
	    "#   rm /usr/local/share/ca-certificates/leakproxy.crt\n"
	    "#   update-ca-certificates --fresh\n");
	free(text);
}

/* Each name has its hints, all is one behind the other, and no placeholder
 * is left. */
static void
test_all_are_there(void **state)
{
	char *all = text_of(&plain, NULL);
	const char *rest = all;
	char *names = NULL;
	size_t length;
	FILE *out = open_memstream(&names, &length);
	char *next;

	assert_non_null(out);
	hints_print_names(out);
	assert_int_equal(fclose(out), 0);
	for (char *name = strtok_r(names, ", ", &next); name != NULL;
	     name = strtok_r(NULL, ", ", &next)) {
		char *text = text_of(&plain, name);

		assert_true(hints_know(name));
		assert_memory_equal(rest, text, strlen(text));
		rest += strlen(text);
		rest += *rest == '\n';
		free(text);
	}
	assert_string_equal(rest, "");
	assert_null(strstr(all, "{ca}"));
	assert_null(strstr(all, "{bundle}"));
	assert_null(strstr(all, "{truststore}"));
	assert_null(strstr(all, "{java_options}"));
	free(names);
	free(all);
}

static void
test_unknown_names(void **state)
{
	assert_false(hints_know(""));
	assert_false(hints_know("deb"));
	assert_false(hints_know("debian "));
	assert_false(hints_know("Debian"));
}

/* What sh has in `variable` after the hints of `name`. */
static void
ask_shell(const struct hint_places *places, const char *name,
    const char *variable, char value[TEXT_BYTES])
{
	char *text = text_of(places, name);
	char *command = NULL;
	size_t length;
	FILE *out = open_memstream(&command, &length);
	FILE *shell;

	assert_non_null(out);
	fprintf(out, "%sprintf %%s \"$%s\"\n", text, variable);
	assert_int_equal(fclose(out), 0);
	shell = popen(command, "r");
	assert_non_null(shell);
	value[fread(value, 1, TEXT_BYTES - 1, shell)] = '\0';
	assert_int_equal(pclose(shell), 0);
	free(command);
	free(text);
}

static void
test_paths_stay_one_word(void **state)
{
	static const char *const paths[] = {
	    "/state/ca.pem",
	    "/with a blank/ca.pem",
	    "/it's/ca.pem",
	    "/''/ca.pem",
	    "/\"double\"/ca.pem",
	    "/back\\slash/ca.pem",
	    "/$HOME/$(exit 1)/`exit 1`/ca.pem",
	    "/a;exit 1;#/ca.pem",
	    "/line\nexit 1\n/ca.pem",
	    "/*/?/[a]/~/{ca}/ca.pem",
	    "/ümlaut/ca.pem",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct hint_places places = plain;
		char value[TEXT_BYTES];

		places.ca = paths[i];
		ask_shell(&places, "node", "NODE_EXTRA_CA_CERTS", value);
		assert_string_equal(value, paths[i]);
	}
}

/* A JVM takes a pair of quotes off as well, of either kind, without a
 * backslash's meaning anything. */
static void
test_java_options_are_quoted_twice(void **state)
{
	static const char rest[] = " -Djavax.net.ssl.trustStoreType=PKCS12"
				   " -Djavax.net.ssl.trustStorePassword="
				   "changeit";
	static const struct {
		const char *path;
		const char *option;
	} cases[] = {
	    {"/state/t.p12", "/state/t.p12"},
	    {"/a b/t.p12", "'/a b/t.p12'"},
	    {"/it's/t.p12", "'/it'\"'\"'s/t.p12'"},
	    {"/a\\b/t.p12", "'/a\\b/t.p12'"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hint_places places = plain;
		char value[TEXT_BYTES];
		char expected[TEXT_BYTES];

		places.truststore = cases[i].path;
		snprintf(expected, sizeof(expected),
		    "-Djavax.net.ssl.trustStore=%s%s", cases[i].option, rest);
		ask_shell(&places, "java", "JAVA_TOOL_OPTIONS", value);
		assert_string_equal(value, expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_is_a_script),
	    cmocka_unit_test(test_all_are_there),
	    cmocka_unit_test(test_unknown_names),
	    cmocka_unit_test(test_paths_stay_one_word),
	    cmocka_unit_test(test_java_options_are_quoted_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
