/* SPDX-License-Identifier: MIT */

/*
 * The names of fields that we know.
 *
 * A name is told by its length first: few of those in the table share one, so
 * that most names of strangers are never compared.
 */

#include "proxy/field.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define OUR_PREFIX "Leakproxy-"

#define HOP FIELD_IS_HOP_BY_HOP
#define OURS FIELD_IS_FOR_US
#define ANEW FIELD_IS_WRITTEN_ANEW
#define HEAD FIELD_IS_FOR_HEADS

static const char *const names[] = {
#define FIELD(id, name, traits) [FIELD_##id] = name,
#include "proxy/fields.def"
#undef FIELD
};

/* By the same index; 0 where there is no name. */
static const uint8_t lengths[] = {
#define FIELD(id, name, traits) [FIELD_##id] = sizeof(name) - 1,
#include "proxy/fields.def"
#undef FIELD
};

static const uint8_t traits_of[FIELD_COUNT] = {
    [FIELD_LEAKPROXY] = OURS,
#define FIELD(id, name, traits) [FIELD_##id] = (traits),
#include "proxy/fields.def"
#undef FIELD
};

static_assert(FIELD_COUNT <= 64, "a head has a bit for each");

static bool
is_name(struct span span, const char *name)
{
	/* The first letters tell most of them apart. */
	return ((span.at[0] ^ name[0]) & ~0x20) == 0 &&
	    strncasecmp(span.at, name, span.length) == 0;
}

static bool
is_ours(struct span name)
{
	return name.length >= strlen(OUR_PREFIX) &&
	    (name.at[0] | 0x20) == 'l' &&
	    strncasecmp(name.at, OUR_PREFIX, strlen(OUR_PREFIX)) == 0;
}

enum field_id
field_identify(struct span name)
{
	const uint8_t *end = lengths + FIELD_COUNT;
	const uint8_t *at = lengths;

	if (name.length == 0 || name.length > UINT8_MAX)
		return FIELD_OTHER;
	while (
	    (at = memchr(at, (int)name.length, (size_t)(end - at))) != NULL) {
		size_t id = (size_t)(at - lengths);

		if (is_name(name, names[id]))
			return (enum field_id)id;
		at++;
	}
	return is_ours(name) ? FIELD_LEAKPROXY : FIELD_OTHER;
}

unsigned
field_traits(enum field_id id)
{
	return traits_of[id];
}
