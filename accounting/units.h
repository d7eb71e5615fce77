/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_UNITS_H
#define ACCOUNTING_UNITS_H

/*
 * The two clocks, what every room of the house agrees on, and numbers as
 * people write them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds: for durations and for deciding. */
typedef int64_t mono_us;

/* CLOCK_REALTIME in microseconds since 1970: for showing to people. */
typedef int64_t wall_us;

#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)

/* On an enum of which records hold thousands: it takes one byte. */
#define ONE_BYTE __attribute__((packed))

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Ten years: more is a mistake, and sums with a clock must not overflow. */
#define UNITS_MAX_DURATION_US (INT64_C(10) * 365 * 24 * 3600 * US_PER_S)

/*
 * Each returns whether the whole of `text` is such a number, and leaves the
 * result alone where it is not.  Pure; any thread.
 */

/* "500ms", "30s", "5m", "2h", or "0". */
bool units_parse_duration(const char *text, mono_us *duration_us) MUST_CHECK;

/* "100", "64KiB", "1MiB", "2GiB". */
bool units_parse_size(const char *text, size_t *size_bytes) MUST_CHECK;

/* Decimal digits alone, at most `max`. */
bool units_parse_number(
    const char *text, uint64_t max, uint64_t *number) MUST_CHECK;

#endif
