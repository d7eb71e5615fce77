/* SPDX-License-Identifier: MIT */

/*
 * The outbox.
 *
 * A block is filled from its start: for each exchange a head, which says where
 * the next one is, its record, and what that owns.  One that is longer than a
 * block has a block of its own.
 */

#include "accounting/outbox.h"

#include <stdalign.h>
#include <stdlib.h>

#include "accounting/memory.h"
#include "accounting/pack.h"

/* Below what malloc() asks the kernel for each time. */
#define BLOCK_BYTES ((size_t)64 * 1024)

struct outbox_block {
	struct outbox_block *next;
	size_t size; /* of the bytes */
	size_t used;
	alignas(max_align_t) char bytes[];
};

struct item {
	size_t end; /* in the block */
	struct exchange_record record;
};

struct outbox {
	struct outbox_block *first; /* owned, oldest first */
	struct outbox_block *last;
	size_t taken_bytes; /* of the blocks */
	size_t max_bytes;
};

struct outbox *
outbox_new(size_t max_bytes)
{
	struct outbox *outbox = xcalloc(1, sizeof(*outbox));

	outbox->max_bytes = max_bytes;
	return outbox;
}

void
outbox_free_blocks(struct outbox_block *blocks)
{
	while (blocks != NULL) {
		struct outbox_block *next = blocks->next;

		free(blocks);
		blocks = next;
	}
}

void
outbox_free(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	outbox_free_blocks(outbox->first);
	free(outbox);
}

size_t
outbox_blocks_bytes(const struct outbox_block *blocks)
{
	size_t bytes = 0;

	for (; blocks != NULL; blocks = blocks->next)
		bytes += blocks->size;
	return bytes;
}

/* Adds a block of that size, or more, at the end.  Returns false at the
 * bound. */
static bool
add_block(struct outbox *outbox, size_t size)
{
	struct outbox_block *block;

	if (size < BLOCK_BYTES)
		size = BLOCK_BYTES;
	if (size > outbox->max_bytes - outbox->taken_bytes)
		return false;
	/* Not cleared: it is written before it is read. */
	block = xreallocarray(NULL, 1, sizeof(*block) + size);
	block->next = NULL;
	block->size = size;
	block->used = 0;
	if (outbox->last == NULL)
		outbox->first = block;
	else
		outbox->last->next = block;
	outbox->last = block;
	outbox->taken_bytes += size;
	return true;
}

/* Returns 0, or, where the block has no room for it, how much it takes. */
static size_t
put_into(struct outbox_block *block, const struct exchange_record *exchange)
{
	struct pack pack = {.is_full = true};
	struct item *item;
	struct exchange_record record;

	if (block != NULL)
		pack = (struct pack){.at = block->bytes + block->used,
		    .end = block->bytes + block->size};
	item = pack_room(&pack, sizeof(*item));
	record_pack_exchange(&record, exchange, &pack);
	(void)pack_room(&pack, 0); /* where the next may begin */
	if (pack.is_full)
		return pack.wanted_bytes;
	item->record = record;
	item->end = (size_t)(pack.at - block->bytes);
	block->used = item->end;
	return 0;
}

bool
outbox_put(struct outbox *outbox, const struct exchange_record *exchange)
{
	size_t wanted_bytes = put_into(outbox->last, exchange);

	if (wanted_bytes == 0)
		return true;
	return add_block(outbox, wanted_bytes) &&
	    put_into(outbox->last, exchange) == 0;
}

struct outbox_block *
outbox_take(struct outbox *outbox)
{
	struct outbox_block *blocks = outbox->first;

	outbox->first = NULL;
	outbox->last = NULL;
	outbox->taken_bytes = 0;
	return blocks;
}

struct exchange_record *
outbox_next(struct outbox_block **block, size_t *at)
{
	struct item *item;

	while (*block != NULL && *at == (*block)->used) {
		*block = (*block)->next;
		*at = 0;
	}
	if (*block == NULL)
		return NULL;
	item = (struct item *)(void *)((*block)->bytes + *at);
	*at = item->end;
	return &item->record;
}
