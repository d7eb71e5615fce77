/* SPDX-License-Identifier: MIT */

/*
 * What the admin server does with a request, and with what strangers left in
 * the records that it shows.  The input is lines: method, path, query, Accept,
 * and then the strings of the records.  Parameters keep their bounds; JSON is
 * JSON and says what the record says; the report cannot move a terminal's
 * cursor; each line of the metrics is one sample.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "accounting/utf8.h"
#include "admin/endpoint.h"
#include "admin/report.h"
#include "admin/text.h"
#include "tests/unit/admin_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum line {
	LINE_METHOD,
	LINE_PATH,
	LINE_QUERY,
	LINE_ACCEPT,
	LINE_URL,
	LINE_USER_AGENT,
	LINE_TAG,
	LINE_COMMAND,
	LINE_ORIGIN,
	LINE_VERB,
	LINE_COUNT
};

static void
fill_exchange(struct exchange_record *x, char *const lines[LINE_COUNT])
{
	fixture_set(&x->url, lines[LINE_URL]);
	fixture_set(&x->user_agent, lines[LINE_USER_AGENT]);
	fixture_set(&x->traceparent, lines[LINE_USER_AGENT]);
	fixture_rename(x->owner, lines[LINE_COMMAND]);
	fixture_set(&x->origin, lines[LINE_ORIGIN]);
	fixture_set(&x->method, lines[LINE_VERB]);
	fixture_set(&x->tags.items[0].value, lines[LINE_TAG]);
}

static struct snapshot *
snapshot_of(char *const lines[LINE_COUNT])
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];
	struct conn_record *conn = fixture_add_conn(snapshot, 17);

	fill_exchange(leak->example, lines);
	fill_exchange(fixture_add_exchange(snapshot), lines);
	fixture_set(&leak->origin, lines[LINE_ORIGIN]);
	fixture_set(&leak->method, lines[LINE_VERB]);
	fixture_set(&leak->tags.items[0].value, lines[LINE_TAG]);
	fixture_set(&leak->callers[0].user_agent, lines[LINE_USER_AGENT]);
	fixture_set(&leak->callers[0].command, lines[LINE_COMMAND]);
	fixture_set(&conn->target, lines[LINE_ORIGIN]);
	fixture_set(&conn->user_agent, lines[LINE_USER_AGENT]);
	fixture_set(&conn->trust_refused, lines[LINE_TAG]);
	fixture_rename(conn->owner, lines[LINE_COMMAND]);
	fixture_set(&conn->tags.items[0].value, lines[LINE_TAG]);
	return snapshot;
}

static void
check_view(const struct visit *visit)
{
	const struct view *view = &visit->view;

	assert(view->query.page.limit <= VIEW_MAX_LIMIT);
	assert(view->query.page.offset <= VIEW_MAX_OFFSET);
	assert((unsigned)view->query.page.sort < SORT_COUNT);
	assert(view->columns >= REPORT_MIN_COLUMNS &&
	    view->columns <= REPORT_MAX_COLUMNS);
	if (strcmp(visit->endpoint->path, "/api/exchanges/*") == 0)
		assert(view->query.conn_id > 0 && view->query.ordinal > 0);
}

static void
check_json(const struct visit *visit, const char *body, const char *url)
{
	json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	const json_t *shown;
	char *utf8;

	assert(json != NULL);
	/* One exchange alone shows its record at the top. */
	shown = json_object_get(json, "url");
	if (visit != NULL && visit->endpoint != NULL && url != NULL &&
	    shown != NULL) {
		utf8 = utf8_copy(url);
		assert(strcmp(json_string_value(shown), utf8) == 0);
		free(utf8);
	}
	json_decref(json);
}

/* UTF-8, and no control byte but the line's end. */
static void
check_text(const char *body)
{
	char *utf8 = utf8_copy(body);

	assert(strcmp(utf8, body) == 0);
	free(utf8);
	for (; *body != '\0'; body++) {
		assert((unsigned char)*body >= ' ' || *body == '\n');
		assert(*body != 0x7f);
		/* C1 controls are c2 80 to c2 9f. */
		assert((unsigned char)body[0] != 0xc2 ||
		    (unsigned char)body[1] >= 0xa0);
	}
}

/* name{label="value",...} number */
static void
check_sample(const char *line, size_t length)
{
	const char *end = line + length;
	size_t quotes = 0;

	assert(length > 0);
	if (*line == '#')
		return;
	for (; line < end && (*line != ' ' || quotes % 2 == 1); line++) {
		if (quotes % 2 == 1 && *line == '\\') {
			line++;
			assert(strchr("\\\"n", *line) != NULL);
		} else if (*line == '"') {
			quotes++;
		}
	}
	assert(quotes % 2 == 0);
	assert(line < end);
	line++;
	assert(line + strspn(line, "0123456789.e+-naifNI") == end);
}

static void
check_metrics(const char *body)
{
	char *utf8 = utf8_copy(body);

	assert(strcmp(utf8, body) == 0);
	free(utf8);
	while (*body != '\0') {
		size_t length = strcspn(body, "\n");

		assert(body[length] == '\n');
		check_sample(body, length);
		body += length + 1;
	}
}

static void
check_document(
    const struct visit *visit, const struct document *document, const char *url)
{
	assert(document->body != NULL);
	assert(document->status >= 200 && document->status <= 599);
	if (strcmp(document->content_type, "application/json") == 0)
		check_json(visit, document->body, url);
	else if (visit != NULL && visit->endpoint != NULL &&
	    strcmp(visit->endpoint->path, "/metrics") == 0)
		check_metrics(document->body);
	else
		check_text(document->body);
}

static void
visit_endpoint(char *const lines[LINE_COUNT])
{
	enum method method = lines[LINE_METHOD][0] == 'G' ? METHOD_GET
	    : lines[LINE_METHOD][0] == 'H'                ? METHOD_HEAD
							  : METHOD_OTHER;
	struct visit visit = {0};
	struct document document = {0};
	struct snapshot *snapshot = NULL;

	if (!endpoint_visit(&visit, method, lines[LINE_PATH], lines[LINE_QUERY],
		&document)) {
		assert(document.status >= 400);
		check_document(NULL, &document, NULL);
	} else {
		check_view(&visit);
		visit.accept = xstrdup(lines[LINE_ACCEPT]);
		if (visit.endpoint->gathers)
			snapshot = snapshot_of(lines);
		visit.snapshot = snapshot;
		endpoint_render(&visit, &document);
		check_document(&visit, &document, lines[LINE_URL]);
		if (snapshot != NULL)
			snapshot_free(snapshot);
	}
	free(document.body);
	endpoint_visit_fini(&visit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	char *rest = text;
	char *lines[LINE_COUNT];
	uint64_t conn_id;
	uint32_t ordinal;

	for (size_t i = 0; i < LINE_COUNT; i++) {
		lines[i] = strsep(&rest, "\n");
		if (lines[i] == NULL)
			lines[i] = text + strlen(text);
	}
	/* An id that is read is written as it was. */
	if (record_parse_exchange_id(lines[LINE_URL], &conn_id, &ordinal)) {
		struct exchange_record x = {
		    .conn_id = conn_id, .ordinal = ordinal};
		char id[EXCHANGE_ID_BYTES];

		record_exchange_id(&x, id);
		assert(strcmp(id, lines[LINE_URL]) == 0);
	}
	visit_endpoint(lines);
	free(text);
	return 0;
}
