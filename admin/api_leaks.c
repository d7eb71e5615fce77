/* SPDX-License-Identifier: MIT */

/*
 * Leaks as JSON: the list, and one of them whole.
 */

#include "admin/api.h"

#include <stdlib.h>

#include <jansson.h>

#include "accounting/bursts.h"
#include "accounting/memory.h"
#include "accounting/period.h"
#include "admin/api_parts.h"
#include "admin/detective.h"
#include "admin/member.h"

#define US_PER_HOUR (3600.0 * (double)US_PER_S)

json_t *
api_totals(const struct totals *totals)
{
	json_t *json = json_object();

	member_number(json, "connections", totals->connections);
	member_number(json, "exchanges", totals->exchanges);
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		member_number(
		    json, verdict_word((enum verdict)i), totals->by_verdict[i]);
	member_number(json, "recovered", totals->recovered);
	member_number(json, "held_now", totals->held_now);
	return json;
}

static json_t *
evidence_json(const struct leak *leak)
{
	json_t *json = json_object();

	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (leak->by_evidence[i] > 0)
			member_number(json,
			    verdict_evidence_word((enum evidence)i),
			    leak->by_evidence[i]);
	}
	return json;
}

static json_t *
release_json(const struct leak *leak)
{
	json_t *json;
	double age_s;

	if (!leak_has_deadline(leak, &age_s))
		return json_null();
	json = json_object();
	member_text(json, "kind", "deadline");
	json_object_set_new(json, "age_s", json_real(age_s));
	return json;
}

static json_t *
callers_json(const struct leak *leak)
{
	json_t *list = json_array();

	for (size_t i = 0; i < leak->caller_count; i++) {
		const struct leak_caller *caller = &leak->callers[i];
		json_t *json = json_object();
		json_t *fds = json_array();

		for (size_t j = 0; j < caller->fd_count; j++)
			json_array_append_new(
			    fds, json_integer(caller->fds[j]));
		member_text(json, "peer", caller->client_host);
		member_known(json, "pid", caller->pid);
		member_text(json, "command", caller->command);
		member_text(json, "command_line", caller->command_line);
		member_text(json, "container",
		    caller->container[0] == '\0' ? NULL : caller->container);
		json_object_set_new(json, "fds", fds);
		member_text(json, "user_agent", caller->user_agent);
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *
example_json(const struct exchange_record *example)
{
	json_t *json;

	if (example == NULL)
		return json_null();
	json = json_object();
	member_exchange_id(json, "exchange", example);
	member_text(json, "url", example->url);
	member_known(json, "body_bytes", example->body_bytes);
	member_known(json, "delivered_bytes", example->delivered_bytes);
	member_known(json, "unread_bytes", example->facts.unread_bytes);
	return json;
}

json_t *
api_series(const struct levels *series)
{
	int64_t levels[LEVELS_BINS];
	size_t count = levels_read(series, levels);
	json_t *values = json_array();

	if (count == 0) {
		json_decref(values);
		return json_null();
	}
	for (size_t i = 0; i < count; i++)
		json_array_append_new(values, json_integer(levels[i]));
	return json_pack("{s:f, s:o}", "bin_s",
	    (double)series->axis.bin_us / (double)US_PER_S, "values", values);
}

json_t *
api_leak_json(const struct leak *leak, int64_t observed_us)
{
	json_t *json = json_object();
	double hours = (double)observed_us / US_PER_HOUR;
	char *note = detective_suspect_note(leak);

	member_text(json, "id", leak->id);
	member_text(json, "origin", leak->origin);
	member_text(json, "method", leak->method);
	member_text(json, "route", leak->route);
	member_number(json, "status", (uint64_t)leak->status);
	member_tags(json, &leak->tags);
	member_number(json, "undrained", leak->undrained);
	member_number(json, "suspected", leak->suspected);
	member_number(json, "held_now", leak->held_now);
	member_number(json, "held_to_exit", leak->held_to_exit);
	member_known(json, "held_bytes", leak->held_bytes);
	json_object_set_new(json, "per_hour",
	    observed_us <= 0 ? json_null()
			     : json_real((double)leak->undrained / hours));
	member_time(json, "first_seen", leak->first_seen);
	member_time(json, "last_seen", leak->last_seen);
	json_object_set_new(json, "evidence", evidence_json(leak));
	json_object_set_new(json, "release", release_json(leak));
	json_object_set_new(json, "rhythm", detective_rhythm(leak));
	json_object_set_new(json, "suspect", detective_suspect(leak));
	member_text(json, "suspect_note", note);
	json_object_set_new(json, "callers", callers_json(leak));
	json_object_set_new(json, "example", example_json(leak->example));
	free(note);
	return json;
}

static json_t *
goroutines_json(
    const struct goroutines *goroutines, const struct snapshot *snapshot)
{
	json_t *json;
	char *sentence;

	if (goroutines == NULL)
		return json_null();
	json = json_object();
	if (goroutines->is_known) {
		member_number(json, "goroutines", goroutines->total);
		member_number(json, "read_loops", goroutines->read_loops);
		member_number(json, "write_loops", goroutines->write_loops);
	}
	sentence = goroutines_sentence(goroutines, snapshot);
	member_text(json, "says", sentence);
	free(sentence);
	return json;
}

char *
api_leaks(const struct snapshot *snapshot)
{
	const struct view all = {0};

	return api_leaks_beside(snapshot, NULL, &all);
}

char *
api_leaks_beside(const struct snapshot *snapshot,
    const struct goroutines *goroutines, const struct view *view)
{
	json_t *json = api_frame(snapshot);
	json_t *leaks = json_array();

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		const struct leak *leak = &snapshot->leaks[i];
		json_t *item = api_leak_json(leak, snapshot->seconds_us);

		if (view->wants_series)
			json_object_set_new(
			    item, "held_series", api_series(&leak->held));
		json_array_append_new(leaks, item);
	}
	json_object_set_new(json, "totals", api_totals(&snapshot->totals));
	json_object_set_new(
	    json, "pprof", goroutines_json(goroutines, snapshot));
	member_number(json, "left_out", snapshot->leaks_left_out);
	member_number(json, "total", snapshot->leak_total);
	member_number(json, "offset", view->query.page.offset);
	json_object_set_new(json, "leaks", leaks);
	return member_finish(json);
}

/* From each burst to the next: what a rhythm is made of. */
static json_t *
intervals_json(const struct arrivals *arrivals)
{
	json_t *list = json_array();
	struct bursts bursts;

	bursts_find(
	    &bursts, arrivals->at, arrivals->count, PERIOD_MIN_BURSTS - 1);
	for (size_t i = 1; i < bursts.count; i++)
		json_array_append_new(list,
		    json_real((double)(bursts.list[i].starts_at -
				  bursts.list[i - 1].starts_at) /
			(double)US_PER_S));
	bursts_fini(&bursts);
	return list;
}

char *
api_leak(const struct snapshot *snapshot)
{
	const struct leak *leak = &snapshot->leaks[0];
	json_t *json = api_frame(snapshot);
	json_t *item = api_leak_json(leak, snapshot->seconds_us);

	json_object_update(json, item);
	json_decref(item);
	json_object_set_new(json, "held_series", api_series(&leak->held));
	json_object_set_new(
	    json, "intervals_s", intervals_json(&leak->arrivals));
	return member_finish(json);
}
