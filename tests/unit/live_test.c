/* SPDX-License-Identifier: MIT */

/*
 * Listeners of /api/events, over real sockets, in one thread: what they hear,
 * that one snapshot serves them all, that who does not read is dropped and who
 * leaves is forgotten, and that the end is a good one.
 */

#include "admin/live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <event2/http.h>

#include "admin/guests.h"
#include "admin/server.h"
#include "proxy/base/clock.h"
#include "tests/unit/admin_fixture.h"

#define HEARD_BYTES (64 * 1024)
#define PATIENCE_US (10 * US_PER_S)
#define REQUEST "GET /api/events HTTP/1.1\r\nHost: h\r\n\r\n"
#define REQUEST_1_0 "GET /api/events HTTP/1.0\r\n\r\n"

struct stage {
	struct loop *loop;
	struct evhttp *http;
	struct guests *guests;
	struct live *live;
	struct admin_source source;
	uint16_t port;
	bool is_slow; /* the source: gathers wait */
	size_t gather_count;
	size_t quiet_count;
	admin_gathered_cb done; /* of a gather that waits */
	void *done_arg;
};

/* One that reads when it is told to. */
struct reader {
	int fd;
	size_t length;
	char heard[HEARD_BYTES];
};

/* ---- the stage ---- */

static void
answer(void *arg)
{
	struct stage *stage = arg;

	stage->done(fixture_leaking(), stage->done_arg);
}

static void
gather(void *arg, struct loop *loop, const struct snapshot_query *query,
    admin_gathered_cb done, void *done_arg)
{
	struct stage *stage = arg;

	assert_true(query->is_brief);
	stage->gather_count++;
	stage->done = done;
	stage->done_arg = done_arg;
	if (!stage->is_slow)
		loop_post(loop, answer, stage);
}

static void
on_quiet(void *arg)
{
	struct stage *stage = arg;

	if (live_is_quiet(stage->live))
		stage->quiet_count++;
}

static void
on_request(struct evhttp_request *request, void *arg)
{
	struct stage *stage = arg;

	if (live_is_full(stage->live))
		evhttp_send_error(request, 503, "full");
	else
		live_listen(stage->live, request);
}

static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	struct stage *stage = arg;

	return guests_admit(stage->guests, 4096);
}

static int
set_up(void **state)
{
	struct stage *stage = xcalloc(1, sizeof(*stage));
	struct evhttp_bound_socket *bound;
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	struct event_base *base;

	stage->loop = loop_new();
	base = loop_base(stage->loop);
	stage->source = (struct admin_source){gather, stage, NULL};
	stage->guests = guests_new(base, 64, PATIENCE_US);
	stage->live = live_new(
	    stage->loop, &stage->source, stage->guests, on_quiet, stage);
	stage->http = evhttp_new(base);
	evhttp_set_gencb(stage->http, on_request, stage);
	evhttp_set_bevcb(stage->http, on_connection, stage);
	bound = evhttp_bind_socket_with_handle(stage->http, "127.0.0.1", 0);
	assert_non_null(bound);
	getsockname(evhttp_bound_socket_get_fd(bound),
	    (struct sockaddr *)&address, &length);
	stage->port = ntohs(address.sin_port);
	*state = stage;
	return 0;
}

static int
tear_down(void **state)
{
	struct stage *stage = *state;

	evhttp_free(stage->http);
	live_free(stage->live);
	guests_free(stage->guests);
	loop_free(stage->loop);
	free(stage);
	return 0;
}

/* One turn of the loop, which waits a moment for something to happen. */
static void
turn(struct stage *stage)
{
	static const struct timeval moment = {0, 5000};

	event_base_loopexit(loop_base(stage->loop), &moment);
	event_base_loop(loop_base(stage->loop), EVLOOP_ONCE);
}

/* ---- readers ---- */

/* `buffer_bytes`: how much the kernel keeps for it; 0: as is usual. */
static struct reader *
join_with(struct stage *stage, const char *request, int buffer_bytes)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(stage->port)};
	struct reader *reader = xcalloc(1, sizeof(*reader));

	reader->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (buffer_bytes > 0)
		setsockopt(reader->fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes,
		    sizeof(buffer_bytes));
	assert_int_equal(
	    connect(reader->fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	assert_int_equal(send(reader->fd, request, strlen(request), 0),
	    (ssize_t)strlen(request));
	fcntl(reader->fd, F_SETFL, O_NONBLOCK);
	return reader;
}

static struct reader *
join(struct stage *stage, const char *request)
{
	return join_with(stage, request, 0);
}

/* Reads what is there; keeps the newest half where it is too much.  Returns
 * false at the end. */
static bool
take(struct reader *reader)
{
	ssize_t got;

	if (reader->length > HEARD_BYTES / 2) {
		reader->length /= 2;
		memmove(reader->heard, reader->heard + reader->length,
		    reader->length);
	}
	got = recv(
	    reader->fd, reader->heard + reader->length, HEARD_BYTES / 2 - 1, 0);
	if (got > 0)
		reader->length += (size_t)got;
	reader->heard[reader->length] = '\0';
	return got > 0 || (got < 0 && errno == EAGAIN);
}

static void
hear_until(struct stage *stage, struct reader *reader, const char *part)
{
	mono_us deadline = clock_mono() + PATIENCE_US;

	while (strstr(reader->heard, part) == NULL) {
		if (clock_mono() > deadline || !take(reader))
			fail_msg("\"%s\" is not in:\n%s", part, reader->heard);
		turn(stage);
	}
}

/* Until the other side has closed. */
static void
hear_the_end(struct stage *stage, struct reader *reader)
{
	mono_us deadline = clock_mono() + PATIENCE_US;

	while (take(reader)) {
		assert_true(clock_mono() < deadline);
		turn(stage);
	}
}

static void
leave(struct reader *reader)
{
	close(reader->fd);
	free(reader);
}

static void
wait_until_quiet(struct stage *stage)
{
	mono_us deadline = clock_mono() + PATIENCE_US;

	while (!live_is_quiet(stage->live)) {
		assert_true(clock_mono() < deadline);
		turn(stage);
	}
}

/* ---- tests ---- */

static void
test_a_listener_hears(void **state)
{
	struct stage *stage = *state;
	struct reader *reader = join(stage, REQUEST);

	hear_until(stage, reader, "event: summary\ndata: {");
	assert_ptr_equal(strstr(reader->heard, "HTTP/1.1 200 "), reader->heard);
	assert_non_null(
	    strstr(reader->heard, "\r\nTransfer-Encoding: chunked\r\n"));
	assert_non_null(
	    strstr(reader->heard, "\r\n\r\nd\r\nretry: 2000\n\n\r\n"));
	assert_non_null(strstr(reader->heard, "id: 1\n"));
	assert_non_null(strstr(reader->heard, "\"undrained\":12"));
	/* and again, by the clock */
	hear_until(stage, reader, "id: 2\nevent: summary\n");
	assert_int_equal(stage->gather_count, 2);
	leave(reader);
	wait_until_quiet(stage);
	assert_true(stage->quiet_count > 0);
}

static void
test_http_1_0_has_no_chunks(void **state)
{
	struct stage *stage = *state;
	struct reader *reader = join(stage, REQUEST_1_0);

	hear_until(stage, reader, "\r\n\r\nretry: 2000\n\nid: 1\n");
	leave(reader);
	wait_until_quiet(stage);
}

/* The first has joined, and its snapshot is awaited; others need none. */
static void
test_one_snapshot_serves_all(void **state)
{
	struct stage *stage = *state;
	struct reader *readers[3];

	stage->is_slow = true;
	for (size_t i = 0; i < 3; i++) {
		readers[i] = join(stage, REQUEST);
		hear_until(stage, readers[i], "retry: ");
	}
	assert_int_equal(stage->gather_count, 1);
	assert_true(live_is_gathering(stage->live));
	/* A source that is slow is not asked twice, and nobody despairs. */
	for (size_t i = 0; i < 3; i++)
		hear_until(stage, readers[i], ": keep-alive\n\n");
	assert_int_equal(stage->gather_count, 1);
	answer(stage);
	for (size_t i = 0; i < 3; i++) {
		hear_until(stage, readers[i], "id: 1\nevent: summary\n");
		leave(readers[i]);
	}
	wait_until_quiet(stage);
}

static void
test_published_events_come_in_order(void **state)
{
	struct stage *stage = *state;
	struct reader *reader;

	live_publish(stage->live, "leak", "{\"nobody\":\"hears\"}");
	reader = join(stage, REQUEST);
	hear_until(stage, reader, "id: 1\nevent: summary\n");
	live_publish(stage->live, "leak", "{\"n\":1}");
	live_publish(stage->live, "leak", "{\"n\":2}");
	hear_until(stage, reader, "id: 2\nevent: leak\ndata: {\"n\":1}\n\n");
	hear_until(stage, reader, "id: 3\nevent: leak\ndata: {\"n\":2}\n\n");
	leave(reader);
	wait_until_quiet(stage);
}

/* Far more goes out than the kernel keeps for one who does not read.  Its
 * neighbour, which reads, hears all of it. */
static void
test_a_slow_reader_is_dropped(void **state)
{
	enum { EVENTS = 512, EVENT_BYTES = 16 * 1024 };
	struct stage *stage = *state;
	struct reader *slow = join_with(stage, REQUEST, 4096);
	struct reader *good = join(stage, REQUEST);
	char *big = xcalloc(1, EVENT_BYTES);
	char id[32];

	memset(big, 'x', EVENT_BYTES - 1);
	hear_until(stage, slow, "retry: ");
	hear_until(stage, good, "id: 1\n");
	for (size_t i = 0; i < EVENTS; i++) {
		snprintf(id, sizeof(id), "%zu", i);
		live_publish(stage->live, id, big);
		snprintf(id, sizeof(id), "event: %zu\n", i);
		hear_until(stage, good, id);
	}
	live_publish(stage->live, "leak", "the last");
	hear_until(stage, good, "data: the last\n");
	hear_the_end(stage, slow);
	assert_null(strstr(slow->heard, "the last"));
	leave(slow);
	leave(good);
	free(big);
	wait_until_quiet(stage);
}

static void
test_no_more_than_so_many(void **state)
{
	struct stage *stage = *state;
	struct reader *readers[LIVE_MAX_LISTENERS + 1];

	for (size_t i = 0; i < LIVE_MAX_LISTENERS; i++) {
		readers[i] = join(stage, REQUEST);
		hear_until(stage, readers[i], "retry: ");
	}
	assert_true(live_is_full(stage->live));
	readers[LIVE_MAX_LISTENERS] = join(stage, REQUEST);
	hear_until(stage, readers[LIVE_MAX_LISTENERS], "HTTP/1.1 503 ");
	for (size_t i = 0; i <= LIVE_MAX_LISTENERS; i++)
		leave(readers[i]);
	wait_until_quiet(stage);
	assert_false(live_is_full(stage->live));
}

static void
test_a_reset_is_a_farewell(void **state)
{
	static const struct linger reset = {1, 0};
	struct stage *stage = *state;
	struct reader *reader = join(stage, REQUEST);

	hear_until(stage, reader, "id: 1\n");
	setsockopt(reader->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	leave(reader);
	wait_until_quiet(stage);
}

static void
test_the_end_is_a_good_one(void **state)
{
	struct stage *stage = *state;
	struct reader *reader = join(stage, REQUEST);

	hear_until(stage, reader, "id: 1\n");
	live_stop(stage->live);
	assert_true(live_is_full(stage->live));
	hear_the_end(stage, reader);
	assert_string_equal(
	    reader->heard + reader->length - 7, "\r\n0\r\n\r\n");
	leave(reader);
	wait_until_quiet(stage);
}

/* Stopped while a snapshot is awaited: it comes, and goes to nobody. */
static void
test_stopped_while_gathering(void **state)
{
	struct stage *stage = *state;
	struct reader *reader;

	stage->is_slow = true;
	reader = join(stage, REQUEST);
	hear_until(stage, reader, "retry: ");
	live_stop(stage->live);
	hear_the_end(stage, reader);
	assert_false(live_is_quiet(stage->live));
	answer(stage);
	assert_true(live_is_quiet(stage->live));
	leave(reader);
}

/* evhttp goes first, and takes the connections with it. */
static void
test_freed_with_listeners(void **state)
{
	struct stage *stage = *state;
	struct reader *reader = join(stage, REQUEST);

	hear_until(stage, reader, "id: 1\n");
	evhttp_free(stage->http);
	assert_true(live_is_quiet(stage->live));
	stage->http = evhttp_new(loop_base(stage->loop));
	leave(reader);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_listener_hears),
	    TEST(test_http_1_0_has_no_chunks),
	    TEST(test_one_snapshot_serves_all),
	    TEST(test_published_events_come_in_order),
	    TEST(test_a_slow_reader_is_dropped),
	    TEST(test_no_more_than_so_many),
	    TEST(test_a_reset_is_a_farewell),
	    TEST(test_the_end_is_a_good_one),
	    TEST(test_stopped_while_gathering),
	    TEST(test_freed_with_listeners),
	};

	signal(SIGPIPE, SIG_IGN); /* as in the program */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
