/* SPDX-License-Identifier: MIT */

/*
 * Packing.
 */

#include "accounting/pack.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

/* The bytes that are left; 0 where something found no room. */
static size_t
left(const struct pack *pack)
{
	return pack->is_full ? 0 : (size_t)(pack->end - pack->at);
}

void *
pack_room(struct pack *pack, size_t size)
{
	size_t gap = -(uintptr_t)pack->at & (alignof(max_align_t) - 1);
	void *room;

	pack->wanted_bytes += size + alignof(max_align_t);
	pack->is_full =
	    pack->is_full || left(pack) < gap || left(pack) - gap < size;
	if (pack->is_full)
		return NULL;
	room = pack->at + gap;
	pack->at += gap + size;
	return room;
}

char *
pack_bytes(struct pack *pack, const char *bytes, size_t length)
{
	char *copy = pack->at;

	if (bytes == NULL)
		return NULL;
	pack->wanted_bytes += length;
	pack->is_full = pack->is_full || left(pack) < length;
	if (pack->is_full)
		return NULL;
	memcpy(copy, bytes, length);
	pack->at += length;
	return copy;
}

char *
pack_text(struct pack *pack, const char *text)
{
	return text == NULL ? NULL : pack_bytes(pack, text, strlen(text) + 1);
}
