/* SPDX-License-Identifier: MIT */

/*
 * Where events go: whole lines, in order, whatever happens to the file; and
 * never a wait for whoever should read them.
 */

#include "proxy/eventlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define TEXT_BYTES (1 << 21)

struct scene {
	char directory[64];
	char *path;     /* of the events */
	char *old_path; /* where they are moved to */
	int stderr_before;
};

/* What the log says goes into a file. */
static int
set_up(void **state)
{
	struct scene *scene = xcalloc(1, sizeof(*scene));
	char *said;
	int fd;

	strcpy(scene->directory, "/tmp/eventlog_test.XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	scene->path = xasprintf("%s/events", scene->directory);
	scene->old_path = xasprintf("%s/events.1", scene->directory);
	said = xasprintf("%s/said", scene->directory);
	fd = open(said, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	scene->stderr_before = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	free(said);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;
	char *said = xasprintf("%s/said", scene->directory);

	dup2(scene->stderr_before, STDERR_FILENO);
	close(scene->stderr_before);
	unlink(scene->path);
	unlink(scene->old_path);
	unlink(said);
	assert_int_equal(rmdir(scene->directory), 0);
	free(said);
	free(scene->path);
	free(scene->old_path);
	free(scene);
	return 0;
}

static struct eventlog *
open_log(const char *path)
{
	char error[EVENTLOG_ERROR_BYTES] = "";
	struct eventlog *log = eventlog_open(path, error);

	assert_string_equal(error, "");
	assert_non_null(log);
	return log;
}

/* Returns what is there to be read.  Free with free(). */
static char *
read_all(int fd)
{
	char *text = xcalloc(1, TEXT_BYTES);
	size_t length = 0;
	ssize_t got;

	while ((got = read(fd, text + length, TEXT_BYTES - 1 - length)) > 0)
		length += (size_t)got;
	return text;
}

static void
assert_holds(const char *path, const char *expected)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;

	assert_true(fd >= 0);
	text = read_all(fd);
	assert_string_equal(text, expected);
	close(fd);
	free(text);
}

/* How many lines the log said that have this in them. */
static size_t
count_said(const struct scene *scene, const char *part)
{
	char *path = xasprintf("%s/said", scene->directory);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = read_all(fd);
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
		count++;
	close(fd);
	free(text);
	free(path);
	return count;
}

/* ---- files ---- */

static void
test_lines_are_appended(void **state)
{
	struct scene *scene = *state;
	struct eventlog *log = open_log(scene->path);
	struct stat status;

	eventlog_append(log, "one\ntwo\n");
	eventlog_append(log, "");
	eventlog_close(log);
	log = open_log(scene->path);
	eventlog_append(log, "three\n");
	eventlog_close(log);
	assert_holds(scene->path, "one\ntwo\nthree\n");
	assert_int_equal(stat(scene->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void
test_a_renamed_file_is_followed(void **state)
{
	struct scene *scene = *state;
	struct eventlog *log = open_log(scene->path);

	eventlog_append(log, "one\n");
	assert_int_equal(rename(scene->path, scene->old_path), 0);
	eventlog_append(log, "two\n");
	assert_int_equal(unlink(scene->path), 0);
	eventlog_append(log, "three\n");
	assert_holds(scene->old_path, "one\n");
	assert_holds(scene->path, "three\n");
	eventlog_close(log);
	assert_int_equal(count_said(scene, "--events"), 0);
}

/* Where the new one cannot be made, the old one is better than nothing. */
static void
test_a_name_that_is_taken_away(void **state)
{
	struct scene *scene = *state;
	struct eventlog *log = open_log(scene->path);

	assert_int_equal(rename(scene->path, scene->old_path), 0);
	assert_int_equal(mkdir(scene->path, 0700), 0);
	eventlog_append(log, "one\n");
	eventlog_append(log, "two\n");
	assert_holds(scene->old_path, "one\ntwo\n");
	assert_int_equal(count_said(scene, "Is a directory"), 1);
	assert_int_equal(count_said(scene, "written again"), 0);
	assert_int_equal(rmdir(scene->path), 0);
	eventlog_append(log, "three\n");
	assert_holds(scene->path, "three\n");
	assert_int_equal(count_said(scene, "written again"), 1);
	eventlog_close(log);
}

/* A limit stands for the disk: part of a line is written, and then no more. */
static void
test_a_full_disk(void **state)
{
	struct scene *scene = *state;
	struct eventlog *log = open_log(scene->path);
	struct rlimit before;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 10;
	eventlog_append(log, "one\n");
	/* It would be the limit of what the log says, too. */
	dup2(scene->stderr_before, STDERR_FILENO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	eventlog_append(log, "two and a half\nthree\n");
	eventlog_append(log, "four\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_holds(scene->path, "one\ntwo an");
	eventlog_append(log, "five\n");
	assert_holds(scene->path, "one\ntwo and a half\nthree\nfour\nfive\n");
	eventlog_close(log);
}

static void
test_what_cannot_be_opened(void **state)
{
	struct scene *scene = *state;
	char error[EVENTLOG_ERROR_BYTES];
	char *path = xasprintf("%s/none/events", scene->directory);

	assert_null(eventlog_open(path, error));
	assert_non_null(strstr(error, "--events: cannot open "));
	assert_non_null(strstr(error, "No such file or directory: name a"));
	free(path);
}

/* ---- pipes ---- */

/* Nobody reads yet, then somebody does, goes away, and comes back. */
static void
test_a_named_pipe(void **state)
{
	struct scene *scene = *state;
	struct eventlog *log;
	char *text;
	int reader;

	assert_int_equal(mkfifo(scene->path, 0600), 0);
	log = open_log(scene->path);
	eventlog_append(log, "one\n");
	assert_int_equal(count_said(scene, "cannot write to"), 1);
	reader = open(scene->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	eventlog_append(log, "two\n");
	text = read_all(reader);
	assert_string_equal(text, "one\ntwo\n");
	free(text);
	assert_int_equal(count_said(scene, "is written again; 0 events"), 1);
	close(reader);
	eventlog_append(log, "three\n");
	eventlog_append(log, "four\n");
	assert_int_equal(count_said(scene, "cannot write to"), 2);
	reader = open(scene->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	eventlog_append(log, "");
	text = read_all(reader);
	assert_string_equal(text, "three\nfour\n");
	free(text);
	close(reader);
	eventlog_close(log);
}

/* A reader that stops: the proxy does not, and memory is bounded.  What comes
 * later is whole lines, in order, and the newest are those that are lost. */
static void
test_a_reader_that_stops(void **state)
{
	enum { LINES = 3000, LINE_BYTES = 1000 };
	struct scene *scene = *state;
	struct eventlog *log;
	char line[LINE_BYTES + 1];
	int reader;
	size_t received = 0;

	assert_int_equal(mkfifo(scene->path, 0600), 0);
	reader = open(scene->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	log = open_log(scene->path);
	for (int i = 0; i < LINES; i++) {
		memset(line, '.', LINE_BYTES);
		snprintf(line, sizeof(line), "%d", i);
		line[strlen(line)] = ' ';
		memcpy(line + LINE_BYTES - 1, "\n", 2);
		eventlog_append(log, line);
	}
	assert_int_equal(count_said(scene, "cannot write to"), 1);
	for (bool has_more = true; has_more;) {
		char *text = read_all(reader);
		char *rest = text;

		has_more = *text != '\0';
		while (*rest != '\0') {
			assert_int_equal(strtol(rest, &rest, 10), received++);
			rest = strchr(rest, '\n') + 1;
		}
		free(text);
		eventlog_append(log, "");
	}
	assert_true(received >= EVENTLOG_MAX_BYTES / LINE_BYTES);
	assert_true(received < LINES);
	assert_int_equal(count_said(scene, "is written again"), 1);
	/* What was lost then is not said of another time. */
	close(reader);
	eventlog_append(log, "one\n");
	reader = open(scene->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	eventlog_append(log, "");
	assert_int_equal(count_said(scene, "is written again; 0 events"), 1);
	eventlog_close(log);
	close(reader);
}

/* Nobody can read the rest of a line whose start another reader had. */
static void
test_a_line_is_not_continued_elsewhere(void **state)
{
	enum { LENGTH = 100000 }; /* more than a pipe takes */
	struct scene *scene = *state;
	char *line = xcalloc(1, LENGTH + 2);
	struct eventlog *log;
	char *text;
	int reader;

	memset(line, '.', LENGTH);
	*line = '{';
	line[LENGTH] = '\n';
	assert_int_equal(mkfifo(scene->path, 0600), 0);
	reader = open(scene->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	log = open_log(scene->path);
	eventlog_append(log, line);
	close(reader);
	eventlog_append(log, "");
	reader = open(scene->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	eventlog_append(log, "");
	text = read_all(reader);
	assert_int_equal(*text, '{');
	free(text);
	close(reader);
	eventlog_close(log);
	free(line);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
	    TEST(test_lines_are_appended),
	    TEST(test_a_renamed_file_is_followed),
	    TEST(test_a_name_that_is_taken_away),
	    TEST(test_a_full_disk),
	    TEST(test_what_cannot_be_opened),
	    TEST(test_a_named_pipe),
	    TEST(test_a_reader_that_stops),
	    TEST(test_a_line_is_not_continued_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
