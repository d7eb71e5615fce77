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
	struct origin_draft draft;
	struct origin_draft again;
	struct span path;
	char host[ORIGIN_KEY_BYTES];

	if (origin_parse_absolute(text, &draft, &path)) {
		struct span key = {draft.key, strlen(draft.key)};

		if (!origin_parse_absolute(key, &again, &path))
			assert(!"the key is no URL");
		assert(strcmp(draft.key, again.key) == 0);
	}
	if (origin_parse_authority(text, 80, &draft)) {
		struct span field = {host, 0};

		origin_host_field(&draft.origin, host);
		field.length = strlen(host);
		if (!origin_parse_authority(field, 80, &again))
			assert(!"Host cannot be read back");
		assert(origin_is_same_authority(&draft.origin, &again.origin));
	}
	return 0;
}
