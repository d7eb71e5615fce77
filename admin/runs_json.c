/* SPDX-License-Identifier: MIT */

/*
 * Stored runs for programs.  What is not known is null, and so is what is
 * infinite: a ratio to none.
 */

#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "accounting/utf8.h"
#include "admin/runs.h"
#include "admin/text.h"

#define DUMP_FLAGS (JSON_INDENT(1) | JSON_REAL_PRECISION(15))

/* Takes `json`. */
static char *
dump(json_t *json)
{
	char *text = json_dumps(json, DUMP_FLAGS);
	char *line = xasprintf("%s\n", text);

	free(text);
	json_decref(json);
	return line;
}

static json_t *
text_or_null(const char *text)
{
	json_t *json;
	char *utf8;

	if (text == NULL)
		return json_null();
	utf8 = utf8_copy(text);
	json = json_string(utf8);
	free(utf8);
	return json;
}

static json_t *
time_or_null(wall_us at)
{
	char text[TEXT_NUMBER_BYTES];

	if (at == 0)
		return json_null();
	text_timestamp(at, text);
	return json_string(text);
}

static json_t *
known(int64_t number)
{
	return number < 0 ? json_null() : json_integer(number);
}

static json_t *
real_or_null(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

static json_t *
run_json(const struct store_run *run)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, "
			 "s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "run", run->id == 0 ? json_null() : json_integer(run->id), "name",
	    text_or_null(run->name), "service", text_or_null(run->service),
	    "versions", text_or_null(run->versions), "host",
	    text_or_null(run->host), "leakproxy", text_or_null(run->program),
	    "started", time_or_null(run->started), "seen",
	    time_or_null(run->seen), "ended", time_or_null(run->ended),
	    "seconds", (double)(run->seen - run->started) / (double)US_PER_S,
	    "connections", (json_int_t)run->connections, "exchanges",
	    (json_int_t)run->exchanges, "undrained", (json_int_t)run->undrained,
	    "leaks", (json_int_t)run->leaks, "runs", (json_int_t)run->runs,
	    "hosts", (json_int_t)run->hosts, "open", (json_int_t)run->open);
}

char *
runs_json(const struct store_run *runs, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, run_json(&runs[i]));
	return dump(json_pack("{s:o}", "runs", list));
}

static json_t *
side_json(const struct compare_side *side)
{
	json_t *per_hour = side->hours > 0
	    ? json_real((double)side->undrained / side->hours)
	    : json_null();

	return json_pack("{s:I, s:I, s:o, s:o}", "undrained",
	    (json_int_t)side->undrained, "suspected",
	    (json_int_t)side->suspected, "responses", known(side->settled),
	    "per_hour", per_hour);
}

static json_t *
ratio_json(const struct comparison *comparison)
{
	if (!comparison->has_ratio)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o}", "per",
	    comparison->is_by_hour ? "hour" : "response", "value",
	    real_or_null(comparison->ratio), "low",
	    real_or_null(comparison->low), "high",
	    real_or_null(comparison->high));
}

static json_t *
leak_json(const struct compared *leak)
{
	const struct compare_kind *kind = leak->kind;
	json_t *tags = json_object();

	for (size_t i = 0; i < kind->tags.count; i++) {
		char *key = utf8_copy(kind->tags.items[i].key);

		json_object_set_new(
		    tags, key, text_or_null(kind->tags.items[i].value));
		free(key);
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, "
			 "s:o}",
	    "change", compare_word(leak->comparison.change), "meaning",
	    compare_meaning(leak->comparison.change), "origin",
	    text_or_null(kind->origin), "method", text_or_null(kind->method),
	    "route", text_or_null(kind->route), "status", kind->status, "tags",
	    tags, "before", side_json(&leak->before), "after",
	    side_json(&leak->after), "ratio", ratio_json(&leak->comparison),
	    "responses_needed", known(leak->comparison.needed));
}

static json_t *
picked_json(const struct store_run *run, const char *version)
{
	json_t *json = run_json(run);

	json_object_set_new(json, "version", text_or_null(version));
	return json;
}

char *
runs_compared_json(const struct runs_comparison *comparison)
{
	json_t *changes = json_object();
	json_t *leaks = json_array();
	size_t counts[CHANGE_COUNT] = {0};

	for (size_t i = 0; i < comparison->count; i++) {
		const struct compared *leak = &comparison->leaks[i];

		counts[leak->comparison.change]++;
		json_array_append_new(leaks, leak_json(leak));
	}
	for (size_t i = 0; i < CHANGE_COUNT; i++)
		json_object_set_new(changes, compare_word((enum change)i),
		    json_integer((json_int_t)counts[i]));
	return dump(json_pack("{s:o, s:o, s:o, s:o}", "before",
	    picked_json(comparison->before, comparison->before_version),
	    "after", picked_json(comparison->after, comparison->after_version),
	    "changes", changes, "leaks", leaks));
}
