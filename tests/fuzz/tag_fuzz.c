/* SPDX-License-Identifier: MIT */

/*
 * Leakproxy-Tag values from strangers: all is added or nothing, and what is
 * added keeps the bounds.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/tag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tags tags = {0};

	if (!tags_set(&tags, "before", "1", 1))
		abort();
	if (!tags_add_dictionary(&tags, (const char *)data, size))
		assert(tags.count == 1);
	assert(tags.count <= TAG_MAX_COUNT);
	for (size_t i = 0; i < tags.count; i++) {
		assert(strlen(tags.items[i].key) <= TAG_KEY_MAX_BYTES);
		assert(strlen(tags.items[i].value) <= TAG_VALUE_MAX_BYTES);
	}
	free(tags_text(&tags));
	tags_fini(&tags);
	return 0;
}
