/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_UNITS_H
#define ACCOUNTING_UNITS_H

/*
 * The two clocks, and what every room of the house agrees on.
 */

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds: for durations and for deciding. */
typedef int64_t mono_us;

/* CLOCK_REALTIME in microseconds since 1970: for showing to people. */
typedef int64_t wall_us;

#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#endif
