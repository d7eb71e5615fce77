/* SPDX-License-Identifier: MIT */

/*
 * The log.  Each line leaves in one write, so that threads cannot mix theirs.
 * Where a status is kept on the terminal, a line is written over it, and the
 * status anew behind the line.
 */

#include "proxy/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define STATUS_MAX_BYTES 512

/* ECMA-48: to the first column, and clear what is right of it. */
#define CLEAR_LINE "\r\033[K"

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;

static pthread_mutex_t status_lock = PTHREAD_MUTEX_INITIALIZER;
static char status[STATUS_MAX_BYTES]; /* "" without one; guarded */

static const char *const level_words[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

void
log_set_level(enum log_level level)
{
	threshold = level;
}

static size_t
put_timestamp(char *line, size_t size)
{
	struct timespec now;
	struct tm utc;
	size_t length;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	length = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
	return length +
	    (size_t)snprintf(
		line + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

static void
put(const char *bytes, size_t length)
{
	if (write(STDERR_FILENO, bytes, length) < 0) {
		/* There is nowhere left to say so. */
	}
}

/* `line` with its end, or "" for the status alone. */
static void
put_with_status(const char *line)
{
	char text[LINE_MAX_BYTES + STATUS_MAX_BYTES + 16];
	int length =
	    snprintf(text, sizeof(text), CLEAR_LINE "%s%s", line, status);

	put(text, (size_t)length);
}

void
log_set_status(const char *line)
{
	pthread_mutex_lock(&status_lock);
	if (line != NULL || status[0] != '\0') {
		snprintf(
		    status, sizeof(status), "%s", line == NULL ? "" : line);
		put_with_status("");
	}
	pthread_mutex_unlock(&status_lock);
}

static void __attribute__((format(printf, 3, 0)))
put_line(enum log_level level, int error, const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	size_t size = sizeof(line) - 2; /* room for the newline and the NUL */
	size_t length;
	int saved_errno = errno;

	if (level > threshold)
		return;
	length = put_timestamp(line, size);
	length += (size_t)snprintf(line + length, size - length,
	    " leakproxy: %s: ", level_words[level]);
	length += (size_t)vsnprintf(line + length, size - length, format, args);
	if (error != 0 && length < size)
		length += (size_t)snprintf(
		    line + length, size - length, ": %s", strerror(error));
	if (length >= size)
		length = size - 1;
	line[length++] = '\n';
	line[length] = '\0';
	pthread_mutex_lock(&status_lock);
	if (status[0] == '\0')
		put(line, length);
	else
		put_with_status(line);
	pthread_mutex_unlock(&status_lock);
	errno = saved_errno;
}

#define LOG_FUNCTION(name, level, error)              \
	void name(const char *format, ...)            \
	{                                             \
		va_list args;                         \
		va_start(args, format);               \
		put_line(level, error, format, args); \
		va_end(args);                         \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR, 0)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN, errno)
LOG_FUNCTION(log_warnx, LOG_LEVEL_WARN, 0)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO, 0)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG, 0)
