/* SPDX-License-Identifier: MIT */

/*
 * Where --events go.
 *
 *      WORKING ──cannot write──▶ TROUBLED ──written──▶ WORKING
 *
 * stdout is opened once more rather than made non-blocking: the description
 * behind the descriptor is shared with whoever gave it to us, and with the
 * child of exec.  A socket cannot be; it is written to without waiting.
 */

#include "proxy/eventlog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"

#define STDOUT_PATH "/proc/self/fd/1"
#define OPEN_FLAGS \
	(O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define MODE 0600

enum eventlog_state {
	EVENTLOG_WORKING,
	EVENTLOG_TROUBLED, /* the last attempt failed, and it was said */
};

struct eventlog {
	const char *path; /* borrowed */
	const char *name; /* for messages */
	bool is_stdout;
	bool is_socket;
	enum eventlog_state state;
	int fd;     /* -1: not open */
	char *wait; /* owned: lines that are not written */
	size_t wait_bytes;
	size_t written_bytes; /* of the first of them */
	uint64_t dropped;     /* lines, in this trouble */
};

/* ---- trouble ---- */

/* Says it once. */
static void
note_trouble(struct eventlog *log, int error)
{
	if (log->state == EVENTLOG_TROUBLED)
		return;
	log->state = EVENTLOG_TROUBLED;
	log_warnx("--events: cannot write to %s: %s; the proxy goes on, and "
		  "keeps up to %d bytes of events until it can",
	    log->name, strerror(error), EVENTLOG_MAX_BYTES);
}

static void
note_success(struct eventlog *log)
{
	if (log->state == EVENTLOG_WORKING)
		return;
	log->state = EVENTLOG_WORKING;
	log_info("--events: %s is written again; %" PRIu64
		 " events were dropped",
	    log->name, log->dropped);
	log->dropped = 0;
}

/* ---- opening ---- */

static bool
is_socket(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

static void
open_stdout(struct eventlog *log)
{
	log->is_socket = is_socket(STDOUT_FILENO);
	log->fd = log->is_socket ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
				 : open(STDOUT_PATH, OPEN_FLAGS & ~O_CREAT);
}

static void
close_file(struct eventlog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	log->written_bytes = 0; /* a line is not continued elsewhere */
}

/* Whether what we write to is still what the path names, as far as we may
 * look there: who --user says may not enter a folder of root's. */
static bool
is_current(const struct eventlog *log)
{
	struct stat ours;
	struct stat named;

	if (stat(log->path, &named) != 0)
		return errno == EACCES;
	return fstat(log->fd, &ours) == 0 && ours.st_dev == named.st_dev &&
	    ours.st_ino == named.st_ino;
}

/* Where the new file cannot be opened, the old one has to do.  Returns
 * whether all is well. */
static bool
follow_path(struct eventlog *log)
{
	int fd;

	if (log->is_stdout || (log->fd >= 0 && is_current(log)))
		return log->fd >= 0;
	fd = open(log->path, OPEN_FLAGS, MODE);
	if (fd < 0) {
		note_trouble(log, errno);
		return false;
	}
	close_file(log);
	log->fd = fd;
	return true;
}

struct eventlog *
eventlog_open(const char *path, char error[EVENTLOG_ERROR_BYTES])
{
	struct eventlog *log = xcalloc(1, sizeof(*log));

	log->path = path;
	log->is_stdout = strcmp(path, "-") == 0;
	log->name = log->is_stdout ? "stdout" : path;
	log->wait = xstrdup("");
	if (log->is_stdout)
		open_stdout(log);
	else
		log->fd = open(path, OPEN_FLAGS, MODE);
	if (log->fd >= 0)
		return log;
	if (errno == ENXIO) { /* a named pipe that nobody reads yet */
		note_trouble(log, errno);
		return log;
	}
	snprintf(error, EVENTLOG_ERROR_BYTES,
	    "--events: cannot open %s: %s: name a file in a directory where "
	    "you may write, or - for stdout",
	    log->name, strerror(errno));
	eventlog_close(log);
	return NULL;
}

/* ---- writing ---- */

static ssize_t
write_now(const struct eventlog *log, const char *bytes, size_t length)
{
	ssize_t written;

	do
		written = log->is_socket
		    ? send(log->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL)
		    : write(log->fd, bytes, length);
	while (written < 0 && errno == EINTR);
	return written;
}

/* Writes what is left of the line at `at`.  Returns whether all of it is
 * out. */
static bool
write_line(struct eventlog *log, const char *at, size_t length)
{
	ssize_t written;

	if (log->fd < 0)
		return false;
	written = write_now(
	    log, at + log->written_bytes, length - log->written_bytes);
	if (written < 0) {
		note_trouble(log, errno);
		/* A named pipe may find another reader. */
		if (errno == EPIPE && !log->is_stdout)
			close_file(log);
		return false;
	}
	log->written_bytes += (size_t)written;
	if (log->written_bytes < length)
		return false;
	log->written_bytes = 0;
	return true;
}

static void
write_waiting(struct eventlog *log)
{
	const char *at = log->wait;

	while (*at != '\0') {
		size_t length = strcspn(at, "\n") + 1;

		if (!write_line(log, at, length))
			break;
		at += length;
	}
	log->wait_bytes -= (size_t)(at - log->wait);
	memmove(log->wait, at, log->wait_bytes + 1);
}

/* Adds what there is room for, in whole lines. */
static void
add_lines(struct eventlog *log, const char *lines)
{
	size_t length;

	for (; *lines != '\0'; lines += length) {
		length = strcspn(lines, "\n") + 1;
		if (log->wait_bytes + length > EVENTLOG_MAX_BYTES) {
			log->dropped++;
			continue;
		}
		log->wait =
		    xreallocarray(log->wait, log->wait_bytes + length + 1, 1);
		memcpy(log->wait + log->wait_bytes, lines, length);
		log->wait_bytes += length;
		log->wait[log->wait_bytes] = '\0';
	}
}

void
eventlog_append(struct eventlog *log, const char *lines)
{
	bool is_well = follow_path(log);

	add_lines(log, lines);
	write_waiting(log);
	if (is_well && log->wait_bytes == 0)
		note_success(log);
}

void
eventlog_close(struct eventlog *log)
{
	if (log == NULL)
		return;
	close_file(log);
	free(log->wait);
	free(log);
}
