/* SPDX-License-Identifier: MIT */

/*
 * Snapshots told as events: a log pipeline gets one line for what matters,
 * and not one a second for a leak that grows all day.
 */

#include "admin/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/text.h"
#include "tests/unit/admin_fixture.h"

/* The snapshot so many seconds after the start. */
static struct snapshot *
snapshot_at(int64_t second)
{
	struct snapshot *snapshot = fixture_snapshot();

	snapshot->taken_at += second * US_PER_S;
	snapshot->taken_mono = (1000 + second) * US_PER_S;
	return snapshot;
}

/* "growing 3 of 15": the event, what it counts, and how many are undrained
 * now. */
static void
sum_up(const json_t *event, char *text, size_t size)
{
	const char *word = json_string_value(json_object_get(event, "event"));
	const json_t *count = json_object_get(event, "grew_by");

	if (count == NULL)
		count = json_object_get(event, "recovered");
	if (count == NULL)
		count = json_object_get(event, "refused");
	snprintf(text, size, "%s %" JSON_INTEGER_FORMAT " of %d; ", word,
	    json_integer_value(count),
	    (int)json_integer_value(json_object_get(event, "undrained")));
}

/* Takes both.  Compares the events, summed up. */
static void
assert_events(json_t *list, struct snapshot *snapshot, const char *expected)
{
	char got[1024] = "";
	json_t *event;
	size_t i;

	json_array_foreach(list, i, event)
	    sum_up(event, got + strlen(got), sizeof(got) - strlen(got));
	assert_string_equal(got, expected);
	json_decref(list);
	snapshot_free(snapshot);
}

/* ---- leaks ---- */

struct step {
	int64_t second;
	uint64_t undrained;
	const char *events;
};

static void
look(struct events *events, const struct step *step, enum events_when when)
{
	struct snapshot *snapshot = snapshot_at(step->second);

	if (step->undrained > 0)
		fixture_add_leak(snapshot)->undrained = step->undrained;
	assert_events(
	    events_since(events, snapshot, when), snapshot, step->events);
}

/* The last of the steps tells all. */
static void
walk(const struct step *steps)
{
	struct events *events = events_new();

	for (; steps->events != NULL; steps++)
		look(events, steps,
		    steps[1].events == NULL ? EVENTS_LAST : EVENTS_NOW);
	events_free(events);
}

static void
test_nothing_is_told_where_nothing_happens(void **state)
{
	walk((const struct step[]){
	    {0, 0, ""},
	    {1, 3, "leak_first_seen 0 of 3; "},
	    {2, 3, ""},
	    {200, 3, ""},
	    {201, 3, ""},
	    {0},
	});
}

/* A slow leak is told once a minute, a fast one each time that it doubles. */
static void
test_growth_is_told_seldom(void **state)
{
	walk((const struct step[]){
	    {0, 10, "leak_first_seen 0 of 10; "},
	    {1, 11, ""},
	    {59, 12, ""},
	    {60, 12, "leak_growing 2 of 12; "},
	    {61, 23, ""},
	    {62, 24, "leak_growing 12 of 24; "},
	    {63, 48, "leak_growing 24 of 48; "},
	    {122, 49, ""},
	    {123, 49, "leak_growing 1 of 49; "},
	    {124, 50, "leak_growing 1 of 50; "},
	    {0},
	});
}

/* What was found in the last second has its line all the same. */
static void
test_the_end_holds_nothing_back(void **state)
{
	walk((const struct step[]){
	    {0, 0, ""},
	    {1, 7, "leak_first_seen 0 of 7; "},
	    {0},
	});
	walk((const struct step[]){
	    {0, 7, "leak_first_seen 0 of 7; "},
	    {1, 5, "leak_recovered 2 of 5; "},
	    {2, 4, ""},
	    {3, 6, "leak_growing 2 of 6; leak_recovered 1 of 6; "},
	    {0},
	});
}

static void
test_recovery(void **state)
{
	walk((const struct step[]){
	    {0, 10, "leak_first_seen 0 of 10; "},
	    {1, 8, "leak_recovered 2 of 8; "},
	    {2, 7, ""},
	    {60, 5, ""},
	    {61, 5, "leak_recovered 3 of 5; "},
	    {62, 9, "leak_growing 4 of 9; "}, /* a minute since the first */
	    {200, 9, ""},
	    {0},
	});
}

/* A leak that shrinks has not doubled, though little is left of what was
 * told. */
static void
test_recovery_is_no_growth(void **state)
{
	walk((const struct step[]){
	    {0, 100, "leak_first_seen 0 of 100; "},
	    {1, 150, ""},
	    {2, 30, "leak_recovered 120 of 30; "},
	    {3, 59, ""},
	    {4, 60, "leak_growing 60 of 60; "},
	    {5, 119, ""},
	    {6, 60, ""},
	    {7, 0, "leak_recovered 119 of 0; "},
	    {0},
	});
}

/* Then the leak is in no snapshot any more; should it come back, it is not
 * new. */
static void
test_all_recover_and_come_back(void **state)
{
	walk((const struct step[]){
	    {0, 3, "leak_first_seen 0 of 3; "},
	    {1, 0, "leak_recovered 3 of 0; "},
	    {2, 0, ""},
	    {3, 1, "leak_growing 1 of 1; "},
	    {4, 1, ""},
	    {0},
	});
}

/* What is only suspected accuses nobody. */
static void
test_suspects_are_no_events(void **state)
{
	struct events *events = events_new();
	struct snapshot *snapshot = snapshot_at(0);
	struct leak *leak = fixture_add_leak(snapshot);

	leak->undrained = 0;
	leak->suspected = 5;
	assert_events(
	    events_since(events, snapshot, EVENTS_LAST), snapshot, "");
	look(events, &(struct step){1, 2, "leak_first_seen 0 of 2; "},
	    EVENTS_NOW);
	events_free(events);
}

/* ---- refusals ---- */

static struct conn_record *
refuse(struct snapshot *snapshot, uint64_t id, const char *target)
{
	struct conn_record *conn = fixture_add_conn(snapshot, id);

	fixture_set(&conn->trust_refused, "unknown_ca");
	fixture_set(&conn->target, target);
	return conn;
}

/* One that tries again and again has a line, and then one a minute. */
static void
test_refusals_are_told_by_caller(void **state)
{
	struct events *events = events_new();
	struct snapshot *snapshot;

	for (int64_t second = 0; second < 120; second++) {
		const char *expected = second == 0 ? "ca_refused 1 of 0; "
		    : second == 60                 ? "ca_refused 60 of 0; "
						   : "";

		snapshot = snapshot_at(second);
		snapshot->counters.client_handshakes_refused =
		    (uint64_t)second + 1;
		fixture_add_conn(snapshot, 1000); /* no refusal */
		/* The one before is still in memory. */
		if (second > 0)
			refuse(snapshot, (uint64_t)second, "a.test:443");
		refuse(snapshot, (uint64_t)second + 1, "a.test:443");
		assert_events(events_since(events, snapshot, EVENTS_NOW),
		    snapshot, expected);
	}
	snapshot = snapshot_at(120);
	snapshot->counters.client_handshakes_refused = 121;
	refuse(snapshot, 200, "b.test:443");
	assert_events(events_since(events, snapshot, EVENTS_LAST), snapshot,
	    "ca_refused 59 of 0; ca_refused 1 of 0; ");
	events_free(events);
}

/* Records leave memory; the counter does not forget. */
static void
test_refusals_of_nobody_known(void **state)
{
	struct events *events = events_new();
	struct snapshot *snapshot = snapshot_at(0);
	char *lines;

	snapshot->counters.client_handshakes_refused = 40;
	lines = events_lines(events, snapshot, EVENTS_NOW);
	assert_string_equal(lines,
	    "{\"time\":\"2026-11-24T02:03:04.567Z\",\"event\":\"ca_refused\","
	    "\"refused\":40,\"client_address\":null,\"target\":null,"
	    "\"trust_refused\":null,\"pid\":null,\"command\":null}\n");
	free(lines);
	snapshot_free(snapshot);
	events_free(events);
}

/* A stranger can ask for as many names as it likes. */
static void
test_refusers_are_bounded(void **state)
{
	struct events *events = events_new();
	struct snapshot *snapshot = snapshot_at(0);
	json_t *list;

	for (uint64_t i = 1; i <= 2 * EVENTS_MAX_REFUSERS; i++) {
		char *target = xasprintf("%d.test:443", (int)i);

		refuse(snapshot, i, target);
		free(target);
	}
	snapshot->counters.client_handshakes_refused = 2 * EVENTS_MAX_REFUSERS;
	list = events_since(events, snapshot, EVENTS_NOW);
	assert_int_equal(json_array_size(list), EVENTS_MAX_REFUSERS + 1);
	json_decref(list);
	snapshot_free(snapshot);
	/* Who is silent is forgotten. */
	snapshot = snapshot_at(61);
	snapshot->counters.client_handshakes_refused = 2 * EVENTS_MAX_REFUSERS;
	refuse(snapshot, 9999, "new.test:443");
	snapshot->counters.client_handshakes_refused++;
	list = events_since(events, snapshot, EVENTS_NOW);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(
				json_array_get(list, 0), "target")),
	    "new.test:443");
	json_decref(list);
	snapshot_free(snapshot);
	events_free(events);
}

/* ---- lines ---- */

/* The names are the API's, and one line is one object whatever is in it. */
static void
test_lines(void **state)
{
	struct events *events = events_new();
	struct snapshot *snapshot = snapshot_at(0);
	struct leak *leak = fixture_add_leak(snapshot);
	static const char start[] =
	    "{\"time\":\"2026-11-24T02:03:04.567Z\","
	    "\"event\":\"leak_first_seen\",\"id\":\"00c0ffee00c0ffee\","
	    "\"origin\":\"https://registry.test:5000\",\"method\":\"GET\","
	    "\"route\":\"/v2/{}/manifests/{}\",\"status\":404,"
	    "\"tags\":{\"job\":\"a\\nb\xef\xbf\xbd\"},\"undrained\":12,";
	char *lines;

	fixture_set(&leak->tags.items[0].value, "a\nb\xff");
	refuse(snapshot, 1, "a.test:443");
	lines = events_lines(events, snapshot, EVENTS_NOW);
	assert_memory_equal(lines, start, sizeof(start) - 1);
	assert_non_null(strstr(lines, "\"peer\":\"127.0.0.1\",\"pid\":4242"));
	assert_non_null(strstr(strchr(lines, '\n') + 1,
	    "\"event\":\"ca_refused\",\"refused\":1,\"id\":\"c1\""));
	free(lines);
	lines = events_lines(events, snapshot, EVENTS_NOW);
	assert_string_equal(lines, "");
	free(lines);
	snapshot_free(snapshot);
	events_free(events);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_is_told_where_nothing_happens),
	    cmocka_unit_test(test_growth_is_told_seldom),
	    cmocka_unit_test(test_the_end_holds_nothing_back),
	    cmocka_unit_test(test_recovery),
	    cmocka_unit_test(test_recovery_is_no_growth),
	    cmocka_unit_test(test_all_recover_and_come_back),
	    cmocka_unit_test(test_suspects_are_no_events),
	    cmocka_unit_test(test_refusals_are_told_by_caller),
	    cmocka_unit_test(test_refusals_of_nobody_known),
	    cmocka_unit_test(test_refusers_are_bounded),
	    cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
