/* SPDX-License-Identifier: MIT */

/*
 * The command line decides over the environment, the environment over the
 * table's defaults.
 */

#include "proxy/options.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "accounting/compare.h"
#include "accounting/memory.h"
#include "proxy/base/log.h"
#include "proxy/option_table.h"
#include "tests/unit/options_parse.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static void
assert_address(const struct address *address, const char *text)
{
	char shown[UNITS_ADDRESS_TEXT_BYTES];

	units_address_text(address, shown);
	assert_string_equal(shown, text);
}

static void
test_defaults_of_serve(void **state)
{
	struct result result;
	const struct options *options;

	parse_good(&result, "serve");
	options = result.options;
	assert_int_equal(options->command, COMMAND_SERVE);
	assert_int_equal(options->listen_count, 1);
	assert_address(&options->listen[0], "127.0.0.1:8080");
	assert_true(options->has_admin);
	assert_null(options->admin_token);
	assert_null(options->user);
	assert_true(options->wants_seccomp);
	assert_address(&options->admin, "127.0.0.1:9901");
	assert_int_equal(options->ready_fd, -1);
	assert_in_range(options->workers, 1, 256);
	assert_string_equal(
	    options->state_dir, "/home/me/.local/state/leakproxy");
	assert_null(options->upstream_ca);
	assert_int_equal(options->tag_headers.count, 1);
	assert_string_equal(options->tag_headers.items[0], "leakproxy-tag");
	assert_int_equal(options->policy->passthrough.count, 0);
	assert_int_equal(options->resolve_count, 0);
	assert_non_null(options->policy->routes);
	assert_int_equal(options->stall_after_us, 30 * US_PER_S);
	assert_int_equal(options->probe_after_us, 30 * US_PER_S);
	assert_int_equal(options->probe_grace_us, 5 * US_PER_S);
	assert_int_equal(options->connect_timeout_us, 10 * US_PER_S);
	assert_int_equal(options->drain_timeout_us, 10 * US_PER_S);
	assert_false(options->is_strict);
	assert_int_equal(options->max_header_bytes, 65536);
	assert_int_equal(options->log_level, LOG_LEVEL_INFO);
	assert_int_equal(options->leak_exit_code, -1);
	assert_null(options->report_file);
	assert_null(options->child_argv);
	result_fini(&result);
}

static void
test_defaults_of_exec(void **state)
{
	struct result result;
	const struct options *options;

	parse_good(&result, "exec -- true");
	options = result.options;
	assert_int_equal(options->listen_count, 1);
	assert_address(&options->listen[0], "127.0.0.1:0");
	assert_address(&options->admin, "127.0.0.1:0");
	assert_true(options->has_admin);
	assert_int_equal(options->stall_after_us, 5 * US_PER_S);
	assert_int_equal(options->probe_after_us, 2 * US_PER_S);
	assert_int_equal(options->probe_grace_us, US_PER_S);
	assert_int_equal(options->log_level, LOG_LEVEL_WARN);
	result_fini(&result);
}

static void
test_values_of_the_command_line(void **state)
{
	struct result result;
	const struct options *options;

	parse_good(&result,
	    "serve --listen 127.0.0.1:1 --listen=[::1]:2 --admin off "
	    "--workers=3 --workers 4 --state-dir /var/lib/x "
	    "--tag-header X-Job --tag-header=leakproxy-TAG "
	    "--stall-after 100ms --probe-after off --probe-grace=2h "
	    "--strict --log-level debug --max-header-bytes 1MiB "
	    "--connect-timeout 1m --drain-timeout 0 --user nobody "
	    "--seccomp off");
	options = result.options;
	assert_int_equal(options->listen_count, 2);
	assert_address(&options->listen[0], "127.0.0.1:1");
	assert_address(&options->listen[1], "[::1]:2");
	assert_false(options->has_admin);
	assert_int_equal(options->workers, 4); /* the last one counts */
	assert_string_equal(options->state_dir, "/var/lib/x");
	assert_int_equal(options->tag_headers.count, 2);
	assert_string_equal(options->tag_headers.items[0], "leakproxy-tag");
	assert_string_equal(options->tag_headers.items[1], "x-job");
	assert_int_equal(options->stall_after_us, 100 * US_PER_MS);
	assert_int_equal(options->probe_after_us, 0);
	assert_int_equal(options->probe_grace_us, 7200 * US_PER_S);
	assert_true(options->is_strict);
	assert_int_equal(options->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(options->max_header_bytes, 1048576);
	assert_int_equal(options->connect_timeout_us, 60 * US_PER_S);
	assert_int_equal(options->drain_timeout_us, 0);
	assert_string_equal(options->user, "nobody");
	assert_false(options->wants_seccomp);
	result_fini(&result);
}

/* The last one counts, and its path is one from any directory. */
static void
test_token_files(void **state)
{
	static const char *const commands[] = {"serve", "exec", "report"};
	static const char *const files[] = {"build/first", "build/second"};
	struct result result;

	for (size_t i = 0; i < 2; i++) {
		FILE *file = fopen(files[i], "we");

		assert_non_null(file);
		fprintf(file, "0123456789abcde%zu\n", i);
		fclose(file);
	}
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		char *words = xasprintf("%s --admin-token-file build/first "
					"--admin-token-file build/second %s",
		    commands[i], strcmp(commands[i], "exec") == 0 ? "x" : "");

		parse_good(&result, words);
		assert_string_equal(
		    result.options->admin_token, "0123456789abcde1");
		assert_int_equal(*result.options->admin_token_path, '/');
		assert_non_null(
		    strstr(result.options->admin_token_path, "/build/second"));
		result_fini(&result);
		free(words);
	}
	for (size_t i = 0; i < 2; i++)
		unlink(files[i]);
}

static void
test_rules_of_resolve(void **state)
{
	static const struct {
		const char *rule;
		const char *host;
		unsigned port;
		const char *address;
	} cases[] = {
	    {"Registry.Test:443:127.0.0.1:8443", "registry.test", 443,
		"127.0.0.1:8443"},
	    {"registry.test.:443:127.0.0.1", "registry.test", 443,
		"127.0.0.1:0"},
	    {"*:80:[::1]:81", "*", 80, "[::1]:81"},
	    {"registry.test:*:[::1]", "registry.test", 0, "[::1]:0"},
	    {"*:*:192.0.2.1:9", "*", 0, "192.0.2.1:9"},
	    {"[2001:DB8::1]:443:127.0.0.1", "2001:db8::1", 443, "127.0.0.1:0"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *words = xasprintf("serve --resolve %s", cases[i].rule);
		struct result result;
		const struct resolve_rule *rule;

		parse_good(&result, words);
		assert_int_equal(result.options->resolve_count, 1);
		rule = &result.options->resolve[0];
		assert_string_equal(rule->host, cases[i].host);
		assert_int_equal(rule->port, cases[i].port);
		assert_address(&rule->address, cases[i].address);
		result_fini(&result);
		free(words);
	}
}

static void
test_command_of_exec(void **state)
{
	static const struct {
		const char *words;
		const char *first;
		const char *second;
		bool is_strict;
	} cases[] = {
	    {"exec -- ls -l", "ls", "-l", false},
	    {"exec ls --strict", "ls", "--strict", false},
	    {"exec --strict ls -l", "ls", "-l", true},
	    {"exec --strict -- --odd --help", "--odd", "--help", true},
	    {"exec -- -- x", "--", "x", false},
	    {"exec ls -- x", "ls", "--", false},
	    {"exec --report-file - ls -l", "ls", "-l", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct result result;
		char **child;

		parse_good(&result, cases[i].words);
		child = result.options->child_argv;
		assert_string_equal(child[0], cases[i].first);
		assert_string_equal(child[1], cases[i].second);
		assert_int_equal(result.options->is_strict, cases[i].is_strict);
		result_fini(&result);
	}
}

static void
test_options_of_the_other_commands(void **state)
{
	struct result result;

	parse_good(&result, "exec --leak-exit-code 99 --report-file r.txt x");
	assert_int_equal(result.options->leak_exit_code, 99);
	assert_string_equal(result.options->report_file, "r.txt");
	result_fini(&result);

	parse_good(&result, "report --json --columns 132 --admin [::1]:5");
	assert_true(result.options->wants_json);
	assert_int_equal(result.options->columns, 132);
	assert_address(&result.options->admin, "[::1]:5");
	result_fini(&result);

	parse_good(&result, "ca --export bundle --state-dir /x");
	assert_string_equal(result.options->ca_export, "bundle");
	assert_false(result.options->wants_hints);
	result_fini(&result);

	parse_good(&result, "ca install-hints --state-dir /x debian");
	assert_true(result.options->wants_hints);
	assert_string_equal(result.options->hint, "debian");
	result_fini(&result);
}

/* The runs may stand before, between and behind the options. */
static void
test_options_of_stored_runs(void **state)
{
	struct result result;

	parse_good(&result, "compare 12 --json after@1.4 --fail-on left");
	assert_int_equal(result.options->run_count, 2);
	assert_string_equal(result.options->runs[0], "12");
	assert_string_equal(result.options->runs[1], "after@1.4");
	assert_true(result.options->wants_json);
	assert_int_equal(result.options->fail_on,
	    ((1u << CHANGE_COUNT) - 1) & ~(1u << CHANGE_GONE));
	result_fini(&result);

	parse_good(&result, "compare 12 13");
	assert_int_equal(
	    result.options->fail_on, 1u << CHANGE_NEW | 1u << CHANGE_WORSE);
	assert_string_equal(
	    result.options->state_dir, "/home/me/.local/state/leakproxy");
	result_fini(&result);

	/* The name of the run that begins is none that is asked for. */
	setenv("LEAKPROXY_RUN", "before-fix", 1);
	parse_good(&result, "report");
	assert_null(result.options->run);
	result_fini(&result);
	parse_good(&result, "serve");
	assert_string_equal(result.options->run, "before-fix");
	assert_true(result.options->keeps_store);
	result_fini(&result);

	parse_good(&result, "report --run last");
	assert_string_equal(result.options->run, "last");
	result_fini(&result);
	parse_good(&result, "exec --store off x");
	assert_false(result.options->keeps_store);
	result_fini(&result);

	parse_good(&result,
	    "serve --store off --store postgresql://me@db/fleet --service "
	    "checkout@1.4");
	assert_true(result.options->keeps_store);
	assert_string_equal(
	    result.options->store_url, "postgresql://me@db/fleet");
	assert_string_equal(result.options->service, "checkout");
	assert_string_equal(result.options->service_version, "1.4");
	result_fini(&result);
	parse_good(&result,
	    "serve --service a@1 --service b --store postgres:// --store on");
	assert_null(result.options->store_url);
	assert_string_equal(result.options->service, "b");
	assert_null(result.options->service_version);
	result_fini(&result);
}

/* The files may stand anywhere among the options. */
/* The rules and the proxy read the same words. */
static void
test_redirection(void **state)
{
	struct result result;
	const struct options *options;

	parse_good(&result, "serve --redirect 7 --redirect 192.0.2.1:8");
	options = result.options;
	assert_int_equal(options->redirect_count, 3);
	assert_address(&options->redirect[0], "127.0.0.1:7");
	assert_address(&options->redirect[1], "[::1]:7");
	assert_address(&options->redirect[2], "192.0.2.1:8");
	result_fini(&result);
	parse_good(&result, "redirect-rules --redirect [::]:7 --uid 42");
	options = result.options;
	assert_int_equal(options->redirect_count, 1);
	assert_address(&options->redirect[0], "[::]:7");
	assert_int_equal(options->uid, 42);
	assert_false(options->wants_removal);
	result_fini(&result);
	parse_good(&result, "redirect-rules --remove --user a");
	options = result.options;
	assert_int_equal(options->uid, -1);
	assert_string_equal(options->user, "a");
	assert_true(options->wants_removal);
	result_fini(&result);
}

static void
test_replay(void **state)
{
	static const char *const lines[] = {
	    "replay a.har b.ndjson --listen 127.0.0.1:7",
	    "replay a.har --listen 127.0.0.1:7 b.ndjson",
	    "replay --listen 127.0.0.1:7 -- a.har b.ndjson"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct result result;

		parse_good(&result, lines[i]);
		assert_int_equal(result.options->command, COMMAND_REPLAY);
		assert_int_equal(result.options->har_count, 2);
		assert_string_equal(result.options->har_paths[0], "a.har");
		assert_string_equal(result.options->har_paths[1], "b.ndjson");
		assert_address(&result.options->listen[0], "127.0.0.1:7");
		result_fini(&result);
	}
}

static void
test_captures(void **state)
{
	struct result result;

	parse_good(&result, "serve");
	assert_int_equal(result.options->capture_bytes, 0);
	assert_int_equal(result.options->capture_memory_bytes, 16 << 20);
	assert_false(secrets_has(result.options->secrets, "X-House", 7));
	assert_null(result.options->capture_dir);
	assert_null(result.options->capture);
	assert_int_equal(result.options->capture_dir_bytes, 1 << 30);
	result_fini(&result);

	parse_good(&result,
	    "serve --capture-bytes 64KiB --capture-memory off "
	    "--redact x-house --redact other*");
	assert_int_equal(result.options->capture_bytes, 65536);
	assert_int_equal(result.options->capture_memory_bytes, 0);
	assert_true(secrets_has(result.options->secrets, "X-House", 7));
	assert_true(secrets_has(result.options->secrets, "others", 6));
	result_fini(&result);
}

static void
test_environment_comes_before_defaults(void **state)
{
	struct result result;
	const struct options *options;

	setenv("LEAKPROXY_LISTEN", "127.0.0.1:1, [::1]:2 ,,", 1);
	setenv("LEAKPROXY_STALL_AFTER", "1s", 1);
	setenv("LEAKPROXY_STRICT", "true", 1);
	setenv("LEAKPROXY_TAG_HEADER", "X-A,X-B", 1);
	setenv("LEAKPROXY_ALLOW", "10.0.0.0/8", 1);
	setenv("LEAKPROXY_WORKERS", "", 1);   /* empty is unset */
	setenv("LEAKPROXY_JSON", "maybe", 1); /* is not for serve */
	parse_good(&result, "serve");
	options = result.options;
	assert_int_equal(options->listen_count, 2);
	assert_address(&options->listen[0], "127.0.0.1:1");
	assert_address(&options->listen[1], "[::1]:2");
	assert_int_equal(options->stall_after_us, US_PER_S);
	assert_true(options->is_strict);
	assert_int_equal(options->tag_headers.count, 3);
	assert_int_equal(options->policy->allow_count, 1);
	result_fini(&result);
}

static void
test_command_line_comes_before_environment(void **state)
{
	struct result result;
	const struct options *options;

	/* What is not looked at may be wrong. */
	setenv("LEAKPROXY_LISTEN", "nonsense", 1);
	setenv("LEAKPROXY_STALL_AFTER", "nonsense", 1);
	setenv("LEAKPROXY_STRICT", "on", 1);
	parse_good(&result,
	    "serve --listen 127.0.0.1:7 --stall-after 2s --strict=off");
	options = result.options;
	assert_int_equal(options->listen_count, 1);
	assert_address(&options->listen[0], "127.0.0.1:7");
	assert_int_equal(options->stall_after_us, 2 * US_PER_S);
	assert_false(options->is_strict);
	result_fini(&result);
}

/* The other way round, a name without its variable would pass unseen. */
static void
test_every_option_is_read_from_the_environment(void **state)
{
	static const char nonsense[] = "\xff /";
	char name[OPTION_ENVIRONMENT_BYTES];

	for (size_t i = 0; i < option_table_count(); i++) {
		const struct option_row *row = option_table_row(i);
		struct result result;

		/* Any text is a directory, a file to write or a user. */
		if (row->read == NULL || strcmp(row->name, "state-dir") == 0 ||
		    strcmp(row->name, "user") == 0 ||
		    strcmp(row->name, "events") == 0 ||
		    strcmp(row->name, "capture-dir") == 0 ||
		    strcmp(row->name, "report-file") == 0)
			continue;
		option_table_environment_name(row, name);
		setenv(name, nonsense, 1);
		for (const char *command =
			 "serve\0exec x\0report\0top\0ca\0selftest\0"
			 "compare a b\0redirect-rules\0";
		     *command != '\0'; command += strlen(command) + 1) {
			parse(&result, command);
			if (result.options == NULL)
				break;
			result_fini(&result);
		}
		if (result.options != NULL)
			fail_msg("%s is not looked at", name);
		if (strncmp(result.err, "leakproxy: ", 11) != 0 ||
		    strncmp(result.err + 11, name, strlen(name)) != 0)
			fail_msg("%s: %s", name, result.err);
		result_fini(&result);
		unsetenv(name);
	}
}

static void
test_state_dir(void **state)
{
	struct result result;

	setenv("XDG_STATE_HOME", "/xdg", 1);
	parse_good(&result, "ca");
	assert_string_equal(result.options->state_dir, "/xdg/leakproxy");
	result_fini(&result);

	setenv("XDG_STATE_HOME", "relative", 1);
	parse_good(&result, "ca");
	assert_string_equal(
	    result.options->state_dir, "/home/me/.local/state/leakproxy");
	result_fini(&result);

	clearenv();
	parse(&result, "ca");
	assert_null(result.options);
	assert_string_equal(result.err,
	    "leakproxy: --state-dir: neither XDG_STATE_HOME nor HOME is set: "
	    "name a directory\n");
	result_fini(&result);
	parse_good(&result, "report"); /* needs none */
	result_fini(&result);
}

/* exec tells its command in LEAKPROXY_ADMIN whom to ask. */
static void
test_admin_url_is_for_report_alone(void **state)
{
	struct result result;

	setenv("LEAKPROXY_ADMIN", "http://127.0.0.1:41235", 1);
	parse_good(&result, "report");
	assert_address(&result.options->admin, "127.0.0.1:41235");
	result_fini(&result);
	parse_good(&result, "serve");
	assert_address(&result.options->admin, "127.0.0.1:9901");
	result_fini(&result);
	parse_good(&result, "report --admin http://[::1]:5/");
	assert_address(&result.options->admin, "[::1]:5");
	result_fini(&result);
}

static void
test_upstream_ca_is_looked_into(void **state)
{
	char path[] = "/tmp/options_test.XXXXXX";
	int fd = mkstemp(path);
	char *words = xasprintf("serve --upstream-ca %s", path);
	struct result result;

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "# roots\n-----BEGIN CERTIFICATE-----\n") > 0);
	close(fd);
	parse_good(&result, words);
	assert_string_equal(result.options->upstream_ca, path);
	result_fini(&result);
	unlink(path);
	free(words);
}

/* The command of exec must not hold it open: its reader waits for the end. */
static void
test_ready_fd_is_not_inherited(void **state)
{
	struct result result;
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 50);
	char *words = xasprintf("exec --ready-fd %d x", fd);

	parse_good(&result, words);
	assert_int_equal(result.options->ready_fd, fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	result_fini(&result);
	parse_good(&result, "exec --ready-fd 1 x");
	assert_int_equal(fcntl(STDOUT_FILENO, F_GETFD), 0);
	result_fini(&result);
	close(fd);
	free(words);
}

static bool
allows(const char *words, const char *host)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	const struct sockaddr *sockaddr = (struct sockaddr *)&v4;
	struct result result;
	bool is_allowed;

	if (inet_pton(AF_INET, host, &v4.sin_addr) != 1) {
		assert_int_equal(inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
		sockaddr = (struct sockaddr *)&v6;
	}
	parse_good(&result, words);
	is_allowed = policy_allows(result.options->policy, sockaddr);
	result_fini(&result);
	return is_allowed;
}

static void
test_who_is_allowed(void **state)
{
	static const char ten[] = "serve --allow 10.0.0.0/8 --allow fd00::/8";

	assert_true(allows("serve", "127.0.0.1"));
	assert_true(allows("serve", "127.9.9.9"));
	assert_true(allows("serve", "::1"));
	assert_true(allows("serve", "::ffff:127.0.0.1"));
	assert_false(allows("serve", "10.0.0.1"));
	assert_false(allows("serve", "::ffff:10.0.0.1"));
	assert_false(allows("serve", "::2"));
	/* Given once, it replaces loopback. */
	assert_true(allows(ten, "10.0.0.1"));
	assert_true(allows(ten, "::ffff:10.0.0.1"));
	assert_true(allows(ten, "fd12::1"));
	assert_false(allows(ten, "127.0.0.1"));
	assert_false(allows(ten, "::1"));
}

static void
test_what_is_passed_through(void **state)
{
	static const struct {
		const char *pattern;
		const char *host;
		bool is_passed;
	} cases[] = {
	    {"registry.test", "registry.test", true},
	    {"REGISTRY.test.", "registry.test", true},
	    {"registry.test", "registry.test.", true},
	    {"registry.test", "a.registry.test", false},
	    {"registry.test", "registry.test.evil.test", false},
	    {"*.registry.test", "a.registry.test", true},
	    {"*.registry.test", "a.b.registry.test", true},
	    {"*.registry.test", "a.registry.test.", true},
	    {"*.registry.test", "registry.test", false},
	    {"*.registry.test", ".registry.test", false},
	    {"*.registry.test", "evilregistry.test", false},
	    {"*", "anything.test", true},
	    {"[::1]", "::1", true},
	    {"::1", "::1", true},
	    {"10.0.0.1", "10.0.0.1", true},
	    {"10.0.0.1", "10.0.0.10", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *words =
		    xasprintf("serve --passthrough other.test --passthrough %s",
			cases[i].pattern);
		struct result result;

		parse_good(&result, words);
		if (policy_passes_through(result.options->policy,
			cases[i].host) != cases[i].is_passed)
			fail_msg("%s and %s", cases[i].pattern, cases[i].host);
		result_fini(&result);
		free(words);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, clean_environment)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_defaults_of_serve),
	    TEST(test_defaults_of_exec),
	    TEST(test_values_of_the_command_line),
	    TEST(test_token_files),
	    TEST(test_rules_of_resolve),
	    TEST(test_command_of_exec),
	    TEST(test_options_of_the_other_commands),
	    TEST(test_options_of_stored_runs),
	    TEST(test_redirection),
	    TEST(test_replay),
	    TEST(test_captures),
	    TEST(test_environment_comes_before_defaults),
	    TEST(test_command_line_comes_before_environment),
	    TEST(test_every_option_is_read_from_the_environment),
	    TEST(test_state_dir),
	    TEST(test_admin_url_is_for_report_alone),
	    TEST(test_upstream_ca_is_looked_into),
	    TEST(test_ready_fd_is_not_inherited),
	    TEST(test_who_is_allowed),
	    TEST(test_what_is_passed_through),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
