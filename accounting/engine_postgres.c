/* SPDX-License-Identifier: MIT */

/*
 * PostgreSQL, for a fleet.
 *
 * Answers are waited for with a bound, also of a server that is there and says
 * nothing.  What yields nothing is sent in a pipeline: WINDOW statements at a
 * time, so that neither side can fill the other's buffers.
 */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/dialect.h"
#include "accounting/libpq.h"
#include "accounting/memory.h"
#include "accounting/store_parts.h"
#include "accounting/utf8.h"

#define PATIENCE_MS 10000 /* for an answer, without a byte of it */
#define WINDOW 64
#define PARAMS_MAX 32
#define NUMBER_BYTES 32
#define SCHEMA "leakproxy"

/* OIDs that pg_type.dat fixes. */
#define OID_ANY 0
#define OID_INT8 20
#define OID_TEXT 25
#define OID_FLOAT8 701

struct server {
	PGconn *conn; /* owned */
	unsigned queued;
	bool is_piping;
	bool is_lost; /* no use to ask it any more */
};

struct statement {
	struct store *store; /* borrowed */
	char *sql;           /* owned */
	PGresult *result;    /* owned; NULL: not run yet */
	int row;             /* the one that is read */
	int count;
	Oid types[PARAMS_MAX];
	char *params[PARAMS_MAX]; /* owned; NULL: NULL */
};

/* ---- errors ---- */

/* libpq's lines as one, without the full stop. */
static void
flatten(const char *message, char line[STORE_ERROR_BYTES])
{
	size_t length = 0;

	for (; *message != '\0' && length < STORE_ERROR_BYTES - 1; message++) {
		bool is_blank = strchr(" \t\r\n", *message) != NULL;

		if (!is_blank)
			line[length++] = *message;
		else if (length > 0 && line[length - 1] != ' ')
			line[length++] = ' ';
	}
	while (length > 0 && line[length - 1] == ' ')
		length--;
	line[length] = '\0';
}

static bool
lose(struct store *store)
{
	struct server *server = store->db;
	char line[STORE_ERROR_BYTES];

	server->is_lost = true;
	flatten(libpq.errorMessage(server->conn), line);
	return store_refuse(store, STORE_AWAY,
	    "is lost: %s: check that the server runs",
	    *line == '\0' ? "it has closed the connection" : line);
}

/* By SQLSTATE (PostgreSQL's appendix A). */
static bool
complain(struct store *store, const PGresult *result)
{
	const char *state = libpq.resultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary =
	    libpq.resultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char line[STORE_ERROR_BYTES];

	if (state == NULL || primary == NULL)
		return lose(store);
	flatten(primary, line);
	if (strcmp(state, "42501") == 0)
		return store_refuse(store, STORE_DENIED,
		    "refuses: %s: grant this user the right, or name another "
		    "in --store",
		    line);
	if (strncmp(state, "53", 2) == 0)
		return store_refuse(
		    store, STORE_FULL, "has no room: %s: give it some", line);
	/* Conflicts with others, and a schema that two were making. */
	if (strncmp(state, "40", 2) == 0 || strcmp(state, "23505") == 0 ||
	    strcmp(state, "42P07") == 0 || strcmp(state, "42P06") == 0)
		return store_refuse(store, STORE_BUSY,
		    "is written by others too: %s: that passes", line);
	if (strncmp(state, "57P", 3) == 0)
		return store_refuse(store, STORE_AWAY,
		    "is lost: %s: check that the server runs", line);
	return store_refuse(store, STORE_FAILED,
	    "fails: %s (SQLSTATE %s): check that nobody has changed the "
	    "schema " SCHEMA,
	    line, state);
}

/* ---- answers ---- */

/* Waits until the server has something to say.  Returns false when it is
 * lost. */
static bool
await(struct store *store)
{
	struct server *server = store->db;
	struct pollfd socket = {.fd = libpq.socket(server->conn)};
	int unsent = libpq.flush(server->conn);

	while (unsent >= 0 && libpq.isBusy(server->conn)) {
		socket.events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0));
		if (poll(&socket, 1, PATIENCE_MS) == 0) {
			server->is_lost = true;
			return store_refuse(store, STORE_AWAY,
			    "has not answered for %d s: check that the server "
			    "is well",
			    PATIENCE_MS / 1000);
		}
		if (!libpq.consumeInput(server->conn))
			return lose(store);
		unsent = libpq.flush(server->conn);
	}
	return unsent >= 0 || lose(store);
}

static bool
is_done(ExecStatusType status)
{
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Reads the answers to one query, to their end; the last one is the caller's,
 * if that asks for it. */
static bool
take_answers(struct store *store, PGresult **last)
{
	struct server *server = store->db;
	PGresult *result;
	bool is_good = true;

	while (await(store)) {
		result = libpq.getResult(server->conn);
		if (result == NULL)
			return is_good;
		if (is_good && !is_done(libpq.resultStatus(result)))
			is_good = complain(store, result);
		if (last != NULL && is_good && *last == NULL)
			*last = result;
		else
			libpq.clear(result);
	}
	return false;
}

/* ---- the pipeline ---- */

/* Marks the end of what was queued and reads all the answers to it. */
static bool
drain(struct store *store)
{
	struct server *server = store->db;
	bool is_good = true;
	ExecStatusType status = PGRES_EMPTY_QUERY;
	PGresult *result;

	if (!libpq.pipelineSync(server->conn))
		return lose(store);
	server->queued = 0;
	while (status != PGRES_PIPELINE_SYNC) {
		if (!await(store))
			return false;
		result = libpq.getResult(server->conn);
		if (result == NULL &&
		    libpq.status(server->conn) != CONNECTION_OK)
			return lose(store);
		if (result == NULL)
			continue; /* one query's answers end */
		status = libpq.resultStatus(result);
		/* What comes behind one that failed is left out. */
		if (is_good && !is_done(status) &&
		    status != PGRES_PIPELINE_SYNC &&
		    status != PGRES_PIPELINE_ABORTED)
			is_good = complain(store, result);
		libpq.clear(result);
	}
	return is_good;
}

static bool
settle(struct store *store)
{
	struct server *server = store->db;
	bool is_good;

	if (server->is_lost)
		return false;
	if (!server->is_piping)
		return true;
	is_good = drain(store);
	if (server->is_lost)
		return false;
	server->is_piping = false;
	return libpq.exitPipelineMode(server->conn) ? is_good : lose(store);
}

/* ---- statements ---- */

static bool
run_sql(struct store *store, const char *sql)
{
	struct server *server = store->db;
	char *text;
	int is_sent;

	/* What failed has been said. */
	(void)settle(store);
	if (server->is_lost)
		return false;
	text = dialect_postgres(sql);
	is_sent = libpq.sendQuery(server->conn, text);
	free(text);
	return is_sent ? take_answers(store, NULL) : lose(store);
}

static struct statement *
prepare(struct store *store, const char *sql)
{
	struct statement *statement = xcalloc(1, sizeof(*statement));

	statement->store = store;
	statement->sql = dialect_postgres(sql);
	return statement;
}

static void
bind(struct statement *statement, int index, const struct value *value)
{
	static const Oid types[] = {
	    [VALUE_NULL] = OID_ANY,
	    [VALUE_NUMBER] = OID_INT8,
	    [VALUE_REAL] = OID_FLOAT8,
	    [VALUE_TEXT] = OID_TEXT,
	};
	char **param = &statement->params[index - 1];

	if (index > PARAMS_MAX)
		abort();
	if (index > statement->count)
		statement->count = index;
	statement->types[index - 1] = types[value->type];
	free(*param);
	if (value->is_null || value->type == VALUE_NULL)
		*param = NULL;
	else if (value->type == VALUE_NUMBER)
		*param = xasprintf("%" PRId64, value->number);
	else if (value->type == VALUE_REAL)
		*param = xasprintf("%.17g", value->real);
	else
		*param = utf8_copy(value->text);
}

static bool
send_statement(struct statement *statement)
{
	struct server *server = statement->store->db;

	return libpq.sendQueryParams(server->conn, statement->sql,
		   statement->count, statement->types,
		   (const char *const *)statement->params, NULL, NULL,
		   0) != 0 ||
	    lose(statement->store);
}

static bool
queue(struct statement *statement)
{
	struct server *server = statement->store->db;

	if (server->is_lost)
		return false;
	if (!server->is_piping && !libpq.enterPipelineMode(server->conn))
		return lose(statement->store);
	server->is_piping = true;
	if (!send_statement(statement))
		return false;
	return ++server->queued < WINDOW || drain(statement->store);
}

static void
reset(struct statement *statement)
{
	libpq.clear(statement->result);
	statement->result = NULL;
}

static enum row
step(struct statement *statement)
{
	struct server *server = statement->store->db;

	if (statement->result == NULL) {
		if (server->is_lost || !settle(statement->store) ||
		    !send_statement(statement))
			return ROW_FAILED;
		if (!take_answers(statement->store, &statement->result)) {
			reset(statement);
			return ROW_FAILED;
		}
		statement->row = -1;
	}
	if (++statement->row < libpq.ntuples(statement->result))
		return ROW_READ;
	return ROW_END;
}

static struct value
column_of(const struct statement *statement, int column)
{
	const PGresult *result = statement->result;
	struct value value = {.type = VALUE_TEXT};

	value.is_null = libpq.getisnull(result, statement->row, column);
	if (value.is_null)
		return value;
	value.text = libpq.getvalue(result, statement->row, column);
	value.number = strtoll(value.text, NULL, 10);
	value.real = strtod(value.text, NULL);
	return value;
}

static void
free_statement(struct statement *statement)
{
	reset(statement);
	for (int i = 0; i < statement->count; i++)
		free(statement->params[i]);
	free(statement->sql);
	free(statement);
}

/* ---- opening ---- */

static void
ignore_notice(void *arg, const char *message)
{
}

/* What may be shown of a URL: no password, nor what is behind "?". */
static char *
describe(const char *url)
{
	PQconninfoOption *options = libpq.conninfoParse(url, NULL);
	const char *user = NULL;
	const char *host = NULL;
	const char *port = NULL;
	const char *database = NULL;
	char *text;

	for (PQconninfoOption *o = options; o != NULL && o->keyword; o++) {
		if (strcmp(o->keyword, "user") == 0)
			user = o->val;
		else if (strcmp(o->keyword, "host") == 0)
			host = o->val;
		else if (strcmp(o->keyword, "port") == 0)
			port = o->val;
		else if (strcmp(o->keyword, "dbname") == 0)
			database = o->val;
	}
	text = xasprintf("postgresql://%s%s%s%s%s/%s", user ? user : "",
	    user ? "@" : "", host ? host : "", port ? ":" : "",
	    port ? port : "", database ? database : "");
	libpq.conninfoFree(options);
	return text;
}

bool
store_check_shared(const char *url, char error[STORE_ERROR_BYTES])
{
	PQconninfoOption *options;
	char *why = NULL;

	if (!libpq_load()) {
		snprintf(error, STORE_ERROR_BYTES,
		    "libpq.so.5 is not there: install libpq5, or take --store "
		    "on");
		return false;
	}
	options = libpq.conninfoParse(url, &why);
	if (options == NULL)
		/* Not libpq's own words: they quote the URL. */
		snprintf(error, STORE_ERROR_BYTES,
		    "it is no URL of PostgreSQL's: write "
		    "postgresql://USER@HOST:5432/DATABASE, and what is no "
		    "letter or digit in them as %%40");
	libpq.conninfoFree(options);
	libpq.freemem(why);
	return options != NULL;
}

/* Of libpq's lines, one for each address: what was wrong with the last. */
static void
tell_why(const char *message, char line[STORE_ERROR_BYTES])
{
	static const char failed[] = " failed: ";
	const char *at;
	char *hint;

	while ((at = strstr(message, failed)) != NULL)
		message = at + strlen(failed);
	if (strncmp(message, "FATAL: ", 7) == 0)
		message += 7;
	flatten(message, line);
	hint = strstr(line, " Is the server running");
	if (hint != NULL)
		*hint = '\0';
}

/* What to do, by what the server said, in English or not. */
static bool
refuse_connection(struct store *store)
{
	struct server *server = store->db;
	char line[STORE_ERROR_BYTES];
	const char *advice = "check that the server runs, its address, user, "
			     "database, and the password (PGPASSFILE)";

	tell_why(libpq.errorMessage(server->conn), line);
	if (strstr(line, "password") != NULL)
		advice = "give the right one in PGPASSWORD, or the file "
			 "PGPASSFILE";
	else if (strstr(line, "database \"") != NULL)
		advice = "make it (createdb), or name another in --store";
	else if (strstr(line, "role \"") != NULL)
		advice = "make it (createuser), or name another in --store";
	return store_refuse(
	    store, STORE_AWAY, "cannot be reached: %.300s: %s", line, advice);
}

/* Those before the URL are defaults, which it may overrule. */
static bool
connect_to(struct store *store, const char *url)
{
	static const char *const names[] = {"connect_timeout",
	    "tcp_user_timeout", "keepalives_idle", "fallback_application_name",
	    "dbname", "client_encoding", NULL};
	const char *const values[] = {
	    "5", "10000", "20", "leakproxy", url, "UTF8", NULL};
	struct server *server = xcalloc(1, sizeof(*server));

	store->db = server;
	server->conn = libpq.connectdbParams(names, values, 1);
	if (libpq.status(server->conn) != CONNECTION_OK)
		return refuse_connection(store);
	libpq.setNoticeProcessor(server->conn, ignore_notice, NULL);
	return libpq.setnonblocking(server->conn, 1) == 0 || lose(store);
}

static void
close_server(struct store *store)
{
	struct server *server = store->db;

	libpq.finish(server->conn);
	free(server);
}

struct store *
store_open_shared(
    const char *url, enum store_access access, struct store_error *error)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->engine = &engine_postgres;
	store->path = describe(url);
	if (connect_to(store, url) && store_migrate_postgres(store, access))
		return store;
	*error = store->error;
	store_close(store);
	return NULL;
}

const struct engine engine_postgres = {
    .begin = "BEGIN",
    .run = run_sql,
    .prepare = prepare,
    .bind = bind,
    .step = step,
    .send = queue,
    .settle = settle,
    .column = column_of,
    .reset = reset,
    .free = free_statement,
    .close = close_server,
};
