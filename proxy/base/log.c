/* SPDX-License-Identifier: MIT */

/*
 * The log.  Each line leaves in one write, so that threads cannot mix theirs.
 */

#include "proxy/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;

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

static void __attribute__((format(printf, 3, 0)))
put_line(enum log_level level, int error, const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	size_t size = sizeof(line) - 1; /* room for the newline */
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
	if (write(STDERR_FILENO, line, length) < 0) {
		/* There is nowhere left to say so. */
	}
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
