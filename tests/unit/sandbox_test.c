/* SPDX-License-Identifier: MIT */

/*
 * What is given up stays given up.  Each case in a child of its own, as there
 * is no way back; its exit status is the number of its first failed check.
 */

#include "proxy/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#include <cmocka.h>

#include "proxy/base/log.h"

#define CHECK(number, condition)       \
	do {                           \
		if (!(condition))      \
			_exit(number); \
	} while (0)

/* Runs it in a child, which must find nothing wrong. */
static void
in_child(void (*check)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		check();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the child's status: %#x", (unsigned)status);
}

static void
enter(const char *user, bool wants_filter)
{
	char error[SANDBOX_ERROR_BYTES];

	if (!sandbox_enter(user, wants_filter, error)) {
		fprintf(stderr, "%s\n", error);
		_exit(99);
	}
}

/* Returns whether a system call is refused by us, and not for its nonsensical
 * arguments: those would be EFAULT, EBADF, EINVAL. */
static bool
is_denied(long number)
{
	errno = 0;
	return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1 &&
	    errno == EPERM;
}

static void *
run_in_thread(void *arg)
{
	char *const argv[] = {NULL};

	return (void *)(intptr_t)(execve("/bin/true", argv, argv) == -1 &&
	    errno == EPERM);
}

static void
check_execve(void)
{
	char *const argv[] = {NULL};
	pthread_t thread;
	void *is_refused;

	enter(NULL, true);
	CHECK(1, execve("/bin/true", argv, argv) == -1 && errno == EPERM);
	CHECK(2, pthread_create(&thread, NULL, run_in_thread, NULL) == 0);
	CHECK(3, pthread_join(thread, &is_refused) == 0);
	CHECK(4, is_refused != NULL);
	CHECK(5, system("true") != 0);
}

static void
test_execve_is_refused(void **state)
{
	in_child(check_execve);
}

static const long denied[] = {SYS_execveat, SYS_process_vm_readv,
    SYS_process_vm_writev, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
    SYS_bpf, SYS_userfaultfd, SYS_perf_event_open, SYS_add_key, SYS_request_key,
    SYS_keyctl, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsmount};

#define DENIED_COUNT (sizeof(denied) / sizeof(*denied))

static void
check_denied(void)
{
	enter(NULL, true);
	for (size_t i = 0; i < DENIED_COUNT; i++)
		CHECK((int)i + 1, is_denied(denied[i]));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	CHECK(DENIED_COUNT + 1, is_denied(SYS_ptrace));
#endif
}

static void
test_what_a_proxy_never_needs_is_refused(void **state)
{
	in_child(check_denied);
}

static void
check_no_new_privileges(void)
{
	struct rlimit limit;

	enter(NULL, false);
	CHECK(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(2, prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	CHECK(3, getrlimit(RLIMIT_CORE, &limit) == 0);
	CHECK(4, limit.rlim_cur <= 1 && limit.rlim_max <= 1);
	CHECK(5, system("true") == 0);
}

static void
test_the_filter_can_be_left_out(void **state)
{
	in_child(check_no_new_privileges);
}

/* As on a kernel without seccomp. */
static void
check_without_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	CHECK(1, filter != NULL);
	CHECK(2,
	    seccomp_rule_add(
		filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) == 0);
	CHECK(3,
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
		SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)) == 0);
	CHECK(4, seccomp_load(filter) == 0);
	seccomp_release(filter);
	log_set_level(LOG_LEVEL_ERROR);
	enter(NULL, true);
	CHECK(5, !is_denied(SYS_execveat));
	CHECK(6, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void
test_a_kernel_without_seccomp(void **state)
{
	in_child(check_without_seccomp);
}

static void
check_user(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	const gid_t before[] = {0, 4242};
	gid_t groups[64];
	int count;
	uid_t uid;

	CHECK(1, nobody != NULL);
	uid = nobody->pw_uid;
	CHECK(6, setgroups(2, before) == 0);
	enter("nobody", true);
	CHECK(2, getuid() == uid && geteuid() == uid);
	CHECK(3, setuid(0) == -1 && seteuid(0) == -1 && setgid(0) == -1);
	count = getgroups(64, groups);
	for (int i = 0; i < count; i++)
		CHECK(4, groups[i] != 0 && groups[i] != 4242);
	CHECK(5, access("/proc/1/fd", R_OK) != 0);
}

static void
test_root_is_given_up(void **state)
{
	if (geteuid() != 0)
		skip();
	in_child(check_user);
}

static void
check_as_nobody(void)
{
	char error[SANDBOX_ERROR_BYTES] = "";

	enter("nobody", false);
	CHECK(1, !sandbox_check_user("nobody", error));
	CHECK(2, strstr(error, "start as root") != NULL);
	CHECK(3, !sandbox_enter("daemon", false, error));
}

static void
test_only_root_can_become_another(void **state)
{
	if (geteuid() != 0)
		skip();
	in_child(check_as_nobody);
}

static void
test_users_that_will_not_do(void **state)
{
	char error[SANDBOX_ERROR_BYTES];

	assert_false(sandbox_check_user("no-such-user", error));
	assert_non_null(strstr(error, "there is no user \"no-such-user\""));
	assert_false(sandbox_check_user("root", error));
	assert_non_null(strstr(error, "is root"));
	assert_false(sandbox_check_user("", error));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_execve_is_refused),
	    cmocka_unit_test(test_what_a_proxy_never_needs_is_refused),
	    cmocka_unit_test(test_the_filter_can_be_left_out),
	    cmocka_unit_test(test_a_kernel_without_seccomp),
	    cmocka_unit_test(test_root_is_given_up),
	    cmocka_unit_test(test_only_root_can_become_another),
	    cmocka_unit_test(test_users_that_will_not_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
