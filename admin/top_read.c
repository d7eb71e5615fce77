/* SPDX-License-Identifier: MIT */

/*
 * From the API's JSON back to a snapshot, as far as it is shown.
 *
 * The proxy may be older or newer than we are, so what is missing, or of
 * another type, is taken for not known.
 */

#include "admin/top_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "accounting/memory.h"

#define MAX_SECONDS 1e12

static uint64_t
read_count(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value < 0 ? 0 : (uint64_t)value;
}

/* A number, or -1 where it is not known. */
static int
read_known(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? (int)json_integer_value(value) : -1;
}

/* A number, and whether it is known. */
static double
read_real(const json_t *object, const char *key, bool *is_known)
{
	const json_t *value = json_object_get(object, key);

	*is_known = json_is_number(value);
	return json_number_value(value);
}

/* Seconds; 0 where they are not known, or not to be believed. */
static int64_t
read_us(const json_t *object, const char *key)
{
	bool is_known;
	double seconds = read_real(object, key, &is_known);

	return seconds > 0 && seconds < MAX_SECONDS
	    ? (int64_t)(seconds * (double)US_PER_S)
	    : 0;
}

/* Returns a copy, of "" where there is no text. */
static char *
read_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return xstrdup(text == NULL ? "" : text);
}

static char *
read_text_or_null(const json_t *object, const char *key)
{
	return xstrdup_or_null(json_string_value(json_object_get(object, key)));
}

/* "2026-11-24T02:03:04.567Z"; 0 where it is not known. */
static wall_us
read_time(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	struct tm utc = {0};
	int ms = 0;
	const char *rest =
	    text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);

	if (rest == NULL)
		return 0;
	(void)sscanf(rest, ".%3d", &ms);
	return timegm(&utc) * US_PER_S + ms * US_PER_MS;
}

static void
read_totals(struct totals *totals, const json_t *json)
{
	totals->connections = read_count(json, "connections");
	totals->exchanges = read_count(json, "exchanges");
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		totals->by_verdict[i] =
		    read_count(json, verdict_word((enum verdict)i));
	totals->recovered = read_count(json, "recovered");
	totals->held_now = read_count(json, "held_now");
}

/* ---- leaks ---- */

static void
read_tags(struct tags *tags, json_t *json)
{
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value)
	{
		const char *text = json_string_value(value);

		if (text != NULL && !tags_set(tags, key, text, strlen(text)))
			break;
	}
}

static void
read_rhythm(struct rhythm *rhythm, const json_t *json)
{
	bool is_known;

	rhythm->bursts = read_count(json, "bursts");
	rhythm->period.period_s = read_real(json, "period_s", &is_known);
	rhythm->period.jitter_s = read_real(json, "jitter_s", &is_known);
	rhythm->load_correlation =
	    read_real(json, "load_correlation", &rhythm->has_correlation);
	rhythm->follows_load =
	    json_is_true(json_object_get(json, "follows_load"));
}

static void
read_suspect(struct suspect *suspect, const json_t *json)
{
	const char *mark = json_string_value(json_object_get(json, "mark"));
	const char *phase = json_string_value(json_object_get(json, "phase"));
	struct mark named = {0};
	bool is_known;

	if (mark == NULL || phase == NULL ||
	    mark_name(&named, mark, phase) != NULL)
		return;
	suspect->outcome = SUSPECT_NAMED;
	memcpy(suspect->mark, named.name, sizeof(suspect->mark));
	suspect->phase = named.phase;
	suspect->bursts_explained = read_count(json, "bursts_explained");
	suspect->bursts = read_count(json, "bursts");
	suspect->chance = read_real(json, "chance", &is_known);
}

static void
read_caller(struct leak *leak, const json_t *json)
{
	struct leak_caller *caller = leak_new_caller(leak);
	const json_t *fds = json_object_get(json, "fds");
	char *container = read_text(json, "container");

	if (caller != NULL) {
		caller->client_host = read_text(json, "peer");
		caller->user_agent = read_text_or_null(json, "user_agent");
		caller->command = read_text_or_null(json, "command");
		caller->command_line = read_text_or_null(json, "command_line");
		caller->pid = read_known(json, "pid");
		strncpy(caller->container, container,
		    sizeof(caller->container) - 1);
		while (caller->fd_count < json_array_size(fds) &&
		    caller->fd_count < LEAK_MAX_FDS) {
			caller->fds[caller->fd_count] = (int)json_integer_value(
			    json_array_get(fds, caller->fd_count));
			caller->fd_count++;
		}
	}
	free(container);
}

static void
read_leak(struct leak *leak, const json_t *json)
{
	const json_t *evidence = json_object_get(json, "evidence");
	const json_t *callers = json_object_get(json, "callers");

	leak->origin = read_text(json, "origin");
	leak->method = read_text(json, "method");
	leak->route = read_text(json, "route");
	leak->status = (int)read_count(json, "status");
	leak->undrained = read_count(json, "undrained");
	leak->suspected = read_count(json, "suspected");
	leak->held_now = read_count(json, "held_now");
	leak->held_to_exit = read_count(json, "held_to_exit");
	for (size_t i = 0; i < EVIDENCE_COUNT; i++)
		leak->by_evidence[i] = read_count(
		    evidence, verdict_evidence_word((enum evidence)i));
	read_tags(&leak->tags, json_object_get(json, "tags"));
	read_rhythm(&leak->rhythm, json_object_get(json, "rhythm"));
	read_suspect(&leak->suspect, json_object_get(json, "suspect"));
	for (size_t i = 0; i < json_array_size(callers); i++)
		read_caller(leak, json_array_get(callers, i));
}

static void
read_leaks(struct top *top, const json_t *list)
{
	struct snapshot *snapshot = top->snapshot;
	size_t count = json_array_size(list);

	snapshot->leaks = xcalloc(count + 1, sizeof(*snapshot->leaks));
	top->notes = xcalloc(count + 1, sizeof(*top->notes));
	for (size_t i = 0; i < count; i++) {
		const json_t *json = json_array_get(list, i);

		top->notes[i] = read_text_or_null(json, "suspect_note");
		read_leak(&snapshot->leaks[i], json);
	}
	snapshot->leak_count = count;
}

/* ---- the whole ---- */

static void
read_timeline(struct timeline *timeline, const json_t *json)
{
	const json_t *bins = json_object_get(json, "bins");
	size_t count = json_array_size(bins);
	int64_t before = 0;

	timeline->axis.bin_us = read_us(json, "bin_s");
	for (size_t i = 0; i < count && i < TIMELINE_BINS; i++) {
		int64_t held =
		    (int64_t)read_count(json_array_get(bins, i), "held");

		timeline->bins[i].held_change = (int32_t)(held - before);
		timeline->axis.current = i;
		before = held;
	}
}

void
top_forget(struct top *top)
{
	if (top->snapshot == NULL)
		return;
	for (size_t i = 0; i < top->snapshot->leak_count; i++)
		free(top->notes[i]);
	free(top->notes);
	snapshot_free(top->snapshot);
	*top = (struct top){0};
}

bool
top_read(void *arg, const char *const answers[])
{
	struct top *top = arg;
	json_t *answer = json_loads(answers[0], 0, NULL);
	json_t *times = json_loads(answers[1], 0, NULL);
	const json_t *totals = json_object_get(answer, "totals");
	bool is_ours = json_is_object(totals) &&
	    json_is_array(json_object_get(times, "bins"));

	if (is_ours) {
		top_forget(top);
		top->snapshot = snapshot_new();
		top->snapshot->since = read_time(answer, "since");
		top->snapshot->seconds_us = read_us(answer, "seconds");
		top->snapshot->taken_at =
		    top->snapshot->since + top->snapshot->seconds_us;
		read_totals(&top->snapshot->totals, totals);
		read_leaks(top, json_object_get(answer, "leaks"));
		read_timeline(&top->snapshot->timeline, times);
	}
	json_decref(answer);
	json_decref(times);
	return is_ours;
}
