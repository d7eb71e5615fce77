/* SPDX-License-Identifier: MIT */

/*
 * How often each kind of response was settled.
 *
 * A table counts what happened since it was last emptied, so its bound is one
 * of kinds in that time.  Kinds stay in it, at zero, for the next request to
 * find; when the table is half full, they are let go of too.
 */

#include "accounting/exposure.h"

#include <stdbool.h>
#include <stdlib.h>

#include "accounting/leak.h"
#include "accounting/memory.h"

static void
remove_one(struct exposures *exposures, struct exposure *exposure)
{
	HASH_DEL(exposures->table, exposure);
	free(exposure->origin);
	free(exposure->method);
	free(exposure->route);
	tags_fini(&exposure->tags);
	free(exposure);
}

void
exposures_fini(struct exposures *exposures)
{
	struct exposure *exposure;
	struct exposure *next;

	HASH_ITER (hh, exposures->table, exposure, next)
		remove_one(exposures, exposure);
}

bool
exposures_is_settled(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_DRAINED:
	case VERDICT_UNDRAINED:
	case VERDICT_ABANDONED:
		return true;
	case VERDICT_NONE:
	case VERDICT_OPEN:
	case VERDICT_SUSPECTED:
	case VERDICT_UNPROVEN:
	case VERDICT_COUNT:
		break;
	}
	return false;
}

static struct exposure *
find(const struct exposures *exposures, uint64_t hash)
{
	struct exposure *exposure;

	HASH_FIND(hh, exposures->table, &hash, sizeof(hash), exposure);
	return exposure;
}

bool
exposures_have(const struct exposures *exposures, uint64_t hash)
{
	return find(exposures, hash) != NULL;
}

static struct exposure *
insert(struct exposures *exposures, const struct exchange_record *exchange,
    const char *route, uint64_t hash)
{
	struct exposure *exposure = xcalloc(1, sizeof(*exposure));

	exposure->hash = hash;
	exposure->origin = xstrdup(exchange->origin);
	exposure->method = xstrdup(exchange->method);
	exposure->route = xstrdup(route);
	exposure->status = exchange->status;
	tags_copy(&exposure->tags, &exchange->tags);
	HASH_ADD(hh, exposures->table, hash, sizeof(hash), exposure);
	return exposure;
}

void
exposures_add(struct exposures *exposures,
    const struct exchange_record *exchange, const char *route, uint64_t hash)
{
	if (!exposures_have(exposures, hash) &&
	    HASH_COUNT(exposures->table) < EXPOSURES_MAX)
		insert(exposures, exchange, route, hash);
}

static void
widen(struct exposure *exposure, wall_us first, wall_us last)
{
	if (exposure->first_seen == 0 || first < exposure->first_seen)
		exposure->first_seen = first;
	if (last > exposure->last_seen)
		exposure->last_seen = last;
}

bool
exposures_are_drained(const struct exposures *exposures, uint64_t hash)
{
	const struct exposure *exposure = find(exposures, hash);

	return exposure != NULL &&
	    exposure->drained_in_row >= EXPOSURES_TRUSTED;
}

void
exposures_judged(struct exposures *exposures, uint64_t hash,
    enum verdict verdict, enum verdict before, wall_us at)
{
	struct exposure *exposure = find(exposures, hash);
	bool was_settled = exposures_is_settled(before);
	bool is_settled = exposures_is_settled(verdict);

	if (exposure == NULL)
		return;
	/* One that is held, or may be, ends the trust in the next. */
	if (verdict == VERDICT_DRAINED)
		exposure->drained_in_row++;
	else if (verdict == VERDICT_UNDRAINED || verdict == VERDICT_SUSPECTED)
		exposure->drained_in_row = 0;
	if (was_settled == is_settled)
		return;
	exposure->settled += is_settled ? 1 : UINT64_MAX;
	widen(exposure, at, at);
}

static void
move_one(struct exposures *into, struct exposure *from)
{
	const struct exchange_record kind = {.origin = from->origin,
	    .method = from->method,
	    .status = from->status,
	    .tags = from->tags};
	struct exposure *exposure;

	if (from->settled == 0)
		return;
	exposure = find(into, from->hash);
	if (exposure == NULL)
		exposure = insert(into, &kind, from->route, from->hash);
	exposure->settled += from->settled;
	widen(exposure, from->first_seen, from->last_seen);
	from->settled = 0;
	from->first_seen = 0;
	from->last_seen = 0;
}

void
exposures_move(struct exposures *into, struct exposures *from)
{
	struct exposure *exposure;
	struct exposure *next;

	HASH_ITER (hh, from->table, exposure, next)
		move_one(into, exposure);
	if (HASH_COUNT(from->table) > EXPOSURES_MAX / 2)
		exposures_fini(from);
}
