/* SPDX-License-Identifier: MIT */

/*
 * An admin server over a crowd that no test could bring together: LEAKS leaks
 * and CONNS connections, made up anew for each snapshot as the workers' shards
 * would copy theirs.  Prints its address, and serves until standard input
 * ends.
 *
 *      crowd LEAKS CONNS
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounting/marks.h"
#include "admin/server.h"
#include "proxy/base/clock.h"
#include "tests/unit/admin_fixture.h"

#define JOBS 50
#define ORIGINS 20
#define WATCHED_US (31 * US_PER_S)
#define MIX 7919 /* a prime: no count follows the order of another */

struct crowd {
	size_t leak_count;
	size_t conn_count;
	mono_us since;
};

static void
set_number(char **field, const char *format_before, size_t number)
{
	char *text = xasprintf("%s%zu", format_before, number);

	fixture_set(field, text);
	free(text);
}

/* Moves what the fixture made into its place: growing a list one by one costs
 * too much for so many. */
static void
make_leak(struct leak *leak, const struct crowd *crowd, size_t number)
{
	struct snapshot *one = fixture_snapshot();
	mono_us at = crowd->since + (mono_us)(number % 30) * US_PER_S;

	*leak = *fixture_add_leak(one);
	one->leak_count = 0;
	snapshot_free(one);
	snprintf(leak->id, sizeof(leak->id), "%016zx", number + 1);
	set_number(&leak->route, "/v2/image/", number);
	set_number(&leak->origin, "https://registry", number % ORIGINS);
	set_number(&leak->tags.items[0].value, "job", number % JOBS);
	leak->undrained = 1 + number * MIX % 997;
	leak->held_now = 1 + number * MIX % 89;
	leak->last_seen -= (wall_us)(number * MIX % 1009) * US_PER_MS;
	levels_begin(&leak->held, crowd->since);
	levels_step(&leak->held, at, (int)leak->held_now);
	levels_advance(&leak->held, crowd->since + WATCHED_US);
}

static void
make_conn(struct conn_record *conn, size_t number)
{
	static const enum conn_state states[] = {
	    CONN_ACTIVE, CONN_IDLE, CONN_WATCHED, CONN_CLOSED};
	struct snapshot *one = fixture_snapshot();

	*conn = *fixture_add_conn(one, number + 1);
	one->conn_count = 0;
	snapshot_free(one);
	conn->state = states[number % 4];
	if (conn->state == CONN_CLOSED)
		conn->close_reason = CLOSE_CLIENT_FIN;
	conn->opened_at -= (wall_us)(number * MIX % 1009) * US_PER_MS;
	conn->exchange_count = (uint32_t)(number * MIX % 1009);
	set_number(&conn->origin, "https://registry", number % ORIGINS);
	set_number(&conn->tags.items[0].value, "job", number % JOBS);
}

static struct snapshot *
make_snapshot(const struct crowd *crowd, const struct snapshot_query *query)
{
	struct snapshot *snapshot = fixture_leaking();

	leak_fini(&snapshot->leaks[0]);
	free(snapshot->leaks);
	snapshot->leaks = xcalloc(crowd->leak_count, sizeof(struct leak));
	snapshot->leak_count = crowd->leak_count;
	snapshot->totals.held_now = 0;
	for (size_t i = 0; i < crowd->leak_count; i++) {
		make_leak(&snapshot->leaks[i], crowd, i);
		snapshot->totals.held_now += snapshot->leaks[i].held_now;
	}
	snapshot->conns = xcalloc(crowd->conn_count, sizeof(*snapshot->conns));
	for (size_t i = 0; query->wants_conns && i < crowd->conn_count; i++) {
		struct conn_record *conn =
		    &snapshot->conns[snapshot->conn_count];

		make_conn(conn, i);
		if (snapshot_query_matches_conn(query, conn))
			snapshot->conn_count++;
		else
			record_fini_conn(conn);
	}
	timeline_begin(&snapshot->timeline, crowd->since);
	snapshot->taken_mono = crowd->since + WATCHED_US;
	timeline_advance(&snapshot->timeline, snapshot->taken_mono);
	snapshot_seal(snapshot, query);
	return snapshot;
}

struct answer {
	struct snapshot *snapshot;
	admin_gathered_cb done;
	void *done_arg;
};

static void
deliver(void *arg)
{
	struct answer *answer = arg;

	answer->done(answer->snapshot, answer->done_arg);
	free(answer);
}

static void
gather(void *arg, struct loop *loop, const struct snapshot_query *query,
    admin_gathered_cb done, void *done_arg)
{
	struct answer *answer = xcalloc(1, sizeof(*answer));

	*answer = (struct answer){make_snapshot(arg, query), done, done_arg};
	loop_post(loop, deliver, answer);
}

static bool
is_ready(void *arg)
{
	return true;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in any = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct crowd crowd = {.since = clock_mono()};
	struct admin_config config = {
	    .sockaddr = (struct sockaddr *)&any,
	    .sockaddr_length = sizeof(any),
	    .marks = marks_new(),
	    .source = {gather, &crowd, is_ready},
	};
	struct admin_server *server;
	char bound[64];
	char byte;

	if (argc != 3)
		return 2;
	crowd.leak_count = strtoul(argv[1], NULL, 10);
	crowd.conn_count = strtoul(argv[2], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	server = admin_server_open(&config, bound, sizeof(bound));
	if (server == NULL || !admin_server_start(server))
		return 1;
	puts(bound);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	admin_server_stop(server);
	marks_free(config.marks);
	return 0;
}
