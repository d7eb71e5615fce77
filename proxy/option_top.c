/* SPDX-License-Identifier: MIT */

/*
 * The reader of the option that is top's alone.
 */

#include <stdio.h>

#include "proxy/option_read.h"

#define MAX_COUNT 1000000000
#define SHOWN_VALUE_BYTES 120

bool
option_read_count(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t number;

	if (!units_parse_number(text, MAX_COUNT, &number) || number == 0) {
		snprintf(why, OPTION_WHY_BYTES,
		    "\"%.*s\" is no number: write 1 or more", SHOWN_VALUE_BYTES,
		    text);
		return false;
	}
	*(uint64_t *)field = number;
	return true;
}
