/* SPDX-License-Identifier: MIT */

/*
 * Rolling files.
 *
 * Which files are ours is asked of the directory each time that one is begun,
 * as somebody may have taken some away: those whose whole name is as we write
 * it.  Age is by number, which goes on from run to run, so that a clock that
 * was set back deletes nothing that is new.
 */

#include "proxy/capture_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "accounting/memory.h"

#define NAME_BYTES 64
#define NAME_START "leakproxy-"
#define NAME_STAMP "ddddddddTddddddZ-" /* a digit for each d */
#define NAME_END ".ndjson"
#define MIN_NUMBER_DIGITS 6
#define MAX_NUMBER_DIGITS 12

/* One that was found. */
struct old_file {
	char name[NAME_BYTES];
	uint64_t number;
	size_t bytes;
};

struct old_files {
	struct old_file *items; /* owned, oldest first */
	size_t count;
	size_t bytes; /* of all */
};

struct capture_dir {
	char *path; /* owned */
	int dir_fd; /* owned */
	size_t max_bytes;
	size_t file_max_bytes;
	/* the file that is written */
	int fd; /* owned; -1: none */
	size_t file_bytes;
	size_t room_bytes; /* that it may take */
};

/* ---- names ---- */

static bool
is_stamp(const char *text)
{
	for (const char *wanted = NAME_STAMP; *wanted != '\0';
	     wanted++, text++) {
		bool is_digit = *text >= '0' && *text <= '9';

		if (*wanted == 'd' ? !is_digit : *text != *wanted)
			return false;
	}
	return true;
}

/* Reads the number in a name of ours; returns false for any other name. */
static bool
read_name(const char *name, uint64_t *number)
{
	const char *stamp = name + strlen(NAME_START);
	const char *digits;
	size_t length;

	if (strncmp(name, NAME_START, strlen(NAME_START)) != 0 ||
	    !is_stamp(stamp))
		return false;
	digits = stamp + strlen(NAME_STAMP);
	length = strspn(digits, "0123456789");
	if (length < MIN_NUMBER_DIGITS || length > MAX_NUMBER_DIGITS ||
	    strcmp(digits + length, NAME_END) != 0)
		return false;
	*number = strtoull(digits, NULL, 10);
	return true;
}

static void
write_name(char name[NAME_BYTES], wall_us now, uint64_t number)
{
	time_t seconds = (time_t)(now / US_PER_S);
	char stamp[NAME_BYTES / 2];
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL ||
	    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc) == 0)
		abort();
	snprintf(name, NAME_BYTES, NAME_START "%s-%06" PRIu64 NAME_END, stamp,
	    number);
}

/* ---- what is there ---- */

/* Opens the directory, and makes it where it is missing.  Returns -1 with
 * errno. */
static int
open_path(const char *path)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Somebody may have taken the directory away.  Where its path leads nowhere
 * for who we are now, the one that is open has to do. */
static void
follow_path(struct capture_dir *dir)
{
	int fd = open_path(dir->path);

	if (fd < 0)
		return;
	close(dir->dir_fd);
	dir->dir_fd = fd;
}

static int
older_first(const void *a, const void *b)
{
	const struct old_file *left = a;
	const struct old_file *right = b;

	if (left->number != right->number)
		return left->number < right->number ? -1 : 1;
	return strcmp(left->name, right->name);
}

static void
add_old_file(struct old_files *files, int dir_fd, const char *name)
{
	struct stat status;
	struct old_file *file;
	uint64_t number;

	if (!read_name(name, &number) ||
	    fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(status.st_mode))
		return;
	files->items = xreallocarray(
	    files->items, files->count + 1, sizeof(*files->items));
	file = &files->items[files->count++];
	memcpy(file->name, name, strlen(name) + 1); /* one of ours fits */
	file->number = number;
	file->bytes = (size_t)status.st_size;
	files->bytes += file->bytes;
}

/* Finds ours, the oldest first.  Returns false with errno. */
static bool
list_files(const struct capture_dir *dir, struct old_files *files)
{
	int fd = openat(dir->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (entries == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(entries)) != NULL)
		add_old_file(files, dir->dir_fd, entry->d_name);
	closedir(entries);
	if (files->count > 0)
		qsort(files->items, files->count, sizeof(*files->items),
		    older_first);
	return true;
}

/* Whether another leakproxy writes it. */
static bool
is_in_use(const struct capture_dir *dir, const char *name)
{
	int fd = openat(dir->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool is_locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;

	if (fd >= 0)
		close(fd);
	return is_locked;
}

/* Deletes the oldest until there is so much room.  Returns false, with errno,
 * where one cannot be deleted. */
static bool
make_room(
    const struct capture_dir *dir, struct old_files *files, size_t room_bytes)
{
	for (size_t i = 0;
	     i < files->count && files->bytes > dir->max_bytes - room_bytes;
	     i++) {
		const struct old_file *oldest = &files->items[i];

		if (is_in_use(dir, oldest->name))
			continue;
		if (unlinkat(dir->dir_fd, oldest->name, 0) != 0 &&
		    errno != ENOENT)
			return false;
		files->bytes -= oldest->bytes;
	}
	return true;
}

/* ---- the file that is written ---- */

static void
close_file(struct capture_dir *dir)
{
	if (dir->fd >= 0)
		close(dir->fd);
	dir->fd = -1;
	dir->file_bytes = 0;
}

/* Another leakproxy may take the same number first. */
static bool
create_file(struct capture_dir *dir, uint64_t number, wall_us now)
{
	char name[NAME_BYTES];

	do {
		write_name(name, now, number++);
		dir->fd = openat(dir->dir_fd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	} while (dir->fd < 0 && errno == EEXIST);
	if (dir->fd < 0)
		return false;
	(void)flock(dir->fd, LOCK_EX | LOCK_NB);
	return true;
}

/* Begins a file with room for so much. */
static bool
begin_file(struct capture_dir *dir, size_t room_bytes, wall_us now)
{
	struct old_files files = {0};
	bool is_begun;

	close_file(dir);
	follow_path(dir);
	is_begun = list_files(dir, &files) &&
	    make_room(dir, &files, room_bytes) &&
	    create_file(dir,
		files.count == 0 ? 1 : files.items[files.count - 1].number + 1,
		now);
	dir->room_bytes = room_bytes;
	free(files.items);
	return is_begun;
}

/* A file that could not be cut back is left as it is, for good. */
static void
take_back(struct capture_dir *dir)
{
	int error = errno;

	if (ftruncate(dir->fd, (off_t)dir->file_bytes) != 0)
		close_file(dir);
	errno = error;
}

static bool
append(struct capture_dir *dir, const char *lines, size_t length)
{
	ssize_t written;

	do
		written = write(dir->fd, lines, length);
	while (written < 0 && errno == EINTR);
	if (written == (ssize_t)length) {
		dir->file_bytes += length;
		return true;
	}
	if (written >= 0)
		errno = ENOSPC;
	take_back(dir);
	return false;
}

/* Whether the file has no name any more: nobody would find what we write. */
static bool
is_deleted(const struct capture_dir *dir)
{
	struct stat status;

	return dir->fd >= 0 && fstat(dir->fd, &status) == 0 &&
	    status.st_nlink == 0;
}

bool
capture_dir_write(
    struct capture_dir *dir, const char *lines, size_t length, wall_us now)
{
	/* Longer than a file: it has one of its own. */
	size_t room_bytes =
	    length > dir->file_max_bytes ? length : dir->file_max_bytes;

	if (length > dir->max_bytes) {
		errno = EFBIG;
		return false;
	}
	if (dir->file_bytes + length > dir->room_bytes || is_deleted(dir))
		close_file(dir);
	if (dir->fd < 0 && !begin_file(dir, room_bytes, now))
		return false;
	return append(dir, lines, length);
}

/* ---- the directory ---- */

struct capture_dir *
capture_dir_open(const char *path, size_t max_bytes)
{
	struct capture_dir *dir;
	int fd = open_path(path);

	if (fd < 0)
		return NULL;
	dir = xcalloc(1, sizeof(*dir));
	dir->path = xstrdup(path);
	dir->dir_fd = fd;
	dir->fd = -1;
	dir->max_bytes = max_bytes;
	dir->file_max_bytes = max_bytes / CAPTURE_DIR_FILES;
	return dir;
}

bool
capture_dir_is_writable(const struct capture_dir *dir)
{
	return faccessat(dir->dir_fd, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

void
capture_dir_close(struct capture_dir *dir)
{
	if (dir == NULL)
		return;
	close_file(dir);
	close(dir->dir_fd);
	free(dir->path);
	free(dir);
}
