/* SPDX-License-Identifier: MIT */

/*
 * Paths and --route patterns: the template is bounded and free of control
 * bytes, whatever the path, and matching ends.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct route_set *set, const char *path)
{
	char route[ROUTE_MAX_BYTES];

	route_of(set, path, route);
	assert(memchr(route, '\0', sizeof(route)) != NULL);
	for (const char *p = route; *p != '\0'; p++)
		assert((unsigned char)*p >= ' ' && *p != 127);
}

/* The input is a pattern, a newline, and a path. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	char *path = strchr(text, '\n');
	struct route_set *set = route_set_new();

	if (path != NULL) {
		*path++ = '\0';
		if (route_set_add(set, text) == NULL)
			check(set, path);
		check(NULL, path);
	}
	check(NULL, text);
	route_set_free(set);
	free(text);
	return 0;
}
