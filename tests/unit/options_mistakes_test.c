/* SPDX-License-Identifier: MIT */

/*
 * A mistake ends in status 2 and exactly one line that names where the value
 * came from and what to write instead; --help says it before, readable at 80
 * columns.
 */

#include "proxy/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"
#include "proxy/option_table.h"
#include "tests/unit/options_parse.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

struct mistake {
	const char *words;
	const char *line; /* what follows "leakproxy: "; "…" ends it early */
};

static const struct mistake mistakes[] = {
    {"",
	"the command is missing: write serve, exec, report, top, runs, "
	"compare, ca, redirect-rules, "
	"replay or selftest; see leakproxy --help"},
    {"serv",
	"\"serv\" is no command; did you mean serve? See "
	"leakproxy --help"},
    {"frobnicate", "\"frobnicate\" is no command: see leakproxy --help"},
    {"--strict serve",
	"the command comes first, then its options: write "
	"leakproxy serve --strict"},
    {"replay",
	"replay: it takes HAR files: write leakproxy replay FILE.har; "
	"/api/har of a running proxy makes one, --capture-dir many"},
    {"serve --redirect 0",
	"--redirect: \"0\" is no place to listen: write 15001, "
	"127.0.0.1:15001 or [::1]:15001"},
    {"exec --redirect 1 -- true", "--redirect: exec takes no such option…"},
    {"redirect-rules --uid root",
	"--uid: \"root\" is no user's number: write what id -u prints, or "
	"--user and the name"},
    {"redirect-rules --uid 4294967295", "--uid: \"4294967295\" is no…"},
    {"redirect-rules 1", "redirect-rules: \"1\" is no option…"},
    {"serve --store mysql://me:secret@db/fleet",
	"--store: only PostgreSQL can be shared: write "
	"postgresql://USER@HOST/DATABASE"},
    {"serve --service @1.4", "--service: \"@1.4\" is no service…"},
    {"serve --service a@", "--service: \"a@\" is no service…"},
    {"serve --run all", "--run: \"all\" is no name for a run…"},
    {"serve --run service=a", "--run: \"service=a\" is no name for a run…"},
    {"replay --anything", "--anything: there is no such option…"},
    {"serve --capture held",
	"--capture: it says what --capture-dir writes: name that directory "
	"too"},
    {"serve --capture-dir d --capture statsu>400",
	"--capture: \"statsu>400\": a term begins with method, status…"},
    {"exec --capture-dir d --capture-memory off -- true",
	"--capture-dir: it writes what --capture-memory keeps, and that is "
	"off…"},
    {"serve --capture-dir-bytes 64KiB",
	"--capture-dir-bytes: \"64KiB\" is no such size: write 1MiB or more…"},
    {"report --filter verdict=drained",
	"--filter: \"verdict=drained\": a term begins with method, status, "
	"origin, route, tag.KEY…"},
    {"serve --redact **", "--redact: \"**\" is no name: write one…"},
    {"serve --redact a=b", "--redact: \"a=b\" is no name…"},
    {"serve --capture-bytes lots", "--capture-bytes: \"lots\" is no size…"},
    {"serve --capture-bytes 2GiB",
	"--capture-bytes: \"2GiB\" is more than is kept of a body…"},
    {"serve --stall-after 5x",
	"--stall-after: \"5x\" is no duration: write 500ms, 30s or 5m"},
    {"serve --stall-after=0",
	"--stall-after: \"0\" is too short: write 1ms "
	"or more"},
    {"serve --stal-after 5s",
	"--stal-after: there is no such option; did you mean --stall-after? "
	"See leakproxy serve --help"},
    {"serve --stall 5s",
	"--stall: there is no such option: see leakproxy "
	"serve --help"},
    {"serve --zzz",
	"--zzz: there is no such option: see leakproxy serve "
	"--help"},
    {"serve -x", "-x: there is no such option: see leakproxy serve --help"},
    {"serve -hV", "-hV: there is no such option: see leakproxy serve --help"},
    {"serve --listen",
	"--listen: the value is missing: write --listen "
	"ADDR:PORT"},
    {"serve --json",
	"--json: serve takes no such option, it is for report or runs or "
	"compare: see leakproxy serve --help"},
    {"serve --run 12",
	"--run: \"12\" is no name for a run: write up to 64 characters without "
	"blanks and @, not digits alone, nor last or all, such as "
	"before-fix"},
    {"exec --run last x", "--run: \"last\" is no name for a run…"},
    {"serve --run a@b", "--run: \"a@b\" is no name for a run…"},
    {"serve --store maybe", "--store: \"maybe\" is neither on nor off…"},
    {"serve --store-max-age 0", "--store-max-age: \"0\" is too short…"},
    {"serve --store-max-bytes 1000",
	"--store-max-bytes: \"1000\" is no such size: write 1MiB or more, "
	"such as 256MiB"},
    {"compare",
	"compare: it takes two runs: write leakproxy compare BEFORE AFTER; "
	"leakproxy runs lists them"},
    {"compare --json 1",
	"compare: it takes two runs: write leakproxy compare BEFORE AFTER; "
	"leakproxy runs lists them"},
    {"compare 1 2 3",
	"compare: \"3\" is no option: see leakproxy compare --help"},
    {"compare --fail-on bad 1 2",
	"--fail-on: \"bad\" is no list of changes: write new, worse, "
	"unchanged, better, not-exercised and gone with commas between, left, "
	"or none"},
    {"report --stall-after 5s",
	"--stall-after: report takes no such option, "
	"it is for serve or exec: see leakproxy "
	"report --help"},
    {"serve extra",
	"serve: \"extra\" is no option: see leakproxy serve "
	"--help"},
    {"serve -- extra",
	"serve: \"extra\" is no option: see leakproxy serve "
	"--help"},
    {"exec",
	"exec: there is no command to run: write leakproxy exec "
	"[options] -- COMMAND"},
    {"exec --strict --",
	"exec: there is no command to run: write leakproxy "
	"exec [options] -- COMMAND"},
    {"serve --listen 8080",
	"--listen: \"8080\" is no address: write "
	"127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"},
    {"serve --workers 0",
	"--workers: \"0\" is no number of workers: write "
	"1 to 256, or cores"},
    {"serve --workers 257", "--workers: \"257\" is…"},
    {"serve --admin-token-file /no/such/file",
	"--admin-token-file: cannot read \"/no/such/file\": No such…"},
    {"serve --seccomp perhaps",
	"--seccomp: \"perhaps\" is neither on nor off: write one of them"},
    {"exec --user nobody x", "--user: exec takes no such option…"},
    {"report --seccomp off", "--seccomp: report takes no such option…"},
    {"serve --admin nowhere",
	"--admin: \"nowhere\" is no address: write "
	"127.0.0.1:9901 or [::1]:9901, or off"},
    {"report --admin off",
	"--admin: \"off\" is not where a proxy could "
	"answer…"},
    {"report --admin 127.0.0.1:0", "--admin: \"127.0.0.1:0\" is not…"},
    {"serve --ready-fd 999", "--ready-fd: \"999\" is not open…"},
    {"serve --ready-fd -1", "--ready-fd: \"-1\" is no descriptor…"},
    {"serve --tag-header a:b", "--tag-header: \"a:b\" is no header name…"},
    {"serve --tag-header X-Api-Key", "--tag-header: \"X-Api-Key\" holds…"},
    {"serve --tag-header COOKIE", "--tag-header: \"COOKIE\" holds secrets…"},
    {"serve --resolve a:443",
	"--resolve: \"a:443\" is no rule: write "
	"registry.test:443:127.0.0.1:8443, "
	"*:443:127.0.0.1 or registry.test:*:[::1]"},
    {"serve --resolve a:0:127.0.0.1", "--resolve: \"a:0:127.0.0.1\" is…"},
    {"serve --resolve a:443:::1", "--resolve: \"a:443:::1\" is…"},
    {"serve --resolve a:443:127.0.0.1:0", "--resolve: …"},
    {"serve --resolve [::1:443:127.0.0.1", "--resolve: …"},
    {"serve --resolve :443:127.0.0.1", "--resolve: …"},
    {"serve --passthrough a*.test",
	"--passthrough: \"a*.test\" is no host "
	"pattern: write registry.test, "
	"*.registry.test or *, without scheme "
	"and port"},
    {"serve --passthrough a.test:443", "--passthrough: …"},
    {"serve --passthrough *.", "--passthrough: …"},
    {"serve --resolve *.:443:127.0.0.1", "--resolve: …"},
    {"serve --passthrough ''", "--passthrough: …"},
    {"serve --allow 10.0.0.0/99",
	"--allow: \"10.0.0.0/99\" is no network: "
	"write 10.0.0.0/8, fd00::/8 or an address"},
    {"serve --max-header-bytes 1023",
	"--max-header-bytes: \"1023\" is out "
	"of range: write 1KiB to 16MiB"},
    {"serve --max-header-bytes 64kb",
	"--max-header-bytes: \"64kb\" is no "
	"size: write 65536, 64KiB or 1MiB"},
    {"serve --log-level loud",
	"--log-level: \"loud\" is no level: write "
	"error, warning, info or debug"},
    {"serve --strict=perhaps",
	"--strict: \"perhaps\" is neither on nor "
	"off…"},
    {"serve --state-dir ''", "--state-dir: \"\" is empty: name one"},
    {"exec --leak-exit-code 0 x",
	"--leak-exit-code: \"0\" is no exit "
	"status: write 1 to 255"},
    {"exec --leak-exit-code 256 x", "--leak-exit-code: …"},
    {"report --columns 59", "--columns: \"59\" is no width: write 60 to 240"},
    {"ca hints", "ca: \"hints\" is no option: see leakproxy ca --help"},
    {"ca install-hints go git", "ca: \"git\" is no option: see…"},
    {"ca --export key",
	"--export: \"key\" cannot be exported: write pem or "
	"bundle"},
    {"serve --upstream-ca /no/such.pem",
	"--upstream-ca: cannot read \"/no/such.pem\": No such file or "
	"directory: name a PEM file…"},
    {"serve --upstream-ca /tmp",
	"--upstream-ca: cannot read \"/tmp\": Is a "
	"directory…"},
    {"serve --upstream-ca /dev/null",
	"--upstream-ca: \"/dev/null\" holds no "
	"certificate…"},
    {"serve --workers two\nlines", "--workers: \"two?lines\" is…"},
    {"serve --two\nlines", "--two?lines: there is…"},
};

static void
assert_line(const struct mistake *mistake, const char *err)
{
	static const char program[] = "leakproxy: ";
	const char *wanted = mistake->line;
	const char *dots = strstr(wanted, "…");
	size_t length = dots == NULL ? strlen(wanted) : (size_t)(dots - wanted);
	const char *newline = strchr(err, '\n');

	if (newline == NULL || newline[1] != '\0')
		fail_msg("\"%s\" is not one line: %s", mistake->words, err);
	if (strncmp(err, program, strlen(program)) != 0 ||
	    strncmp(err + strlen(program), wanted, length) != 0 ||
	    (dots == NULL && err[strlen(program) + length] != '\n'))
		fail_msg("\"%s\": %s", mistake->words, err);
}

static void
test_mistakes_are_one_line_with_the_remedy(void **state)
{
	for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
		struct result result;

		parse(&result, mistakes[i].words);
		if (result.options != NULL)
			fail_msg("\"%s\" is taken", mistakes[i].words);
		assert_line(&mistakes[i], result.err);
		assert_int_equal(result.status, 2);
		assert_string_equal(result.out, "");
		result_fini(&result);
	}
}

static void
test_mistakes_of_the_environment_name_it(void **state)
{
	static const struct mistake stall = {"LEAKPROXY_STALL_AFTER",
	    "LEAKPROXY_STALL_AFTER: \"5x\" is no duration: write 500ms, 30s or "
	    "5m"};
	static const struct mistake allow = {"LEAKPROXY_ALLOW",
	    "LEAKPROXY_ALLOW: \"10.0.0.1 10.0.0.2\" is no network: write "
	    "10.0.0.0/8, fd00::/8 or an address"};
	struct result result;

	setenv("LEAKPROXY_STALL_AFTER", "5x", 1);
	parse(&result, "serve");
	assert_int_equal(result.status, 2);
	assert_line(&stall, result.err);
	result_fini(&result);
	unsetenv("LEAKPROXY_STALL_AFTER");

	/* The second of a list, and a list with the wrong separator. */
	setenv("LEAKPROXY_ALLOW", "10.0.0.0,10.0.0.1 10.0.0.2", 1);
	parse(&result, "serve");
	assert_int_equal(result.status, 2);
	assert_line(&allow, result.err);
	result_fini(&result);
}

static void
assert_readable(const char *words, const char *out)
{
	for (const char *line = out; *line != '\0';) {
		size_t length = strcspn(line, "\n");

		if (length > 80)
			fail_msg("%s: %.*s", words, (int)length, line);
		line += length + (line[length] == '\n');
	}
}

static void
test_help_and_version(void **state)
{
	static const char *const asking[] = {"--help", "-h", "--version", "-V",
	    "serve --help", "serve -h", "exec --help", "report --help",
	    "ca --help", "exec -V", "serve --strict --help --nonsense"};
	struct result result;

	for (size_t i = 0; i < COUNT_OF(asking); i++) {
		parse(&result, asking[i]);
		assert_null(result.options);
		assert_int_equal(result.status, 0);
		assert_string_equal(result.err, "");
		assert_true(strlen(result.out) > 0);
		assert_readable(asking[i], result.out);
		result_fini(&result);
	}
	parse(&result, "--version");
	assert_memory_equal(result.out, "leakproxy " LEAKPROXY_VERSION,
	    strlen("leakproxy " LEAKPROXY_VERSION));
	result_fini(&result);
}

/* Each command's help has its own options, with its own defaults. */
static void
test_help_lists_what_the_command_takes(void **state)
{
	static const char *const words[] = {"serve --help", "exec --help",
	    "report --help", "top --help", "ca --help"};
	struct result result;

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		parse(&result, words[i]);
		for (size_t j = 0; j < option_table_count(); j++) {
			const struct option_row *row = option_table_row(j);
			char *name = xasprintf("\n  --%s", row->name);

			assert_int_equal(strstr(result.out, name) != NULL,
			    option_table_takes((enum command)i, row));
			free(name);
		}
		result_fini(&result);
	}
	parse(&result, "exec --help");
	assert_non_null(strstr(result.out, "(default 127.0.0.1:0)"));
	assert_null(strstr(result.out, "127.0.0.1:8080)"));
	result_fini(&result);
}

#define TEST(name) cmocka_unit_test_setup(name, clean_environment)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_mistakes_are_one_line_with_the_remedy),
	    TEST(test_mistakes_of_the_environment_name_it),
	    TEST(test_help_and_version),
	    TEST(test_help_lists_what_the_command_takes),
	};

	return cmocka_run_group_tests_name(
	    "options_mistakes", tests, NULL, NULL);
}
