/* SPDX-License-Identifier: MIT */

/*
 * What a proxy that faces strangers gives up.
 *
 * Privileges first, while we still may; then the right to gain any; then, by a
 * seccomp filter, the system calls that only somebody else's code would make
 * in our place.  The filter denies a list and allows the rest: a C library or
 * a kernel of tomorrow may need a call that we have not heard of.
 *
 * A core file would hold the CA's key.  We stay "dumpable" all the same: the
 * kernel would else give /proc/PID to root, and an operator of the same user,
 * who can read the key's file anyway, could not look at our descriptors.
 */

#include "proxy/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <seccomp.h>

#include "proxy/base/log.h"

/* LeakSanitizer stops our threads by ptrace(2) when we end. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

/* By name: what this libseccomp or architecture does not know is left out. */
static const char *const denied[] = {
    /* other programs, and other processes' memory */
    "execve", "execveat", "process_vm_readv", "process_vm_writev",
    /* the view of the file system */
    "mount", "umount", "umount2", "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "pivot_root", "chroot",
    /* the kernel's own code, and what its exploits are fond of */
    "init_module", "finit_module", "delete_module", "kexec_load",
    "kexec_file_load", "bpf", "userfaultfd", "perf_event_open", "add_key",
    "request_key", "keyctl",
    /* last, as the sanitizers need it */
    "ptrace"};

#define DENIED_COUNT (sizeof(denied) / sizeof(*denied) - (IS_SANITIZED ? 1 : 0))

/* ---- the user ---- */

static const struct passwd *
find_user(const char *user, char error[SANDBOX_ERROR_BYTES])
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(user);
	if (entry == NULL)
		snprintf(error, SANDBOX_ERROR_BYTES,
		    "--user: there is no user \"%.100s\"%s%s: choose one that "
		    "getent passwd lists",
		    user, errno == 0 ? "" : ": ",
		    errno == 0 ? "" : strerror(errno));
	return entry;
}

bool
sandbox_check_user(const char *user, char error[SANDBOX_ERROR_BYTES])
{
	const struct passwd *entry = find_user(user, error);

	if (entry == NULL)
		return false;
	if (entry->pw_uid == 0) {
		snprintf(error, SANDBOX_ERROR_BYTES,
		    "--user: \"%.100s\" is root, to which nothing is denied: "
		    "choose another, or leave the option out",
		    user);
		return false;
	}
	if (geteuid() != 0) {
		snprintf(error, SANDBOX_ERROR_BYTES,
		    "--user: only root can become \"%.100s\": start as root, "
		    "or leave the option out",
		    user);
		return false;
	}
	return true;
}

/* Whether each of our ids is the user's, and root is out of reach. */
static bool
is_for_good(const struct passwd *entry)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 ||
	    getresgid(&gid[0], &gid[1], &gid[2]) != 0)
		return false;
	for (int i = 0; i < 3; i++) {
		if (uid[i] != entry->pw_uid || gid[i] != entry->pw_gid)
			return false;
	}
	return setuid(0) != 0 && seteuid(0) != 0 && setgroups(0, NULL) != 0;
}

static bool
become(const char *user, char error[SANDBOX_ERROR_BYTES])
{
	const struct passwd *entry;

	if (!sandbox_check_user(user, error))
		return false;
	entry = find_user(user, error);
	if (entry == NULL)
		return false;
	if (initgroups(user, entry->pw_gid) != 0 ||
	    setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0) {
		snprintf(error, SANDBOX_ERROR_BYTES,
		    "--user: cannot become \"%.100s\": %s: it takes the "
		    "capabilities SETUID and SETGID",
		    user, strerror(errno));
		return false;
	}
	if (!is_for_good(entry)) {
		snprintf(error, SANDBOX_ERROR_BYTES,
		    "--user: \"%.100s\" could become root again: start "
		    "without the capabilities of root, as that user",
		    user);
		return false;
	}
	/* The kernel has made us undumpable by now, which is as it should be:
	 * the key's file is not this user's. */
	if (IS_SANITIZED)
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return true;
}

/* ---- the filter ---- */

static int
deny_all(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; i < DENIED_COUNT && error == 0; i++) {
		int number = seccomp_syscall_resolve_name(denied[i]);

		/* Negative: not on this architecture. */
		if (number >= 0)
			error = seccomp_rule_add(
			    filter, SCMP_ACT_ERRNO(EPERM), number, 0);
	}
	return error;
}

/* Returns 0, or a negative errno. */
static int
install_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int error;

	if (filter == NULL)
		return -ENOMEM;
	/* The calls of another architecture (on x86-64 those of i386 and x32)
	 * would be a way around. */
	error = seccomp_attr_set(
	    filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
	/* The kernel's own errno, and not libseccomp's for any. */
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (error == 0)
		error = deny_all(filter);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

/* ---- all of it ---- */

/* A limit of 1 also keeps a program that core_pattern pipes to from getting
 * one, which 0 does not (core(5)); no image is that small. */
static void
stop_core_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) != 0)
		return;
	if (limit.rlim_max > 1)
		limit.rlim_max = 1;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_CORE, &limit);
}

bool
sandbox_enter(
    const char *user, bool wants_filter, char error[SANDBOX_ERROR_BYTES])
{
	int failure;

	stop_core_files();
	if (user != NULL && !become(user, error))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		log_info("this kernel cannot keep us from new privileges: %s",
		    strerror(errno));
	if (!wants_filter)
		return true;
	failure = install_filter();
	if (failure != 0)
		log_info("going on without a seccomp filter: %s",
		    strerror(-failure));
	return true;
}
