/* SPDX-License-Identifier: MIT */

/*
 * The admin server over real sockets, with a source that answers from a
 * thread of its own, at once or when the test lets it: what it refuses and
 * why, and that nothing dangles when a client leaves or the server is stopped
 * while a request is under way.
 */

#include "admin/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/live.h"
#include "admin/view.h"
#include "proxy/base/clock.h"
#include "tests/unit/admin_fixture.h"

#define ANSWER_MAX_BYTES (1 << 20)
#define MAX_UNDER_WAY 64
#define BIG_EXCHANGES 10000

/* ---- a source ---- */

struct source {
	struct loop *loop; /* its thread's */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool is_open; /* the gate: answers go out */
	bool is_ready;
	bool is_big;
	size_t asked_count;
	struct snapshot_query last_query;
};

struct question {
	struct source *source;
	struct loop *admin_loop;
	admin_gathered_cb done;
	void *done_arg;
	struct snapshot_query query;
	struct snapshot *answer;
};

static struct snapshot *
make_answer(const struct source *source, const struct snapshot_query *query)
{
	struct snapshot *snapshot = fixture_leaking();
	size_t count = source->is_big ? BIG_EXCHANGES : 1;

	if (query->wants_conns &&
	    !snapshot_query_matches_conn(query, fixture_add_conn(snapshot, 17)))
		record_fini_conn(&snapshot->conns[--snapshot->conn_count]);
	for (size_t i = 0; query->wants_exchanges && i < count; i++) {
		struct exchange_record *x = fixture_add_exchange(snapshot);

		x->ordinal += (uint32_t)i;
		if (!snapshot_query_matches(query, x)) {
			record_fini_exchange(x);
			snapshot->exchange_count--;
		}
	}
	snapshot_seal(snapshot, query);
	return snapshot;
}

static void
deliver(void *arg)
{
	struct question *question = arg;

	question->done(question->answer, question->done_arg);
	snapshot_query_fini(&question->query);
	free(question);
}

/* In the source's thread. */
static void
answer(void *arg)
{
	struct question *question = arg;
	struct source *source = question->source;

	pthread_mutex_lock(&source->mutex);
	while (!source->is_open)
		pthread_cond_wait(&source->changed, &source->mutex);
	question->answer = make_answer(source, &question->query);
	pthread_mutex_unlock(&source->mutex);
	loop_post(question->admin_loop, deliver, question);
}

static void
gather(void *source_arg, struct loop *admin_loop,
    const struct snapshot_query *query, admin_gathered_cb done, void *done_arg)
{
	struct source *source = source_arg;
	struct question *question = xcalloc(1, sizeof(*question));

	question->source = source;
	question->admin_loop = admin_loop;
	question->done = done;
	question->done_arg = done_arg;
	snapshot_query_copy(&question->query, query);
	pthread_mutex_lock(&source->mutex);
	source->asked_count++;
	snapshot_query_fini(&source->last_query);
	snapshot_query_copy(&source->last_query, query);
	pthread_cond_broadcast(&source->changed);
	pthread_mutex_unlock(&source->mutex);
	loop_post(source->loop, answer, question);
}

static bool
is_ready(void *source_arg)
{
	struct source *source = source_arg;
	bool ready;

	pthread_mutex_lock(&source->mutex);
	ready = source->is_ready;
	pthread_mutex_unlock(&source->mutex);
	return ready;
}

static void
set_gate(struct source *source, bool is_open)
{
	pthread_mutex_lock(&source->mutex);
	source->is_open = is_open;
	pthread_cond_broadcast(&source->changed);
	pthread_mutex_unlock(&source->mutex);
}

static void
wait_until_asked(struct source *source, size_t count)
{
	pthread_mutex_lock(&source->mutex);
	while (source->asked_count < count)
		pthread_cond_wait(&source->changed, &source->mutex);
	pthread_mutex_unlock(&source->mutex);
}

static void *
run_source(void *arg)
{
	struct source *source = arg;

	loop_run(source->loop);
	return NULL;
}

static void
stop_source(void *arg)
{
	struct source *source = arg;

	loop_stop(source->loop);
}

/* ---- a server and its clients ---- */

struct stage {
	struct source source;
	struct admin_server *server; /* NULL once stopped */
	struct marks *marks;
	const char *token;
	size_t max_connections;
	mono_us patience_us;
	uint16_t port;
};

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(port)};
}

static char ca_pem[] = "-----BEGIN CERTIFICATE-----\n";

static char *
copy_text(void *text)
{
	return xstrdup(text);
}

static struct admin_server *
start(struct stage *stage, uint16_t port, char *pem)
{
	struct sockaddr_in any = loopback(port);
	const struct admin_config config = {
	    .sockaddr = (struct sockaddr *)&any,
	    .sockaddr_length = sizeof(any),
	    .ca_pem = pem == NULL ? NULL : copy_text,
	    .ca_pem_arg = pem,
	    .token = stage->token,
	    .marks = stage->marks,
	    .source = {gather, &stage->source, is_ready},
	    .max_connections = stage->max_connections,
	    .patience_us = stage->patience_us,
	};
	struct admin_server *server;
	char bound[64] = "";

	server = admin_server_open(&config, bound, sizeof(bound));
	if (server != NULL) {
		assert_true(admin_server_start(server));
		assert_int_equal(strncmp(bound, "127.0.0.1:", 10), 0);
		stage->port = (uint16_t)atoi(bound + 10);
		assert_int_not_equal(stage->port, 0);
	}
	return server;
}

static int
set_up(void **state)
{
	struct stage *stage = xcalloc(1, sizeof(*stage));
	struct source *source = &stage->source;

	source->loop = loop_new();
	source->is_open = true;
	source->is_ready = true;
	pthread_mutex_init(&source->mutex, NULL);
	pthread_cond_init(&source->changed, NULL);
	pthread_create(&source->thread, NULL, run_source, source);
	stage->marks = marks_new();
	stage->server = start(stage, 0, ca_pem);
	assert_non_null(stage->server);
	*state = stage;
	return 0;
}

static int
tear_down(void **state)
{
	struct stage *stage = *state;
	struct source *source = &stage->source;

	set_gate(source, true);
	if (stage->server != NULL)
		admin_server_stop(stage->server);
	loop_post(source->loop, stop_source, source);
	pthread_join(source->thread, NULL);
	loop_free(source->loop);
	snapshot_query_fini(&source->last_query);
	marks_free(stage->marks);
	free(stage);
	return 0;
}

static int
dial(const struct stage *stage)
{
	struct sockaddr_in address = loopback(stage->port);
	struct timeval patience = {10, 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads to the end, which must come.  Closes fd. */
static char *
hear(int fd)
{
	char *text = xcalloc(1, ANSWER_MAX_BYTES);
	size_t length = 0;
	ssize_t got;

	while ((got = recv(
		    fd, text + length, ANSWER_MAX_BYTES - 1 - length, 0)) > 0)
		length += (size_t)got;
	assert_int_equal(got, 0);
	close(fd);
	return text;
}

/* Reads until the answer has `part`, which must come.  Closes fd. */
static void
hear_until(int fd, const char *part)
{
	char text[4096] = "";
	size_t length = 0;

	while (strstr(text, part) == NULL) {
		ssize_t got =
		    recv(fd, text + length, sizeof(text) - 1 - length, 0);

		if (got <= 0)
			fail_msg("\"%s\" is not in:\n%s", part, text);
		length += (size_t)got;
	}
	close(fd);
}

/* One request on a connection of its own; `head` is without its last line. */
static char *
ask_raw(const struct stage *stage, const char *head)
{
	int fd = dial(stage);

	say(fd, head);
	say(fd, "Connection: close\r\n\r\n");
	return hear(fd);
}

static char *
ask(const struct stage *stage, const char *method, const char *path)
{
	char *head =
	    xasprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", method, path);
	char *response = ask_raw(stage, head);

	free(head);
	return response;
}

static int
status_of(const char *response)
{
	int status = 0;

	if (sscanf(response, "HTTP/1.1 %d ", &status) != 1)
		fail_msg("no response: \"%s\"", response);
	return status;
}

static const char *
body_of(const char *response)
{
	const char *end = strstr(response, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void
expect(const struct stage *stage, const char *request, int status,
    const char *part)
{
	char method[16];
	char path[512];
	char *response;

	assert_int_equal(sscanf(request, "%15s %511s", method, path), 2);
	response = ask(stage, method, path);
	if (status_of(response) != status)
		fail_msg("%s: %s", request, response);
	assert_has(response, part);
	free(response);
}

/* ---- what is served ---- */

static void
test_every_endpoint_answers(void **state)
{
	static const struct {
		const char *path;
		const char *type;
		const char *part;
	} cases[] = {
	    {"/", "text/html", "<a href=\"/api\">"},
	    {"/api", "text/html", "<a href=\"/api/leaks\">"},
	    {"/api/leaks/00c0ffee00c0ffee", "application/json",
		"\"intervals_s\":[]"},
	    {"/api/health", "application/json", "\"probes_sent\": 0"},
	    {"/report", "text/plain; charset=utf-8", "1 LEAK:"},
	    {"/report?columns=160", "text/plain", "1 LEAK:"},
	    {"/api/leaks", "application/json", "\"undrained\":12"},
	    {"/api/connections", "application/json", "\"id\": \"c17\""},
	    {"/api/exchanges", "application/json", "\"id\": \"c17x3\""},
	    {"/api/exchanges/c17x3", "application/json", "\"witness\": null"},
	    {"/metrics", "text/plain; version=0.0.4; charset=utf-8",
		"leakproxy_responses_held{origin="},
	    {"/ca.pem", "application/x-pem-file", "-----BEGIN CERT"},
	    {"/healthz", "text/plain", "ok\n"},
	    {"/readyz", "text/plain", "ready\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *response = ask(*state, "GET", cases[i].path);
		char *type = xasprintf("\r\nContent-Type: %s", cases[i].type);

		assert_int_equal(status_of(response), 200);
		assert_has(response, type);
		assert_has(body_of(response), cases[i].part);
		assert_has(response, "\r\nCache-Control: no-store\r\n");
		assert_has(response, "\r\nX-Content-Type-Options: nosniff\r\n");
		free(type);
		free(response);
	}
}

/* ---- events ---- */

#define LISTEN "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void
test_events_are_sent_while_somebody_listens(void **state)
{
	struct stage *stage = *state;
	int fd = dial(stage);

	say(fd, LISTEN);
	hear_until(fd, "event: summary\ndata: {\"since\":");
	assert_true(stage->source.last_query.is_brief);
	/* what would be asked, and no stream */
	expect(stage, "HEAD /api/events", 200,
	    "\r\nContent-Type: text/event-stream\r\n");
	expect(stage, "POST /api/events", 405, "GET, HEAD");
}

static void
test_listeners_are_bounded(void **state)
{
	struct stage *stage = *state;
	int fds[LIVE_MAX_LISTENERS];

	/* Each is listened to before the next one comes. */
	set_gate(&stage->source, false);
	for (size_t i = 0; i < LIVE_MAX_LISTENERS; i++) {
		char line[16];

		fds[i] = dial(stage);
		say(fds[i], LISTEN);
		assert_true(recv(fds[i], line, sizeof(line), 0) > 0);
	}
	expect(stage, "GET /api/events", 503, "too many");
	for (size_t i = 0; i < LIVE_MAX_LISTENERS; i++)
		close(fds[i]);
	set_gate(&stage->source, true);
	expect(stage, "GET /report", 200, "1 LEAK:");
}

/* Its stream ends as a whole answer does, and nobody waits for its reader. */
static void
test_stop_ends_the_streams(void **state)
{
	struct stage *stage = *state;
	int fd = dial(stage);
	char first;
	char *heard;

	say(fd, LISTEN);
	assert_int_equal(recv(fd, &first, 1, 0), 1);
	admin_server_stop(stage->server);
	stage->server = NULL;
	heard = hear(fd);
	assert_has(heard, "\r\n0\r\n\r\n");
	free(heard);
}

static void
test_ca_is_a_download(void **state)
{
	expect(*state, "GET /ca.pem", 200,
	    "Content-Disposition: attachment; filename=\"leakproxy-ca.pem\"");
}

static void
test_index_lists_the_table(void **state)
{
	static const char *const paths[] = {"/report", "/api/leaks",
	    "/api/connections", "/api/exchanges", "/api/exchanges/*",
	    "/metrics", "/ca.pem", "/healthz", "/readyz"};
	char *response = ask(*state, "GET", "/api");

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_has(body_of(response), paths[i]);
	free(response);
}

static void
test_metrics_are_negotiated(void **state)
{
	char *response = ask_raw(*state,
	    "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Accept: application/openmetrics-text;version=1.0.0;q=0.5,"
	    "text/plain;version=0.0.4;q=0.3,*/*;q=0.1\r\n");

	assert_has(response,
	    "Content-Type: application/openmetrics-text; "
	    "version=1.0.0; charset=utf-8\r\n");
	assert_has(response, "\n# EOF\n");
	free(response);
}

static void
test_readiness_follows_the_source(void **state)
{
	struct stage *stage = *state;

	pthread_mutex_lock(&stage->source.mutex);
	stage->source.is_ready = false;
	pthread_mutex_unlock(&stage->source.mutex);
	expect(stage, "GET /readyz", 503, "not ready\n");
	expect(stage, "GET /healthz", 200, "ok\n");
}

static void
test_head_is_get_without_the_body(void **state)
{
	char *got = ask(*state, "GET", "/report");
	char *head = ask(*state, "HEAD", "/report");
	char *length =
	    xasprintf("\r\nContent-Length: %zu\r\n", strlen(body_of(got)));

	assert_int_equal(status_of(head), 200);
	assert_string_equal(body_of(head), "");
	assert_has(got, length);
	assert_has(head, length);
	free(length);
	free(head);
	free(got);
}

static void
test_connection_is_kept(void **state)
{
	int fd = dial(*state);
	char *both;
	const char *second;

	say(fd,
	    "GET /report HTTP/1.1\r\nHost: localhost\r\n\r\n"
	    "GET /api/leaks HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n");
	both = hear(fd);
	second = strstr(both + 1, "HTTP/1.1 200");
	assert_non_null(second);
	assert_has(second, "\"leaks\"");
	free(both);
}

/* ---- what is asked of the source ---- */

static void
test_filters_reach_the_source(void **state)
{
	static char origin[] = "https://a:443";
	static char other[] = "https://b:443";
	static const struct {
		char *origin;
		const char *job;
		enum verdict verdict;
		bool passes;
	} cases[] = {
	    {origin, "image+check x", VERDICT_UNDRAINED, true},
	    {origin, "image+check x", VERDICT_DRAINED, false},
	    {origin, "imagecheck", VERDICT_UNDRAINED, false},
	    {other, "image+check x", VERDICT_UNDRAINED, false},
	};
	struct stage *stage = *state;
	struct snapshot_query *query = &stage->source.last_query;

	expect(stage,
	    "GET /api/exchanges?verdict=undrained&tag=Job%3aimage%2Bcheck+x"
	    "&filter=origin%3Dhttps%3A%2F%2Fa:*+tag.job!%3Dgc&limit=7",
	    200, "\"exchanges\": []");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct exchange_record x = {
		    .origin = cases[i].origin, .judgement = {cases[i].verdict}};

		fixture_tag(&x.tags, "job", cases[i].job);
		if (filter_passes_exchange(query->filter, &x) !=
		    cases[i].passes)
			fail_msg("case %zu", i);
		tags_fini(&x.tags);
	}
	assert_int_equal(query->page.limit, 7);
	assert_true(query->wants_exchanges);
	assert_false(query->wants_conns);

	expect(stage, "GET /api/exchanges", 200, "c17x3");
	assert_int_equal(query->page.limit, 1000);
	assert_true(filter_passes_exchange(
	    query->filter, &(struct exchange_record){0}));

	expect(stage, "GET /api/exchanges/c18x9", 404, "no longer in memory");
	assert_int_equal(query->conn_id, 18);
	assert_int_equal(query->ordinal, 9);

	expect(stage, "GET /api/leaks", 200, "totals");
	assert_false(query->wants_exchanges || query->wants_conns);
}

static void
test_connections_are_filtered(void **state)
{
	expect(*state, "GET /api/connections?state=idle", 200, "c17");
	expect(*state, "GET /api/connections?state=closed", 200,
	    "\"connections\": []");
	expect(*state, "GET /api/connections?tag=job", 200, "c17");
	expect(*state, "GET /api/connections?tag=job=imagecheck", 200, "c17");
	expect(*state, "GET /api/connections?tag=job=other", 200,
	    "\"connections\": []");
}

static void
test_limit_says_that_there_is_more(void **state)
{
	struct stage *stage = *state;

	pthread_mutex_lock(&stage->source.mutex);
	stage->source.is_big = true;
	pthread_mutex_unlock(&stage->source.mutex);
	expect(stage, "GET /api/exchanges?limit=2", 200, "\"more\": true");
}

/* ---- what is refused ---- */

static void
test_unknown_paths(void **state)
{
	static const char *const paths[] = {"GET /nothing", "GET /reports",
	    "GET /report/", "GET //report", "GET /api/exchanges/c1x1/hat",
	    "GET /api/exchanges/c1x1/har/", "GET /api/exchanges//har",
	    "GET /api/exchanges/", "GET /%72eport", "POST /nothing"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		expect(*state, paths[i], 404, "no such path");
	expect(*state, "GET /nothing", 404, "Content-Type: text/plain");
	expect(*state, "GET /api/x", 404, "{\n \"error\": \"no such path");
}

static void
test_wrong_methods(void **state)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE",
	    "OPTIONS", "PATCH", "TRACE", "BREW", "get"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		char *request = xasprintf("%s /api/leaks", methods[i]);

		expect(*state, request, 405, "\r\nAllow: GET, HEAD\r\n");
		free(request);
	}
}

/* A job that starts and stops, and what is no job. */
static void
test_marks(void **state)
{
	static const struct {
		const char *fields;
		const char *body;
		int status;
		const char *expected;
	} cases[] = {
	    {"Content-Type: application/json\r\n",
		"{\"name\":\"gc\",\"phase\":\"start\"}", 200,
		"{\n \"name\": \"gc\",\n \"phase\": \"start\""},
	    {"content-type: Application/JSON ; charset=utf-8\r\n",
		"{\"name\":\"gc\",\"phase\":\"stop\",\"more\":1}", 200,
		"\"stop\""},
	    {"Content-Type: application/json\r\n", "", 400, "write {"},
	    {"Content-Type: application/json\r\n",
		"{\"name\":\"g c\",\"phase\":\"stop\"}", 400,
		"a mark's name has"},
	    {"Content-Type: application/jsonp\r\n", "{}", 415,
		"send Content-Type: application/json"},
	    {"", "{\"name\":\"gc\",\"phase\":\"start\"}", 415,
		"send Content-Type: application/json"},
	    {"Content-Type: application/json\r\nOrigin: http://evil\r\n",
		"{\"name\":\"gc\",\"phase\":\"start\"}", 403, "another site"},
	};
	struct stage *stage = *state;
	struct mark *marks;
	size_t count;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *head = xasprintf("POST /api/marks HTTP/1.1\r\n"
				       "Host: 127.0.0.1\r\n%s"
				       "Content-Length: %zu\r\n"
				       "Connection: close\r\n\r\n%s",
		    cases[i].fields, strlen(cases[i].body), cases[i].body);
		int fd = dial(stage);
		char *answer;

		say(fd, head);
		answer = hear(fd);
		assert_int_equal(status_of(answer), cases[i].status);
		assert_has(answer, cases[i].expected);
		free(answer);
		free(head);
	}
	marks = marks_copy(stage->marks, &count);
	assert_int_equal(count, 2);
	assert_int_equal(marks[1].phase, MARK_STOP);
	assert_true(marks[0].mono_at <= marks[1].mono_at);
	free(marks);
	expect(stage, "GET /api/marks", 200, "\"name\": \"gc\"");
	expect(stage, "PUT /api/marks", 405, "\r\nAllow: GET, HEAD, POST\r\n");
}

static void
test_bad_parameters(void **state)
{
	static const struct {
		const char *request;
		const char *reason;
	} cases[] = {
	    {"GET /report?columns=59", "from 60 to 240"},
	    {"GET /report?columns=241", "from 60 to 240"},
	    {"GET /report?columns=", "from 60 to 240"},
	    {"GET /report?columns=+80", "from 60 to 240"},
	    {"GET /report?columns=80x", "from 60 to 240"},
	    {"GET /report?columns=80&columns=80", "columns is given twice"},
	    {"GET /report?colums=80", "takes columns, filter"},
	    {"GET /api/leaks?x=1",
		"takes filter, limit, offset, origin, series"},
	    {"GET /api/leaks?filter=url%3D*", "filter: \\\"url=*\\\": a term"},
	    {"GET /api/exchanges?filter=status%3Dx",
		"its value is a number, such as 404"},
	    {"GET /api/exchanges?filter=held&filter=held", "given twice"},
	    {"GET /api/timeline?filter=held", "takes no parameters"},
	    {"GET /healthz?x", "takes no parameters"},
	    {"GET /api/exchanges?limit=0", "from 1 to 10000"},
	    {"GET /api/exchanges?limit=10001", "from 1 to 10000"},
	    {"GET /api/exchanges?limit=99999999999999999999",
		"from 1 to 10000"},
	    {"GET /api/exchanges?limit=-1", "from 1 to 10000"},
	    {"GET /api/exchanges?verdict=leaky", "none open drained"},
	    {"GET /api/exchanges?state=idle",
		"takes filter, limit, offset, origin, tag"},
	    {"GET /api/exchanges?tag==x", "key=value"},
	    {"GET /api/exchanges?tag=a%zz", "broken percent-encoding"},
	    {"GET /api/exchanges?tag=a%0", "broken percent-encoding"},
	    {"GET /api/exchanges?tag=a%00b", "broken percent-encoding"},
	    {"GET /api/exchanges?origin=", "origin must be"},
	    {"GET /api/connections?state=dead", "active, idle, watched"},
	    {"GET /api/exchanges/17", "looks like c17x3"},
	    {"GET /api/leaks/c0ffee", "16 hexadecimal digits"},
	    {"GET /api/leaks/00C0FFEE00C0FFEE", "16 hexadecimal digits"},
	    {"GET /api/leaks?sort=age", "undrained, held, last_seen"},
	    {"GET /api/leaks?series=all", "must be held"},
	    {"GET /api/connections?sort=held", "newest, oldest"},
	    {"GET /api/connections?offset=-1", "from 0 to 1000000"},
	    {"GET /api/events?limit=1", "takes no parameters"},
	    {"GET /api/exchanges/c1x1?limit=1", "takes no parameters"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect(*state, cases[i].request, 400, cases[i].reason);
	expect(*state, "GET /api/leaks?x=1", 400, "{\n \"error\": \"");
	expect(*state, "GET /report?x=1", 400, "Content-Type: text/plain");
}

static void
test_hosts(void **state)
{
	static const struct {
		const char *host;
		int status;
	} cases[] = {
	    {"127.0.0.1", 200},
	    {"127.0.0.1:9901", 200},
	    {"10.1.2.3:80", 200},
	    {"localhost", 200},
	    {"LocalHost:1", 200},
	    {"[::1]", 200},
	    {"[::1]:9901", 200},
	    {"evil.example", 403},
	    {"evil.example:9901", 403},
	    {"localhost.evil.example", 403},
	    {"127.0.0.1.evil.example", 403},
	    {"127.0.0.1:9901.evil.example", 403},
	    {"127.1", 403},
	    {"::1", 403},
	    {"[::1", 403},
	    {"[::1]x", 403},
	    {"localhost:", 403},
	    {"localhost@evil.example", 403},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *head = xasprintf(
		    "GET /api/leaks HTTP/1.1\r\nHost: %s\r\n", cases[i].host);
		char *response = ask_raw(*state, head);

		if (status_of(response) != cases[i].status)
			fail_msg("%s: %s", cases[i].host, response);
		free(response);
		free(head);
	}
}

static void
test_missing_host(void **state)
{
	char *response = ask_raw(*state, "GET /api/leaks HTTP/1.1\r\n");

	assert_int_equal(status_of(response), 403);
	assert_has(response, "the Host field is missing");
	free(response);
}

static void
test_origins(void **state)
{
	static const struct {
		const char *origin;
		int status;
	} cases[] = {
	    {"http://127.0.0.1:9901", 200},
	    {"http://127.0.0.1", 403},
	    {"http://127.0.0.1:9902", 403},
	    {"http://evil.example", 403},
	    {"null", 403},
	    {"127.0.0.1:9901", 403},
	    {"evil://127.0.0.1:9901", 403},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *head = xasprintf("GET /api/leaks HTTP/1.1\r\n"
				       "Host: 127.0.0.1:9901\r\nOrigin: %s\r\n",
		    cases[i].origin);
		char *response = ask_raw(*state, head);

		if (status_of(response) != cases[i].status)
			fail_msg("%s: %s", cases[i].origin, response);
		free(response);
		free(head);
	}
}

/* A caller whose HTTP_PROXY names the wrong port should be told. */
static void
test_proxy_requests_are_told_where_they_are(void **state)
{
	static const char *const heads[] = {
	    "GET http://registry.test/v2/ HTTP/1.1\r\nHost: registry.test\r\n",
	    "GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n",
	    "CONNECT registry.test:443 HTTP/1.1\r\nHost: registry.test:443\r\n",
	    "CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n",
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		int fd = dial(*state);

		say(fd, heads[i]);
		say(fd, "\r\n");
		hear_until(fd,
		    "\r\n\r\nthis is leakproxy's admin address, not "
		    "the proxy: give callers the --listen address\n");
	}
}

static void
test_odd_targets_do_no_harm(void **state)
{
	static const char *const targets[] = {
	    "*", "?", "/?", "//", "/#x", "/%", "http:", "http://", ":", "x"};

	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		char *response = ask(*state, "OPTIONS", targets[i]);

		assert_true(status_of(response) >= 400);
		free(response);
	}
	expect(*state, "GET /?", 200, "leakproxy");
}

/* The refusal, or a reset that overtook it: what was not read any more makes
 * the kernel send one.  Never an answer. */
static void
test_long_headers_are_refused(void **state)
{
	struct stage *stage = *state;
	size_t size = 32 * 1024;
	char *filler = xcalloc(1, size + 1);
	char *head;
	char answer[256] = "";
	int fd = dial(stage);

	memset(filler, 'x', size);
	head = xasprintf(
	    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: %s\r\n\r\n", filler);
	(void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
	if (recv(fd, answer, sizeof(answer) - 1, 0) > 0)
		assert_in_range(status_of(answer), 400, 499);
	close(fd);
	free(head);
	free(filler);
	expect(stage, "GET /healthz", 200, "ok\n");
}

static void
test_long_bodies_are_refused(void **state)
{
	char *response = ask_raw(*state,
	    "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Content-Length: 65537\r\n");

	assert_int_equal(status_of(response), 413);
	free(response);
}

/* ---- while the source thinks ---- */

#define SLOW_REQUEST \
	"GET /report HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

static void
test_client_leaves_while_gathering(void **state)
{
	static const struct linger reset = {1, 0};
	struct stage *stage = *state;
	int polite;
	int rude;

	set_gate(&stage->source, false);
	polite = dial(stage);
	rude = dial(stage);
	say(polite, SLOW_REQUEST);
	say(rude, SLOW_REQUEST);
	wait_until_asked(&stage->source, 2);
	setsockopt(rude, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(rude);
	close(polite);
	expect(stage, "GET /healthz", 200, "ok\n");
	set_gate(&stage->source, true);
	expect(stage, "GET /report", 200, "1 LEAK:");
}

static void
test_too_many_at_once(void **state)
{
	struct stage *stage = *state;
	int fds[MAX_UNDER_WAY];

	set_gate(&stage->source, false);
	for (size_t i = 0; i < MAX_UNDER_WAY; i++) {
		fds[i] = dial(stage);
		say(fds[i], SLOW_REQUEST);
	}
	wait_until_asked(&stage->source, MAX_UNDER_WAY);
	expect(stage, "GET /api/leaks", 503, "too many requests");
	expect(stage, "GET /healthz", 200, "ok\n");
	set_gate(&stage->source, true);
	for (size_t i = 0; i < MAX_UNDER_WAY; i++) {
		char *response = hear(fds[i]);

		assert_int_equal(status_of(response), 200);
		free(response);
	}
	expect(stage, "GET /api/leaks", 200, "totals");
}

static void *
run_stop(void *arg)
{
	admin_server_stop(arg);
	return NULL;
}

static void
test_stop_waits_for_what_was_asked(void **state)
{
	struct stage *stage = *state;
	pthread_t stopper;
	char *response;
	int gone;
	int fd;

	set_gate(&stage->source, false);
	fd = dial(stage);
	gone = dial(stage);
	say(fd, SLOW_REQUEST);
	say(gone, SLOW_REQUEST);
	wait_until_asked(&stage->source, 2);
	close(gone);
	pthread_create(&stopper, NULL, run_stop, stage->server);
	stage->server = NULL;
	/* Longer than replies are granted: answers are waited for. */
	usleep(1200 * 1000);
	set_gate(&stage->source, true);
	pthread_join(stopper, NULL);
	response = hear(fd);
	assert_true(*response == '\0' || status_of(response) == 200);
	free(response);
}

static void
test_stop_delivers_replies(void **state)
{
	struct stage *stage = *state;
	pthread_t stopper;
	char *response;
	int fd;

	set_gate(&stage->source, false);
	fd = dial(stage);
	say(fd, SLOW_REQUEST);
	wait_until_asked(&stage->source, 1);
	pthread_create(&stopper, NULL, run_stop, stage->server);
	stage->server = NULL;
	usleep(50 * 1000);
	set_gate(&stage->source, true);
	response = hear(fd);
	assert_int_equal(status_of(response), 200);
	assert_has(response, "Next:");
	free(response);
	pthread_join(stopper, NULL);
}

/* A leak of our own: the client never reads its megabytes. */
static void
test_stop_does_not_wait_for_a_reader(void **state)
{
	struct stage *stage = *state;
	int fd = dial(stage);
	mono_us before;
	mono_us took;

	stage->source.is_big = true;
	say(fd,
	    "GET /api/exchanges?limit=10000 HTTP/1.1\r\n"
	    "Host: 127.0.0.1\r\n\r\n");
	wait_until_asked(&stage->source, 1);
	before = clock_mono();
	admin_server_stop(stage->server);
	took = clock_mono() - before;
	stage->server = NULL;
	close(fd);
	/* Something was on its way, and was not waited for much longer. */
	assert_in_range(took, 900 * US_PER_MS, 9 * US_PER_S);
}

static void
test_stop_with_idle_connections(void **state)
{
	struct stage *stage = *state;
	int silent = dial(stage);
	int half = dial(stage);

	say(half, "GET /rep");
	expect(stage, "GET /healthz", 200, "ok\n");
	admin_server_stop(stage->server);
	stage->server = NULL;
	close(half);
	close(silent);
}

/* ---- the token ---- */

#define TOKEN "0123456789abcdef"

/* The same server, otherwise configured. */
static void
start_again(struct stage *stage)
{
	admin_server_stop(stage->server);
	stage->server = start(stage, 0, ca_pem);
	assert_non_null(stage->server);
}

static void
expect_fields(
    struct stage *stage, const char *path, const char *fields, int status)
{
	char *head = xasprintf("GET %s HTTP/1.1\r\n%s", path, fields);
	char *response = ask_raw(stage, head);

	if (status_of(response) != status)
		fail_msg("%s: %s", head, response);
	free(response);
	free(head);
}

static void
test_token_is_asked_for(void **state)
{
	static const char *const secret[] = {"/report", "/api/leaks",
	    "/api/connections", "/api/exchanges", "/api/exchanges/c1x1",
	    "/api/events", "/metrics", "/nothing", "/healthz/", "/%68ealthz"};
	static const char *const public[] = {
	    "/", "/api", "/healthz", "/readyz", "/ca.pem", "/healthz?x"};
	struct stage *stage = *state;

	stage->token = TOKEN;
	start_again(stage);
	for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++) {
		char *response = ask(stage, "GET", secret[i]);

		assert_int_equal(status_of(response), 401);
		assert_has(response,
		    "\r\nWWW-Authenticate: Bearer realm=\"leakproxy\"\r\n");
		free(response);
		expect_fields(stage, secret[i],
		    "Host: h\r\nAuthorization: Bearer " TOKEN "x\r\n", 401);
	}
	for (size_t i = 0; i < sizeof(public) / sizeof(*public); i++)
		expect_fields(stage, public[i], "Host: h\r\n",
		    strchr(public[i], '?') == NULL ? 200 : 400);
	assert_int_equal(stage->source.asked_count, 0);
	expect_fields(stage, "/report",
	    "Host: h\r\nAuthorization: Bearer " TOKEN "\r\n", 200);
	expect_fields(stage, "/nothing",
	    "Host: h\r\nAuthorization: Bearer " TOKEN "\r\n", 404);
}

static void
test_fields_that_decide_are_given_once(void **state)
{
	static const char *const fields[] = {
	    "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n",
	    "Host: 127.0.0.1\r\nhost: evil.example\r\n",
	    "Host: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n",
	    "Host: a\r\nAuthorization: Bearer " TOKEN
	    "\r\nAuthorization: Basic x\r\n",
	};
	struct stage *stage = *state;

	stage->token = TOKEN;
	start_again(stage);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		expect_fields(stage, "/report", fields[i], 400);
}

/* ---- guests ---- */

/* Whether the other side ends the connection within a second. */
static bool
is_ended(int fd)
{
	struct timeval patience = {1, 0};
	char byte;
	ssize_t got;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	got = recv(fd, &byte, 1, 0);
	return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* Nobody may say half a request and keep the rest for ever, byte by byte. */
static void
test_slow_requests_end(void **state)
{
	struct stage *stage = *state;
	int slow;
	int silent;
	int asking;
	char *response;

	stage->patience_us = 300 * US_PER_MS;
	start_again(stage);
	set_gate(&stage->source, false);
	asking = dial(stage);
	say(asking, SLOW_REQUEST);
	silent = dial(stage);
	slow = dial(stage);
	for (int i = 0; i < 10; i++) {
		(void)!send(slow, "G", 1, MSG_NOSIGNAL);
		usleep(50 * 1000);
	}
	assert_true(is_ended(slow));
	assert_true(is_ended(silent));
	/* Its answer is our delay, not its own. */
	set_gate(&stage->source, true);
	response = hear(asking);
	assert_int_equal(status_of(response), 200);
	free(response);
	close(slow);
	close(silent);
}

static void
test_the_most_silent_makes_room(void **state)
{
	struct stage *stage = *state;
	int silent[4];
	int asking;
	char *response;

	stage->max_connections = 4;
	start_again(stage);
	set_gate(&stage->source, false);
	asking = dial(stage);
	say(asking, SLOW_REQUEST);
	wait_until_asked(&stage->source, 1);
	for (size_t i = 0; i < 4; i++)
		silent[i] = dial(stage);
	expect(stage, "GET /healthz", 200, "ok\n");
	assert_true(is_ended(silent[0]));
	assert_true(is_ended(silent[1]));
	/* Younger ones, and who waits for an answer, are still there. */
	say(silent[3],
	    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n");
	response = hear(silent[3]);
	assert_int_equal(status_of(response), 200);
	free(response);
	set_gate(&stage->source, true);
	response = hear(asking);
	assert_int_equal(status_of(response), 200);
	free(response);
	for (size_t i = 0; i < 3; i++)
		close(silent[i]);
}

/* ---- starting ---- */

static void
test_stop_before_the_start(void **state)
{
	struct sockaddr_in any = loopback(0);
	const struct admin_config config = {
	    .sockaddr = (struct sockaddr *)&any,
	    .sockaddr_length = sizeof(any),
	};
	char bound[64];
	struct admin_server *server =
	    admin_server_open(&config, bound, sizeof(bound));

	assert_non_null(server);
	admin_server_stop(server);
}

static void
test_taken_address(void **state)
{
	struct stage *stage = *state;

	assert_null(start(stage, stage->port, NULL));
	assert_int_equal(errno, EADDRINUSE);
}

static void
test_without_a_ca(void **state)
{
	struct stage *stage = *state;

	admin_server_stop(stage->server);
	stage->server = start(stage, 0, NULL);
	assert_non_null(stage->server);
	expect(stage, "GET /ca.pem", 404, "there is no CA");
}

/* Out of descriptors: accepting pauses, and goes on by itself. */
static void
test_descriptors_run_out(void **state)
{
	struct stage *stage = *state;
	struct sockaddr_in address = loopback(stage->port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int last = dup(fd);
	struct rlimit limit;
	struct rlimit low;
	char *response;

	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = (rlim_t)last;
	close(last);
	setrlimit(RLIMIT_NOFILE, &low);
	assert_int_equal(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	say(fd,
	    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Connection: close\r\n\r\n");
	usleep(100 * 1000);
	setrlimit(RLIMIT_NOFILE, &limit);
	response = hear(fd);
	assert_int_equal(status_of(response), 200);
	free(response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(test_every_endpoint_answers),
	    TEST(test_events_are_sent_while_somebody_listens),
	    TEST(test_listeners_are_bounded),
	    TEST(test_stop_ends_the_streams),
	    TEST(test_ca_is_a_download),
	    TEST(test_index_lists_the_table),
	    TEST(test_metrics_are_negotiated),
	    TEST(test_readiness_follows_the_source),
	    TEST(test_head_is_get_without_the_body),
	    TEST(test_connection_is_kept),
	    TEST(test_filters_reach_the_source),
	    TEST(test_connections_are_filtered),
	    TEST(test_limit_says_that_there_is_more),
	    TEST(test_unknown_paths),
	    TEST(test_marks),
	    TEST(test_wrong_methods),
	    TEST(test_bad_parameters),
	    TEST(test_hosts),
	    TEST(test_missing_host),
	    TEST(test_origins),
	    TEST(test_proxy_requests_are_told_where_they_are),
	    TEST(test_odd_targets_do_no_harm),
	    TEST(test_long_headers_are_refused),
	    TEST(test_long_bodies_are_refused),
	    TEST(test_client_leaves_while_gathering),
	    TEST(test_too_many_at_once),
	    TEST(test_stop_waits_for_what_was_asked),
	    TEST(test_stop_delivers_replies),
	    TEST(test_stop_does_not_wait_for_a_reader),
	    TEST(test_stop_with_idle_connections),
	    TEST(test_token_is_asked_for),
	    TEST(test_fields_that_decide_are_given_once),
	    TEST(test_slow_requests_end),
	    TEST(test_the_most_silent_makes_room),
	    TEST(test_stop_before_the_start),
	    TEST(test_taken_address),
	    TEST(test_without_a_ca),
	    TEST(test_descriptors_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
