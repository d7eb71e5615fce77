/* SPDX-License-Identifier: MIT */

/*
 * The reader of the option that is top's alone.
 */

#include "proxy/option_read.h"

#define MAX_COUNT 1000000000

bool
option_read_count(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t number;

	if (!units_parse_number(text, MAX_COUNT, &number) || number == 0)
		return option_refuse(
		    why, text, "is no number: write 1 or more");
	*(uint64_t *)field = number;
	return true;
}
