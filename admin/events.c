/* SPDX-License-Identifier: MIT */

/*
 * Snapshots, told as events.
 *
 * What was told of a leak is remembered for as long as the ledger remembers
 * the leak, which bounds the number of both.  A leak of which every response
 * has recovered is in no snapshot any more, so what names it is kept here.
 */

#include "admin/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"
#include "admin/api.h"
#include "admin/text.h"

#define LINE_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* A leak, as it was told. */
struct telling {
	struct leak name;   /* owned: id, origin, method, route, status, tags */
	uint64_t round;     /* in which it was last seen */
	uint64_t seen;      /* undrained, then */
	uint64_t told;      /* of these, in lines */
	uint64_t shown;     /* undrained, in the last line */
	uint64_t recovered; /* and not told */
	mono_us told_at;    /* that it grew; or was first seen */
	mono_us recovery_told_at;
	bool was_recovery_told;
	UT_hash_handle hh;
};

/* A caller that refuses our certificate for a target. */
struct refuser {
	char *key;        /* owned; "" stands for those who are not known */
	json_t *conn;     /* owned: its last connection */
	uint64_t refused; /* and not told */
	mono_us told_at;
	bool was_told;
	UT_hash_handle hh;
};

/* A connection that was in the last snapshot. */
struct known_conn {
	uint64_t id;
	uint64_t round;
	UT_hash_handle hh;
};

struct events {
	/* owned */
	struct telling *tellings;
	struct refuser *refusers;
	struct known_conn *conns;

	uint64_t round;
	uint64_t refused; /* the counter, as it was seen last */
};

/* What one look is about. */
struct look {
	struct events *events;
	struct snapshot *snapshot;
	json_t *list;
	enum events_when when;
};

/* ---- lines ---- */

/* Adds an event to the list, which owns it. */
static json_t *
begin(const struct look *look, const char *word)
{
	json_t *event = json_object();
	char time[TEXT_NUMBER_BYTES];

	text_timestamp(look->snapshot->taken_at, time);
	json_object_set_new(event, "time", json_string(time));
	json_object_set_new(event, "event", json_string(word));
	json_array_append_new(look->list, event);
	return event;
}

static void
put_count(json_t *event, const char *key, uint64_t count)
{
	json_object_set_new(event, key, json_integer((json_int_t)count));
}

/* Takes `fields`. */
static void
put_fields(json_t *event, json_t *fields)
{
	json_object_update(event, fields);
	json_decref(fields);
}

/* Not known before, or long enough ago. */
static bool
is_due(const struct look *look, bool was_told, mono_us told_at)
{
	return !was_told || look->when == EVENTS_LAST ||
	    look->snapshot->taken_mono - told_at >= EVENTS_EVERY_US;
}

/* ---- leaks ---- */

static void
name_leak(struct leak *name, const struct leak *leak)
{
	memcpy(name->id, leak->id, sizeof(name->id));
	name->origin = xstrdup(leak->origin);
	name->method = xstrdup(leak->method);
	name->route = xstrdup(leak->route);
	name->status = leak->status;
	tags_copy(&name->tags, &leak->tags);
	name->first_seen = leak->first_seen;
	name->last_seen = leak->last_seen;
}

static void
put_leak(const struct look *look, struct telling *telling, json_t *event,
    struct leak *leak)
{
	if (leak->undrained > 0)
		snapshot_investigate(look->snapshot, leak);
	put_fields(event, api_leak_json(leak, look->snapshot->seconds_us));
	telling->shown = leak->undrained;
}

static void
tell_first(const struct look *look, struct leak *leak)
{
	struct telling *telling = xcalloc(1, sizeof(*telling));

	name_leak(&telling->name, leak);
	telling->seen = telling->told = leak->undrained;
	telling->round = look->events->round;
	telling->told_at = look->snapshot->taken_mono;
	HASH_ADD_STR(look->events->tellings, name.id, telling);
	put_leak(look, telling, begin(look, "leak_first_seen"), leak);
}

/* What recovers lowers what was told of, but is no sign of growth: doubled is
 * what the last line showed. */
static void
tell_growth(const struct look *look, struct telling *telling, struct leak *leak)
{
	mono_us now = look->snapshot->taken_mono;
	json_t *event;

	if (leak->undrained <= telling->told ||
	    (leak->undrained < 2 * telling->shown &&
		!is_due(look, true, telling->told_at)))
		return;
	event = begin(look, "leak_growing");
	put_count(event, "grew_by", leak->undrained - telling->told);
	json_object_set_new(event, "grew_in_s",
	    json_real((double)(now - telling->told_at) / (double)US_PER_S));
	telling->told = leak->undrained;
	telling->told_at = now;
	put_leak(look, telling, event, leak);
}

static void
tell_recovery(
    const struct look *look, struct telling *telling, struct leak *leak)
{
	json_t *event;

	if (telling->recovered == 0 ||
	    !is_due(
		look, telling->was_recovery_told, telling->recovery_told_at))
		return;
	event = begin(look, "leak_recovered");
	put_count(event, "recovered", telling->recovered);
	telling->recovered = 0;
	telling->was_recovery_told = true;
	telling->recovery_told_at = look->snapshot->taken_mono;
	put_leak(look, telling, event, leak);
}

/* Sets what is undrained now beside what was; `leak` says so. */
static void
compare(const struct look *look, struct telling *telling, struct leak *leak)
{
	if (leak->undrained < telling->seen) {
		uint64_t fell = telling->seen - leak->undrained;

		telling->recovered += fell;
		telling->told -= fell < telling->told ? fell : telling->told;
	}
	telling->seen = leak->undrained;
	telling->round = look->events->round;
	tell_growth(look, telling, leak);
	tell_recovery(look, telling, leak);
}

static void
look_at_leaks(const struct look *look)
{
	struct telling *telling;
	struct telling *next;

	for (size_t i = 0; i < look->snapshot->leak_count; i++) {
		struct leak *leak = &look->snapshot->leaks[i];

		HASH_FIND_STR(look->events->tellings, leak->id, telling);
		if (telling != NULL)
			compare(look, telling, leak);
		else if (leak->undrained > 0)
			tell_first(look, leak);
	}
	/* The others have nothing undrained, or they would be there. */
	HASH_ITER (hh, look->events->tellings, telling, next) {
		if (telling->round != look->events->round)
			compare(look, telling, &telling->name);
	}
}

/* ---- refusals ---- */

static void
free_refuser(struct events *events, struct refuser *refuser)
{
	HASH_DEL(events->refusers, refuser);
	json_decref(refuser->conn);
	free(refuser->key);
	free(refuser);
}

/* Forgets those who have been silent for long enough to be told anew. */
static void
forget_refusers(const struct look *look)
{
	struct refuser *refuser;
	struct refuser *next;

	HASH_ITER (hh, look->events->refusers, refuser, next) {
		if (refuser->refused == 0 &&
		    is_due(look, true, refuser->told_at))
			free_refuser(look->events, refuser);
	}
}

/* Returns the refuser of this key, or the one that stands for the rest. */
static struct refuser *
find_refuser(struct events *events, const char *key)
{
	struct refuser *refuser;

	HASH_FIND_STR(events->refusers, key, refuser);
	if (refuser == NULL && *key != '\0' &&
	    HASH_COUNT(events->refusers) >= EVENTS_MAX_REFUSERS)
		return find_refuser(events, "");
	if (refuser == NULL) {
		refuser = xcalloc(1, sizeof(*refuser));
		refuser->key = xstrdup(key);
		HASH_ADD_KEYPTR(hh, events->refusers, refuser->key,
		    strlen(refuser->key), refuser);
	}
	return refuser;
}

/* By process where it is known, by address without its port, and by what was
 * asked for. */
static char *
refuser_key(const struct conn_record *conn)
{
	const char *port = strrchr(conn->client_address, ':');
	int host = port == NULL ? (int)strlen(conn->client_address)
				: (int)(port - conn->client_address);

	return xasprintf("%.*s %d %s %s", host, conn->client_address,
	    (int)owner_view(conn->owner).pid,
	    conn->target == NULL ? "" : conn->target, conn->trust_refused);
}

static void
note_refusal(struct events *events, const struct conn_record *conn)
{
	char *key = refuser_key(conn);
	struct refuser *refuser = find_refuser(events, key);

	refuser->refused++;
	if (*refuser->key != '\0') {
		json_decref(refuser->conn);
		refuser->conn = api_connection_json(conn);
	}
	free(key);
}

/* Returns whether the connection is new, and remembers it. */
static bool
is_news(struct events *events, uint64_t id)
{
	struct known_conn *known;
	bool is_new;

	HASH_FIND(hh, events->conns, &id, sizeof(id), known);
	is_new = known == NULL;
	if (is_new) {
		known = xcalloc(1, sizeof(*known));
		known->id = id;
		HASH_ADD(hh, events->conns, id, sizeof(id), known);
	}
	known->round = events->round;
	return is_new;
}

static void
forget_conns(struct events *events)
{
	struct known_conn *known;
	struct known_conn *next;

	HASH_ITER (hh, events->conns, known, next) {
		if (known->round == events->round)
			continue;
		HASH_DEL(events->conns, known);
		free(known);
	}
}

/* The counter remembers those whose record had left memory before we came. */
static void
note_refusals(const struct look *look)
{
	struct events *events = look->events;
	uint64_t count = look->snapshot->counters.client_handshakes_refused;
	uint64_t missing = count - events->refused;

	events->refused = count;
	for (size_t i = 0; i < look->snapshot->conn_count; i++) {
		const struct conn_record *conn = &look->snapshot->conns[i];

		if (conn->trust_refused == NULL || !is_news(events, conn->id))
			continue;
		note_refusal(events, conn);
		missing -= missing > 0;
	}
	if (missing > 0)
		find_refuser(events, "")->refused += missing;
	forget_conns(events);
}

/* What a connection has, of one that is not known. */
static json_t *
unknown_conn(void)
{
	static const char *const keys[] = {
	    "client_address", "target", "trust_refused", "pid", "command"};
	json_t *conn = json_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		json_object_set_new(conn, keys[i], json_null());
	return conn;
}

static void
look_at_refusals(const struct look *look)
{
	struct refuser *refuser;
	struct refuser *next;

	forget_refusers(look);
	note_refusals(look);
	HASH_ITER (hh, look->events->refusers, refuser, next) {
		json_t *event;

		if (refuser->refused == 0 ||
		    !is_due(look, refuser->was_told, refuser->told_at))
			continue;
		event = begin(look, "ca_refused");
		put_count(event, "refused", refuser->refused);
		put_fields(event,
		    refuser->conn == NULL ? unknown_conn()
					  : json_incref(refuser->conn));
		refuser->refused = 0;
		refuser->was_told = true;
		refuser->told_at = look->snapshot->taken_mono;
	}
}

/* ---- the whole ---- */

struct events *
events_new(void)
{
	return xcalloc(1, sizeof(struct events));
}

void
events_free(struct events *events)
{
	struct telling *telling;
	struct telling *next;
	struct refuser *refuser;
	struct refuser *next_refuser;

	if (events == NULL)
		return;
	HASH_ITER (hh, events->tellings, telling, next) {
		HASH_DEL(events->tellings, telling);
		leak_fini(&telling->name);
		free(telling);
	}
	HASH_ITER (hh, events->refusers, refuser, next_refuser)
		free_refuser(events, refuser);
	events->round++;
	forget_conns(events);
	free(events);
}

json_t *
events_since(
    struct events *events, struct snapshot *snapshot, enum events_when when)
{
	struct look look = {events, snapshot, json_array(), when};

	events->round++;
	look_at_leaks(&look);
	look_at_refusals(&look);
	return look.list;
}

char *
events_lines(
    struct events *events, struct snapshot *snapshot, enum events_when when)
{
	json_t *list = events_since(events, snapshot, when);
	json_t *event;
	size_t i;
	size_t length;
	char *text;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	json_array_foreach(list, i, event)
	{
		json_dumpf(event, out, LINE_FLAGS);
		fputc('\n', out);
	}
	fclose(out);
	json_decref(list);
	return text;
}
