/* SPDX-License-Identifier: MIT */
#ifndef PROXY_FIELD_H
#define PROXY_FIELD_H

/*
 * Fields of a message, and the names that we know: each is looked up once, when
 * its field is read, and is a number from then on.  Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/span.h"

enum field_id {
	FIELD_OTHER,     /* none of those below */
	FIELD_LEAKPROXY, /* another that begins with "Leakproxy-" */
#define FIELD(id, name, traits) FIELD_##id,
#include "proxy/fields.def"
#undef FIELD
	FIELD_COUNT
};

struct field {
	enum field_id id; /* of its name */
	struct span name; /* as it came */
	struct span value;
};

enum field_trait {
	FIELD_IS_HOP_BY_HOP = 1 << 0,
	FIELD_IS_FOR_US = 1 << 1,
	FIELD_IS_WRITTEN_ANEW = 1 << 2,
	FIELD_IS_FOR_HEADS = 1 << 3,
};

/* Names are compared without case (RFC 9110 §5.1). */
enum field_id field_identify(struct span name);

/* As it is usually written; a prefix for FIELD_LEAKPROXY, empty for
 * FIELD_OTHER. */
struct span field_name(enum field_id id);

/* Of enum field_trait; proxy/fields.def says what each means. */
unsigned field_traits(enum field_id id);

#endif
