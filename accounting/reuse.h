/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_REUSE_H
#define ACCOUNTING_REUSE_H

/*
 * How callers reuse their connections, by origin and tags of a connection's
 * first exchange: the neighbours of a leak that people take for one (DESIGN
 * §2).  The worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/tag.h"

/* Beyond so many, connections are counted under one, "other". */
#define REUSE_MAX 1024

struct reuse {
	char *origin;
	struct tags tags;
	uint64_t connections;
	uint64_t exchanges;
	uint64_t one_shot;         /* one exchange, drained, then idle until our
	                          probe closed it */
	uint64_t closed_after_one; /* one exchange, then closed by the caller */
	uint64_t early_closes;     /* responses closed before their end */
	uint64_t half_sent;        /* answered before the request's body was all
	                          there, and it never came */
};

struct reuse_table;

struct reuse_table *reuse_table_new(void);
void reuse_table_free(struct reuse_table *table);

/* Returns the entry for a connection whose first exchange this is, for its
 * counts to be added to.  Borrowed: until reuse_table_free(). */
struct reuse *reuse_find(
    struct reuse_table *table, const char *origin, const struct tags *tags);

/* Whether it counts those beyond REUSE_MAX, of no one origin. */
bool reuse_is_other(const struct reuse *reuse);

/* Returns copies; *count of them.  Free each with reuse_fini() and the array
 * with free(). */
struct reuse *reuse_copy(const struct reuse_table *table, size_t *count);

/* Whether both are about the same origin and tags. */
bool reuse_is_same(const struct reuse *a, const struct reuse *b);

/* Adds what `from` counted to `into`.  `from` keeps nothing. */
void reuse_absorb(struct reuse *into, struct reuse *from);

/* For qsort(): most connections first, then by origin. */
int reuse_rank(const void *a, const void *b);

void reuse_fini(struct reuse *reuse);

#endif
