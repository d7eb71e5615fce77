/* SPDX-License-Identifier: MIT */

/*
 * How callers reuse their connections.
 */

#include "accounting/reuse.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"

/* No origin: those have a scheme. */
#define OTHER "other"

struct entry {
	char *key; /* owned */
	struct reuse reuse;
	UT_hash_handle hh;
};

struct reuse_table {
	struct entry *entries;
};

struct reuse_table *
reuse_table_new(void)
{
	return xcalloc(1, sizeof(struct reuse_table));
}

void
reuse_table_free(struct reuse_table *table)
{
	struct entry *entry;
	struct entry *next;

	HASH_ITER (hh, table->entries, entry, next) {
		HASH_DEL(table->entries, entry);
		reuse_fini(&entry->reuse);
		free(entry->key);
		free(entry);
	}
	free(table);
}

/* Takes `key`. */
static struct reuse *
add(struct reuse_table *table, char *key, const char *origin,
    const struct tags *tags)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));

	entry->key = key;
	entry->reuse.origin = xstrdup(origin);
	tags_copy(&entry->reuse.tags, tags);
	HASH_ADD_KEYPTR(
	    hh, table->entries, entry->key, strlen(entry->key), entry);
	return &entry->reuse;
}

struct reuse *
reuse_find(
    struct reuse_table *table, const char *origin, const struct tags *tags)
{
	static const struct tags none = {0};
	char *text = tags_text(tags);
	char *key = xasprintf("%s\n%s", origin, text);
	struct entry *entry;

	free(text);
	HASH_FIND_STR(table->entries, key, entry);
	if (entry == NULL && HASH_COUNT(table->entries) >= REUSE_MAX) {
		free(key);
		key = xstrdup(OTHER);
		origin = key;
		tags = &none;
		HASH_FIND_STR(table->entries, key, entry);
	}
	if (entry == NULL)
		return add(table, key, origin, tags);
	free(key);
	return &entry->reuse;
}

bool
reuse_is_other(const struct reuse *reuse)
{
	return strcmp(reuse->origin, OTHER) == 0;
}

struct reuse *
reuse_copy(const struct reuse_table *table, size_t *count)
{
	struct reuse *copies =
	    xcalloc(HASH_COUNT(table->entries) + 1, sizeof(*copies));
	struct entry *entry;
	struct entry *next;

	*count = 0;
	HASH_ITER (hh, table->entries, entry, next) {
		struct reuse *copy = &copies[(*count)++];

		*copy = entry->reuse;
		copy->origin = xstrdup(entry->reuse.origin);
		copy->tags = (struct tags){0};
		tags_copy(&copy->tags, &entry->reuse.tags);
	}
	return copies;
}

bool
reuse_is_same(const struct reuse *a, const struct reuse *b)
{
	return strcmp(a->origin, b->origin) == 0 &&
	    tags_equal(&a->tags, &b->tags);
}

void
reuse_absorb(struct reuse *into, struct reuse *from)
{
	into->connections += from->connections;
	into->exchanges += from->exchanges;
	into->one_shot += from->one_shot;
	into->closed_after_one += from->closed_after_one;
	into->early_closes += from->early_closes;
	into->half_sent += from->half_sent;
	reuse_fini(from);
}

int
reuse_rank(const void *a, const void *b)
{
	const struct reuse *left = a;
	const struct reuse *right = b;

	if (left->connections != right->connections)
		return left->connections > right->connections ? -1 : 1;
	return strcmp(left->origin, right->origin);
}

void
reuse_fini(struct reuse *reuse)
{
	free(reuse->origin);
	tags_fini(&reuse->tags);
}
