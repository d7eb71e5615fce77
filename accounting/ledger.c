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

#include "accounting/ledger.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "accounting/groups.h"
#include "accounting/memory.h"
#include "accounting/redact.h"

struct ledger_exchange {
	struct exchange_record record;
	struct ledger_conn *conn; /* borrowed; NULL once finished */
	mono_us request_at;
	mono_us response_at; /* 0: no head yet */
	bool is_ended;       /* handed over, or never will be */
	TAILQ_ENTRY(ledger_exchange) link;
};

TAILQ_HEAD(exchange_list, ledger_exchange);

struct ledger_conn {
	struct conn_record record;
	struct ledger *ledger; /* borrowed, outlives the connection */
	struct exchange_list unproven; /* owned, oldest first */
	mono_us opened_at;
	mono_us idle_since;
	mono_us probed_at;
	mono_us rtt_us;
	bool is_announced; /* the last response said Connection: close */
	int64_t acked_bytes;  /* by the last sample */
	int64_t unread_bytes; /* by the last sample; -1 not known */
	int64_t waiting_bytes;
	int64_t window_bytes;
	TAILQ_ENTRY(ledger_conn) link;
};

TAILQ_HEAD(conn_list, ledger_conn);

/* Finished records, oldest first. */
struct ring {
	struct exchange_list list;
	size_t count;
	size_t max;
};

struct ledger {
	struct ledger_config config;
	struct counters counters;
	struct totals totals;
	struct groups *groups;    /* owned */
	struct conn_list live;    /* owned by the proxy until closed */
	struct conn_list closed;  /* owned, oldest first */
	size_t closed_count;
	struct ring ordinary;
	struct ring evidence;
	uint64_t conn_serial;
	wall_us since;
	mono_us since_mono;
};

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
	ledger->groups = groups_new();
	TAILQ_INIT(&ledger->live);
	TAILQ_INIT(&ledger->closed);
	init_ring(&ledger->ordinary, LEDGER_MAX_ORDINARY);
	init_ring(&ledger->evidence, LEDGER_MAX_EVIDENCE);
	ledger->since = wall;
	ledger->since_mono = now;
	return ledger;
}

static void
free_exchange(struct ledger_exchange *x)
{
	record_fini_exchange(&x->record);
	free(x);
}

static void
empty_ring(struct ring *ring)
{
	struct ledger_exchange *x;

	while ((x = TAILQ_FIRST(&ring->list)) != NULL) {
		TAILQ_REMOVE(&ring->list, x, link);
		free_exchange(x);
	}
}

static void
free_conn(struct ledger_conn *conn)
{
	assert(TAILQ_EMPTY(&conn->unproven));
	record_fini_conn(&conn->record);
	free(conn);
}

void
ledger_free(struct ledger *ledger)
{
	struct ledger_conn *conn;

	assert(TAILQ_EMPTY(&ledger->live));
	while ((conn = TAILQ_FIRST(&ledger->closed)) != NULL) {
		TAILQ_REMOVE(&ledger->closed, conn, link);
		free_conn(conn);
	}
	empty_ring(&ledger->ordinary);
	empty_ring(&ledger->evidence);
	groups_free(ledger->groups);
	free(ledger);
}

struct counters *
ledger_counters(struct ledger *ledger)
{
	return &ledger->counters;
}

/* ---- who ---- */

/* The caller as far as it can be told before its process is known: two
 * processes behind one address share their manners then, which only makes us
 * slower to accuse. */
static char *
name_caller(const struct ledger_conn *conn, bool with_process)
{
	const struct conn_record *record = &conn->record;
	const char *agent = record->user_agent;
	const char *fingerprint = record->tls_fingerprint;
	const char *colon = strrchr(record->client_address, ':');
	int host_bytes = colon == NULL
	    ? (int)strlen(record->client_address)
	    : (int)(colon - record->client_address);

	if (with_process && record->owner.pid > 0)
		return xasprintf("pid %d\n%s\n%s", (int)record->owner.pid,
		    agent == NULL ? "" : agent,
		    fingerprint == NULL ? "" : fingerprint);
	return xasprintf("%.*s\n%s\n%s", host_bytes, record->client_address,
	    agent == NULL ? "" : agent, fingerprint == NULL ? "" : fingerprint);
}

/* The path of an absolute URL, "/" where it has none. */
static const char *
path_of(const char *url)
{
	const char *authority = strstr(url, "://");
	const char *path;

	if (authority == NULL)
		return url;
	path = strchr(authority + 3, '/');
	return path == NULL ? "/" : path;
}

static void
ensure_route(struct ledger *ledger, struct exchange_record *record)
{
	char route[ROUTE_MAX_BYTES];

	if (record->route != NULL)
		return;
	route_of(ledger->config.routes, path_of(record->url), route);
	record->route = xstrdup(route);
}

/* The group that escalation looks at: (caller, route, status). */
static char *
name_suspects(struct ledger_exchange *x, int status)
{
	char *caller = name_caller(x->conn, false);
	char *name;

	ensure_route(x->conn->ledger, &x->record);
	name = xasprintf("%s\n%s %s%s %d", caller, x->record.method,
	    x->record.origin, x->record.route, status);
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

/* ---- judging ---- */

static void
put_in_ring(struct ledger *ledger, struct ledger_exchange *x)
{
	bool is_evidence = x->record.judgement.verdict == VERDICT_UNDRAINED ||
	    x->record.judgement.verdict == VERDICT_SUSPECTED;
	struct ring *ring = is_evidence ? &ledger->evidence
	                                : &ledger->ordinary;

	if (ring->count == ring->max) {
		struct ledger_exchange *oldest = TAILQ_FIRST(&ring->list);

		TAILQ_REMOVE(&ring->list, oldest, link);
		free_exchange(oldest);
		ring->count--;
		ledger->counters.evicted_exchanges++;
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

/* The one writer of verdicts. */
static void
set_judgement(struct ledger_exchange *x, const struct judgement *judgement,
    mono_us now)
{
	struct ledger *ledger = x->conn->ledger;
	struct exchange_record *record = &x->record;
	struct judgement before = record->judgement;

	if (before.verdict == judgement->verdict &&
	    before.evidence == judgement->evidence &&
	    before.witness == judgement->witness)
		return;
	record->judgement = *judgement;
	ledger->totals.by_verdict[before.verdict]--;
	ledger->totals.by_verdict[judgement->verdict]++;
	if (before.verdict == VERDICT_UNDRAINED &&
	    judgement->verdict != VERDICT_UNDRAINED) {
		ledger->totals.recovered++;
		ledger->counters.recovered++;
	}
	if (before.verdict != judgement->verdict)
		note_suspicion(x, now);
	if (judgement->verdict == VERDICT_UNDRAINED ||
	    judgement->verdict == VERDICT_SUSPECTED)
		ensure_route(ledger, record);
	if (record->route != NULL)
		groups_judged(ledger->groups, record, &before);
	record->is_held = judgement->verdict == VERDICT_UNDRAINED &&
	    record->facts.ending == ENDING_NOT_YET;
}

static bool
caller_watches(struct ledger_conn *conn)
{
	char *caller = name_caller(conn, true);
	bool watches = callers_watch(conn->ledger->config.callers, caller);

	free(caller);
	return watches;
}

static void
rejudge(struct ledger_exchange *x, mono_us now)
{
	struct ledger_conn *conn = x->conn;
	struct exchange_record *record = &x->record;
	struct judgement judgement;

	if (record->facts.probed_at != 0 &&
	    record->facts.ending == ENDING_NOT_YET)
		record->facts.caller_watches = caller_watches(conn);
	judgement = verdict_judge(&record->facts, &record->judgement,
	    &conn->ledger->config.patience, now);
	set_judgement(x, &judgement, now);
}

static void
rejudge_all(struct ledger_conn *conn, mono_us now)
{
	struct ledger_exchange *x;

	TAILQ_FOREACH (x, &conn->unproven, link)
		rejudge(x, now);
}

/* Takes the exchange off its connection: nothing more can be learned. */
static void
finish(struct ledger_exchange *x)
{
	struct ledger_conn *conn = x->conn;

	TAILQ_REMOVE(&conn->unproven, x, link);
	if (x->record.owner.command == NULL && conn->record.owner.pid > 0) {
		x->record.owner = conn->record.owner;
		x->record.owner.command =
		    xstrdup_or_null(conn->record.owner.command);
	}
	x->conn = NULL;
	put_in_ring(conn->ledger, x);
}

/* ---- connections ---- */

struct ledger_conn *
ledger_conn_opened(struct ledger *ledger, const char *client_address,
    wall_us wall, mono_us now)
{
	struct ledger_conn *conn = xcalloc(1, sizeof(*conn));
	const struct ledger_config *config = &ledger->config;

	conn->ledger = ledger;
	conn->record.id = ledger->conn_serial++ * config->shard_count +
	    config->shard + 1;
	conn->record.client_address = xstrdup(client_address);
	conn->record.owner = (struct owner){-1, -1, -1, NULL};
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
ledger_conn_probed(struct ledger_conn *conn, mono_us now)
{
	struct ledger_exchange *x;

	assert(conn->probed_at == 0);
	conn->probed_at = now;
	conn->record.state = CONN_WATCHED;
	TAILQ_FOREACH (x, &conn->unproven, link) {
		x->record.facts.probed_at = now;
		rejudge(x, now);
	}
}

/* Whether the caller's answer to our FIN tells something of its manners: it
 * does not where the response told it to close, nor where the connection was
 * held on better evidence than its silence. */
static bool
shows_manners(const struct ledger_conn *conn)
{
	const struct ledger_exchange *x = TAILQ_FIRST(&conn->unproven);
	const struct judgement *judgement;

	if (conn->is_announced)
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
	caller = name_caller(conn, true);
	callers_probe_answered(conn->ledger->config.callers, caller, is_prompt);
	free(caller);
}

static void
end_exchange(struct ledger_exchange *x, enum close_reason reason, mono_us now)
{
	struct facts *facts = &x->record.facts;
	bool was_held = x->record.is_held;

	facts->ending = record_close_ending(reason);
	facts->ended_at = now;
	facts->was_reused = reason == CLOSE_REQUEST_CROSSED &&
	    facts->is_complete;
	rejudge(x, now);
	x->record.is_held = false;
	if (was_held && x->record.judgement.verdict == VERDICT_UNDRAINED)
		groups_released(x->conn->ledger->groups, &x->record,
		    (double)(now - x->response_at) / (double)US_PER_S);
	finish(x);
}

static void
keep_closed(struct ledger *ledger, struct ledger_conn *conn)
{
	if (ledger->closed_count == LEDGER_MAX_CLOSED_CONNS) {
		struct ledger_conn *oldest = TAILQ_FIRST(&ledger->closed);

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
	while ((x = TAILQ_FIRST(&conn->unproven)) != NULL)
		end_exchange(x, reason, now);
	conn->record.state = CONN_CLOSED;
	conn->record.close_reason = reason;
	conn->record.closed_at = wall;
	conn->record.age_us = now - conn->opened_at;
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
		rejudge(x, now);
		finish(x);
	}
}

struct ledger_exchange *
ledger_request_began(struct ledger_conn *conn,
    const struct request_facts *request, wall_us wall, mono_us now)
{
	struct ledger_exchange *x = xcalloc(1, sizeof(*x));
	struct exchange_record *record = &x->record;
	struct ledger *ledger = conn->ledger;

	if (!request->is_pipelined)
		prove_by_reuse(conn, now);
	x->conn = conn;
	x->request_at = now;
	record->conn_id = conn->record.id;
	record->ordinal = ++conn->record.exchange_count;
	record->method = xstrdup(request->method);
	record->url = redact_url(request->url);
	record->origin = xstrdup(request->origin);
	record->user_agent = xstrdup_or_null(request->user_agent);
	record->traceparent = xstrdup_or_null(request->traceparent);
	record->client_address = xstrdup(conn->record.client_address);
	tags_copy(&record->tags, request->tags);
	record->owner = (struct owner){-1, -1, -1, NULL};
	record->judgement.verdict = VERDICT_OPEN;
	record->facts.has_body = true; /* until the response says otherwise */
	record->facts.is_tls =
	    conn->record.transport == TRANSPORT_INTERCEPTED;
	record->facts.unread_bytes = -1;
	record->facts.progress_at = now;
	record->began_at = wall;
	record->first_byte_us = -1;
	record->duration_us = -1;
	TAILQ_INSERT_TAIL(&conn->unproven, x, link);
	conn->record.state = CONN_ACTIVE;
	ledger->totals.exchanges++;
	ledger->totals.by_verdict[VERDICT_OPEN]++;
	return x;
}

void
ledger_request_body_came(struct ledger_exchange *x, size_t bytes)
{
	x->record.request_bytes += (int64_t)bytes;
}

void
ledger_response_began(struct ledger_exchange *x,
    const struct response_facts *response, mono_us now)
{
	struct exchange_record *record = &x->record;

	x->response_at = now;
	record->status = response->status;
	record->first_byte_us = now - x->request_at;
	record->is_escalated = response->is_escalated;
	record->error = xstrdup_or_null(response->error);
	record->facts.has_body = response->has_body;
	record->facts.said_close = response->says_close;
	record->facts.progress_at = now;
	x->conn->is_announced = response->says_close;
	if (!response->has_body)
		rejudge(x, now);
}

void
ledger_response_body_came(struct ledger_exchange *x, size_t bytes)
{
	x->record.body_bytes += (int64_t)bytes;
}

void
ledger_response_ended(struct ledger_exchange **xp, enum response_end end,
    mono_us now)
{
	struct ledger_exchange *x = *xp;

	*xp = NULL;
	x->is_ended = true;
	x->record.duration_us = now - x->request_at;
	x->record.facts.is_complete = end == RESPONSE_COMPLETE;
	x->record.facts.is_truncated = end == RESPONSE_TRUNCATED;
	/* A message with framing that promised a body and then had none. */
	if (end == RESPONSE_COMPLETE && x->record.body_bytes == 0) {
		x->record.facts.has_body = false;
		rejudge(x, now);
	}
	x->conn->idle_since = now;
	if (x->conn->record.state == CONN_ACTIVE)
		x->conn->record.state = CONN_IDLE;
	if (x->record.judgement.verdict == VERDICT_NONE)
		finish(x);
}

/* ---- evidence ---- */

/* What the caller has taken: acknowledged, and read where we can see it. */
static int64_t
taken_bytes(int64_t acked_bytes, int64_t unread_bytes)
{
	return acked_bytes - (unread_bytes > 0 ? unread_bytes : 0);
}

/*
 * Whether the caller took something since the last sample, or only now owes
 * a read.  A window that opens shows a remote caller reading what its kernel
 * had acknowledged long before.
 */
static bool
is_progress(const struct ledger_conn *conn, const struct delivery *delivery)
{
	bool owed = conn->waiting_bytes > 0 || conn->unread_bytes > 0;

	if (!owed && (delivery->waiting_bytes > 0 || delivery->unread_bytes > 0))
		return true;
	if (taken_bytes(delivery->acked_bytes, delivery->unread_bytes) !=
	    taken_bytes(conn->acked_bytes, conn->unread_bytes))
		return true;
	return delivery->unread_bytes < 0 &&
	    delivery->window_bytes > conn->window_bytes;
}

static void
apply_delivery(struct ledger_exchange *x, const struct delivery *delivery)
{
	struct exchange_record *record = &x->record;
	int64_t delivered = record->body_bytes - delivery->waiting_bytes;

	record->facts.waiting_bytes = delivery->waiting_bytes;
	if (delivery->unread_bytes >= 0)
		record->facts.unread_bytes = delivery->unread_bytes;
	if (delivered > record->delivered_bytes)
		record->delivered_bytes = delivered;
}

void
ledger_delivery_seen(struct ledger_conn *conn, const struct delivery *delivery,
    mono_us now)
{
	bool has_progress = is_progress(conn, delivery);
	struct ledger_exchange *x;

	conn->acked_bytes = delivery->acked_bytes;
	conn->unread_bytes = delivery->unread_bytes;
	conn->waiting_bytes = delivery->waiting_bytes;
	conn->window_bytes = delivery->window_bytes;
	conn->rtt_us = delivery->rtt_us;
	TAILQ_FOREACH (x, &conn->unproven, link) {
		if (has_progress)
			x->record.facts.progress_at = now;
		apply_delivery(x, delivery);
	}
	rejudge_all(conn, now);
}

void
ledger_delivery_ended(struct ledger_conn *conn, const struct delivery *delivery)
{
	struct ledger_exchange *x;

	TAILQ_FOREACH (x, &conn->unproven, link)
		apply_delivery(x, delivery);
}

void
ledger_owner_exited(struct ledger_conn *conn)
{
	struct ledger_exchange *x;

	TAILQ_FOREACH (x, &conn->unproven, link)
		x->record.facts.owner_exited = true;
}

void
ledger_conn_standing(const struct ledger_conn *conn,
    struct conn_standing *standing)
{
	const struct ledger_exchange *last =
	    TAILQ_LAST(&conn->unproven, exchange_list);

	*standing = (struct conn_standing){
	    .idle_since = conn->idle_since,
	    .progress_at = conn->idle_since,
	    .probed_at = conn->probed_at,
	};
	if (last == NULL)
		return;
	standing->is_unproven = true;
	standing->is_complete = last->record.facts.is_complete;
	standing->is_held = last->record.is_held;
	standing->progress_at = last->record.facts.progress_at;
}

/* ---- snapshots ---- */

static void
copy_exchange(struct snapshot *snapshot, struct ledger *ledger,
    struct ledger_exchange *x, mono_us now)
{
	struct exchange_record *copy =
	    &snapshot->exchanges[snapshot->exchange_count++];

	ensure_route(ledger, &x->record);
	record_copy_exchange(copy, &x->record);
	if (x->response_at != 0)
		copy->age_us = now - x->response_at;
	if (x->conn != NULL && copy->owner.pid < 0) {
		free(copy->owner.command);
		copy->owner = x->conn->record.owner;
		copy->owner.command =
		    xstrdup_or_null(x->conn->record.owner.command);
	}
}

static void
copy_matching(struct snapshot *snapshot, struct ledger *ledger,
    struct exchange_list *list, const struct snapshot_query *query, mono_us now)
{
	struct ledger_exchange *x;

	TAILQ_FOREACH (x, list, link) {
		if (snapshot_query_matches(query, &x->record))
			copy_exchange(snapshot, ledger, x, now);
	}
}

static size_t
count_live(const struct ledger *ledger, size_t *conns)
{
	const struct ledger_conn *conn;
	const struct ledger_exchange *x;
	size_t exchanges = 0;

	*conns = 0;
	TAILQ_FOREACH (conn, &ledger->live, link) {
		(*conns)++;
		TAILQ_FOREACH (x, &conn->unproven, link)
			exchanges++;
	}
	return exchanges;
}

static void
copy_exchanges(struct snapshot *snapshot, struct ledger *ledger,
    const struct snapshot_query *query, mono_us now)
{
	struct ledger_conn *conn;
	size_t conns;
	size_t max = count_live(ledger, &conns) + ledger->ordinary.count +
	    ledger->evidence.count;

	snapshot->exchanges =
	    xcalloc(max + 1, sizeof(*snapshot->exchanges));
	TAILQ_FOREACH (conn, &ledger->live, link)
		copy_matching(snapshot, ledger, &conn->unproven, query, now);
	copy_matching(snapshot, ledger, &ledger->evidence.list, query, now);
	copy_matching(snapshot, ledger, &ledger->ordinary.list, query, now);
}

static void
copy_conns(struct snapshot *snapshot, struct ledger *ledger, mono_us now)
{
	struct ledger_conn *conn;
	size_t live;

	count_live(ledger, &live);
	snapshot->conns = xcalloc(live + ledger->closed_count + 1,
	    sizeof(*snapshot->conns));
	TAILQ_FOREACH (conn, &ledger->live, link) {
		conn->record.age_us = now - conn->opened_at;
		record_copy_conn(&snapshot->conns[snapshot->conn_count++],
		    &conn->record);
	}
	TAILQ_FOREACH (conn, &ledger->closed, link)
		record_copy_conn(&snapshot->conns[snapshot->conn_count++],
		    &conn->record);
}

static struct leak *
find_leak(struct snapshot *snapshot, const struct exchange_record *record)
{
	char id[LEAK_ID_BYTES];

	leak_id(id, record);
	for (size_t i = 0; i < snapshot->leak_count; i++) {
		if (strcmp(snapshot->leaks[i].id, id) == 0)
			return &snapshot->leaks[i];
	}
	return NULL;
}

/* Adds to its leak what only the exchange in memory knows. */
static void
illustrate(struct snapshot *snapshot, struct ledger *ledger,
    struct ledger_exchange *x, mono_us now)
{
	struct exchange_record *record = &x->record;
	const struct ledger_conn *conn = x->conn;
	struct exchange_record seen;
	struct leak *leak;

	if (record->judgement.verdict != VERDICT_UNDRAINED &&
	    record->judgement.verdict != VERDICT_SUSPECTED)
		return;
	leak = find_leak(snapshot, record);
	if (leak == NULL)
		return;
	seen = *record;
	if (conn != NULL && seen.owner.pid < 0)
		seen.owner = conn->record.owner;
	leak_add_caller(leak, &seen);
	if (record->is_held) {
		leak->held_now++;
		leak->held_bytes +=
		    record->body_bytes - record->delivered_bytes;
		if (record->facts.unread_bytes > 0)
			leak->held_bytes += record->facts.unread_bytes;
	}
	if (leak->example == NULL ||
	    (record->judgement.verdict == VERDICT_UNDRAINED &&
	        leak->example->judgement.verdict != VERDICT_UNDRAINED)) {
		if (leak->example != NULL)
			record_fini_exchange(leak->example);
		else
			leak->example = xcalloc(1, sizeof(*leak->example));
		record_copy_exchange(leak->example, &seen);
		leak->example->age_us = now - x->response_at;
	}
}

static void
copy_leaks(struct snapshot *snapshot, struct ledger *ledger, mono_us now)
{
	struct ledger_conn *conn;
	struct ledger_exchange *x;

	snapshot->leaks = groups_copy(ledger->groups, &snapshot->leak_count);
	if (snapshot->leak_count == 0)
		return;
	TAILQ_FOREACH (conn, &ledger->live, link) {
		TAILQ_FOREACH (x, &conn->unproven, link)
			illustrate(snapshot, ledger, x, now);
	}
	TAILQ_FOREACH (x, &ledger->evidence.list, link)
		illustrate(snapshot, ledger, x, now);
	for (size_t i = 0; i < snapshot->leak_count; i++)
		snapshot->totals.held_now += snapshot->leaks[i].held_now;
}

static void
count_gauges(struct snapshot *snapshot, const struct ledger *ledger)
{
	const struct ledger_conn *conn;

	TAILQ_FOREACH (conn, &ledger->live, link) {
		switch (conn->record.state) {
		case CONN_ACTIVE:
			snapshot->gauges.client_active++;
			break;
		case CONN_IDLE:
			snapshot->gauges.client_idle++;
			break;
		case CONN_WATCHED:
			snapshot->gauges.client_watched++;
			break;
		case CONN_CLOSED:
			break;
		}
	}
}

struct snapshot *
ledger_snapshot(struct ledger *ledger, const struct snapshot_query *query,
    wall_us wall, mono_us now)
{
	struct snapshot *snapshot = snapshot_new();

	snapshot->taken_at = wall;
	snapshot->since = ledger->since;
	snapshot->seconds_us = now - ledger->since_mono;
	snapshot->totals = ledger->totals;
	snapshot->counters = ledger->counters;
	count_gauges(snapshot, ledger);
	copy_leaks(snapshot, ledger, now);
	if (query->wants_conns)
		copy_conns(snapshot, ledger, now);
	if (query->wants_exchanges)
		copy_exchanges(snapshot, ledger, query, now);
	return snapshot;
}
