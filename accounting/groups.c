/* SPDX-License-Identifier: MIT */

/*
 * A shard's leaks.
 */

#include "accounting/groups.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"

struct group {
	struct leak leak; /* counts; its key strings are owned */
	UT_hash_handle hh;
};

struct groups {
	struct group *table; /* by leak.id */
};

struct groups *
groups_new(void)
{
	return xcalloc(1, sizeof(struct groups));
}

void
groups_free(struct groups *groups)
{
	struct group *group;
	struct group *next;

	HASH_ITER (hh, groups->table, group, next) {
		HASH_DEL(groups->table, group);
		leak_fini(&group->leak);
		free(group);
	}
	free(groups);
}

static struct group *
add_group(struct groups *groups, const struct exchange_record *exchange)
{
	struct group *group = xcalloc(1, sizeof(*group));
	struct leak *leak = &group->leak;

	leak_id(leak->id, exchange);
	leak->origin = xstrdup(exchange->origin);
	leak->method = xstrdup(exchange->method);
	leak->route = xstrdup(exchange->route);
	leak->status = exchange->status;
	tags_copy(&leak->tags, &exchange->tags);
	leak->first_seen = exchange->began_at;
	HASH_ADD_STR(groups->table, leak.id, group);
	return group;
}

static struct group *
find_group(struct groups *groups, const struct exchange_record *exchange)
{
	char other_word[] = "other";
	const struct exchange_record other = {.origin = other_word,
	    .method = other_word,
	    .route = other_word,
	    .began_at = exchange->began_at};
	char id[LEAK_ID_BYTES];
	struct group *group;

	leak_id(id, exchange);
	HASH_FIND_STR(groups->table, id, group);
	if (group != NULL)
		return group;
	if (HASH_COUNT(groups->table) < GROUPS_MAX)
		return add_group(groups, exchange);
	leak_id(id, &other);
	HASH_FIND_STR(groups->table, id, group);
	return group != NULL ? group : add_group(groups, &other);
}

/* Counts one response with this judgement in (+1) or out (-1). */
static void
count(struct leak *leak, const struct judgement *judgement, int step)
{
	if (judgement->verdict == VERDICT_UNDRAINED) {
		leak->undrained += (uint64_t)step;
		leak->by_evidence[judgement->evidence] += (uint64_t)step;
	} else if (judgement->verdict == VERDICT_SUSPECTED) {
		leak->suspected += (uint64_t)step;
	}
}

static bool
is_counted(const struct judgement *judgement)
{
	return judgement->verdict == VERDICT_UNDRAINED ||
	    judgement->verdict == VERDICT_SUSPECTED;
}

void
groups_judged(struct groups *groups, const struct exchange_record *exchange,
    const struct judgement *before)
{
	struct leak *leak;

	if (!is_counted(before) && !is_counted(&exchange->judgement))
		return;
	leak = &find_group(groups, exchange)->leak;
	count(leak, before, -1);
	if (!is_counted(before))
		arrivals_add(&leak->arrivals, exchange->arrived_at);
	else if (!is_counted(&exchange->judgement))
		arrivals_remove(&leak->arrivals, exchange->arrived_at);
	count(leak, &exchange->judgement, +1);
	if (exchange->began_at < leak->first_seen)
		leak->first_seen = exchange->began_at;
	if (exchange->began_at > leak->last_seen)
		leak->last_seen = exchange->began_at;
}

const char *
groups_leak_id(struct groups *groups, const struct exchange_record *exchange)
{
	return find_group(groups, exchange)->leak.id;
}

void
groups_released(struct groups *groups, const struct exchange_record *exchange,
    double held_s)
{
	struct leak *leak = &find_group(groups, exchange)->leak;
	struct leak_releases *releases = &leak->releases;

	/* The process let go of everything: no age of this leak's own. */
	if (exchange->facts.owner_exited) {
		leak->held_to_exit++;
		return;
	}
	releases->count++;
	releases->sum_s += held_s;
	releases->sum_squares_s += held_s * held_s;
}

static void
copy_leak(struct leak *to, const struct leak *from)
{
	*to = *from;
	to->origin = xstrdup(from->origin);
	to->method = xstrdup(from->method);
	to->route = xstrdup(from->route);
	to->tags = (struct tags){0};
	tags_copy(&to->tags, &from->tags);
	arrivals_copy(&to->arrivals, &from->arrivals);
}

struct leak *
groups_copy(const struct groups *groups, size_t *count_out)
{
	struct leak *leaks =
	    xcalloc(HASH_COUNT(groups->table) + 1, sizeof(*leaks));
	struct group *group;
	struct group *next;
	size_t copied = 0;

	HASH_ITER (hh, groups->table, group, next) {
		const struct leak *leak = &group->leak;

		if (leak->undrained > 0 || leak->suspected > 0)
			copy_leak(&leaks[copied++], leak);
	}
	*count_out = copied;
	return leaks;
}
