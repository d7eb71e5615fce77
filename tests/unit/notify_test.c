/* SPDX-License-Identifier: MIT */

/*
 * What systemd hears: its datagrams, over a path and over an abstract name.
 */

#include "proxy/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define NAME_BYTES 108
#define HEARD_BYTES 512

static char name[NAME_BYTES];

/* Returns a socket bound to `name`, in the environment's notation. */
static int
listen_as_systemd(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *
heard(int fd)
{
	static char text[HEARD_BYTES];
	ssize_t length = recv(fd, text, sizeof(text) - 1, 0);

	if (length < 0)
		return "nothing";
	text[length] = '\0';
	return text;
}

static int
set_up(void **state)
{
	snprintf(name, sizeof(name), "/tmp/notify_test.%d", (int)getpid());
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

static int
tear_down(void **state)
{
	if (name[0] == '/')
		unlink(name);
	return 0;
}

static void
check_life(void)
{
	int systemd = listen_as_systemd();
	struct notify *notify = notify_open();
	mono_us before = clock_mono();
	int64_t told_us;

	assert_non_null(notify);
	assert_string_equal(heard(systemd), "nothing");
	notify_ready(notify, "listening on 127.0.0.1:8080");
	assert_string_equal(
	    heard(systemd), "READY=1\nSTATUS=listening on 127.0.0.1:8080");
	notify_alive(notify);
	assert_string_equal(heard(systemd), "WATCHDOG=1");
	notify_reloading(notify);
	assert_int_equal(sscanf(heard(systemd),
			     "RELOADING=1\nMONOTONIC_USEC=%" SCNd64, &told_us),
	    1);
	assert_in_range(told_us, before, clock_mono());
	notify_stopping(notify);
	assert_string_equal(heard(systemd), "STOPPING=1");
	notify_close(notify);
	close(systemd);
}

static void
says_so_at_a_path(void **state)
{
	check_life();
}

/* Where systemd runs in a container of its own, its name is abstract. */
static void
says_so_at_an_abstract_name(void **state)
{
	name[0] = '@';
	check_life();
}

static void
says_nothing_to_nobody(void **state)
{
	assert_null(notify_open());
	setenv("NOTIFY_SOCKET", "", 1);
	assert_null(notify_open());
	notify_ready(NULL, "listening");
	notify_reloading(NULL);
	notify_stopping(NULL);
	notify_alive(NULL);
	notify_close(NULL);
	assert_int_equal(notify_watchdog_us(NULL), 0);
}

/* The service goes on without. */
static void
cannot_be_led_astray(void **state)
{
	char too_long[NAME_BYTES + 1];
	const char *const names[] = {
	    name, "relative", "vsock:2:1234", "@", too_long};

	memset(too_long, 'a', NAME_BYTES);
	too_long[0] = '/';
	too_long[NAME_BYTES] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		assert_null(notify_open());
	}
}

/* systemd restarts: what we say is lost, and we go on. */
static void
outlives_its_listener(void **state)
{
	int systemd = listen_as_systemd();
	struct notify *notify = notify_open();

	close(systemd);
	notify_alive(notify);
	notify_close(notify);
}

static void
knows_the_watchdog(void **state)
{
	const struct {
		const char *interval;
		const char *pid; /* "self": ours */
		mono_us expected;
	} cases[] = {
	    {NULL, NULL, 0},
	    {"30000000", NULL, 30 * US_PER_S},
	    {"30000000", "self", 30 * US_PER_S},
	    {"30000000", "1", 0},
	    {"30000000", "me", 0},
	    {"soon", NULL, 0},
	    {"-5", NULL, 0},
	};
	int systemd = listen_as_systemd();
	char self[16];

	snprintf(self, sizeof(self), "%d", (int)getpid());
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *pid = cases[i].pid;
		struct notify *notify;

		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (cases[i].interval != NULL)
			setenv("WATCHDOG_USEC", cases[i].interval, 1);
		if (pid != NULL)
			setenv("WATCHDOG_PID",
			    strcmp(pid, "self") == 0 ? self : pid, 1);
		notify = notify_open();
		assert_int_equal(notify_watchdog_us(notify), cases[i].expected);
		notify_close(notify);
	}
	close(systemd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		says_so_at_a_path, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		says_so_at_an_abstract_name, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		says_nothing_to_nobody, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		cannot_be_led_astray, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		outlives_its_listener, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		knows_the_watchdog, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
