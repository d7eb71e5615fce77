/* SPDX-License-Identifier: MIT */

/*
 * The ledger: the life of each record.
 *
 *      request_began ──▶ live, on its connection ──▶ finished, in a ring
 *                          │            ▲               (bounded)
 *                          └─ judged ◀──┘
 *
 * An exchange stays with its connection until something is proven by the
 * connection's own fate: the next request (drained), or its end.  On the hot
 * path that is one reuse proving one response, without a system call.  Every
 * verdict is set in set_judgement() and nowhere else; totals, groups and the
 * rings follow from there and cannot disagree.
 */

#include "accounting/ledger_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/redact.h"
#include "accounting/shared.h"

static void
init_ring(struct ring *ring, size_t max)
{
	TAILQ_INIT(&ring->list);
	ring->count = 0;
	ring->max = max;
}

struct ledger *
ledger_new(const struct ledger_config *config, wall_us wall, mono_us now)
{
	struct ledger *ledger = xcalloc(1, sizeof(*ledger));

	assert(config->shard < config->shard_count);
	ledger->config = *config;
	ledger->groups = groups_new(now);
	ledger->reuse = reuse_table_new();
	if (config->capture.memory_bytes > 0)
		ledger->captures = capture_shelf_new(&config->capture);
	if (config->outbox_bytes > 0)
		ledger->outbox = outbox_new(config->outbox_bytes);
	TAILQ_INIT(&ledger->live);
	TAILQ_INIT(&ledger->closed);
	LIST_INIT(&ledger->changes);
	LIST_INIT(&ledger->views);
	init_ring(&ledger->ordinary, LEDGER_MAX_ORDINARY);
	init_ring(&ledger->evidence, LEDGER_MAX_EVIDENCE);
	ledger->since = wall;
	ledger->since_mono = now;
	timeline_begin(&ledger->timeline, now);
	return ledger;
}

void
ledger_free_exchange(struct ledger_exchange *x)
{
	struct exchange_record *record = &x->record;

	if (x->is_changed)
		LIST_REMOVE(x, change_link);
	/* The request's other texts are in x, or of those who outlive it. */
	shared_unref(&record->user_agent);
	free(record->route);
	free(record->error);
	capture_free(record->capture);
	owner_unref(&record->owner);
	tags_fini(&record->tags);
	free(x);
}

static void
empty_ring(struct ring *ring)
{
	struct ledger_exchange *x;

	while ((x = TAILQ_FIRST(&ring->list)) != NULL) {
		TAILQ_REMOVE(&ring->list, x, link);
		ledger_free_exchange(x);
	}
}

static void
free_conn(struct ledger_conn *conn)
{
	assert(TAILQ_EMPTY(&conn->unproven));
	conn->record.client_address = NULL; /* it is the owner's */
	shared_unref(&conn->record.user_agent);
	record_fini_conn(&conn->record);
	free(conn);
}

void
ledger_free(struct ledger *ledger)
{
	struct ledger_conn *conn;

	assert(TAILQ_EMPTY(&ledger->live));
	assert(LIST_EMPTY(&ledger->views));
	while ((conn = TAILQ_FIRST(&ledger->closed)) != NULL) {
		TAILQ_REMOVE(&ledger->closed, conn, link);
		free_conn(conn);
	}
	empty_ring(&ledger->ordinary);
	empty_ring(&ledger->evidence);
	process_unref(&ledger->process);
	shared_unref(&ledger->user_agent);
	groups_free(ledger->groups);
	exposures_fini(&ledger->exposures);
	reuse_table_free(ledger->reuse);
	capture_shelf_free(ledger->captures);
	outbox_free(ledger->outbox);
	free(ledger);
}

void
ledger_set_routes(struct ledger *ledger, const struct route_set *routes)
{
	ledger->config.routes = routes;
}

struct counters *
ledger_counters(struct ledger *ledger)
{
	return &ledger->counters;
}

/* ---- connections ---- */

uint64_t
ledger_next_conn_id(const struct ledger *ledger)
{
	const struct ledger_config *config = &ledger->config;

	return ledger->conn_serial * config->shard_count + config->shard + 1;
}

static struct ledger_caller *
new_caller(const char *address)
{
	size_t size = strlen(address) + 1;
	struct ledger_caller *caller = xmalloc(sizeof(*caller) + size);

	caller->owner = OWNER_UNKNOWN;
	caller->owner.references = 1;
	memcpy(caller->address, address, size);
	return caller;
}

struct ledger_conn *
ledger_conn_opened(struct ledger *ledger, const char *client_address,
    wall_us wall, mono_us now)
{
	struct ledger_conn *conn = xcalloc(1, sizeof(*conn));
	struct ledger_caller *caller = new_caller(client_address);

	conn->ledger = ledger;
	conn->record.id = ledger_next_conn_id(ledger);
	ledger->conn_serial++;
	conn->record.client_address = caller->address;
	conn->record.owner = &caller->owner;
	conn->record.state = CONN_IDLE;
	conn->record.opened_at = wall;
	conn->opened_at = now;
	conn->idle_since = now;
	conn->unread_bytes = -1;
	conn->window_bytes = -1;
	TAILQ_INIT(&conn->unproven);
	TAILQ_INSERT_TAIL(&ledger->live, conn, link);
	ledger->counters.connections++;
	ledger->totals.connections++;
	return conn;
}

struct conn_record *
ledger_conn_record(struct ledger_conn *conn)
{
	return &conn->record;
}

void
ledger_user_agent_seen(struct ledger_conn *conn, struct span user_agent)
{
	struct ledger *ledger = conn->ledger;
	char **agent = &conn->record.user_agent;

	if (user_agent.at == NULL || shared_says(*agent, user_agent))
		return;
	if (!shared_says(ledger->user_agent, user_agent)) {
		shared_unref(&ledger->user_agent);
		ledger->user_agent = shared_new(user_agent);
	}
	shared_unref(agent);
	*agent = shared_ref(ledger->user_agent);
}

void
ledger_owner_found(struct ledger_conn *conn)
{
	struct ledger *ledger = conn->ledger;
	struct owner *owner = conn->record.owner;

	if (owner->process == NULL)
		return;
	if (process_is_same(owner->process, ledger->process)) {
		process_unref(&owner->process);
		owner->process = process_ref(ledger->process);
	} else {
		process_unref(&ledger->process);
		ledger->process = process_ref(owner->process);
	}
}

void
ledger_conn_probed(struct ledger_conn *conn, mono_us now)
{
	struct ledger_exchange *x;

	assert(conn->probed_at == 0);
	conn->probed_at = now;
	conn->record.state = CONN_WATCHED;
	TAILQ_FOREACH (x, &conn->unproven, link) {
		x->record.facts.probed_at = now;
		ledger_rejudge(x, now);
	}
}

/* Whether the caller's answer to our FIN tells something of its manners: it
 * does not where the response told it to close, where its process ended, nor
 * where the connection was held on better evidence than its silence. */
static bool
shows_manners(const struct ledger_conn *conn)
{
	const struct ledger_exchange *x = TAILQ_FIRST(&conn->unproven);
	const struct judgement *judgement;

	if (conn->is_announced || conn->owner_exited)
		return false;
	if (x == NULL)
		return true;
	judgement = &x->record.judgement;
	return judgement->verdict != VERDICT_UNDRAINED ||
	    judgement->witness == WITNESS_WATCHER;
}

static void
note_answer(struct ledger_conn *conn, enum close_reason reason, mono_us now)
{
	bool is_prompt =
	    now - conn->probed_at <= CALLERS_PROMPT_US + conn->rtt_us;
	char *caller;

	if (conn->probed_at == 0)
		return;
	if (reason == CLOSE_REQUEST_CROSSED)
		conn->ledger->counters.probes_crossed++;
	if (record_close_ending(reason) == ENDING_OURS ||
	    reason == CLOSE_REQUEST_CROSSED)
		return;
	if (!conn->is_announced)
		conn->ledger->counters.probes_answered++;
	if (!shows_manners(conn))
		return;
	caller = ledger_name_caller(conn, true);
	callers_probe_answered(conn->ledger->config.callers, caller, is_prompt);
	free(caller);
}

static void
end_exchange(struct ledger_exchange *x, enum close_reason reason, mono_us now)
{
	struct facts *facts = &x->record.facts;
	enum verdict before = x->record.judgement.verdict;

	facts->ending = record_close_ending(reason);
	facts->ended_at = now;
	facts->was_reused =
	    reason == CLOSE_REQUEST_CROSSED && facts->is_complete;
	ledger_rejudge(x, now);
	if (x->record.judgement.verdict == VERDICT_ABANDONED)
		x->conn->reuse->early_closes++;
	ledger_set_held(x, false, now);
	/* Also where the end itself was the proof (EVIDENCE_EXIT). */
	if (x->record.judgement.verdict == VERDICT_UNDRAINED &&
	    (before == VERDICT_UNDRAINED || facts->owner_exited))
		groups_released(x->conn->ledger->groups, &x->record,
		    (double)(now - ledger_response_at(x)) / (double)US_PER_S);
	ledger_finish(x, now);
}

void
ledger_conn_half_sent(struct ledger_conn *conn)
{
	conn->reuse->half_sent++;
}

/* What the connection's end says of how it was used. */
static void
count_use(const struct ledger_conn *conn, enum close_reason reason)
{
	if (conn->reuse == NULL || conn->record.exchange_count != 1)
		return;
	if (reason == CLOSE_PROBE_ANSWERED || reason == CLOSE_IDLE)
		conn->reuse->one_shot++;
	else if (reason == CLOSE_CLIENT_FIN && !conn->is_announced)
		conn->reuse->closed_after_one++;
}

static void
keep_closed(struct ledger *ledger, struct ledger_conn *conn)
{
	if (ledger->closed_count == LEDGER_MAX_CLOSED_CONNS) {
		struct ledger_conn *oldest = TAILQ_FIRST(&ledger->closed);

		ledger_view_pass_conn(ledger, oldest);
		TAILQ_REMOVE(&ledger->closed, oldest, link);
		free_conn(oldest);
		ledger->closed_count--;
	}
	TAILQ_INSERT_TAIL(&ledger->closed, conn, link);
	ledger->closed_count++;
}

void
ledger_conn_closed(struct ledger_conn **connp, enum close_reason reason,
    wall_us wall, mono_us now)
{
	struct ledger_conn *conn = *connp;
	struct ledger *ledger = conn->ledger;
	struct ledger_exchange *x;

	*connp = NULL;
	note_answer(conn, reason, now);
	count_use(conn, reason);
	while ((x = TAILQ_FIRST(&conn->unproven)) != NULL)
		end_exchange(x, reason, now);
	conn->record.state = CONN_CLOSED;
	conn->record.close_reason = reason;
	conn->record.closed_at = wall;
	conn->record.age_us = now - conn->opened_at;
	ledger_view_pass_conn(ledger, conn);
	TAILQ_REMOVE(&ledger->live, conn, link);
	keep_closed(ledger, conn);
}

/* ---- exchanges ---- */

/* The next request came: what was handed over before it came is proven. */
static void
prove_by_reuse(struct ledger_conn *conn, mono_us now)
{
	struct ledger_exchange *x;

	while ((x = TAILQ_FIRST(&conn->unproven)) != NULL) {
		x->record.facts.was_reused = true;
		ledger_rejudge(x, now);
		ledger_finish(x, now);
	}
}

/* Copies a text to *end, behind which there is room.  Returns the copy, or
 * NULL of none. */
static char *
put_text(char **end, struct span text)
{
	char *copy = *end;

	if (text.at == NULL)
		return NULL;
	memcpy(copy, text.at, text.length);
	copy[text.length] = '\0';
	*end += text.length + 1;
	return copy;
}

static struct span
span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

/* The methods of nearly all requests are not stored again. */
static char *
known_method(struct span method)
{
	static struct {
		char word[7];
		uint8_t length;
	} methods[] = {{"GET", 3}, {"HEAD", 4}, {"POST", 4}, {"PUT", 3}};

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (method.length == methods[i].length &&
		    memcmp(method.at, methods[i].word, method.length) == 0)
			return methods[i].word;
	}
	return NULL;
}

/* Returns the user agent, shared with the connection. */
static char *
share_user_agent(struct ledger_conn *conn, struct span user_agent)
{
	ledger_user_agent_seen(conn, user_agent);
	return user_agent.at == NULL ? NULL
				     : shared_ref(conn->record.user_agent);
}

/* Gives the record the texts of its request: what is there already for as long
 * as the record, is used; the rest is put behind it. */
static struct ledger_exchange *
new_exchange(struct ledger_conn *conn, const struct request_facts *request)
{
	const struct secrets *secrets = conn->ledger->config.capture.secrets;
	bool is_plain = redact_url_is_plain(request->url);
	char *redacted = is_plain ? NULL : redact_url_of(secrets, request->url);
	struct span url = span_of(is_plain ? request->url : redacted);
	struct span origin = span_of(request->origin);
	bool has_origin = shared_says(conn->reuse->origin, origin);
	char *method = known_method(request->method);
	size_t ends = 4; /* a NUL for each of these */
	struct ledger_exchange *x = xcalloc(1,
	    sizeof(*x) + (method == NULL ? request->method.length : 0) +
		url.length + (has_origin ? 0 : origin.length) +
		request->traceparent.length + ends);
	struct exchange_record *record = &x->record;
	char *end = x->texts;

	record->method =
	    method == NULL ? put_text(&end, request->method) : method;
	record->url = put_text(&end, url);
	record->origin =
	    has_origin ? conn->reuse->origin : put_text(&end, origin);
	record->traceparent = put_text(&end, request->traceparent);
	record->user_agent = share_user_agent(conn, request->user_agent);
	record->client_address = conn->record.client_address;
	record->owner = conn->record.owner;
	record->owner->references++;
	free(redacted);
	return x;
}

/* The first exchange says of which origin the connection is. */
static void
note_use(struct ledger_conn *conn, const struct request_facts *request)
{
	if (conn->reuse == NULL) {
		conn->reuse = reuse_find(
		    conn->ledger->reuse, request->origin, request->tags);
		conn->reuse->connections++;
	}
	conn->reuse->exchanges++;
}

struct ledger_exchange *
ledger_request_began(struct ledger_conn *conn,
    const struct request_facts *request, wall_us wall, mono_us now)
{
	struct ledger *ledger = conn->ledger;
	struct exchange_record *record;
	struct ledger_exchange *x;

	if (!request->is_pipelined)
		prove_by_reuse(conn, now);
	note_use(conn, request);
	x = new_exchange(conn, request);
	record = &x->record;
	x->conn = conn;
	record->conn_id = conn->record.id;
	record->ordinal = ++conn->record.exchange_count;
	tags_copy(&record->tags, request->tags);
	record->judgement.verdict = VERDICT_OPEN;
	record->facts.has_body = true; /* until the response says otherwise */
	record->facts.is_tls = conn->record.transport == TRANSPORT_INTERCEPTED;
	record->facts.unread_bytes = -1;
	record->facts.progress_at = now;
	record->began_at = wall;
	record->arrived_at = now;
	record->first_byte_us = -1;
	record->duration_us = -1;
	TAILQ_INSERT_TAIL(&conn->unproven, x, link);
	conn->record.state = CONN_ACTIVE;
	ledger->totals.exchanges++;
	ledger->totals.by_verdict[VERDICT_OPEN]++;
	timeline_request(&ledger->timeline, now);
	return x;
}

void
ledger_request_body_came(struct ledger_exchange *x, size_t bytes)
{
	x->record.request_bytes += (int64_t)bytes;
}

void
ledger_request_ended(struct ledger_conn *conn)
{
	struct ledger_exchange *last =
	    TAILQ_LAST(&conn->unproven, exchange_list);

	if (last != NULL)
		last->record.facts.is_early = false;
}

void
ledger_response_began(struct ledger_exchange *x,
    const struct response_facts *response, mono_us now)
{
	struct exchange_record *record = &x->record;

	record->status = response->status;
	record->first_byte_us = now - x->record.arrived_at;
	record->is_escalated = response->is_escalated;
	record->error = xstrdup_or_null(response->error);
	record->facts.has_body = response->has_body;
	record->facts.said_close = response->says_close;
	record->facts.is_early = response->is_early;
	record->facts.progress_at = now;
	x->conn->is_announced = response->says_close;
	if (!response->has_body)
		ledger_rejudge(x, now);
}

void
ledger_response_body_came(struct ledger_exchange *x, size_t bytes)
{
	x->record.body_bytes += (int64_t)bytes;
}

void
ledger_response_ended(
    struct ledger_exchange **xp, enum response_end end, mono_us now)
{
	struct ledger_exchange *x = *xp;

	*xp = NULL;
	x->record.duration_us = now - x->record.arrived_at;
	x->record.facts.is_complete = end == RESPONSE_COMPLETE;
	x->record.facts.is_truncated = end == RESPONSE_TRUNCATED;
	/* A message with framing that promised a body and then had none. */
	if (end == RESPONSE_COMPLETE && x->record.body_bytes == 0) {
		x->record.facts.has_body = false;
		ledger_rejudge(x, now);
	}
	x->conn->idle_since = now;
	if (x->conn->record.state == CONN_ACTIVE)
		x->conn->record.state = CONN_IDLE;
	if (x->record.judgement.verdict == VERDICT_NONE)
		ledger_finish(x, now);
}

/* ---- captures ---- */

struct capture_shelf *
ledger_captures(struct ledger_exchange *x)
{
	return x->conn->ledger->captures;
}

void
ledger_head_taken(struct ledger_exchange *x, enum capture_side side)
{
	capture_end_head(x->conn->ledger->captures, &x->record.capture, side);
}

void
ledger_body_passed(struct ledger_exchange *x, enum capture_side side,
    const char *bytes, size_t length)
{
	if (x->record.capture != NULL)
		capture_add_body(x->record.capture, side, bytes, length);
}
