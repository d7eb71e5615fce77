/* SPDX-License-Identifier: MIT */
#ifndef PROXY_BASE_LOG_H
#define PROXY_BASE_LOG_H

/*
 * The log: one line an event, to stderr.  Any thread.  Lines about a
 * connection start with its id, "c17" or "c17x3".
 */

#include "accounting/units.h"

#ifdef NDEBUG
#error "assertions are part of the program: build without NDEBUG"
#endif

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

void log_set_level(enum log_level level);

/* Keeps this line below the others, for a terminal; NULL: none any more. */
void log_set_status(const char *line);

/* The operator must act. */
void log_error(const char *format, ...) PRINTF_LIKE(1, 2);

/* Something is wrong outside; log_warn() appends errno's text. */
void log_warn(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warnx(const char *format, ...) PRINTF_LIKE(1, 2);

/* The program's own life. */
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);

/* Changes of state. */
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
