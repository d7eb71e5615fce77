/* SPDX-License-Identifier: MIT */

/*
 * Reading the clocks.
 */

#include "proxy/base/clock.h"

#include <time.h>

static int64_t
read_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

mono_us
clock_mono(void)
{
	return read_us(CLOCK_MONOTONIC);
}

wall_us
clock_wall(void)
{
	return read_us(CLOCK_REALTIME);
}
