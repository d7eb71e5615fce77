/* SPDX-License-Identifier: MIT */

/*
 * Readers of the options about captures.
 */

#include "proxy/option_read.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/filter.h"
#include "accounting/memory.h"

/* A capture counts its bytes in 32 bits. */
#define MAX_CAPTURE_BYTES ((size_t)1 << 30)
#define MIN_CAPTURE_DIR_BYTES ((size_t)1 << 20)

bool
option_read_size_or_off(
    struct options *options, void *field, const char *text, char *why)
{
	if (strcmp(text, "off") == 0) {
		*(size_t *)field = 0;
		return true;
	}
	if (!units_parse_size(text, field))
		return option_refuse(why, text,
		    "is no size: write 65536, 64KiB or 16MiB, or off");
	return true;
}

bool
option_read_capture_bytes(
    struct options *options, void *field, const char *text, char *why)
{
	size_t size_bytes;

	if (!option_read_size_or_off(options, &size_bytes, text, why))
		return false;
	if (size_bytes > MAX_CAPTURE_BYTES)
		return option_refuse(why, text,
		    "is more than is kept of a body: write 1GiB or less");
	*(size_t *)field = size_bytes;
	return true;
}

/* Takes `filter`, and returns it if the text was understood. */
static struct filter *
read_filter(struct filter *filter, const char *text, char *why)
{
	char *refusal = filter_add(filter, text);

	if (refusal == NULL)
		return filter;
	snprintf(why, OPTION_WHY_BYTES, "%s", refusal);
	free(refusal);
	filter_free(filter);
	return NULL;
}

bool
option_read_capture(
    struct options *options, void *field, const char *text, char *why)
{
	struct filter *filter =
	    read_filter(filter_new(FILTER_EXCHANGES), text, why);
	struct filter **kept = field;

	if (filter == NULL)
		return false;
	filter_free(*kept);
	*kept = filter;
	return true;
}

bool
option_read_capture_dir_size(
    struct options *options, void *field, const char *text, char *why)
{
	size_t size_bytes;

	if (!units_parse_size(text, &size_bytes) ||
	    size_bytes < MIN_CAPTURE_DIR_BYTES || size_bytes > INT64_MAX)
		return option_refuse(why, text,
		    "is no such size: write 1MiB or more, such as 1GiB");
	*(size_t *)field = size_bytes;
	return true;
}

bool
option_read_leak_filter(
    struct options *options, void *field, const char *text, char *why)
{
	struct filter *filter =
	    read_filter(filter_new(FILTER_LEAKS), text, why);
	char **kept = field;

	if (filter == NULL)
		return false;
	filter_free(filter);
	free(*kept);
	*kept = xstrdup(text);
	return true;
}

bool
option_read_redact(
    struct options *options, void *field, const char *text, char *why)
{
	bool is_name = strspn(text, "*") < strlen(text);

	for (const char *c = text; *c != '\0'; c++)
		is_name = is_name && isgraph((unsigned char)*c) &&
		    strchr("=&;:/?#", *c) == NULL;
	if (!is_name)
		return option_refuse(why, text,
		    "is no name: write one, such as X-Internal-Id, or a "
		    "pattern, such as X-Internal-*");
	secrets_add(options->secrets, text);
	return true;
}
