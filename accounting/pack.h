/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_PACK_H
#define ACCOUNTING_PACK_H

/*
 * Copies laid one behind the other into room that is given: what a record
 * owns, without an allocation for each of it.  Each record's module packs its
 * own.  What is packed is freed with the room, and with nothing else.
 */

#include <stdbool.h>
#include <stddef.h>

/* From `at`, aligned as by malloc(), up to `end`. */
struct pack {
	char *at;
	const char *end;
	size_t wanted_bytes; /* all that has been asked for, at most */
	bool is_full;        /* something found no room: nothing packed is of
	                        use, and all that follows is only counted */
};

/* Returns room for a structure, NULL where there is none. */
void *pack_room(struct pack *pack, size_t size);

/* Return the copy; NULL of NULL, and where there is no room. */
char *pack_bytes(struct pack *pack, const char *bytes, size_t length);
char *pack_text(struct pack *pack, const char *text);

#endif
