/* SPDX-License-Identifier: MIT */

/*
 * `exec` must be invisible to the command it runs: same exit status, same
 * signals (each once, also Ctrl-C on a terminal), same signal mask, no
 * descriptor of ours; and it must tell it where proxy and trust are.
 *
 * Run with an argument, this program is the command.
 */

#include "proxy/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "accounting/memory.h"
#include "proxy/base/clock.h"

#define TEXT_BYTES 4096
#define MAX_SECONDS 60
#define SECOND_SIGNAL_MS 300
#define READY 'R'

/* What the command says about the signals it got, as its exit status. */
#define FROM_KERNEL 10
#define FROM_USER 1

static char *self;

struct run {
	struct loop *loop;
	struct signals *signals;
	struct child *child;
	int status;
	int calls;
};

static void
on_signal(const struct signal_notice *notice, void *arg)
{
	struct run *run = arg;

	if (run->child != NULL)
		child_signalled(run->child, notice);
}

static void
on_exited(int status, void *arg)
{
	struct run *run = arg;

	run->status = status;
	run->calls++;
	loop_stop(run->loop);
}

static const struct child_settings defaults = {
    .proxy_url = "http://127.0.0.1:41234",
    .admin_url = "http://127.0.0.1:41235",
    .bundle_path = "/state/bundle.pem",
    .ca_path = "/state/ca.pem",
};

static void
start(struct run *run, char **argv, const struct child_settings *settings)
{
	struct child_settings full = *settings;

	alarm(MAX_SECONDS);
	run->loop = loop_new();
	run->signals = signals_open(run->loop, on_signal, run);
	full.signals = run->signals;
	run->child = child_start(run->loop, argv, &full, on_exited, run);
}

static int
finish(struct run *run)
{
	loop_run(run->loop);
	child_free(run->child);
	run->child = NULL;
	signals_close(run->signals);
	loop_free(run->loop);
	alarm(0);
	return run->status;
}

static int
status_of(char **argv)
{
	struct run run = {0};

	start(&run, argv, &defaults);
	assert_int_equal(run.calls, 0);
	finish(&run);
	assert_int_equal(run.calls, 1);
	return run.status;
}

static int
status_of_shell(const char *script)
{
	char *copy = xstrdup(script);
	char shell[] = "sh";
	char flag[] = "-c";
	char *argv[] = {shell, flag, copy, NULL};
	int status = status_of(argv);

	free(copy);
	return status;
}

static void
read_all(int fd, char text[TEXT_BYTES])
{
	size_t length = 0;
	ssize_t got;

	do {
		got = read(fd, text + length, TEXT_BYTES - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	text[length] = '\0';
}

/* Runs the script with its `fd` going to `text`. */
static int
capture(const char *script, int fd, char text[TEXT_BYTES])
{
	FILE *file = tmpfile();
	int saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	int status;

	fflush(NULL);
	fcntl(fileno(file), F_SETFD, FD_CLOEXEC);
	dup2(fileno(file), fd);
	status = status_of_shell(script);
	fflush(NULL);
	dup2(saved, fd);
	close(saved);
	lseek(fileno(file), 0, SEEK_SET);
	read_all(fileno(file), text);
	fclose(file);
	return status;
}

static void
test_status_is_the_commands(void **state)
{
	assert_int_equal(status_of_shell("exit 0"), 0);
	assert_int_equal(status_of_shell("exit 7"), 7);
	assert_int_equal(status_of_shell("kill -KILL $$"), 137);
	assert_int_equal(status_of_shell("kill -TERM $$"), 143);
}

/* Background children of the command outlive it and are not waited for. */
static void
test_grandchildren_are_not_waited_for(void **state)
{
	mono_us began = clock_mono();

	assert_int_equal(
	    status_of_shell("sleep 5 >/dev/null 2>&1 & exit 3"), 3);
	assert_true(clock_mono() - began < 4 * US_PER_S);
}

static int
status_and_message_of(const char *command, char text[TEXT_BYTES])
{
	char *copy = xstrdup(command);
	char *argv[] = {copy, NULL};
	int ends[2];
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	int status;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	status = status_of(argv);
	dup2(saved, STDERR_FILENO);
	close(saved);
	read_all(ends[0], text);
	close(ends[0]);
	free(copy);
	return status;
}

static void
test_command_that_cannot_be_run(void **state)
{
	char text[TEXT_BYTES];

	assert_int_equal(
	    status_and_message_of("no-such-command-at-all", text), 127);
	assert_string_equal(text,
	    "leakproxy: exec: cannot run "
	    "\"no-such-command-at-all\": No such file or directory in PATH\n");
	assert_int_equal(status_and_message_of("/no/such/file", text), 127);
	assert_string_equal(text,
	    "leakproxy: exec: cannot run "
	    "\"/no/such/file\": No such file or directory\n");
	assert_int_equal(status_and_message_of("/etc/passwd", text), 126);
	assert_string_equal(text,
	    "leakproxy: exec: cannot run "
	    "\"/etc/passwd\": Permission denied\n");
	assert_int_equal(status_and_message_of("/tmp", text), 126);
}

static void
test_free_before_the_report_forgets_it(void **state)
{
	char missing[] = "no-such-command-at-all";
	char *argv[] = {missing, NULL};
	struct run run = {0};

	start(&run, argv, &defaults);
	child_free(run.child);
	run.child = NULL;
	loop_stop(run.loop);
	finish(&run);
	assert_int_equal(run.calls, 0);
}

static void
test_environment_names_proxy_and_trust(void **state)
{
	static const char *const wanted[] = {
	    "HTTP_PROXY=http://127.0.0.1:41234\n",
	    "HTTPS_PROXY=http://127.0.0.1:41234\n",
	    "http_proxy=http://127.0.0.1:41234\n",
	    "https_proxy=http://127.0.0.1:41234\n",
	    "LEAKPROXY_PROXY=http://127.0.0.1:41234\n",
	    "LEAKPROXY_ADMIN=http://127.0.0.1:41235\n",
	    "SSL_CERT_FILE=/state/bundle.pem\n",
	    "REQUESTS_CA_BUNDLE=/state/bundle.pem\n",
	    "CURL_CA_BUNDLE=/state/bundle.pem\n",
	    "GIT_SSL_CAINFO=/state/bundle.pem\n",
	    "AWS_CA_BUNDLE=/state/bundle.pem\n",
	    "NODE_EXTRA_CA_CERTS=/state/ca.pem\n",
	    "UNRELATED=kept\n",
	    "NO_PROXY=internal.test\n",
	};
	char text[TEXT_BYTES];

	clearenv();
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("HTTP_PROXY", "http://other.test:3128", 1);
	setenv("UNRELATED", "kept", 1);
	setenv("LEAKPROXY_READY_FD", "3", 1);
	setenv("NO_PROXY", "internal.test", 1);
	assert_int_equal(capture("env", STDOUT_FILENO, text), 0);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (strstr(text, wanted[i]) == NULL)
			fail_msg("%s missing in:\n%s", wanted[i], text);
	}
	assert_null(strstr(text, "other.test"));
	assert_null(strstr(text, "JAVA_TOOL_OPTIONS"));
	assert_null(strstr(text, "LEAKPROXY_READY_FD"));
}

/* NO_PROXY hides traffic from us: whoever wonders must be told. */
static void
test_no_proxy_is_warned_of(void **state)
{
	char text[TEXT_BYTES];

	setenv("NO_PROXY", "internal.test", 1);
	assert_int_equal(capture("exit 0", STDERR_FILENO, text), 0);
	assert_non_null(strstr(text, "NO_PROXY=internal.test"));
	unsetenv("NO_PROXY");
	assert_int_equal(capture("exit 0", STDERR_FILENO, text), 0);
	assert_null(strstr(text, "NO_PROXY"));
}

static void
java_options(const char *proxy_url, char text[TEXT_BYTES])
{
	struct child_settings settings = defaults;
	char shell[] = "sh";
	char flag[] = "-c";
	char script[] = "printf %s \"$JAVA_TOOL_OPTIONS\" >&9";
	char *argv[] = {shell, flag, script, NULL};
	struct run run = {0};
	int ends[2];

	settings.proxy_url = proxy_url;
	settings.java_truststore = "/state/truststore.p12";
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], 9);
	close(ends[1]);
	start(&run, argv, &settings);
	finish(&run);
	close(9);
	read_all(ends[0], text);
	close(ends[0]);
}

static void
test_java_options_are_appended(void **state)
{
	char text[TEXT_BYTES];

	setenv("JAVA_TOOL_OPTIONS", "-Xmx64m", 1);
	java_options("http://127.0.0.1:41234", text);
	assert_string_equal(text,
	    "-Xmx64m -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=41234 "
	    "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=41234 "
	    "-Djavax.net.ssl.trustStore=/state/truststore.p12 "
	    "-Djavax.net.ssl.trustStoreType=PKCS12 "
	    "-Djavax.net.ssl.trustStorePassword=changeit");
	unsetenv("JAVA_TOOL_OPTIONS");
	java_options("http://[::1]:41234", text);
	assert_memory_equal(text, "-Dhttp.proxyHost=::1 -Dhttp.proxyPort=41234",
	    strlen("-Dhttp.proxyHost=::1 -Dhttp.proxyPort=41234"));
}

static void
test_nothing_of_ours_is_inherited(void **state)
{
	char before[TEXT_BYTES];
	char inside[TEXT_BYTES];
	char ours[TEXT_BYTES];
	static const char script[] =
	    "grep -E '^Sig(Blk|Ign)' /proc/self/status; cd /proc/$$/fd; echo *";
	FILE *shell;

	/* popen() shows what any child of ours gets. */
	shell = popen(script, "r");
	assert_non_null(shell);
	read_all(fileno(shell), before);
	pclose(shell);
	assert_int_equal(capture(script, STDOUT_FILENO, inside), 0);
	assert_non_null(strstr(inside, "SigBlk:\t0000000000000000"));
	assert_string_equal(inside, before);

	/* And we are left as we were. */
	shell = popen(script, "r");
	read_all(fileno(shell), ours);
	pclose(shell);
	assert_string_equal(ours, before);
}

static void
wait_for(int fd, char wanted)
{
	char byte = '\0';

	while (byte != wanted && read(fd, &byte, 1) == 1)
		continue;
	assert_int_equal(byte, wanted);
}

/* Starts ourselves as the command, in `mode`, and waits until it is ready. */
static void
start_command(struct run *run, const char *mode)
{
	char *copy = xstrdup(mode);
	char *argv[] = {self, copy, NULL};
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], 9);
	close(ends[1]);
	start(run, argv, &defaults);
	close(9);
	wait_for(ends[0], READY);
	close(ends[0]);
	free(copy);
}

static void
test_signals_are_sent_on(void **state)
{
	static const int numbers[] = {
	    SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct run run = {0};
		char mode[16];

		/* What a shell's "&" leaves ignored stays so. */
		signal(numbers[i], SIG_DFL);
		snprintf(mode, sizeof(mode), "count%d", numbers[i]);
		start_command(&run, mode);
		assert_true(child_is_running(run.child));
		kill(getpid(), numbers[i]);
		assert_int_equal(finish(&run), FROM_USER);
	}
}

/* In a pseudo-terminal's foreground group; never returns. */
static void
run_on_terminal(const char *mode)
{
	struct run run = {0};

	start_command(&run, mode);
	if (write(STDOUT_FILENO, "R", 1) != 1)
		_exit(99);
	_exit(finish(&run));
}

static int
status_after_ctrl_c(const char *mode)
{
	int terminal;
	int status;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	assert_true(pid >= 0);
	if (pid == 0)
		run_on_terminal(mode);
	wait_for(terminal, READY);
	assert_int_equal(write(terminal, "\003", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(terminal);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The terminal signals the whole group: sent on, it would count twice, and
 * for many programs a second Ctrl-C means "now, without cleaning up". */
static void
test_ctrl_c_reaches_the_command_once(void **state)
{
	assert_int_equal(status_after_ctrl_c("count2"), FROM_KERNEL);
}

/* A command that made a process group of its own would never hear of it. */
static void
test_ctrl_c_is_sent_on_to_another_group(void **state)
{
	assert_int_equal(status_after_ctrl_c("group2"), FROM_USER);
}

/* nohup: what the caller had us ignore must not end us. */
static void
test_ignored_signals_stay_ignored(void **state)
{
	struct run run = {0};
	char script[] = "grep '^SigIgn:.*1$' /proc/self/status >/dev/null";
	char shell[] = "sh";
	char flag[] = "-c";
	char *argv[] = {shell, flag, script, NULL};

	signal(SIGHUP, SIG_IGN);
	start(&run, argv, &defaults);
	kill(getpid(), SIGHUP);
	assert_int_equal(finish(&run), 0);
	signal(SIGHUP, SIG_DFL);
}

/* ---- the command ---- */

/* Counts one signal until a while after it first came. */
static int
count_signals(int number)
{
	struct timespec patience = {MAX_SECONDS, 0};
	siginfo_t info;
	sigset_t set;
	int status = 0;

	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (write(9, "R", 1) != 1)
		return 98;
	while (sigtimedwait(&set, &info, &patience) == number) {
		status += info.si_code == SI_KERNEL ? FROM_KERNEL : FROM_USER;
		patience.tv_sec = 0;
		patience.tv_nsec = SECOND_SIGNAL_MS * 1000000L;
	}
	return status;
}

static int
be_the_command(const char *mode)
{
	if (strncmp(mode, "group", strlen("group")) == 0)
		setpgid(0, 0);
	return count_signals(atoi(mode + strlen("count")));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status_is_the_commands),
	    cmocka_unit_test(test_grandchildren_are_not_waited_for),
	    cmocka_unit_test(test_command_that_cannot_be_run),
	    cmocka_unit_test(test_free_before_the_report_forgets_it),
	    cmocka_unit_test(test_environment_names_proxy_and_trust),
	    cmocka_unit_test(test_no_proxy_is_warned_of),
	    cmocka_unit_test(test_java_options_are_appended),
	    cmocka_unit_test(test_nothing_of_ours_is_inherited),
	    cmocka_unit_test(test_signals_are_sent_on),
	    cmocka_unit_test(test_ctrl_c_reaches_the_command_once),
	    cmocka_unit_test(test_ctrl_c_is_sent_on_to_another_group),
	    cmocka_unit_test(test_ignored_signals_stay_ignored),
	};

	if (argc > 1)
		return be_the_command(argv[1]);
	self = realpath("/proc/self/exe", NULL);
	signal(SIGPIPE, SIG_DFL);
	int failed = cmocka_run_group_tests_name("child", tests, NULL, NULL);
	free(self);
	return failed;
}
