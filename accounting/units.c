/* SPDX-License-Identifier: MIT */

/*
 * Numbers as people write them.
 *
 * Strict on purpose: digits and a unit, nothing before, between or behind.
 * "30" is no duration, because one reader takes it for seconds and the next
 * for milliseconds.
 */

#include "accounting/units.h"

#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", (uint64_t)US_PER_MS},
    {"s", (uint64_t)US_PER_S},
    {"m", 60 * (uint64_t)US_PER_S},
    {"h", 3600 * (uint64_t)US_PER_S},
};

static const struct unit size_units[] = {
    {"", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Reads digits up to `max`; returns what follows them, or NULL. */
static const char *
read_digits(const char *text, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (digit > max || value > (max - digit) / 10)
			return NULL;
		value = value * 10 + digit;
	}
	*number = value;
	return text;
}

static bool
read_with_unit(const char *text, const struct unit *units, size_t unit_count,
    uint64_t max, uint64_t *number)
{
	uint64_t value;
	const char *name = read_digits(text, max, &value);

	if (name == NULL)
		return false;
	for (size_t i = 0; i < unit_count; i++) {
		if (strcmp(name, units[i].name) != 0)
			continue;
		if (value > max / units[i].factor)
			return false;
		*number = value * units[i].factor;
		return true;
	}
	return false;
}

bool
units_parse_duration(const char *text, mono_us *duration_us)
{
	uint64_t number;

	if (strcmp(text, "0") == 0) {
		*duration_us = 0;
		return true;
	}
	if (!read_with_unit(text, duration_units, COUNT_OF(duration_units),
		(uint64_t)UNITS_MAX_DURATION_US, &number))
		return false;
	*duration_us = (mono_us)number;
	return true;
}

bool
units_parse_size(const char *text, size_t *size_bytes)
{
	uint64_t number;

	if (!read_with_unit(
		text, size_units, COUNT_OF(size_units), SIZE_MAX, &number))
		return false;
	*size_bytes = (size_t)number;
	return true;
}

bool
units_parse_number(const char *text, uint64_t max, uint64_t *number)
{
	uint64_t value;
	const char *rest = read_digits(text, max, &value);

	if (rest == NULL || *rest != '\0')
		return false;
	*number = value;
	return true;
}
