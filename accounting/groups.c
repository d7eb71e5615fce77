/* SPDX-License-Identifier: MIT */

/*
 * A shard's leaks.
 */

#include "accounting/groups.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"

#define FIRST_SIZE 64

/* The counts of a leak, as they were taken last. */
struct tally {
	uint64_t undrained;
	uint64_t suspected;
	uint64_t held_to_exit;
	uint64_t by_evidence[EVIDENCE_COUNT];
	struct leak_releases releases;
};

struct group {
	struct leak leak; /* named; counts */
	struct tally taken;
	bool is_changed; /* since groups_take_changes() */
	uint64_t hash;   /* the number behind leak.id */
	size_t number;
	UT_hash_handle hh;
};

struct groups {
	mono_us since;       /* where all their series begin */
	struct group *table; /* by hash */
	struct group **list; /* owned, by number */
	size_t list_size;
	size_t changed_count;
};

struct groups *
groups_new(mono_us now)
{
	struct groups *groups = xcalloc(1, sizeof(*groups));

	groups->since = now;
	return groups;
}

void
groups_free(struct groups *groups)
{
	size_t count = groups_count(groups);

	HASH_CLEAR(hh, groups->table);
	for (size_t i = 0; i < count; i++) {
		leak_fini(&groups->list[i]->leak);
		free(groups->list[i]);
	}
	free(groups->list);
	free(groups);
}

static void
note_change(struct groups *groups, struct group *group)
{
	groups->changed_count += !group->is_changed;
	group->is_changed = true;
}

size_t
groups_count(const struct groups *groups)
{
	return HASH_COUNT(groups->table);
}

static void
put_in_list(struct groups *groups, struct group *group)
{
	group->number = groups_count(groups);
	if (group->number == groups->list_size) {
		groups->list_size =
		    groups->list_size == 0 ? FIRST_SIZE : 2 * groups->list_size;
		groups->list = xreallocarray(
		    groups->list, groups->list_size, sizeof(*groups->list));
	}
	groups->list[group->number] = group;
}

static struct group *
add_group(struct groups *groups, const struct exchange_record *exchange)
{
	struct group *group = xcalloc(1, sizeof(*group));
	struct leak *leak = &group->leak;

	leak_set_name(leak, exchange);
	leak->first_seen = exchange->began_at;
	levels_begin(&leak->held, groups->since);
	group->hash = leak_hash(exchange, exchange->route);
	put_in_list(groups, group);
	HASH_ADD(hh, groups->table, hash, sizeof(group->hash), group);
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
	uint64_t hash = leak_hash(exchange, exchange->route);
	struct group *group;

	HASH_FIND(hh, groups->table, &hash, sizeof(hash), group);
	if (group != NULL)
		return group;
	if (groups_count(groups) < GROUPS_MAX)
		return add_group(groups, exchange);
	hash = leak_hash(&other, other.route);
	HASH_FIND(hh, groups->table, &hash, sizeof(hash), group);
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
	struct group *group;
	struct leak *leak;

	if (!is_counted(before) && !is_counted(&exchange->judgement))
		return;
	group = find_group(groups, exchange);
	leak = &group->leak;
	note_change(groups, group);
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

void
groups_held(struct groups *groups, const struct exchange_record *exchange,
    mono_us at, int step)
{
	struct leak *leak = &find_group(groups, exchange)->leak;

	leak->held_now += (uint64_t)step;
	levels_step(&leak->held, at, step);
}

void
groups_released(struct groups *groups, const struct exchange_record *exchange,
    double held_s)
{
	struct group *group = find_group(groups, exchange);
	struct leak *leak = &group->leak;
	struct leak_releases *releases = &leak->releases;

	note_change(groups, group);
	/* The process let go of everything: no age of this leak's own. */
	if (exchange->facts.owner_exited) {
		leak->held_to_exit++;
		return;
	}
	releases->count++;
	releases->sum_s += held_s;
	releases->sum_squares_s += held_s * held_s;
}

bool
groups_copy(
    struct groups *groups, size_t number, mono_us now, struct leak *leak)
{
	struct leak *counted = &groups->list[number]->leak;

	if (counted->undrained == 0 && counted->suspected == 0)
		return false;
	levels_advance(&counted->held, now);
	leak_copy(leak, counted);
	return true;
}

size_t
groups_number(struct groups *groups, const struct exchange_record *exchange)
{
	return find_group(groups, exchange)->number;
}

static void
subtract(struct leak *leak, const struct tally *taken)
{
	leak->undrained -= taken->undrained;
	leak->suspected -= taken->suspected;
	leak->held_to_exit -= taken->held_to_exit;
	for (size_t i = 0; i < EVIDENCE_COUNT; i++)
		leak->by_evidence[i] -= taken->by_evidence[i];
	leak->releases.count -= taken->releases.count;
	leak->releases.sum_s -= taken->releases.sum_s;
	leak->releases.sum_squares_s -= taken->releases.sum_squares_s;
}

static void
take_change(struct group *group, struct leak *change)
{
	const struct leak *leak = &group->leak;

	leak_copy(change, leak);
	subtract(change, &group->taken);
	group->taken = (struct tally){
	    .undrained = leak->undrained,
	    .suspected = leak->suspected,
	    .held_to_exit = leak->held_to_exit,
	    .releases = leak->releases,
	};
	memcpy(group->taken.by_evidence, leak->by_evidence,
	    sizeof(leak->by_evidence));
	group->is_changed = false;
}

struct leak *
groups_take_changes(struct groups *groups, size_t *count_out)
{
	struct leak *changes;
	size_t taken = 0;

	*count_out = 0;
	if (groups->changed_count == 0)
		return NULL;
	changes = xcalloc(groups->changed_count, sizeof(*changes));
	for (size_t i = 0; taken < groups->changed_count; i++) {
		if (groups->list[i]->is_changed)
			take_change(groups->list[i], &changes[taken++]);
	}
	groups->changed_count = 0;
	*count_out = taken;
	return changes;
}
