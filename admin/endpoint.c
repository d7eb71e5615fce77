/* SPDX-License-Identifier: MIT */

/*
 * The table of endpoints.  A path that is not in it does not exist; the index
 * page is the table, printed.
 */

#include "admin/endpoint.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/announce.h"
#include "admin/api.h"
#include "admin/board/board.h"
#include "admin/curl.h"
#include "admin/har.h"
#include "admin/live.h"
#include "admin/metrics.h"
#include "admin/report.h"
#include "admin/sse.h"
#include "admin/text.h"

#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_JSON "application/json"
#define TYPE_PEM "application/x-pem-file"

#define API_PREFIX "/api/"
#define READS (METHOD_GET | METHOD_HEAD)
#define READS_ALLOW "GET, HEAD"
#define POSTS_ALLOW "GET, HEAD, POST"
#define EXCHANGE_PARAMS \
	(VIEW_VERDICT | VIEW_TAG | VIEW_ORIGIN | VIEW_FILTER | VIEW_LIMIT)
#define MARKS_PATH API_PREFIX "marks"

/* Takes `body`. */
static void
fill(struct document *document, const char *content_type, char *body)
{
	document->status = 200;
	document->content_type = content_type;
	document->body = body;
}

static void
render_report(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_TEXT,
	    report_text_beside(
		visit->snapshot, visit->goroutines, visit->view.columns));
}

static void
render_leaks(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_JSON,
	    api_leaks_beside(visit->snapshot, visit->goroutines, &visit->view));
}

static void
render_leak(const struct visit *visit, struct document *document)
{
	if (visit->snapshot->leak_count > 0)
		fill(document, TYPE_JSON, api_leak(visit->snapshot));
	else
		endpoint_refuse(document, 404, API_PREFIX, "no such leak");
}

static void
render_health_json(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_JSON, api_health(visit->snapshot));
}

static void
render_events(const struct visit *visit, struct document *document)
{
	fill(document, SSE_CONTENT_TYPE, xstrdup(LIVE_OPENING));
	document->is_endless = true;
}

static void
render_board(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_HTML, xstrdup(board_page));
	document->policy = board_policy;
}

static void
render_reuse(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_JSON, api_reuse(visit->snapshot));
}

static void
render_timeline(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_JSON, api_timeline(visit->snapshot));
}

static void
render_marks(const struct visit *visit, struct document *document)
{
	const char *refusal;
	char *text;
	int status;

	if (visit->body == NULL) {
		fill(document, TYPE_JSON, announce_list(visit->marks));
		return;
	}
	status = announce_take(
	    visit->marks, visit->content_type, visit->body, &text, &refusal);
	if (status == 200)
		fill(document, TYPE_JSON, text);
	else
		endpoint_refuse(document, status, MARKS_PATH, refusal);
}

static void
render_connections(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_JSON,
	    api_connections(visit->snapshot, &visit->view));
}

static void
render_exchanges(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_JSON, api_exchanges(visit->snapshot, &visit->view));
}

static void
render_har(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_JSON, har_of_many(visit->snapshot));
	document->file_name = "leakproxy.har";
}

/* The exchange that was asked for; NULL, and refused, where it is gone. */
static const struct exchange_record *
the_exchange(const struct visit *visit, struct document *document)
{
	if (visit->snapshot->exchange_count > 0)
		return &visit->snapshot->exchanges[0];
	endpoint_refuse(document, 404, API_PREFIX,
	    "no such exchange, or it is no longer in memory");
	return NULL;
}

static void
render_exchange(const struct visit *visit, struct document *document)
{
	const struct exchange_record *exchange = the_exchange(visit, document);

	if (exchange != NULL)
		fill(document, TYPE_JSON, api_exchange(exchange));
}

static void
render_exchange_har(const struct visit *visit, struct document *document)
{
	const struct exchange_record *exchange = the_exchange(visit, document);

	if (exchange != NULL)
		fill(document, TYPE_JSON, har_of_one(exchange));
}

static void
render_exchange_curl(const struct visit *visit, struct document *document)
{
	const struct exchange_record *exchange = the_exchange(visit, document);

	if (exchange != NULL)
		fill(document, TYPE_TEXT, curl_command(exchange));
}

static void
render_metrics(const struct visit *visit, struct document *document)
{
	enum metrics_format format = metrics_negotiate(visit->accept);

	fill(document, metrics_content_type(format),
	    metrics_text(visit->snapshot, format));
}

static void
render_health(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_TEXT, xstrdup("ok\n"));
}

static void
render_readiness(const struct visit *visit, struct document *document)
{
	fill(document, TYPE_TEXT,
	    xstrdup(visit->is_ready ? "ready\n" : "not ready\n"));
	if (!visit->is_ready)
		document->status = 503;
}

static void
render_ca(const struct visit *visit, struct document *document)
{
	if (visit->ca_pem == NULL) {
		endpoint_refuse(document, 404, "/ca.pem", "there is no CA");
		return;
	}
	fill(document, TYPE_PEM, visit->ca_pem(visit->ca_pem_arg));
	document->file_name = "leakproxy-ca.pem";
}

static void render_index(const struct visit *visit, struct document *document);

static const struct endpoint endpoints[] = {
    {.path = "/",
	.methods = READS,
	.is_public = true,
	.render = render_board,
	.help = "the dashboard; it holds no data, and asks for the token"},
    {.path = "/api",
	.methods = READS,
	.is_public = true,
	.render = render_index,
	.help = "this list"},
    {.path = "/report",
	.methods = READS,
	.params = VIEW_COLUMNS | VIEW_FILTER,
	.filters = FILTER_LEAKS,
	.gathers = true,
	.wants_refusals = true,
	.wants_captures = true,
	.wants_rhythm = true,
	.render = render_report,
	.help = "what leaks, how fast, and who does it; ?filter= ?columns="},
    {.path = "/api/leaks",
	.methods = READS,
	.params = VIEW_TAG | VIEW_ORIGIN | VIEW_FILTER | VIEW_SORT_LEAKS |
	    VIEW_SERIES | VIEW_LIMIT | VIEW_OFFSET,
	.filters = FILTER_LEAKS,
	.gathers = true,
	.wants_rhythm = true,
	.render = render_leaks,
	.help = "totals, and every leak with its callers; ?tag=key=value "
		"?origin= ?filter= ?sort= ?series=held ?limit= ?offset="},
    {.path = "/api/leaks/*",
	.segment = SEGMENT_LEAK,
	.methods = READS,
	.gathers = true,
	.wants_rhythm = true,
	.render = render_leak,
	.help = "one of them whole, by its id, with its timeline"},
    {.path = "/api/timeline",
	.methods = READS,
	.gathers = true,
	.is_brief = true,
	.render = render_timeline,
	.help = "requests, undrained and held responses over time"},
    {.path = "/api/events",
	.methods = READS,
	.is_endless = true,
	.render = render_events,
	.help = "server-sent events: a summary each second"},
    {.path = "/api/health",
	.methods = READS,
	.gathers = true,
	.is_brief = true,
	.wants_refusals = true,
	.wants_exchanges = true,
	.filters = FILTER_EXCHANGES,
	.wants_errors = true,
	.render = render_health_json,
	.help = "what the proxy counts of itself, who does not trust its CA, "
		"which origins fail"},
    {.path = MARKS_PATH,
	.methods = READS | METHOD_POST,
	.render = render_marks,
	.help = "when jobs started and stopped; POST "
		"{\"name\":\"imagecheck\",\"phase\":\"start\"}"},
    {.path = "/api/connections",
	.methods = READS,
	.params = VIEW_STATE | VIEW_TAG | VIEW_ORIGIN | VIEW_FILTER |
	    VIEW_SORT_CONNS | VIEW_LIMIT | VIEW_OFFSET,
	.filters = FILTER_CONNS,
	.gathers = true,
	.is_brief = true,
	.usual_limit = VIEW_DEFAULT_LIMIT,
	.wants_conns = true,
	.render = render_connections,
	.help = "callers' connections; ?state= ?tag=key=value ?origin= "
		"?filter= ?sort= ?limit= ?offset="},
    {.path = "/api/reuse",
	.methods = READS,
	.gathers = true,
	.render = render_reuse,
	.help = "how connections are reused, by origin and tags"},
    {.path = "/api/exchanges",
	.methods = READS,
	.params = EXCHANGE_PARAMS | VIEW_OFFSET,
	.filters = FILTER_EXCHANGES,
	.gathers = true,
	.is_brief = true,
	.usual_limit = VIEW_DEFAULT_LIMIT,
	.wants_exchanges = true,
	.render = render_exchanges,
	.help = "requests and responses, newest first; ?verdict= "
		"?tag=key=value ?origin= ?filter= ?limit= ?offset="},
    {.path = "/api/exchanges/*",
	.segment = SEGMENT_EXCHANGE,
	.methods = READS,
	.gathers = true,
	.wants_exchanges = true,
	.render = render_exchange,
	.help = "one of them, by its id, as c17x3"},
    {.path = "/api/exchanges/*/har",
	.segment = SEGMENT_EXCHANGE,
	.methods = READS,
	.gathers = true,
	.wants_exchanges = true,
	.wants_captures = true,
	.render = render_exchange_har,
	.help = "the same as HTTP Archive 1.2, with what was captured"},
    {.path = "/api/exchanges/*/curl",
	.segment = SEGMENT_EXCHANGE,
	.methods = READS,
	.gathers = true,
	.wants_exchanges = true,
	.wants_captures = true,
	.render = render_exchange_curl,
	.help = "a command that sends the request again"},
    {.path = "/api/har",
	.methods = READS,
	.params = EXCHANGE_PARAMS,
	.filters = FILTER_EXCHANGES,
	.gathers = true,
	.usual_limit = VIEW_DEFAULT_LIMIT,
	.wants_exchanges = true,
	.wants_captures = true,
	.render = render_har,
	.help = "HTTP Archive 1.2, for leakproxy replay; ?verdict= "
		"?tag=key=value ?origin= ?filter= ?limit="},
    {.path = "/metrics",
	.methods = READS,
	.gathers = true,
	.is_brief = true,
	.render = render_metrics,
	.help = "for Prometheus"},
    {.path = "/ca.pem",
	.methods = READS,
	.is_public = true,
	.render = render_ca,
	.help = "the certificate that callers must trust"},
    {.path = "/healthz",
	.methods = READS,
	.is_public = true,
	.render = render_health,
	.help = "200 while the process lives"},
    {.path = "/readyz",
	.methods = READS,
	.is_public = true,
	.render = render_readiness,
	.help = "200 while the proxy takes connections, else 503"},
};

#define ENDPOINT_COUNT (sizeof(endpoints) / sizeof(*endpoints))

static bool
has_segment(const struct endpoint *endpoint)
{
	return strchr(endpoint->path, '*') != NULL;
}

static void
render_index(const struct visit *visit, struct document *document)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n"
	      "<title>leakproxy</title>\n<h1>leakproxy " LEAKPROXY_VERSION
	      "</h1>\n<table>\n",
	    out);
	for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
		const struct endpoint *endpoint = &endpoints[i];

		if (has_segment(endpoint))
			fprintf(out, "<tr><td>%s", endpoint->path);
		else
			fprintf(out, "<tr><td><a href=\"%s\">%s</a>",
			    endpoint->path, endpoint->path);
		fprintf(out, "<td>%s\n", endpoint->help);
	}
	fputs("</table>\n</html>\n", out);
	fclose(out);
	fill(document, TYPE_HTML, text);
}

/* ---- from a request to a visit ---- */

/* Returns where in a path that matches its segment stands. */
static size_t
segment_start(const struct endpoint *endpoint)
{
	return strcspn(endpoint->path, "*");
}

static bool
matches(const struct endpoint *endpoint, const char *path)
{
	size_t start = segment_start(endpoint);
	size_t length;

	if (!has_segment(endpoint))
		return strcmp(path, endpoint->path) == 0;
	if (strncmp(path, endpoint->path, start) != 0)
		return false;
	length = strcspn(path + start, "/");
	return length > 0 &&
	    strcmp(path + start + length, endpoint->path + start + 1) == 0;
}

static bool
read_leak_id(struct snapshot_query *query, const char *id)
{
	if (strlen(id) != LEAK_ID_BYTES - 1 ||
	    strspn(id, "0123456789abcdef") != LEAK_ID_BYTES - 1)
		return false;
	memcpy(query->leak_id, id, LEAK_ID_BYTES);
	return true;
}

/* Reads the id in a path that matches.  Returns what such an id looks like
 * where it is none, else NULL. */
static const char *
read_segment(struct visit *visit, const char *path)
{
	struct snapshot_query *query = &visit->view.query;
	const char *start = path + segment_start(visit->endpoint);
	char *id = xstrndup(start, strcspn(start, "/"));
	const char *refusal = NULL;

	switch (visit->endpoint->segment) {
	case SEGMENT_NONE:
		break;
	case SEGMENT_EXCHANGE:
		if (!record_parse_exchange_id(
			id, &query->conn_id, &query->ordinal))
			refusal = "an exchange id looks like c17x3";
		break;
	case SEGMENT_LEAK:
		if (!read_leak_id(query, id))
			refusal = "a leak's id is 16 hexadecimal digits, as "
				  "/api/leaks has it";
		break;
	}
	free(id);
	return refusal;
}

static const struct endpoint *
find(const char *path)
{
	for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
		if (matches(&endpoints[i], path))
			return &endpoints[i];
	}
	return NULL;
}

bool
endpoint_is_public(const char *path)
{
	const struct endpoint *endpoint = find(path);

	return endpoint != NULL && endpoint->is_public;
}

static void
require_error(struct filter *filter)
{
	char *refusal = filter_require(filter, FILTER_ERROR, NULL, NULL);

	assert(refusal == NULL);
	free(refusal);
}

static void
set_query(struct visit *visit)
{
	struct snapshot_query *query = &visit->view.query;

	const struct endpoint *endpoint = visit->endpoint;

	query->is_brief = endpoint->is_brief;
	query->wants_conns = endpoint->wants_conns;
	query->wants_refusals = endpoint->wants_refusals;
	query->wants_exchanges = endpoint->wants_exchanges;
	if (endpoint->wants_errors)
		require_error(query->filter);
	query->wants_captures = endpoint->wants_captures;
	query->wants_rhythm = endpoint->wants_rhythm;
	if (query->page.limit == 0)
		query->page.limit = endpoint->usual_limit;
}

bool
endpoint_visit(struct visit *visit, enum method method, const char *path,
    const char *query_string, struct document *document)
{
	const struct endpoint *endpoint = find(path);
	const char *mistake;
	char *refusal;

	if (endpoint == NULL) {
		endpoint_refuse(document, 404, path,
		    "no such path: /api lists those there are");
		return false;
	}
	if ((endpoint->methods & method) == 0) {
		bool posts = (endpoint->methods & METHOD_POST) != 0;

		endpoint_refuse(document, 405, path,
		    posts ? "this path takes " POSTS_ALLOW
			  : "this path takes " READS_ALLOW);
		document->allow = posts ? POSTS_ALLOW : READS_ALLOW;
		return false;
	}
	visit->endpoint = endpoint;
	visit->view.query.filter = filter_new(endpoint->filters);
	refusal = view_parse(&visit->view, query_string, endpoint->params);
	if (refusal != NULL) {
		endpoint_refuse(document, 400, path, refusal);
		free(refusal);
		return false;
	}
	mistake = read_segment(visit, path);
	if (mistake != NULL) {
		endpoint_refuse(document, 400, path, mistake);
		return false;
	}
	set_query(visit);
	return true;
}

void
endpoint_render(const struct visit *visit, struct document *document)
{
	visit->endpoint->render(visit, document);
}

void
endpoint_refuse(
    struct document *document, int status, const char *path, const char *reason)
{
	char *visible = text_visible(reason); /* it may quote what was asked */

	if (strncmp(path, API_PREFIX, strlen(API_PREFIX)) == 0)
		fill(document, TYPE_JSON, api_error(reason));
	else
		fill(document, TYPE_TEXT, xasprintf("%s\n", visible));
	document->status = status;
	free(visible);
}

void
endpoint_visit_fini(struct visit *visit)
{
	view_fini(&visit->view);
	free(visit->accept);
	free(visit->body);
}
