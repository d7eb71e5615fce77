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
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/dialect.h"
#include "accounting/libpq.h"
#include "accounting/memory.h"
#include "accounting/store_parts.h"
#include "accounting/utf8.h"

#define GLANCE_MS 100
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
	PGconn *conn;                      /* owned */
	const store_patience *patience_ms; /* borrowed */
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

/* Beginnings of SQLSTATEs (PostgreSQL's appendix A): conflicts with others,
 * and a schema that two were making; and what ends a connection. */
static const char *const conflicts[] = {
    "40", "55P03", "57014", "23505", "42P07", "42P06", NULL};
static const char *const losses[] = {"57P", "08", "25P0", NULL};

static bool
is_one_of(const char *state, const char *const beginnings[])
{
	for (; *beginnings != NULL; beginnings++) {
		if (strncmp(state, *beginnings, strlen(*beginnings)) == 0)
			return true;
	}
	return false;
}

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
	if (strcmp(state, "25006") == 0)
		return store_refuse(store, STORE_DENIED,
		    "is a copy that may only be read: %s: name the primary, or "
		    "add target_session_attrs=read-write to --store",
		    line);
	if (strncmp(state, "53", 2) == 0)
		return store_refuse(
		    store, STORE_FULL, "has no room: %s: give it some", line);
	if (is_one_of(state, conflicts))
		return store_refuse(store, STORE_BUSY,
		    "is written by others too: %s: that passes", line);
	if (is_one_of(state, losses))
		return store_refuse(store, STORE_AWAY,
		    "is lost: %s: check that the server runs", line);
	return store_refuse(store, STORE_FAILED,
	    "fails: %s (SQLSTATE %s): check that nobody has changed the "
	    "schema " SCHEMA,
	    line, state);
}

/* ---- answers ---- */

/* Waits for the socket; returns false when that took too long.  How long that
 * is may change meanwhile, so it is looked at now and then. */
static bool
wait_for(struct server *server, short events)
{
	struct pollfd socket = {
	    .fd = libpq.socket(server->conn), .events = events};
	int waited = 0;

	while (poll(&socket, 1, GLANCE_MS) == 0) {
		waited += GLANCE_MS;
		if (waited >= atomic_load(server->patience_ms))
			return false;
	}
	return true;
}

/* Waits until the server has something to say.  Returns false when it is
 * lost. */
static bool
await(struct store *store)
{
	struct server *server = store->db;
	int unsent = libpq.flush(server->conn);

	while (unsent >= 0 && libpq.isBusy(server->conn)) {
		if (!wait_for(
			server, (short)(POLLIN | (unsent > 0 ? POLLOUT : 0)))) {
			server->is_lost = true;
			return store_refuse(store, STORE_AWAY,
			    "has not answered for %d s: check that the server "
			    "is well",
			    atomic_load(server->patience_ms) / 1000);
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
	/* A COMMIT behind what failed is answered as if it were well. */
	bool is_good = settle(store);
	char *text;
	int is_sent;

	if (server->is_lost)
		return false;
	text = dialect_postgres(sql);
	is_sent = libpq.sendQuery(server->conn, text);
	free(text);
	if (!is_sent)
		return lose(store);
	return take_answers(store, NULL) && is_good;
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
	char **param;

	if (index > PARAMS_MAX)
		abort(); /* more than any statement of ours has */
	param = &statement->params[index - 1];
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
	else if (strstr(line, "certificate") != NULL)
		advice = "name the server as its certificate does, and its "
			 "CA by sslrootcert; what lies in $HOME/.postgresql "
			 "must be readable";
	else if (strstr(line, "database \"") != NULL)
		advice = "make it (createdb), or name another in --store";
	else if (strstr(line, "role \"") != NULL)
		advice = "make it (createuser), or name another in --store";
	return store_refuse(
	    store, STORE_AWAY, "cannot be reached: %.300s: %s", line, advice);
}

/* A URL or an emoji that the database cannot hold would stop all that is
 * behind it. */
static bool
check_encoding(struct store *store)
{
	struct server *server = store->db;
	const char *encoding =
	    libpq.parameterStatus(server->conn, "server_encoding");

	return encoding == NULL || strcmp(encoding, "UTF8") == 0 ||
	    strcmp(encoding, "SQL_ASCII") == 0 ||
	    store_refuse(store, STORE_FAILED,
		"keeps text as %s: make a database that takes all of it "
		"(createdb --encoding UTF8 --template template0), and name it "
		"in --store",
		encoding);
}

/* One of us that is stopped within its transaction, or cut off, would have all
 * others wait who have found the same. */
#define TAKE_TURNS                                          \
	"SET idle_in_transaction_session_timeout TO 10000;" \
	"SET lock_timeout TO 5000"

/* Those before the URL are defaults, which it may overrule. */
static bool
connect_to(struct store *store, const char *url)
{
	static const char *const names[] = {"connect_timeout",
	    "tcp_user_timeout", "keepalives_idle", "fallback_application_name",
	    "dbname", "client_encoding", NULL};
	struct server *server = store->db;
	char seconds[NUMBER_BYTES];
	const char *const values[] = {
	    seconds, "10000", "20", "leakproxy", url, "UTF8", NULL};

	snprintf(seconds, sizeof(seconds), "%d",
	    atomic_load(server->patience_ms) / 2000);
	server->conn = libpq.connectdbParams(names, values, 1);
	if (libpq.status(server->conn) != CONNECTION_OK)
		return refuse_connection(store);
	libpq.setNoticeProcessor(server->conn, ignore_notice, NULL);
	if (libpq.setnonblocking(server->conn, 1) != 0)
		return lose(store);
	return check_encoding(store) && run_sql(store, TAKE_TURNS);
}

static void
close_server(struct store *store)
{
	struct server *server = store->db;

	libpq.finish(server->conn);
	free(server);
}

struct store *
store_open_shared(const char *url, enum store_access access,
    const store_patience *patience_ms, struct store_error *error)
{
	struct store *store = xcalloc(1, sizeof(*store));
	struct server *server = xcalloc(1, sizeof(*server));

	server->patience_ms = patience_ms;
	store->engine = &engine_postgres;
	store->db = server;
	store->path = store_describe_url(url);
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
