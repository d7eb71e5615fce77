/* SPDX-License-Identifier: MIT */

/*
 * The ledger's verdicts: asked of the rules, set in one place.
 *
 * Every verdict is set in set_judgement() and nowhere else; totals, groups,
 * suspicions and the rings follow from there and cannot disagree.
 */

#include "accounting/ledger_parts.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

char *
ledger_name_caller(const struct ledger_conn *conn, bool with_process)
{
	const struct conn_record *record = &conn->record;
	const char *agent = record->user_agent;
	const char *fingerprint = record->tls_fingerprint;
	const char *colon = strrchr(record->client_address, ':');
	int host_bytes = colon == NULL ? (int)strlen(record->client_address)
				       : (int)(colon - record->client_address);

	if (with_process && record->owner->pid > 0)
		return xasprintf("pid %d\n%s\n%s", (int)record->owner->pid,
		    agent == NULL ? "" : agent,
		    fingerprint == NULL ? "" : fingerprint);
	return xasprintf("%.*s\n%s\n%s", host_bytes, record->client_address,
	    agent == NULL ? "" : agent, fingerprint == NULL ? "" : fingerprint);
}

/* Returns the record's route, written into `route` where it has none. */
static const char *
find_route(const struct ledger *ledger, const struct exchange_record *record,
    char route[ROUTE_MAX_BYTES])
{
	if (record->route != NULL)
		return record->route;
	route_of_url(ledger->config.routes, record->url, route);
	return route;
}

void
ledger_ensure_route(struct ledger *ledger, struct exchange_record *record)
{
	char route[ROUTE_MAX_BYTES];

	if (record->route == NULL)
		record->route = xstrdup(find_route(ledger, record, route));
}

/*
 * The group that escalation looks at: (caller, route, status).  Tags tell one
 * caller in a process from another: a job that closes properly must not clear
 * the one beside it.
 */
static char *
name_suspects(struct ledger_exchange *x, int status)
{
	char *caller = ledger_name_caller(x->conn, false);
	char *tags = tags_text(&x->record.tags);
	char *name;

	ledger_ensure_route(x->conn->ledger, &x->record);
	name = xasprintf("%s\n%s\n%s %s%s %d", caller, tags, x->record.method,
	    x->record.origin, x->record.route, status);
	free(tags);
	free(caller);
	return name;
}

bool
ledger_wants_close(struct ledger_exchange *x, int status)
{
	struct suspicion *suspicion = x->conn->ledger->config.suspicion;
	char *group;
	bool wants;

	if (!suspicion_is_anyone(suspicion))
		return false;
	group = name_suspects(x, status);
	wants = suspicion_holds(suspicion, group);
	free(group);
	return wants;
}

static enum capture_worth
worth_of(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_UNDRAINED:
	case VERDICT_SUSPECTED:
		return CAPTURE_EVIDENCE;
	case VERDICT_OPEN:
		return CAPTURE_OPEN;
	case VERDICT_NONE:
	case VERDICT_DRAINED:
	case VERDICT_ABANDONED:
	case VERDICT_UNPROVEN:
	case VERDICT_COUNT:
		return CAPTURE_SETTLED;
	}
	abort();
}

static bool
is_counted(const struct judgement *judgement)
{
	return judgement->verdict == VERDICT_UNDRAINED ||
	    judgement->verdict == VERDICT_SUSPECTED;
}

/* One that is no evidence any more stays until the store has heard so. */
static void
put_in_ring(struct ledger *ledger, struct ledger_exchange *x)
{
	bool is_evidence = is_counted(&x->record.judgement) || x->is_changed;
	struct ring *ring = is_evidence ? &ledger->evidence : &ledger->ordinary;

	if (ring->count == ring->max) {
		struct ledger_exchange *oldest = TAILQ_FIRST(&ring->list);

		ledger->counters.evicted_exchanges++;
		ledger->counters.evicted_evidence +=
		    is_counted(&oldest->record.judgement);
		ledger_view_pass_exchange(ledger, oldest);
		TAILQ_REMOVE(&ring->list, oldest, link);
		ledger_free_exchange(oldest);
		ring->count--;
	}
	TAILQ_INSERT_TAIL(&ring->list, x, link);
	ring->count++;
}

/* Tells the suspects' list what a response that was told to close did, or
 * that one ignored a probe. */
static void
note_suspicion(struct ledger_exchange *x, mono_us now)
{
	struct suspicion *suspicion = x->conn->ledger->config.suspicion;
	enum verdict verdict = x->record.judgement.verdict;
	char *group;

	if (verdict != VERDICT_SUSPECTED && !x->record.is_escalated)
		return;
	group = name_suspects(x, x->record.status);
	if (verdict == VERDICT_SUSPECTED)
		suspicion_raised(suspicion, group, now);
	else if (verdict == VERDICT_DRAINED)
		suspicion_answered(suspicion, group, now);
	else if (verdict == VERDICT_UNDRAINED)
		suspicion_confirmed(suspicion, group);
	free(group);
}

/* The leak_hash() of its kind, once there is a status. */
static uint64_t
kind_of(struct ledger_exchange *x)
{
	char route[ROUTE_MAX_BYTES];

	if (x->kind == 0)
		x->kind = leak_hash(
		    &x->record, find_route(x->conn->ledger, &x->record, route));
	return x->kind;
}

/* Counts the response among those of its kind. */
static void
note_exposure(struct ledger_exchange *x, const struct judgement *before)
{
	struct ledger *ledger = x->conn->ledger;
	const struct exchange_record *record = &x->record;
	char route[ROUTE_MAX_BYTES];

	if (record->judgement.verdict == VERDICT_NONE)
		return;
	if (!exposures_have(&ledger->exposures, kind_of(x)))
		exposures_add(&ledger->exposures, record,
		    find_route(ledger, record, route), kind_of(x));
	exposures_judged(&ledger->exposures, kind_of(x),
	    record->judgement.verdict, before->verdict, record->began_at);
}

bool
ledger_wants_segment(struct ledger_exchange *x)
{
	return x->conn->record.is_local &&
	    !exposures_are_drained(&x->conn->ledger->exposures, kind_of(x));
}

mono_us
ledger_response_at(const struct ledger_exchange *x)
{
	const struct exchange_record *record = &x->record;

	return record->first_byte_us < 0
	    ? 0
	    : record->arrived_at + record->first_byte_us;
}

void
ledger_set_held(struct ledger_exchange *x, bool is_held, mono_us now)
{
	struct ledger *ledger = x->conn->ledger;
	int step = is_held ? 1 : -1;
	/* It was held before that was proven: since it came. */
	mono_us at = is_held ? ledger_response_at(x) : now;

	if (x->record.is_held == is_held)
		return;
	x->record.is_held = is_held;
	timeline_held(&ledger->timeline, at, step);
	groups_held(ledger->groups, &x->record, at, step);
}

static void
note_undrained(struct ledger *ledger, const struct exchange_record *record,
    const struct judgement *before)
{
	bool was = before->verdict == VERDICT_UNDRAINED;
	bool is = record->judgement.verdict == VERDICT_UNDRAINED;

	if (was != is)
		timeline_undrained(
		    &ledger->timeline, record->arrived_at, is ? 1 : -1);
}

/* The one writer of verdicts. */
static void
set_judgement(
    struct ledger_exchange *x, const struct judgement *judgement, mono_us now)
{
	struct ledger *ledger = x->conn->ledger;
	struct exchange_record *record = &x->record;
	struct judgement before = record->judgement;

	if (before.verdict == judgement->verdict &&
	    before.evidence == judgement->evidence &&
	    before.witness == judgement->witness)
		return;
	record->judgement = *judgement;
	/* Proven since the last look. */
	if (judgement->verdict == VERDICT_DRAINED) {
		record->delivered_bytes = record->body_bytes;
		if (record->facts.unread_bytes > 0)
			record->facts.unread_bytes = 0;
	}
	capture_set_worth(record->capture, worth_of(judgement->verdict));
	ledger->totals.by_verdict[before.verdict]--;
	ledger->totals.by_verdict[judgement->verdict]++;
	if (before.verdict == VERDICT_UNDRAINED &&
	    judgement->verdict != VERDICT_UNDRAINED) {
		ledger->totals.recovered++;
		ledger->counters.recovered++;
	}
	if (before.verdict != judgement->verdict)
		note_suspicion(x, now);
	if (is_counted(judgement))
		ledger_ensure_route(ledger, record);
	if (record->route != NULL)
		groups_judged(ledger->groups, record, &before);
	note_undrained(ledger, record, &before);
	ledger_set_held(x,
	    judgement->verdict == VERDICT_UNDRAINED &&
		record->facts.ending == ENDING_NOT_YET,
	    now);
	if (before.verdict != judgement->verdict)
		note_exposure(x, &before);
	/* What outlives the process is told of the new judgement. */
	if (is_counted(&before) || is_counted(judgement))
		ledger_note_change(ledger, x);
	/* One that has ended is about to finish, and goes out then. */
	if (is_counted(judgement) && before.verdict != judgement->verdict &&
	    record->facts.ending == ENDING_NOT_YET)
		ledger_send_out(ledger, x, now);
}

static bool
caller_watches(struct ledger_conn *conn)
{
	char *caller = ledger_name_caller(conn, true);
	bool watches = callers_watch(conn->ledger->config.callers, caller);

	free(caller);
	return watches;
}

void
ledger_rejudge(struct ledger_exchange *x, mono_us now)
{
	struct ledger_conn *conn = x->conn;
	struct exchange_record *record = &x->record;
	struct judgement judgement;

	/* Pipelined: what waits or lies unread may all be the next one's. */
	if (TAILQ_NEXT(x, link) != NULL && record->facts.has_body &&
	    !record->facts.was_reused && record->facts.ending == ENDING_NOT_YET)
		return;
	if (record->facts.probed_at != 0 &&
	    record->facts.ending == ENDING_NOT_YET)
		record->facts.caller_watches = caller_watches(conn);
	judgement = verdict_judge(&record->facts, &record->judgement,
	    &conn->ledger->config.patience, now);
	set_judgement(x, &judgement, now);
}

void
ledger_rejudge_all(struct ledger_conn *conn, mono_us now)
{
	struct ledger_exchange *x;

	TAILQ_FOREACH (x, &conn->unproven, link)
		ledger_rejudge(x, now);
}

void
ledger_finish(struct ledger_exchange *x, mono_us now)
{
	struct ledger_conn *conn = x->conn;

	TAILQ_REMOVE(&conn->unproven, x, link);
	x->conn = NULL;
	ledger_send_out(conn->ledger, x, now);
	if (is_counted(&x->record.judgement))
		ledger_note_change(conn->ledger, x);
	put_in_ring(conn->ledger, x);
}
