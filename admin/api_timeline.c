/* SPDX-License-Identifier: MIT */

/*
 * What happened over time, as JSON.
 */

#include "admin/api.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "admin/api_parts.h"
#include "admin/member.h"

struct band {
	const struct leak *leak; /* borrowed */
	struct levels held;      /* on the bands' common axis */
	int64_t weight;          /* responses times bins */
};

static int
heavier_band_first(const void *a, const void *b)
{
	const struct band *left = a;
	const struct band *right = b;

	if (left->weight != right->weight)
		return left->weight > right->weight ? -1 : 1;
	return strcmp(left->leak->id, right->leak->id);
}

/* The leaks' own axes begin with their shards, which are moments apart. */
static struct levels
common_axis(const struct snapshot *snapshot)
{
	struct levels series;

	levels_begin(&series, snapshot->timeline.axis.starts_at);
	levels_advance(&series, snapshot->taken_mono);
	return series;
}

static void
fill_band(
    struct band *band, const struct leak *leak, const struct levels *common)
{
	int64_t levels[LEVELS_BINS];
	size_t count;

	band->leak = leak;
	band->held = *common;
	levels_absorb(&band->held, &leak->held);
	count = levels_read(&band->held, levels);
	for (size_t i = 0; i < count; i++)
		band->weight += levels[i];
}

static json_t *
band_json(const struct band *band)
{
	const struct leak *leak = band->leak;
	json_t *json = json_object();

	member_text(json, "id", leak->id);
	member_text(json, "origin", leak->origin);
	member_text(json, "method", leak->method);
	member_text(json, "route", leak->route);
	member_number(json, "status", (uint64_t)leak->status);
	member_tags(json, &leak->tags);
	json_object_set_new(json, "held_series", api_series(&band->held));
	return json;
}

/* The heaviest leaks one by one, and the others as if they were one. */
static json_t *
bands_json(const struct snapshot *snapshot)
{
	struct levels other = common_axis(snapshot);
	struct band *bands = xcalloc(snapshot->leak_count + 1, sizeof(*bands));
	json_t *leaks = json_array();
	json_t *json = json_object();

	for (size_t i = 0; i < snapshot->leak_count; i++)
		fill_band(&bands[i], &snapshot->leaks[i], &other);
	qsort(bands, snapshot->leak_count, sizeof(*bands), heavier_band_first);
	for (size_t i = 0; i < snapshot->leak_count; i++) {
		if (i < API_TIMELINE_LEAKS)
			json_array_append_new(leaks, band_json(&bands[i]));
		else
			levels_absorb(&other, &bands[i].held);
	}
	json_object_set_new(json, "leaks", leaks);
	json_object_set_new(json, "other", api_series(&other));
	member_number(json, "other_leaks",
	    snapshot->leak_count > API_TIMELINE_LEAKS
		? snapshot->leak_count - API_TIMELINE_LEAKS
		: 0);
	free(bands);
	return json;
}

static json_t *
bins_json(const struct timeline *timeline, size_t count)
{
	json_t *bins = json_array();
	json_int_t held = 0;

	for (size_t i = 0; i < count; i++) {
		const struct timeline_bin *bin = &timeline->bins[i];
		json_t *item = json_object();

		held += bin->held_change;
		member_number(item, "requests", bin->requests);
		member_number(item, "undrained", bin->undrained);
		json_object_set_new(item, "held", json_integer(held));
		json_array_append_new(bins, item);
	}
	return bins;
}

char *
api_timeline(const struct snapshot *snapshot)
{
	const struct timeline *timeline = &snapshot->timeline;
	json_t *json = api_frame(snapshot);
	size_t count = axis_length(&timeline->axis);

	/* The ledgers' first moment, give or take the start of a thread. */
	member_time(json, "start", count == 0 ? 0 : snapshot->since);
	json_object_set_new(json, "bin_s",
	    count == 0
		? json_null()
		: json_real((double)timeline->axis.bin_us / (double)US_PER_S));
	json_object_set_new(json, "bins", bins_json(timeline, count));
	json_object_set_new(json, "held_by_leak",
	    count == 0 ? json_null() : bands_json(snapshot));
	return member_finish(json);
}
