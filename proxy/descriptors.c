/* SPDX-License-Identifier: MIT */

/*
 * How many files we may have open.
 */

#include "proxy/descriptors.h"

#include <limits.h>

#include "proxy/base/log.h"

/* Logs, admin, database, resolver; and each worker's loop and listeners. */
#define RESERVED_COUNT 64
#define RESERVED_PER_WORKER 16

#define PER_CONNECTION 2
#define MIN_CONNECTIONS 8

struct rlimit
descriptors_raise(void)
{
	struct rlimit before = {RLIM_INFINITY, RLIM_INFINITY};

	if (getrlimit(RLIMIT_NOFILE, &before) == 0)
		descriptors_limit(before.rlim_max);
	return before;
}

void
descriptors_limit(rlim_t soft)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("cannot set the limit of open files");
}

unsigned
descriptors_connections(unsigned workers)
{
	rlim_t reserved = RESERVED_COUNT + RESERVED_PER_WORKER * workers;
	struct rlimit limit;
	rlim_t count;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT_MAX;
	if (limit.rlim_cur < reserved + MIN_CONNECTIONS * PER_CONNECTION)
		return MIN_CONNECTIONS;
	count = (limit.rlim_cur - reserved) / PER_CONNECTION;
	return count > UINT_MAX ? UINT_MAX : (unsigned)count;
}
