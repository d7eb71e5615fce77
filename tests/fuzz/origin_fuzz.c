/* SPDX-License-Identifier: MIT */

/*
 * Request targets: what is accepted can be written out and read back, and
 * names the same origin.
 */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proxy/origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = {(const char *)data, size};
	struct origin origin;
	struct origin again;
	struct span path;
	char host[ORIGIN_KEY_BYTES];

	if (origin_parse_absolute(text, &origin, &path)) {
		struct span key = {origin.key, strlen(origin.key)};

		if (!origin_parse_absolute(key, &again, &path))
			assert(!"the key is no URL");
		assert(strcmp(origin.key, again.key) == 0);
	}
	if (origin_parse_authority(text, 80, &origin)) {
		struct span field = {host, 0};

		origin_host_field(&origin, host);
		field.length = strlen(host);
		if (!origin_parse_authority(field, 80, &again))
			assert(!"Host cannot be read back");
		assert(origin_is_same_authority(&origin, &again));
	}
	return 0;
}
