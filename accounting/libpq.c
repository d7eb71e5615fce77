/* SPDX-License-Identifier: MIT */

#include "accounting/libpq.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libpq.so.5"

struct libpq libpq;

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
#define PQ_FUNCTION(name) {"PQ" #name, offsetof(struct libpq, name)},
#include "accounting/libpq.def"
#undef PQ_FUNCTION
};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

bool
libpq_load(void)
{
	static bool is_loaded;
	void *library;

	if (is_loaded)
		return true;
	/* It stays: its own libraries do not like to go. */
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return false;
	for (size_t i = 0; i < COUNT_OF(functions); i++) {
		void *function = dlsym(library, functions[i].name);

		if (function == NULL)
			return false;
		/* POSIX has them of one size. */
		memcpy((char *)&libpq + functions[i].offset, &function,
		    sizeof(function));
	}
	is_loaded = true;
	return true;
}
