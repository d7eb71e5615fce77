/* SPDX-License-Identifier: MIT */

/*
 * Batches become rows, each batch in one transaction.
 *
 * Counts in a batch are differences and are added; an exchange is written as
 * it is now.  Unsigned counts that have wrapped below 0 become the negative
 * numbers they stand for.
 */

#include "accounting/store_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"

/* Runs an INSERT that returns the row's number. */
static bool
read_id(struct store *store, struct statement *statement, int64_t *id)
{
	struct reader row = {store, statement};
	bool is_good = store_next(store, statement) == ROW_READ;

	if (is_good) {
		*id = store_number(&row, 0);
		/* It is done once it has been stepped to its end. */
		is_good = store_next(store, statement) == ROW_END;
	}
	if (statement != NULL)
		store->engine->reset(statement);
	return is_good;
}

bool
store_begin_run(struct store *store, const struct store_run_facts *facts)
{
	struct statement *statement = store_prepare(store,
	    "INSERT INTO run(started, seen, name, host, program, pid, service,"
	    " version, rev, uuid) VALUES(?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, 1,"
	    " lower(hex(randomblob(16)))) RETURNING run");
	struct binder binder = {store, statement, 0};
	bool is_good;

	store_bind_number(&binder, facts->started);
	store_bind_text(&binder, facts->name);
	store_bind_text(&binder, facts->host);
	store_bind_text(&binder, facts->program);
	store_bind_number(&binder, facts->pid);
	store_bind_text(&binder, facts->service);
	store_bind_text(&binder, facts->version);
	is_good = read_id(store, statement, &store->run);
	store->rev = 1;
	store_free(store, statement);
	return is_good;
}

/* Sets one column of the run, to a time, and counts that change. */
static bool
set_time(struct store *store, const char *sql, wall_us at)
{
	struct statement *statement = store_prepare(store, sql);
	struct binder binder = {store, statement, 0};
	bool is_good;

	store_bind_number(&binder, store->run);
	store_bind_number(&binder, at);
	store_bind_number(&binder, store->rev);
	is_good = store_step(store, statement);
	store_free(store, statement);
	return is_good;
}

bool
store_end_run(struct store *store, wall_us ended)
{
	store->rev++;
	return set_time(store,
	    "UPDATE run SET ended = ?2, seen = max(seen, ?2), rev = ?3"
	    " WHERE run = ?1",
	    ended);
}

/* ---- kinds ---- */

/* The statements of one batch. */
struct writing {
	struct store *store; /* borrowed */
	/* owned */
	struct statement *find_kind;
	struct statement *add_kind;
	struct statement *add_tag;
};

static bool
open_writing(struct writing *writing, struct store *store)
{
	writing->store = store;
	writing->find_kind =
	    store_prepare(store, "SELECT kind FROM kind WHERE leak_id = ?1");
	writing->add_kind = store_prepare(store,
	    "INSERT INTO kind(leak_id, origin, method, route, status, version)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6) RETURNING kind");
	writing->add_tag = store_prepare(store,
	    "INSERT OR REPLACE INTO kind_tag(kind, name, value)"
	    " VALUES(?1, ?2, ?3)");
	return writing->find_kind != NULL && writing->add_kind != NULL &&
	    writing->add_tag != NULL;
}

static void
close_writing(struct writing *writing)
{
	store_free(writing->store, writing->find_kind);
	store_free(writing->store, writing->add_kind);
	store_free(writing->store, writing->add_tag);
}

/* What is told apart; borrows everything. */
struct kind {
	const char *leak_id;
	const char *origin;
	const char *method;
	const char *route;
	const struct tags *tags;
	int status;
};

static bool
add_tags(struct writing *writing, int64_t id, const struct tags *tags)
{
	for (size_t i = 0; i < tags->count; i++) {
		struct binder binder = {writing->store, writing->add_tag, 0};

		store_bind_number(&binder, id);
		store_bind_text(&binder, tags->items[i].key);
		store_bind_text(&binder, tags->items[i].value);
		if (!store_step(writing->store, writing->add_tag))
			return false;
	}
	return true;
}

static bool
add_kind(struct writing *writing, const struct kind *kind, int64_t *id)
{
	struct binder binder = {writing->store, writing->add_kind, 0};

	store_bind_text(&binder, kind->leak_id);
	store_bind_text(&binder, kind->origin);
	store_bind_text(&binder, kind->method);
	store_bind_text(&binder, kind->route);
	store_bind_number(&binder, kind->status);
	store_bind_text(&binder, tags_get(kind->tags, STORE_VERSION_TAG));
	if (!read_id(writing->store, writing->add_kind, id))
		return false;
	return add_tags(writing, *id, kind->tags);
}

static bool
find_kind(struct writing *writing, const struct kind *kind, int64_t *id)
{
	struct store *store = writing->store;
	struct binder binder = {store, writing->find_kind, 0};
	struct reader row = {store, writing->find_kind};
	enum row found;

	store_bind_text(&binder, kind->leak_id);
	found = store_next(store, writing->find_kind);
	if (found == ROW_READ)
		*id = store_number(&row, 0);
	store->engine->reset(writing->find_kind);
	if (found == ROW_END)
		return add_kind(writing, kind, id);
	return found == ROW_READ;
}

/* ---- the parts of a batch ---- */

static bool
write_count(struct store *store, struct statement *statement, const char *what,
    uint64_t by)
{
	struct binder binder = {store, statement, 0};

	if (by == 0)
		return true;
	store_bind_number(&binder, store->run);
	store_bind_text(&binder, what);
	store_bind_number(&binder, (int64_t)by);
	store_bind_number(&binder, store->rev);
	return store_step(store, statement);
}

static bool
write_totals(struct store *store, const struct totals *totals)
{
	struct statement *statement = store_prepare(store,
	    "INSERT INTO count(run, what, value, rev) VALUES(?1, ?2, ?3, ?4)"
	    " ON CONFLICT DO UPDATE SET value = value + excluded.value,"
	    " rev = excluded.rev");
	bool is_good = statement != NULL &&
	    write_count(store, statement, "connections", totals->connections) &&
	    write_count(store, statement, "exchanges", totals->exchanges) &&
	    write_count(store, statement, "recovered", totals->recovered);

	for (size_t i = 0; i < VERDICT_COUNT && is_good; i++)
		is_good = write_count(store, statement,
		    verdict_word((enum verdict)i), totals->by_verdict[i]);
	store_free(store, statement);
	return is_good;
}

static bool
write_timeline(struct store *store, const struct batch *batch)
{
	uint64_t requests = batch->totals.exchanges;
	uint64_t undrained = batch->totals.by_verdict[VERDICT_UNDRAINED];
	struct statement *statement;
	struct binder binder;
	bool is_good;

	if (requests == 0 && undrained == 0)
		return true;
	statement = store_prepare(store,
	    "INSERT INTO timeline(run, at, requests, undrained)"
	    " VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET"
	    " requests = requests + excluded.requests,"
	    " undrained = undrained + excluded.undrained");
	is_good = statement != NULL;
	if (is_good) {
		binder = (struct binder){store, statement, 0};
		store_bind_number(&binder, store->run);
		store_bind_number(
		    &binder, batch->taken_at - batch->taken_at % STORE_BIN_US);
		store_bind_number(&binder, (int64_t)requests);
		store_bind_number(&binder, (int64_t)undrained);
		is_good = store_step(store, statement);
	}
	store_free(store, statement);
	return is_good;
}

static bool
write_evidence(struct store *store, struct statement *statement,
    const struct leak *leak, int64_t kind)
{
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		struct binder binder = {store, statement, 0};

		if (leak->by_evidence[i] == 0)
			continue;
		store_bind_number(&binder, store->run);
		store_bind_number(&binder, kind);
		store_bind_text(
		    &binder, verdict_evidence_word((enum evidence)i));
		store_bind_number(&binder, (int64_t)leak->by_evidence[i]);
		store_bind_number(&binder, store->rev);
		if (!store_step(store, statement))
			return false;
	}
	return true;
}

static bool
write_leak(struct store *store, struct statement *statement,
    const struct leak *leak, int64_t kind)
{
	struct binder binder = {store, statement, 0};

	store_bind_number(&binder, store->run);
	store_bind_number(&binder, kind);
	store_bind_number(&binder, (int64_t)leak->undrained);
	store_bind_number(&binder, (int64_t)leak->suspected);
	store_bind_number(&binder, (int64_t)leak->held_to_exit);
	store_bind_number(&binder, (int64_t)leak->releases.count);
	store_bind_real(&binder, leak->releases.sum_s);
	store_bind_real(&binder, leak->releases.sum_squares_s);
	store_bind_number(&binder, leak->first_seen);
	store_bind_number(&binder, leak->last_seen);
	store_bind_number(&binder, store->rev);
	return store_step(store, statement);
}

static bool
write_leaks(struct writing *writing, const struct batch *batch)
{
	struct store *store = writing->store;
	struct statement *add_leak = store_prepare(store,
	    "INSERT INTO leak VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
	    " ?11)"
	    " ON CONFLICT DO UPDATE SET"
	    " undrained = undrained + excluded.undrained,"
	    " suspected = suspected + excluded.suspected,"
	    " held_to_exit = held_to_exit + excluded.held_to_exit,"
	    " released = released + excluded.released,"
	    " released_s = released_s + excluded.released_s,"
	    " released_squares_s ="
	    "  released_squares_s + excluded.released_squares_s,"
	    " first_seen = min(first_seen, excluded.first_seen),"
	    " last_seen = max(last_seen, excluded.last_seen),"
	    " rev = excluded.rev");
	struct statement *add_evidence = store_prepare(store,
	    "INSERT INTO evidence VALUES(?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT DO UPDATE SET value = value + excluded.value,"
	    " rev = excluded.rev");
	bool is_good = add_leak != NULL && add_evidence != NULL;

	for (size_t i = 0; i < batch->leak_count && is_good; i++) {
		const struct leak *leak = &batch->leaks[i];
		struct kind kind = {leak->id, leak->origin, leak->method,
		    leak->route, &leak->tags, leak->status};
		int64_t id;

		is_good = find_kind(writing, &kind, &id) &&
		    write_leak(store, add_leak, leak, id) &&
		    write_evidence(store, add_evidence, leak, id);
	}
	store_free(store, add_leak);
	store_free(store, add_evidence);
	return is_good;
}

static bool
write_exposure(struct writing *writing, struct statement *statement,
    const struct exposure *exposure)
{
	struct binder binder = {writing->store, statement, 0};
	char text[LEAK_ID_BYTES];
	struct kind kind = {text, exposure->origin, exposure->method,
	    exposure->route, &exposure->tags, exposure->status};
	int64_t id;

	snprintf(text, sizeof(text), "%016" PRIx64, exposure->hash);
	if (!find_kind(writing, &kind, &id))
		return false;
	store_bind_number(&binder, writing->store->run);
	store_bind_number(&binder, id);
	store_bind_number(&binder, (int64_t)exposure->settled);
	store_bind_number(&binder, exposure->first_seen);
	store_bind_number(&binder, exposure->last_seen);
	store_bind_number(&binder, writing->store->rev);
	return store_step(writing->store, statement);
}

static bool
write_exposures(struct writing *writing, const struct batch *batch)
{
	struct statement *statement = store_prepare(writing->store,
	    "INSERT INTO exposure VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
	    " ON CONFLICT DO UPDATE SET"
	    " settled = settled + excluded.settled,"
	    " first_seen = min(first_seen, excluded.first_seen),"
	    " last_seen = max(last_seen, excluded.last_seen),"
	    " rev = excluded.rev");
	bool is_good = statement != NULL;
	const struct exposure *exposure = batch->exposures.table;

	for (; exposure != NULL && is_good; exposure = exposure->hh.next)
		is_good = write_exposure(writing, statement, exposure);
	store_free(writing->store, statement);
	return is_good;
}

static void
bind_exchange(
    struct binder *binder, const struct exchange_record *x, int64_t kind)
{
	struct owner_view owner = owner_view(x->owner);

	store_bind_number(binder, (int64_t)x->conn_id);
	store_bind_number(binder, x->ordinal);
	store_bind_number(binder, kind);
	store_bind_text(binder, verdict_word(x->judgement.verdict));
	store_bind_text(binder, verdict_evidence_word(x->judgement.evidence));
	store_bind_number(binder, x->is_held);
	store_bind_number(binder, x->is_escalated);
	store_bind_text(binder, x->url);
	store_bind_text(binder, x->user_agent);
	store_bind_text(binder, x->traceparent);
	store_bind_text(binder, x->client_address);
	store_bind_text(binder, x->error);
	store_bind_known(binder, owner.pid);
	store_bind_known(binder, owner.fd);
	store_bind_known(binder, owner.uid);
	store_bind_text(binder, owner.command);
	store_bind_known(binder, x->request_bytes);
	store_bind_known(binder, x->body_bytes);
	store_bind_known(binder, x->delivered_bytes);
	store_bind_known(binder, x->facts.unread_bytes);
	store_bind_number(binder, x->began_at);
	store_bind_known(binder, x->first_byte_us);
	store_bind_known(binder, x->duration_us);
	store_bind_text(binder, owner.command_line);
	store_bind_text(binder, owner.container);
	store_bind_number(binder, binder->store->rev);
}

static bool
write_exchanges(struct writing *writing, const struct batch *batch)
{
	struct store *store = writing->store;
	struct statement *statement = store_prepare(store,
	    "INSERT OR REPLACE INTO exchange VALUES(?1, ?2, ?3, ?4, ?5, ?6,"
	    " ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,"
	    " ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)");
	bool is_good = statement != NULL;

	for (size_t i = 0; i < batch->exchange_count && is_good; i++) {
		const struct exchange_record *x = &batch->exchanges[i];
		struct binder binder = {store, statement, 0};
		char text[LEAK_ID_BYTES];
		struct kind kind = {
		    text, x->origin, x->method, x->route, &x->tags, x->status};
		int64_t id;

		leak_id(text, x);
		is_good = find_kind(writing, &kind, &id);
		if (!is_good)
			break;
		store_bind_number(&binder, store->run);
		bind_exchange(&binder, x, id);
		is_good = store_step(store, statement);
	}
	store_free(store, statement);
	return is_good;
}

static bool
write_marks(struct store *store, const struct batch *batch)
{
	struct statement *statement =
	    store_prepare(store, "INSERT INTO mark VALUES(?1, ?2, ?3, ?4, ?5)");
	bool is_good = statement != NULL;

	for (size_t i = 0; i < batch->mark_count && is_good; i++) {
		const struct batch_mark *mark = &batch->marks[i];
		struct binder binder = {store, statement, 0};

		store_bind_number(&binder, store->run);
		store_bind_number(&binder, mark->at);
		store_bind_text(&binder, mark->name);
		store_bind_text(&binder, mark->phase);
		store_bind_number(&binder, store->rev);
		is_good = store_step(store, statement);
	}
	store_free(store, statement);
	return is_good;
}

static bool
write_all(struct store *store, const struct batch *batch)
{
	struct writing writing = {0};
	bool is_good = open_writing(&writing, store) &&
	    set_time(store,
		"UPDATE run SET seen = max(seen, ?2), rev = ?3 WHERE run = ?1",
		batch->taken_at) &&
	    write_totals(store, &batch->totals) &&
	    write_timeline(store, batch) && write_leaks(&writing, batch) &&
	    write_exposures(&writing, batch) &&
	    write_exchanges(&writing, batch) && write_marks(store, batch);

	close_writing(&writing);
	return is_good;
}

bool
store_write(struct store *store, const struct batch *batch)
{
	store->rev++; /* also of one that fails: it need not be dense */
	return store_begin(store) &&
	    store_finish(store, write_all(store, batch));
}
