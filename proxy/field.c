/* SPDX-License-Identifier: MIT */

/*
 * The names of fields that we know.
 *
 * A name is looked up by its length and two letters; what is found there is
 * compared, and most names of strangers find nothing.
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
    [FIELD_OTHER] = "",
    [FIELD_LEAKPROXY] = OUR_PREFIX,
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

/* Where each name is found, from slot_of() on; FIELD_OTHER ends the search. */
#define SLOTS 256
static uint8_t slots[SLOTS];

static_assert(FIELD_COUNT <= SLOTS / 4, "searches are short, and end");

static size_t
slot_of(const char *name, size_t length)
{
	unsigned char first = (unsigned char)name[0] | 0x20;
	unsigned char last = (unsigned char)name[length - 1] | 0x20;

	return (length * 5 + first * 21u + last) % SLOTS;
}

/* Before main(), and before there are threads. */
static void __attribute__((constructor)) fill_slots(void)
{
	for (uint8_t id = FIELD_LEAKPROXY + 1; id < FIELD_COUNT; id++) {
		size_t slot = slot_of(names[id], lengths[id]);

		while (slots[slot] != FIELD_OTHER)
			slot = (slot + 1) % SLOTS;
		slots[slot] = id;
	}
}

/* Nearly all come in the usual case. */
static bool
is_name(struct span span, enum field_id id)
{
	return span.length == lengths[id] &&
	    (memcmp(span.at, names[id], span.length) == 0 ||
		strncasecmp(span.at, names[id], span.length) == 0);
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
	enum field_id id;

	if (name.length == 0)
		return FIELD_OTHER;
	for (size_t slot = slot_of(name.at, name.length);
	     (id = slots[slot]) != FIELD_OTHER; slot = (slot + 1) % SLOTS) {
		if (is_name(name, id))
			return id;
	}
	return is_ours(name) ? FIELD_LEAKPROXY : FIELD_OTHER;
}

struct span
field_name(enum field_id id)
{
	return (struct span){names[id], strlen(names[id])};
}

unsigned
field_traits(enum field_id id)
{
	return traits_of[id];
}
