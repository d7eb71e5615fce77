/* SPDX-License-Identifier: MIT */

/*
 * Runs, listed and found.
 */

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/store_parts.h"

#define OF_SERVICE "service="
#define ALL "all"

void
store_run_fini(struct store_run *run)
{
	free(run->service);
	free(run->name);
	free(run->host);
	free(run->program);
	free(run->versions);
	*run = (struct store_run){0};
}

/* ---- one ---- */

#define RUN_COLUMNS                                                       \
	"SELECT run, service, name, host, program, started, seen, ended," \
	" (SELECT value FROM count c WHERE c.run = r.run"                 \
	"   AND what = 'connections'),"                                   \
	" (SELECT value FROM count c WHERE c.run = r.run"                 \
	"   AND what = 'exchanges'),"                                     \
	" (SELECT value FROM count c WHERE c.run = r.run"                 \
	"   AND what = 'undrained'),"                                     \
	" (SELECT count(*) FROM leak l WHERE l.run = r.run"               \
	"   AND undrained > 0),"                                          \
	" coalesce(version, (SELECT group_concat(version, ', ') FROM"     \
	"   (SELECT DISTINCT k.version AS version FROM exposure e JOIN"   \
	"   kind k ON k.kind = e.kind WHERE e.run = r.run AND k.version"  \
	"   IS NOT NULL ORDER BY 1 LIMIT 8) AS v)) FROM run r "

static void
read_run(const struct reader *row, struct store_run *run)
{
	*run = (struct store_run){
	    .pick = STORE_PICK_RUN,
	    .id = store_number(row, 0),
	    .service = store_copy(row, 1),
	    .name = store_copy(row, 2),
	    .host = store_copy(row, 3),
	    .program = store_copy(row, 4),
	    .started = store_number(row, 5),
	    .seen = store_number(row, 6),
	    .ended = store_number(row, 7),
	    .connections = (uint64_t)store_number(row, 8),
	    .exchanges = (uint64_t)store_number(row, 9),
	    .undrained = (uint64_t)store_number(row, 10),
	    .leaks = (uint64_t)store_number(row, 11),
	    .versions = store_copy(row, 12),
	    .runs = 1,
	    .hosts = 1,
	};
	run->open = run->ended == 0;
}

struct store_run *
store_list_runs(struct store *store, size_t *count)
{
	struct statement *rows =
	    store_prepare(store, RUN_COLUMNS "ORDER BY run");
	struct reader row = {store, rows};
	struct store_run *runs = xcalloc(1, sizeof(*runs));
	enum row found;

	*count = 0;
	while ((found = store_next(store, rows)) == ROW_READ) {
		runs = xreallocarray(runs, *count + 1, sizeof(*runs));
		read_run(&row, &runs[(*count)++]);
	}
	store_free(store, rows);
	if (found == ROW_END)
		return runs;
	while (*count > 0)
		store_run_fini(&runs[--*count]);
	free(runs);
	return NULL;
}

static bool
is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 18 && text[digits] == '\0';
}

static struct binder
prepare_one(struct store *store, const char *name)
{
	struct binder binder = {.store = store};

	if (strcmp(name, "last") == 0) {
		binder.statement = store_prepare(
		    store, RUN_COLUMNS "ORDER BY run DESC LIMIT 1");
	} else if (is_number(name)) {
		binder.statement =
		    store_prepare(store, RUN_COLUMNS "WHERE run = ?1");
		store_bind_number(&binder, strtoll(name, NULL, 10));
	} else {
		binder.statement = store_prepare(store,
		    RUN_COLUMNS "WHERE name = ?1 ORDER BY run DESC LIMIT 1");
		store_bind_text(&binder, name);
	}
	return binder;
}

static bool
find_one(struct store *store, const char *name, struct store_run *run)
{
	struct binder binder = prepare_one(store, name);
	struct reader row = {store, binder.statement};
	enum row found = store_next(store, binder.statement);

	if (found == ROW_READ)
		read_run(&row, run);
	else if (found == ROW_END)
		store_refuse(store, STORE_ABSENT,
		    "has no run \"%.60s\": leakproxy runs lists those there "
		    "are",
		    name);
	store_free(store, binder.statement);
	return found == ROW_READ;
}

/* ---- several ---- */

/* Of some runs the version is known, of others that of each exchange. */
#define OR_VERSION " AND (?2 IS NULL OR s.version IS NULL OR s.version = ?2)"

struct binder
store_prepare_picked(const struct picked *picked, const char *sql)
{
	static const char *const conditions[] = {
	    [STORE_PICK_RUN] = "run = ?1",
	    [STORE_PICK_SERVICE] = "run IN (SELECT s.run FROM run s WHERE"
				   " s.service = ?1" OR_VERSION ")",
	    [STORE_PICK_ALL] = "run IN (SELECT s.run FROM run s WHERE"
			       " s.run > ?1" OR_VERSION ")",
	};
	struct binder binder = {.store = picked->store};
	char *text = xstrdup("");
	const char *place;
	char *whole;

	for (; (place = strstr(sql, "%s")) != NULL; sql = place + 2) {
		char *longer = xasprintf("%s%.*s%s", text, (int)(place - sql),
		    sql, conditions[picked->run->pick]);

		free(text);
		text = longer;
	}
	whole = xasprintf("%s%s", text, sql);
	binder.statement = store_prepare(picked->store, whole);
	free(whole);
	free(text);
	if (picked->run->pick == STORE_PICK_SERVICE)
		store_bind_text(&binder, picked->run->service);
	else
		store_bind_number(&binder, picked->run->id);
	store_bind_text(&binder, picked->version);
	return binder;
}

static bool
read_sums(struct store *store, struct store_run *run, const char *version)
{
	struct picked picked = {store, run, version};
	struct binder binder = store_prepare_picked(&picked,
	    "SELECT count(*), count(DISTINCT host), count(ended),"
	    " min(started), max(seen), max(ended),"
	    " (SELECT sum(value) FROM count c WHERE what = 'connections'"
	    "   AND c.%s),"
	    " (SELECT sum(value) FROM count c WHERE what = 'exchanges'"
	    "   AND c.%s),"
	    " (SELECT sum(value) FROM count c WHERE what = 'undrained'"
	    "   AND c.%s),"
	    " (SELECT count(DISTINCT kind) FROM leak l WHERE undrained > 0"
	    "   AND l.%s)"
	    " FROM run r WHERE r.%s");
	struct reader row = {store, binder.statement};
	bool is_good = store_next(store, binder.statement) == ROW_READ;

	if (is_good) {
		run->runs = (size_t)store_number(&row, 0);
		run->hosts = (size_t)store_number(&row, 1);
		run->open = run->runs - (size_t)store_number(&row, 2);
		run->started = store_number(&row, 3);
		run->seen = store_number(&row, 4);
		run->ended = run->open > 0 ? 0 : store_number(&row, 5);
		run->connections = (uint64_t)store_number(&row, 6);
		run->exchanges = (uint64_t)store_number(&row, 7);
		run->undrained = (uint64_t)store_number(&row, 8);
		run->leaks = (uint64_t)store_number(&row, 9);
	}
	store_free(store, binder.statement);
	return is_good;
}

static bool
find_several(struct store *store, const char *service, const char *version,
    struct store_run *run)
{
	*run = (struct store_run){
	    .pick = service == NULL ? STORE_PICK_ALL : STORE_PICK_SERVICE,
	    .service = xstrdup_or_null(service),
	};
	if (!read_sums(store, run, version))
		return false;
	if (run->runs > 0)
		return true;
	if (version != NULL)
		return store_refuse(store, STORE_ABSENT,
		    "has no run of%s%.60s version \"%.60s\": leakproxy runs "
		    "lists those there are",
		    service == NULL ? "" : " service ",
		    service == NULL ? "" : service, version);
	if (service == NULL)
		return store_refuse(
		    store, STORE_ABSENT, "has no runs yet: start a leakproxy");
	return store_refuse(store, STORE_ABSENT,
	    "has no run of service \"%.60s\": leakproxy runs lists those there "
	    "are",
	    service);
}

bool
store_find_run(struct store *store, const char *reference,
    struct store_run *run, char **version)
{
	const char *at = strchr(reference, '@');
	char *name = xstrndup(reference,
	    at == NULL ? strlen(reference) : (size_t)(at - reference));
	bool is_found;

	*run = (struct store_run){0};
	*version = at == NULL ? NULL : xstrdup(at + 1);
	if (strcmp(name, ALL) == 0)
		is_found = find_several(store, NULL, *version, run);
	else if (strncmp(name, OF_SERVICE, strlen(OF_SERVICE)) == 0)
		is_found = find_several(
		    store, name + strlen(OF_SERVICE), *version, run);
	else
		is_found = find_one(store, name, run);
	free(name);
	if (!is_found) {
		free(*version);
		*version = NULL;
	}
	return is_found;
}
