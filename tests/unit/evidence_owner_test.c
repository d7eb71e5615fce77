/* SPDX-License-Identifier: MIT */

/*
 * "Process 4242, coderd, descriptor 37" is where somebody will look next, so
 * it must be that process and that descriptor, whoever held the socket asked
 * about before.  And whether a process is ending decides if its resets were an
 * exit or a choice; a process may call itself what it likes meanwhile.
 */

#include "accounting/evidence.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/socket_fixture.h"

#define MAX_FDS 256

static uint64_t
inode_of(int fd)
{
	struct stat info;

	assert_int_equal(fstat(fd, &info), 0);
	return info.st_ino;
}

static void
test_the_owner_is_found(void **state)
{
	struct evidence_source *source = evidence_source_new();
	char name[17] = "";

	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	for (int family = 0; family < FAMILY_COUNT; family++) {
		struct pair pair = connect_pair((enum family)family);
		struct owner owner = OWNER_UNKNOWN;
		struct peer_socket peer;

		assert_true(evidence_peer(source, pair.ours, &peer));
		assert_int_equal(peer.inode, inode_of(pair.callers));
		assert_int_equal(peer.uid, getuid());
		evidence_owner(source, peer.inode, &owner, &(unsigned){1});
		assert_int_equal(owner.pid, getpid());
		assert_int_equal(owner.fd, pair.callers);
		assert_string_equal(owner.process->command, name);
		assert_non_null(
		    strstr(owner.process->command_line, "evidence_owner_test"));
		owner_fini(&owner);
		close_pair(&pair);
	}
	evidence_source_free(source);
}

/* Has a process of its own hold the caller's end as its descriptor `fd`, until
 * *hold is closed. */
static pid_t
hand_over(struct pair *pair, int fd, int *hold)
{
	int ends[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* nothing but that one is in its hands */
		(void)dup2(pair->callers, fd);
		for (int i = 3; i < MAX_FDS; i++) {
			if (i != fd && i != ends[1])
				close(i);
		}
		(void)prctl(PR_SET_NAME, "a) caller\n");
		_exit(write(ends[1], &byte, 1) == 1 &&
			    read(ends[1], &byte, 1) == 0
			? 0
			: 1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(pair->callers);
	pair->callers = -1;
	*hold = ends[0];
	return pid;
}

/* Also as descriptor 0, as under inetd. */
static void
test_the_owner_is_another_process(void **state)
{
	static const int fds[] = {0, 100};

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		struct evidence_source *source = evidence_source_new();
		struct pair mine = connect_pair(FAMILY_V4);
		struct pair pair = connect_pair(FAMILY_V4);
		struct peer_socket peer;
		int hold;
		pid_t pid = hand_over(&pair, fds[i], &hold);

		/* twice each: the last holder is only asked first */
		for (int j = 0; j < 4; j++) {
			bool is_mine = j % 2 == 1;
			struct owner owner = OWNER_UNKNOWN;

			assert_true(evidence_peer(
			    source, is_mine ? mine.ours : pair.ours, &peer));
			evidence_owner(
			    source, peer.inode, &owner, &(unsigned){1});
			assert_int_equal(owner.pid, is_mine ? getpid() : pid);
			assert_int_equal(
			    owner.fd, is_mine ? mine.callers : fds[i]);
			owner_fini(&owner);
		}
		close(hold);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close_pair(&pair);
		close_pair(&mine);
		evidence_source_free(source);
	}
}

static int
count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < MAX_FDS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A worker asks for as long as it lives. */
static void
test_asking_costs_no_descriptor(void **state)
{
	int before = count_descriptors();
	struct evidence_source *source = evidence_source_new();
	struct pair pair = connect_pair(FAMILY_V4);
	struct peer_socket peer;

	for (int i = 0; i < 5; i++) {
		struct owner owner = OWNER_UNKNOWN;

		assert_true(evidence_peer(source, pair.ours, &peer));
		evidence_owner(source, peer.inode, &owner, &(unsigned){1});
		owner_fini(&owner);
		evidence_owner(source, UINT64_MAX, &owner, &(unsigned){1});
		assert_false(owner_is_exiting(getpid()));
	}
	close_pair(&pair);
	evidence_source_free(source);
	assert_int_equal(count_descriptors(), before);
}

/* A caller's many connections cost one search through its descriptors; one that
 * is newer waits for the next, and so does one that goes by another number. */
static void
test_searches_are_few(void **state)
{
	enum { PAIRS = 20 };
	struct evidence_source *source = evidence_source_new();
	struct pair pairs[PAIRS];
	struct owner owner = OWNER_UNKNOWN;
	const struct process *names = NULL; /* read again by each search */
	unsigned searches = 1;

	for (int i = 0; i < PAIRS - 1; i++)
		pairs[i] = connect_pair(FAMILY_V4);
	for (int i = 0; i < PAIRS - 1; i++) {
		owner = OWNER_UNKNOWN;
		evidence_owner(
		    source, inode_of(pairs[i].callers), &owner, &searches);
		assert_int_equal(searches, 0);
		assert_int_equal(owner.pid, getpid());
		assert_int_equal(owner.fd, pairs[i].callers);
		assert_non_null(owner.process->command);
		assert_true(i < 2 || owner.process == names);
		names = owner.process;
		owner_fini(&owner);
	}
	pairs[PAIRS - 1] = connect_pair(FAMILY_V4);
	assert_int_equal(
	    dup2(pairs[PAIRS - 1].callers, pairs[0].callers), pairs[0].callers);
	close(pairs[PAIRS - 1].callers);
	pairs[PAIRS - 1].callers = pairs[0].callers;
	for (int i = 0; i < 2; i++) {
		owner = OWNER_UNKNOWN;
		searches = (unsigned)i;
		evidence_owner(source, inode_of(pairs[PAIRS - 1].callers),
		    &owner, &searches);
		assert_int_equal(searches, 0);
		assert_int_equal(owner.pid, i == 0 ? -1 : getpid());
		assert_int_equal(owner.fd, i == 0 ? -1 : pairs[0].callers);
		owner_fini(&owner);
	}
	pairs[0].callers = dup(pairs[0].callers);
	for (int i = 0; i < PAIRS; i++)
		close_pair(&pairs[i]);
	evidence_source_free(source);
}

static void
test_an_inode_that_nobody_has(void **state)
{
	struct evidence_source *source = evidence_source_new();
	struct owner owner = OWNER_UNKNOWN;

	evidence_owner(source, 0, &owner, &(unsigned){1});
	evidence_owner(source, UINT64_MAX, &owner, &(unsigned){1});
	assert_int_equal(owner.pid, -1);
	assert_int_equal(owner.fd, -1);
	assert_int_equal(owner.uid, OWNER_NO_UID);
	assert_null(owner.process);
	evidence_source_free(source);
}

/* The name of the process holds a parenthesis and a line end, both of which
 * mean something in /proc/PID/stat. */
/* A proxy that holds thousands of leaks runs out of descriptors; that it
 * cannot look must not read as "that process is gone". */
static void
test_without_descriptors_nobody_is_ending(void **state)
{
	struct rlimit before;
	struct rlimit none;
	bool is_exiting;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	is_exiting = owner_is_exiting(getpid());
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(is_exiting);
}

static void
test_a_process_that_is_ending(void **state)
{
	struct pair pair = connect_pair(FAMILY_V4);
	siginfo_t info;
	int hold;
	pid_t pid = hand_over(&pair, 100, &hold);

	assert_false(owner_is_exiting(pid));
	assert_false(owner_is_exiting(getpid()));
	close(hold);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(owner_is_exiting(pid)); /* a zombie */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(owner_is_exiting(pid)); /* gone */
	close_pair(&pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_owner_is_found),
	    cmocka_unit_test(test_the_owner_is_another_process),
	    cmocka_unit_test(test_asking_costs_no_descriptor),
	    cmocka_unit_test(test_searches_are_few),
	    cmocka_unit_test(test_an_inode_that_nobody_has),
	    cmocka_unit_test(test_without_descriptors_nobody_is_ending),
	    cmocka_unit_test(test_a_process_that_is_ending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
