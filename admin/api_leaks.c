/* SPDX-License-Identifier: MIT */

/*
 * Leaks as JSON: the list, and one of them whole.  There may be thousands, so
 * they are written as they go.
 */

#include "admin/api.h"

#include <math.h>
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

/* ---- one leak ---- */

static void
put_evidence(struct emit *emit, const struct leak *leak)
{
	emit_begin_object(emit, "evidence");
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (leak->by_evidence[i] > 0)
			emit_number(emit,
			    verdict_evidence_word((enum evidence)i),
			    (int64_t)leak->by_evidence[i]);
	}
	emit_end_object(emit);
}

static void
put_release(struct emit *emit, const struct leak *leak)
{
	double age_s;

	if (!leak_has_deadline(leak, &age_s)) {
		emit_text(emit, "release", NULL);
		return;
	}
	emit_begin_object(emit, "release");
	emit_text(emit, "kind", "deadline");
	emit_real(emit, "age_s", age_s);
	emit_end_object(emit);
}

static void
put_caller(struct emit *emit, const struct leak_caller *caller)
{
	emit_begin_object(emit, NULL);
	emit_text(emit, "peer", caller->client_host);
	emit_known(emit, "pid", caller->pid);
	emit_text(emit, "command", caller->command);
	emit_text(emit, "command_line", caller->command_line);
	emit_text(emit, "container",
	    caller->container[0] == '\0' ? NULL : caller->container);
	emit_begin_array(emit, "fds");
	for (size_t i = 0; i < caller->fd_count; i++)
		emit_number(emit, NULL, caller->fds[i]);
	emit_end_array(emit);
	emit_text(emit, "user_agent", caller->user_agent);
	emit_end_object(emit);
}

static void
put_callers(struct emit *emit, const struct leak *leak)
{
	emit_begin_array(emit, "callers");
	for (size_t i = 0; i < leak->caller_count; i++)
		put_caller(emit, &leak->callers[i]);
	emit_end_array(emit);
}

static void
put_example(struct emit *emit, const struct exchange_record *example)
{
	char id[EXCHANGE_ID_BYTES];

	if (example == NULL) {
		emit_text(emit, "example", NULL);
		return;
	}
	record_exchange_id(example, id);
	emit_begin_object(emit, "example");
	emit_text(emit, "exchange", id);
	emit_text(emit, "url", example->url);
	emit_known(emit, "body_bytes", example->body_bytes);
	emit_known(emit, "delivered_bytes", example->delivered_bytes);
	emit_known(emit, "unread_bytes", example->facts.unread_bytes);
	emit_end_object(emit);
}

static void
put_suspect(struct emit *emit, const struct leak *leak)
{
	char *note = detective_suspect_note(leak);

	detective_emit_suspect(emit, leak);
	emit_text(emit, "suspect_note", note);
	free(note);
}

/* The members of a leak, observed for so long. */
static void
put_leak(struct emit *emit, const struct leak *leak, int64_t observed_us)
{
	double hours = (double)observed_us / US_PER_HOUR;

	emit_text(emit, "id", leak->id);
	emit_text(emit, "origin", leak->origin);
	emit_text(emit, "method", leak->method);
	emit_text(emit, "route", leak->route);
	emit_number(emit, "status", leak->status);
	emit_tags(emit, "tags", &leak->tags);
	emit_number(emit, "undrained", (int64_t)leak->undrained);
	emit_number(emit, "suspected", (int64_t)leak->suspected);
	emit_number(emit, "held_now", (int64_t)leak->held_now);
	emit_number(emit, "held_to_exit", (int64_t)leak->held_to_exit);
	emit_known(emit, "held_bytes", leak->held_bytes);
	emit_real(emit, "per_hour",
	    observed_us <= 0 ? NAN : (double)leak->undrained / hours);
	emit_time(emit, "first_seen", leak->first_seen);
	emit_time(emit, "last_seen", leak->last_seen);
	put_evidence(emit, leak);
	put_release(emit, leak);
	detective_emit_rhythm(emit, leak);
	put_suspect(emit, leak);
	put_callers(emit, leak);
	put_example(emit, leak->example);
}

json_t *
api_leak_json(const struct leak *leak, int64_t observed_us)
{
	struct emit emit = {0};
	char *text;
	json_t *json;

	emit_begin_object(&emit, NULL);
	put_leak(&emit, leak, observed_us);
	emit_end_object(&emit);
	text = emit_finish(&emit);
	json = json_loads(text, 0, NULL);
	free(text);
	return json;
}

/* ---- lists ---- */

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

/* What every list begins with, as api_frame(). */
static void
put_frame(struct emit *emit, const struct snapshot *snapshot)
{
	emit_time(emit, "since", snapshot->since);
	emit_real(
	    emit, "seconds", (double)snapshot->seconds_us / (double)US_PER_S);
}

char *
api_leaks_beside(const struct snapshot *snapshot,
    const struct goroutines *goroutines, const struct view *view)
{
	struct emit emit = {0};

	emit_begin_object(&emit, NULL);
	put_frame(&emit, snapshot);
	member_emit(&emit, "totals", api_totals(&snapshot->totals));
	member_emit(&emit, "pprof", goroutines_json(goroutines, snapshot));
	emit_number(&emit, "left_out", (int64_t)snapshot->leaks_left_out);
	emit_number(&emit, "total", (int64_t)snapshot->leak_total);
	emit_number(&emit, "offset", (int64_t)view->query.page.offset);
	emit_begin_array(&emit, "leaks");
	for (size_t i = 0; i < snapshot->leak_count; i++) {
		const struct leak *leak = &snapshot->leaks[i];

		emit_newline(&emit);
		emit_begin_object(&emit, NULL);
		put_leak(&emit, leak, snapshot->seconds_us);
		if (view->wants_series)
			member_emit(
			    &emit, "held_series", api_series(&leak->held));
		emit_end_object(&emit);
	}
	emit_end_array(&emit);
	emit_end_object(&emit);
	emit_newline(&emit);
	return emit_finish(&emit);
}

/* From each burst to the next: what a rhythm is made of. */
static void
put_intervals(struct emit *emit, const struct arrivals *arrivals)
{
	struct bursts bursts;

	bursts_find(
	    &bursts, arrivals->at, arrivals->count, PERIOD_MIN_BURSTS - 1);
	emit_begin_array(emit, "intervals_s");
	for (size_t i = 1; i < bursts.count; i++)
		emit_real(emit, NULL,
		    (double)(bursts.list[i].starts_at -
			bursts.list[i - 1].starts_at) /
			(double)US_PER_S);
	emit_end_array(emit);
	bursts_fini(&bursts);
}

char *
api_leak(const struct snapshot *snapshot)
{
	const struct leak *leak = &snapshot->leaks[0];
	struct emit emit = {0};

	emit_begin_object(&emit, NULL);
	put_frame(&emit, snapshot);
	put_leak(&emit, leak, snapshot->seconds_us);
	member_emit(&emit, "held_series", api_series(&leak->held));
	put_intervals(&emit, &leak->arrivals);
	emit_end_object(&emit);
	emit_newline(&emit);
	return emit_finish(&emit);
}
