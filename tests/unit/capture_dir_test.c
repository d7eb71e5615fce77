/* SPDX-License-Identifier: MIT */

/*
 * Files roll, stay within their bound, and nobody else's is touched.
 */

#include "proxy/capture_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define BOUND_BYTES ((size_t)1 << 20)
#define FILE_BYTES (BOUND_BYTES / CAPTURE_DIR_FILES)
#define LINE_BYTES ((size_t)1000)

/* 2026-11-26 13:02:21 UTC */
#define NOW (INT64_C(1795698141) * US_PER_S)

struct place {
	char path[64];
};

static int
set_up(void **state)
{
	struct place *place = xcalloc(1, sizeof(*place));

	strcpy(place->path, "/tmp/capture_dir_test.XXXXXX");
	*state = place;
	return mkdtemp(place->path) == NULL;
}

static int
tear_down(void **state)
{
	struct place *place = *state;
	char *command = xasprintf("rm -rf %s", place->path);
	int status = system(command);

	free(command);
	free(place);
	return status;
}

static char *
path_of(const struct place *place, const char *name)
{
	return xasprintf("%s/%s", place->path, name);
}

/* Makes a file of so many bytes. */
static void
put_file(const struct place *place, const char *name, size_t bytes)
{
	char *path = path_of(place, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), (off_t)bytes), 0);
	fclose(file);
	free(path);
}

static bool
has(const struct place *place, const char *name)
{
	char *path = path_of(place, name);
	bool is_there = access(path, F_OK) == 0;

	free(path);
	return is_there;
}

/* Returns how many bytes there are, in how many files. */
static size_t
measure(const struct place *place, size_t *count)
{
	DIR *directory = opendir(place->path);
	const struct dirent *entry;
	size_t bytes = 0;

	*count = 0;
	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		struct stat status;

		assert_int_equal(
		    fstatat(dirfd(directory), entry->d_name, &status, 0), 0);
		if (!S_ISREG(status.st_mode))
			continue;
		assert_int_equal(status.st_mode & 0777, 0600);
		bytes += (size_t)status.st_size;
		++*count;
	}
	closedir(directory);
	return bytes;
}

static void
write_lines(struct capture_dir *dir, size_t count, wall_us now)
{
	char line[LINE_BYTES + 1];

	memset(line, 'x', LINE_BYTES);
	line[LINE_BYTES - 1] = '\n';
	for (size_t i = 0; i < count; i++)
		assert_true(capture_dir_write(dir, line, LINE_BYTES, now));
}

static void
test_files_roll_within_the_bound(void **state)
{
	struct place *place = *state;
	struct capture_dir *dir = capture_dir_open(place->path, BOUND_BYTES);
	size_t count;

	write_lines(dir, 1, NOW);
	assert_true(has(place, "leakproxy-20261126T130221Z-000001.ndjson"));
	assert_int_equal(measure(place, &count), LINE_BYTES);
	write_lines(dir, FILE_BYTES / LINE_BYTES, NOW + US_PER_S);
	assert_true(has(place, "leakproxy-20261126T130222Z-000002.ndjson"));
	for (size_t i = 0; i < 3 * BOUND_BYTES / LINE_BYTES; i++) {
		write_lines(dir, 1, NOW);
		assert_true(measure(place, &count) <= BOUND_BYTES);
	}
	assert_true(measure(place, &count) > BOUND_BYTES - 3 * FILE_BYTES / 2);
	assert_false(has(place, "leakproxy-20261126T130221Z-000001.ndjson"));
	capture_dir_close(dir);
}

/* A run goes on where the last one ended, in a file of its own. */
static void
test_numbers_go_on(void **state)
{
	struct place *place = *state;
	struct capture_dir *dir = capture_dir_open(place->path, BOUND_BYTES);

	write_lines(dir, 1, NOW);
	capture_dir_close(dir);
	dir = capture_dir_open(place->path, BOUND_BYTES);
	/* The clock was set back. */
	write_lines(dir, 1, NOW - 3600 * US_PER_S);
	assert_true(has(place, "leakproxy-20261126T120221Z-000002.ndjson"));
	capture_dir_close(dir);
}

static void
test_only_ours_are_deleted(void **state)
{
	static const char *const others[] = {"leakproxy.db",
	    "leakproxy-20261126T130221Z-000001.ndjson.gz",
	    "leakproxy-20261126T130221Z-00001.ndjson",
	    "leakproxy-2026112xT130221Z-000001.ndjson",
	    "leakproxy-20261126T130221-000001.ndjson",
	    "xleakproxy-20261126T130221Z-000001.ndjson",
	    "leakproxy-20261126T130221Z-000001x.ndjson"};
	static const char linked[] = "leakproxy-20200101T000000Z-000002.ndjson";
	static const char folder[] = "leakproxy-20200101T000000Z-000003.ndjson";
	static const char ours[] = "leakproxy-20200101T000000Z-000004.ndjson";
	struct place *place = *state;
	struct capture_dir *dir = capture_dir_open(place->path, BOUND_BYTES);
	char *path = path_of(place, linked);

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		put_file(place, others[i], BOUND_BYTES);
	assert_int_equal(symlink("leakproxy.db", path), 0);
	free(path);
	path = path_of(place, folder);
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	put_file(place, ours, BOUND_BYTES);
	write_lines(dir, 1, NOW);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_true(has(place, others[i]));
	assert_true(has(place, linked));
	assert_true(has(place, folder));
	assert_false(has(place, ours));
	capture_dir_close(dir);
}

/* The file that another leakproxy writes is left to it. */
static void
test_two_share_a_directory(void **state)
{
	struct place *place = *state;
	struct capture_dir *first = capture_dir_open(place->path, BOUND_BYTES);
	struct capture_dir *second = capture_dir_open(place->path, BOUND_BYTES);

	write_lines(first, 1, NOW);
	write_lines(second, 2 * BOUND_BYTES / LINE_BYTES, NOW);
	assert_true(has(place, "leakproxy-20261126T130221Z-000001.ndjson"));
	assert_false(has(place, "leakproxy-20261126T130221Z-000002.ndjson"));
	capture_dir_close(first);
	write_lines(second, FILE_BYTES / LINE_BYTES, NOW);
	assert_false(has(place, "leakproxy-20261126T130221Z-000001.ndjson"));
	capture_dir_close(second);
}

static void
test_long_lines(void **state)
{
	struct place *place = *state;
	struct capture_dir *dir = capture_dir_open(place->path, BOUND_BYTES);
	char *line = xcalloc(1, BOUND_BYTES + 2);
	size_t count;

	memset(line, 'x', BOUND_BYTES + 1);
	write_lines(dir, 100, NOW);
	assert_true(capture_dir_write(dir, line, BOUND_BYTES, NOW));
	assert_int_equal(measure(place, &count), BOUND_BYTES);
	assert_int_equal(count, 1);
	assert_false(capture_dir_write(dir, line, BOUND_BYTES + 1, NOW));
	assert_int_equal(errno, EFBIG);
	write_lines(dir, 1, NOW);
	assert_int_equal(measure(place, &count), LINE_BYTES);
	free(line);
	capture_dir_close(dir);
}

/* What is written can be found, whatever somebody has cleared away. */
static void
test_what_was_taken_away(void **state)
{
	struct place *place = *state;
	struct capture_dir *dir = capture_dir_open(place->path, BOUND_BYTES);
	char *first =
	    path_of(place, "leakproxy-20261126T130221Z-000001.ndjson");
	size_t count;

	write_lines(dir, 1, NOW);
	assert_int_equal(unlink(first), 0);
	write_lines(dir, 1, NOW);
	assert_int_equal(measure(place, &count), LINE_BYTES);
	assert_int_equal(unlink(first), 0);
	assert_int_equal(rmdir(place->path), 0);
	write_lines(dir, 1, NOW);
	assert_int_equal(measure(place, &count), LINE_BYTES);
	capture_dir_close(dir);
	free(first);
}

static void
test_what_cannot_be_opened(void **state)
{
	struct place *place = *state;
	char *missing = path_of(place, "a/b");
	char *file = path_of(place, "file");
	char *new = path_of(place, "new");
	struct capture_dir *dir;
	struct stat status;

	put_file(place, "file", 0);
	assert_null(capture_dir_open(missing, BOUND_BYTES));
	assert_int_equal(errno, ENOENT);
	assert_null(capture_dir_open(file, BOUND_BYTES));
	assert_int_equal(errno, ENOTDIR);
	dir = capture_dir_open(new, BOUND_BYTES);
	assert_non_null(dir);
	assert_true(capture_dir_is_writable(dir));
	assert_int_equal(stat(new, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	/* Gone while we run, and its name taken: said, and no crash. */
	assert_int_equal(rmdir(new), 0);
	put_file(place, "new", 0);
	assert_false(capture_dir_write(dir, "x\n", 2, NOW));
	assert_int_equal(errno, ENOENT);
	capture_dir_close(dir);
	free(new);
	free(file);
	free(missing);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_files_roll_within_the_bound),
	    TEST(test_numbers_go_on),
	    TEST(test_only_ours_are_deleted),
	    TEST(test_two_share_a_directory),
	    TEST(test_long_lines),
	    TEST(test_what_was_taken_away),
	    TEST(test_what_cannot_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
