/* SPDX-License-Identifier: MIT */

/*
 * Two runs, leak by leak.
 *
 * A kind that leaks in neither is of no interest.  One that leaks in one of
 * them is looked up in the other, where it may have been exercised without
 * leaking: that is what exposure is for.
 */

#include <stdlib.h>
#include <string.h>

#include "accounting/compare.h"
#include "accounting/memory.h"

static void
fini_kind(struct compare_kind *kind)
{
	free(kind->origin);
	free(kind->method);
	free(kind->route);
	tags_fini(&kind->tags);
}

void
compare_run_fini(struct compare_run *run)
{
	for (size_t i = 0; i < run->count; i++)
		fini_kind(&run->kinds[i]);
	free(run->kinds);
	*run = (struct compare_run){0};
}

/* ---- order ---- */

static int
order_tags(const struct tags *a, const struct tags *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		int order = strcmp(a->items[i].key, b->items[i].key);

		if (order == 0)
			order = strcmp(a->items[i].value, b->items[i].value);
		if (order != 0)
			return order;
	}
	return (a->count > b->count) - (a->count < b->count);
}

/* For qsort(). */
static int
order_kinds(const void *left, const void *right)
{
	const struct compare_kind *a = left;
	const struct compare_kind *b = right;
	int order = strcmp(a->origin, b->origin);

	if (order == 0)
		order = strcmp(a->route, b->route);
	if (order == 0)
		order = strcmp(a->method, b->method);
	if (order == 0)
		order = (a->status > b->status) - (a->status < b->status);
	return order != 0 ? order : order_tags(&a->tags, &b->tags);
}

/* ---- versions of one kind ---- */

static void
remove_tag(struct tags *tags, const char *key)
{
	for (size_t i = 0; i < tags->count; i++) {
		if (strcmp(tags->items[i].key, key) != 0)
			continue;
		free(tags->items[i].key);
		free(tags->items[i].value);
		tags->count--;
		memmove(&tags->items[i], &tags->items[i + 1],
		    (tags->count - i) * sizeof(*tags->items));
		return;
	}
}

/* Adds what *from has, which keeps nothing.  Where one was not counted, their
 * sum is not known. */
static void
absorb(struct compare_kind *into, struct compare_kind *from)
{
	into->side.undrained += from->side.undrained;
	into->side.suspected += from->side.suspected;
	if (into->side.settled >= 0 && from->side.settled >= 0)
		into->side.settled += from->side.settled;
	else
		into->side.settled = -1;
	if (from->first_seen != 0 &&
	    (into->first_seen == 0 || from->first_seen < into->first_seen))
		into->first_seen = from->first_seen;
	if (from->last_seen > into->last_seen)
		into->last_seen = from->last_seen;
	fini_kind(from);
}

static void
normalize(struct compare_run *run, const char *ignored)
{
	size_t kept = 0;

	for (size_t i = 0; i < run->count && ignored != NULL; i++)
		remove_tag(&run->kinds[i].tags, ignored);
	if (run->count > 0)
		qsort(run->kinds, run->count, sizeof(*run->kinds), order_kinds);
	for (size_t i = 0; i < run->count; i++) {
		struct compare_kind *last =
		    kept == 0 ? NULL : &run->kinds[kept - 1];

		if (last != NULL && order_kinds(last, &run->kinds[i]) == 0)
			absorb(last, &run->kinds[i]);
		else
			run->kinds[kept++] = run->kinds[i];
	}
	run->count = kept;
}

/* ---- the comparison ---- */

/* The order in which a person wants to hear of it. */
static int
weight(enum change change)
{
	switch (change) {
	case CHANGE_NEW:
		return 0;
	case CHANGE_WORSE:
		return 1;
	case CHANGE_UNCHANGED:
		return 2;
	case CHANGE_BETTER:
		return 3;
	case CHANGE_NOT_EXERCISED:
		return 4;
	case CHANGE_GONE:
	case CHANGE_COUNT:
		break;
	}
	return 5;
}

/* For qsort(). */
static int
order_compared(const void *left, const void *right)
{
	const struct compared *a = left;
	const struct compared *b = right;
	int order = weight(a->comparison.change) - weight(b->comparison.change);
	uint64_t count_a = a->before.undrained + a->after.undrained;
	uint64_t count_b = b->before.undrained + b->after.undrained;

	if (order == 0)
		order = (count_a < count_b) - (count_a > count_b);
	return order != 0 ? order : order_kinds(a->kind, b->kind);
}

static struct compare_side
side_of(const struct compare_run *run, const struct compare_kind *kind)
{
	struct compare_side side = {
	    .settled = run->counts_exposure ? 0 : -1,
	};

	if (kind != NULL)
		side = kind->side;
	side.hours = run->hours;
	return side;
}

static bool
leaks(const struct compare_kind *kind)
{
	return kind != NULL && kind->side.undrained > 0;
}

struct compared *
compare_runs(struct compare_run *before, struct compare_run *after,
    const char *ignored, size_t *count_out)
{
	struct compared *list;
	size_t count = 0;
	size_t i = 0;
	size_t j = 0;

	normalize(before, ignored);
	normalize(after, ignored);
	list = xcalloc(before->count + after->count + 1, sizeof(*list));
	while (i < before->count || j < after->count) {
		const struct compare_kind *a =
		    i < before->count ? &before->kinds[i] : NULL;
		const struct compare_kind *b =
		    j < after->count ? &after->kinds[j] : NULL;
		int order = a == NULL ? 1 : b == NULL ? -1 : order_kinds(a, b);

		if (order > 0)
			a = NULL;
		if (order < 0)
			b = NULL;
		i += a != NULL;
		j += b != NULL;
		if (!leaks(a) && !leaks(b))
			continue;
		list[count] = (struct compared){.kind = a != NULL ? a : b,
		    .before = side_of(before, a),
		    .after = side_of(after, b)};
		compare_sides(&list[count].before, &list[count].after,
		    &list[count].comparison);
		count++;
	}
	if (count > 0)
		qsort(list, count, sizeof(*list), order_compared);
	*count_out = count;
	return list;
}
