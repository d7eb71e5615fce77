/* SPDX-License-Identifier: MIT */

/*
 * The text report, word for word: it is what a person on call reads first, so
 * each line of it is pinned, at 80 and at 160 columns; and nothing that a
 * caller sends can draw on the reader's terminal or push a line out.
 */

#include "admin/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounting/utf8.h"
#include "admin/text.h"
#include "tests/unit/admin_fixture.h"

/* Where to look next, broken at four places or at one. */
#define BREAK "\n      "
#define NEXT(verdict, first, second, third, fourth)                \
	"Next: /api/exchanges?verdict=" verdict                    \
	" lists them, /api/exchanges/c17x3 is the" first           \
	"example in full (with /curl behind it a command that "    \
	"asks again, with" second "/har a" third                   \
	"file for leakproxy replay), /api/leaks has every caller " \
	"and" fourth "descriptor.\n"
#define NEXT_AT_80(verdict) NEXT(verdict, BREAK, BREAK, " ", BREAK)
#define NEXT_AT_160 NEXT("undrained", " ", " ", BREAK, " ")

/* Takes the snapshot. */
static char *
report(struct snapshot *snapshot, unsigned columns)
{
	char *text = report_text(snapshot, columns);

	snapshot_free(snapshot);
	return text;
}

/* Takes the snapshot. */
static void
assert_report(struct snapshot *snapshot, unsigned columns, const char *text)
{
	char *got = report(snapshot, columns);

	assert_string_equal(got, text);
	free(got);
}

/* Takes the snapshot. */
static void
assert_part(struct snapshot *snapshot, const char *part)
{
	char *got = report(snapshot, 80);

	if (strstr(got, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, got);
	free(got);
}

/* Takes the snapshot. */
static void
assert_no_part(struct snapshot *snapshot, const char *part)
{
	char *got = report(snapshot, 80);

	if (strstr(got, part) != NULL)
		fail_msg("\"%s\" is in:\n%s", part, got);
	free(got);
}

static void
test_one_leak_at_80_columns(void **state)
{
	assert_report(fixture_leaking(), 80,
	    "1 LEAK: 12 responses undrained in 31 s (~1390 per hour), 12 held "
	    "now\n"
	    "leakproxy report   2026-11-24 02:03:04Z   watched 31 s\n"
	    "\n"
	    "connections  15 accepted     1 active       0 idle        12 "
	    "watched\n"
	    "exchanges    55 in all      40 drained     12 undrained    0 "
	    "suspected\n"
	    "              1 open         0 abandoned    0 unproven     2 no "
	    "body\n"
	    "\n"
	    "LEAK 1   12 held now, 12 undrained   ~1390 per hour\n"
	    "  GET https://registry.test:5000/v2/{}/manifests/{}   status "
	    "404\n"
	    "  tags      job=imagecheck\n"
	    "  evidence  10 unread   the body lies unread in the caller's "
	    "socket\n"
	    "             2 close    told to close and given a FIN, it kept "
	    "the connection\n"
	    "  caller    demo (pid 4242) at 127.0.0.1, Go-http-client/1.1, "
	    "fds 37 41 43\n"
	    "  first     02:02:34Z, 30 s ago   last 02:03:02Z, 2 s ago\n"
	    "  holding   1.8 KiB of body that the caller has not read\n"
	    "  example   c17x3: body 157 B, delivered 157 B, unread 157 B\n"
	    "            GET https://registry.test:5000/v2/library/alpine/"
	    "manifests/latest\n"
	    "  look for  Go: resp.Body.Close() is missing on a path; write "
	    "\"defer\n"
	    "            resp.Body.Close()\" right behind the check of err, "
	    "before "
	    "anything\n"
	    "            looks at the status. An error: look for a return "
	    "between "
	    "the check\n"
	    "            of the status and the Close.\n"
	    "\n" NEXT_AT_80("undrained"));
}

/* Returns the line of the leak's field, with what hangs below it. */
static void
assert_says(const struct rhythm *rhythm, const struct suspect *suspect,
    const char *expected)
{
	struct snapshot *snapshot = fixture_leaking();
	char *text;

	snapshot->leaks[0].rhythm = *rhythm;
	snapshot->leaks[0].suspect = *suspect;
	text = report_text(snapshot, 160);
	if (strstr(text, expected) == NULL)
		print_error("%s\n", text);
	assert_non_null(strstr(text, expected));
	free(text);
	snapshot_free(snapshot);
}

static void
test_rhythm_in_words(void **state)
{
	static const struct {
		struct rhythm rhythm;
		const char *expected;
	} cases[] = {
	    {{.bursts = 12,
		 .period = {.period_s = 47.2, .jitter_s = 1.1},
		 .has_correlation = true,
		 .load_correlation = 0.02},
		"  rhythm    every 47 s \302\261 1.1 s, 12 bursts: a "
		"background job, not load (r = 0.02)\n"},
	    {{.bursts = 12, .period = {.period_s = 0.43, .jitter_s = 0.01}},
		"  rhythm    every 430 ms \302\261 10 ms, 12 bursts: a "
		"background job\n"},
	    {{.bursts = 12,
		 .period = {.period_s = 2820, .jitter_s = 9},
		 .has_correlation = true,
		 .follows_load = true,
		 .load_correlation = 0.9},
		"  rhythm    every 47.0 min \302\261 9.0 s, 12 bursts: a "
		"background job, and other requests come and go with it "
		"(r = 0.90)\n"},
	    {{.bursts = 40,
		 .has_correlation = true,
		 .follows_load = true,
		 .load_correlation = 0.93},
		"  rhythm    follows the load (r = 0.93)\n"},
	    {{.bursts = 40, .has_correlation = true, .load_correlation = 0.1},
		"  rhythm    no period in 40 bursts, and not the load's (r = "
		"0.10)\n"},
	    {{.bursts = 13,
		 .period = {.period_s = 0.4, .jitter_s = 0.003},
		 .has_correlation = true,
		 .load_correlation = 0.79},
		"  rhythm    every 400 ms \302\261 3 ms, 13 bursts: a "
		"background job (r = 0.79)\n"},
	    {{.bursts = 9, .has_correlation = true, .load_correlation = 0.7},
		"  rhythm    no period in 9 bursts, and perhaps the load's (r "
		"= "
		"0.70)\n"},
	    {{.bursts = 1}, "  rhythm    nothing known yet, of 1 burst\n"},
	    {{.bursts = 12,
		 .has_slope = true,
		 .slope_per_hour = 12,
		 .slope_low = 6.2,
		 .slope_high = 20.96},
		"  rate      12 per hour, between 6.2 and 21 (95 % sure)\n"},
	    {{.bursts = 12,
		 .has_slope = true,
		 .slope_per_hour = 3660.4,
		 .slope_low = 99.96,
		 .slope_high = 52900},
		"  rate      3660 per hour, between 100 and 52900 (95 % "
		"sure)\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_says(
		    &cases[i].rhythm, &(struct suspect){0}, cases[i].expected);
}

static void
test_suspect_in_words(void **state)
{
	static const struct {
		struct suspect suspect;
		const char *expected;
	} cases[] = {
	    {{.outcome = SUSPECT_NAMED,
		 .mark = "imagecheck",
		 .bursts_explained = 12,
		 .bursts = 13,
		 .chance = 3e-9},
		"  suspect   imagecheck: 12 of 13 bursts begin soon after its "
		"start (by chance: under 1 in a million)\n"},
	    {{.outcome = SUSPECT_NAMED,
		 .mark = "gc",
		 .phase = MARK_STOP,
		 .bursts_explained = 3,
		 .bursts = 3,
		 .chance = 0.004},
		"  suspect   gc: 3 of 3 bursts begin soon after its stop (by "
		"chance: 1 in 250)\n"},
	    {{.outcome = SUSPECT_ALIKE,
		 .mark = "gc",
		 .rivals = {"a", "b", "c"},
		 .rival_count = 4},
		"  suspect   cannot tell gc from a, b, c and others: they run "
		"in step; give the jobs intervals without a common factor"},
	    {{.outcome = SUSPECT_UNLIKELY},
		"  suspect   none of the marked jobs: the bursts follow no "
		"mark oftener than by chance\n"},
	    {{.outcome = SUSPECT_TOO_FEW},
		"  suspect   too early to tell: it takes 3 bursts and 3 marks "
		"of a job\n"},
	    {{.outcome = SUSPECT_UNMARKED},
		"  rhythm    nothing known yet, of 12 bursts\n  holding"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_says(&(struct rhythm){.bursts = 12}, &cases[i].suspect,
		    cases[i].expected);
}

static void
test_one_leak_at_160_columns(void **state)
{
	assert_report(fixture_leaking(), 160,
	    "1 LEAK: 12 responses undrained in 31 s (~1390 per hour), 12 held "
	    "now\n"
	    "leakproxy report   2026-11-24 02:03:04Z   watched 31 s\n"
	    "\n"
	    "connections  15 accepted     1 active       0 idle        12 "
	    "watched\n"
	    "exchanges    55 in all      40 drained     12 undrained    0 "
	    "suspected    1 open         0 abandoned    0 unproven     2 no "
	    "body\n"
	    "\n"
	    "LEAK 1   12 held now, 12 undrained   ~1390 per hour\n"
	    "  GET https://registry.test:5000/v2/{}/manifests/{}   status "
	    "404\n"
	    "  tags      job=imagecheck\n"
	    "  evidence  10 unread   the body lies unread in the caller's "
	    "socket\n"
	    "             2 close    told to close and given a FIN, it kept "
	    "the connection\n"
	    "  caller    demo (pid 4242) at 127.0.0.1, Go-http-client/1.1, "
	    "fds 37 41 43\n"
	    "  first     02:02:34Z, 30 s ago   last 02:03:02Z, 2 s ago\n"
	    "  holding   1.8 KiB of body that the caller has not read\n"
	    "  example   c17x3: body 157 B, delivered 157 B, unread 157 B   "
	    "GET https://registry.test:5000/v2/library/alpine/manifests/"
	    "latest\n"
	    "  look for  Go: resp.Body.Close() is missing on a path; write "
	    "\"defer resp.Body.Close()\" right behind the check of err, before "
	    "anything looks at the status. An\n"
	    "            error: look for a return between the check of the "
	    "status and the Close.\n"
	    "\n" NEXT_AT_160);
}

static void
test_nothing_seen(void **state)
{
	assert_report(fixture_snapshot(), 80,
	    "No leaks.   Nothing has come through yet.\n"
	    "leakproxy report   2026-11-24 02:03:04Z   watched 31 s\n"
	    "\n"
	    "connections   0 accepted     0 active       0 idle         0 "
	    "watched\n"
	    "exchanges     0 in all       0 drained      0 undrained    0 "
	    "suspected\n"
	    "              0 open         0 abandoned    0 unproven     0 no "
	    "body\n"
	    "\n"
	    "Next: give the caller this proxy as HTTP_PROXY and "
	    "HTTPS_PROXY;\n"
	    "      /api/connections shows who came.\n");
}

static struct snapshot *
healthy(uint64_t bodies, uint64_t drained)
{
	struct snapshot *snapshot = fixture_snapshot();

	snapshot->totals.exchanges = bodies + 2;
	snapshot->totals.by_verdict[VERDICT_NONE] = 2;
	snapshot->totals.by_verdict[VERDICT_DRAINED] = drained;
	snapshot->totals.by_verdict[VERDICT_OPEN] = bodies - drained;
	return snapshot;
}

static void
test_first_line_without_leaks(void **state)
{
	struct snapshot *snapshot = healthy(43, 40);

	assert_part(healthy(43, 40),
	    "No leaks.   40 of 43 responses with a body proven drained.\n");
	assert_part(healthy(1, 1),
	    "No leaks.   1 of 1 response with a body proven drained.\n");
	assert_part(healthy(0, 0), "No leaks.   No response had a body.\n");
	assert_part(healthy(43, 40), "Next: ask again when the open");
	assert_part(healthy(1, 1), "Next: /api/exchanges shows what");
	snapshot->totals.by_verdict[VERDICT_SUSPECTED] = 1;
	assert_part(snapshot, "No leaks proven.   1 response suspected.\n");
}

static void
test_first_line_counts_what_is_left(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = fixture_add_leak(snapshot);

	leak->undrained = 1;
	leak->held_now = 0;
	snapshot->totals.by_verdict[VERDICT_UNDRAINED] = 13;
	assert_part(snapshot,
	    "2 LEAKS: 13 responses undrained in 31 s "
	    "(~1510 per hour), 12 held now\n");
	/* Groups may be forgotten; that something leaked may not. */
	snapshot = fixture_snapshot();
	snapshot->totals.by_verdict[VERDICT_UNDRAINED] = 1;
	assert_part(snapshot, "LEAKS: 1 response undrained in 31 s");
}

/* The first line is about what is shown, the totals are about all. */
static void
test_first_line_is_of_what_passes(void **state)
{
	struct snapshot *snapshot = fixture_leaking();

	snapshot->leaks_left_out = 1;
	snapshot->totals.by_verdict[VERDICT_UNDRAINED] = 99;
	assert_part(snapshot,
	    "1 LEAK: 12 responses undrained in 31 s "
	    "(~1390 per hour), 12 held now\n"
	    "1 other left out by the filter; the totals are of all.\n");
	snapshot = fixture_snapshot();
	snapshot->leaks_left_out = 2;
	snapshot->totals.by_verdict[VERDICT_UNDRAINED] = 99;
	assert_part(snapshot,
	    "No leak passes the filter.\n"
	    "2 others left out by the filter; the totals are of all.\n");
}

/* Before anything was observed there is no rate. */
static void
test_no_rate_without_time(void **state)
{
	struct snapshot *snapshot = fixture_leaking();

	snapshot->seconds_us = 0;
	assert_no_part(snapshot, "per hour");
}

static void
test_suspects_stand_apart(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();
	struct leak *leak = fixture_add_leak(snapshot);

	leak->undrained = 0;
	leak->held_now = 0;
	leak->held_bytes = 0;
	leak->suspected = 3;
	leak->by_evidence[EVIDENCE_UNREAD] = 0;
	leak->by_evidence[EVIDENCE_CLOSE] = 0;
	leak->callers[0].pid = -1;
	leak->callers[0].fd_count = 0;
	leak->example->facts.unread_bytes = -1;
	snapshot->totals.exchanges = 3;
	snapshot->totals.by_verdict[VERDICT_SUSPECTED] = 3;
	assert_report(snapshot, 80,
	    "No leaks proven.   3 responses suspected.\n"
	    "leakproxy report   2026-11-24 02:03:04Z   watched 31 s\n"
	    "\n"
	    "connections   0 accepted     0 active       0 idle         0 "
	    "watched\n"
	    "exchanges     3 in all       0 drained      0 undrained    3 "
	    "suspected\n"
	    "              0 open         0 abandoned    0 unproven     0 no "
	    "body\n"
	    "\n"
	    "SUSPECTS: not proven. These ignored our FIN, and no second "
	    "witness says why;\n"
	    "the next responses of the route say \"Connection: close\", which "
	    "decides.\n"
	    "\n"
	    "SUSPECT 1   3 suspected\n"
	    "  GET https://registry.test:5000/v2/{}/manifests/{}   status "
	    "404\n"
	    "  tags      job=imagecheck\n"
	    "  caller    127.0.0.1, Go-http-client/1.1\n"
	    "  first     02:02:34Z, 30 s ago   last 02:03:02Z, 2 s ago\n"
	    "  example   c17x3: body 157 B, delivered 157 B\n"
	    "            GET https://registry.test:5000/v2/library/alpine/"
	    "manifests/latest\n"
	    "\n" NEXT_AT_80("suspected"));
}

/* Ten thousand leaks are a page of text all the same. */
static void
test_stories_are_bounded(void **state)
{
	for (int is_proven = 0; is_proven < 2; is_proven++) {
		struct snapshot *snapshot = fixture_snapshot();
		char *text;

		for (size_t i = 0; i < REPORT_MAX_STORIES + 3; i++) {
			struct leak *leak = fixture_add_leak(snapshot);

			leak->undrained = is_proven ? 12 : 0;
			leak->suspected = is_proven ? 0 : 1;
			leak->held_now = leak->undrained;
		}
		text = report_text(snapshot, 80);
		snapshot_free(snapshot);
		assert_non_null(
		    strstr(text, is_proven ? "LEAK 100 " : "SUSPECT 100 "));
		assert_null(
		    strstr(text, is_proven ? "LEAK 101" : "SUSPECT 101"));
		assert_non_null(strstr(text,
		    is_proven ? "3 more leaks, /api/leaks has them all"
			      : "3 more suspects, /api/leaks has them all"));
		free(text);
	}
}

static void
test_deadline_is_told(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];

	leak->releases.count = 4;
	leak->releases.sum_s = 4 * 30.0;
	leak->releases.sum_squares_s = 4 * 30.0 * 30.0;
	assert_part(snapshot,
	    "\n  release   a client timeout of 30.0 s ends "
	    "each one and hides the leak\n");
	assert_no_part(fixture_leaking(), "release");
}

static void
test_what_is_not_known_is_left_out(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];

	fixture_set(&leak->callers[0].user_agent, NULL);
	fixture_set(&leak->callers[0].command, NULL);
	leak->callers[0].fd_count = 1;
	tags_fini(&leak->tags);
	leak->last_seen = leak->first_seen;
	record_fini_exchange(leak->example);
	free(leak->example);
	leak->example = NULL;
	leak->by_evidence[EVIDENCE_CLOSE] = 0;
	leak->by_evidence[EVIDENCE_PROBE] = 2;
	assert_part(snapshot,
	    "   status 404\n"
	    "  evidence   2 probe    it ignored our FIN, and a second witness "
	    "agrees\n"
	    "            10 unread   the body lies unread in the caller's "
	    "socket\n"
	    "  caller    pid 4242 at 127.0.0.1, fd 43\n"
	    "  seen      02:02:34Z, 30 s ago\n"
	    "  holding   1.8 KiB of body that the caller has not read\n"
	    "  look for  The response is neither read to its end nor closed on "
	    "some path. An\n"
	    "            error: look for a return between the check of the "
	    "status and the\n"
	    "            Close.\n"
	    "\n"
	    "Next: /api/exchanges?verdict=undrained lists them, /api/leaks "
	    "has every caller\n"
	    "      and descriptor.\n");
}

static void
test_many_callers_and_descriptors(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];

	for (int i = 0; i < 30; i++)
		leak->callers[0].fds[i] = 130 - i;
	leak->callers[0].fd_count = 30;
	while (leak->caller_count < 6)
		fixture_add_caller(leak)->fd_count = 0;
	assert_part(snapshot,
	    "  callers   demo (pid 4242) at 127.0.0.1, Go-http-client/1.1, "
	    "fds 101 102 103\n"
	    "            104 105 106 107 108 109 110 111 112 and 18 more\n"
	    "            demo (pid 4242) at 127.0.0.1, Go-http-client/1.1\n"
	    "            demo (pid 4242) at 127.0.0.1, Go-http-client/1.1\n"
	    "            demo (pid 4242) at 127.0.0.1, Go-http-client/1.1\n"
	    "            and 2 more\n"
	    "  first");
}

/* At its bound a list may have lost some: then it counts nothing. */
static void
test_full_lists_promise_no_number(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];

	leak->callers[0].fd_count = LEAK_MAX_FDS;
	while (leak->caller_count < LEAK_MAX_CALLERS)
		fixture_add_caller(leak)->fd_count = 0;
	assert_part(fixture_leaking(), "fds 37 41 43\n");
	assert_part(snapshot, "and more\n            demo");
}

/* The ledger's catch-all group has neither URL nor status. */
static void
test_the_group_of_the_rest(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];

	fixture_set(&leak->origin, "other");
	fixture_set(&leak->method, "other");
	fixture_set(&leak->route, "other");
	leak->status = 0;
	assert_part(snapshot, "\n  other routes, too many to keep apart\n");
}

static void
test_dates_of_other_days(void **state)
{
	struct snapshot *snapshot = fixture_leaking();

	snapshot->leaks[0].first_seen -= 3 * 3600 * US_PER_S;
	snapshot->seconds_us = 4 * 3600 * US_PER_S;
	assert_part(snapshot,
	    "  first     2026-11-23 23:02:34Z, 3 h 0 min "
	    "ago   last 02:03:02Z, 2 s ago\n");
}

static void
test_distrust_is_told(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();

	for (uint64_t i = 0; i < 4; i++) {
		struct conn_record *conn = fixture_add_conn(snapshot, i + 1);
		char *port = xasprintf("127.0.0.1:%d", 4000 + (int)i);

		fixture_set(&conn->client_address, port);
		if (i < 3)
			fixture_set(&conn->trust_refused, "unknown_ca");
		if (i == 2)
			fixture_set(&conn->target, "other.test:443");
		free(port);
	}
	snapshot->counters.client_handshakes_refused = 5;
	assert_part(snapshot,
	    "NOT INTERCEPTED: 5 TLS handshakes refused; the caller does not "
	    "trust the CA.\n"
	    "Set SSL_CERT_FILE=... for it, or do what `leakproxy ca "
	    "install-hints` says for\n"
	    "its kind; or use --passthrough HOST for pinned hosts.\n"
	    "  demo (pid 4242) at 127.0.0.1   to registry.test:5000   2 "
	    "connections\n"
	    "  (TLS alert: unknown_ca)\n"
	    "  demo (pid 4242) at 127.0.0.1   to other.test:443   1 "
	    "connection\n"
	    "  (TLS alert: unknown_ca)\n"
	    "  and 2 more\n");
}

static void
test_numbers_stay_aligned(void **state)
{
	struct snapshot *snapshot = healthy(1234565, 1234560);

	assert_part(snapshot,
	    "connections        0 accepted          0 active            0 "
	    "idle\n"
	    "                   0 watched\n"
	    "exchanges    1234567 in all      1234560 drained           0 "
	    "undrained\n"
	    "                   0 suspected         5 open              0 "
	    "abandoned\n"
	    "                   0 unproven          2 no body\n");
}

/* ---- strangers' bytes ---- */

static void
assert_fits(const char *text, size_t columns)
{
	char *copy = xstrdup(text);
	char *rest = copy;

	while (rest != NULL) {
		const char *line = strsep(&rest, "\n");

		if (text_columns(line) > columns)
			fail_msg("%zu columns: %s", text_columns(line), line);
		if (*line != '\0' && line[strlen(line) - 1] == ' ')
			fail_msg("blanks at the end: \"%s\"", line);
	}
	free(copy);
}

static struct snapshot *
hostile(const char *text)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];
	struct conn_record *conn = fixture_add_conn(snapshot, 1);

	fixture_set(&leak->origin, text);
	fixture_set(&leak->method, text);
	fixture_set(&leak->route, text);
	fixture_set(&leak->tags.items[0].value, text);
	fixture_tag(&leak->tags, text, "x");
	fixture_set(&leak->callers[0].user_agent, text);
	fixture_set(&leak->callers[0].command, text);
	fixture_set(&leak->example->url, text);
	fixture_set(&conn->trust_refused, text);
	fixture_set(&conn->target, text);
	fixture_rename(conn->owner, text);
	return snapshot;
}

static void
test_long_strings_are_shortened(void **state)
{
	char *text = xcalloc(1, 8193);

	memset(text, 'x', 8192);
	for (unsigned columns = 60; columns <= 240; columns++) {
		char *got = report(hostile(text), columns);

		assert_fits(got, columns);
		assert_non_null(strstr(got, "xx\xe2\x80\xa6xx"));
		free(got);
	}
	free(text);
}

static void
test_every_width_fits(void **state)
{
	for (unsigned columns = 60; columns <= 240; columns++) {
		struct snapshot *snapshot = fixture_leaking();
		char *got;

		for (int i = 0; i < 10; i++) {
			char key[] = "key0";

			key[3] = (char)('0' + i);
			fixture_tag(&snapshot->leaks[0].tags, key, "a value");
		}
		got = report(snapshot, columns);
		assert_fits(got, columns);
		free(got);
	}
}

/* Widths outside of the bounds are brought inside. */
static void
test_widths_are_clamped(void **state)
{
	char *narrow = report(fixture_leaking(), 1);
	char *wide = report(fixture_leaking(), 100000);

	assert_fits(narrow, REPORT_MIN_COLUMNS);
	assert_fits(wide, REPORT_MAX_COLUMNS);
	free(wide);
	free(narrow);
}

static void
test_terminal_is_safe(void **state)
{
	char *got = report(hostile("a\x1b[31m\n\r\t\x7f\xc2\x9b"
				   "b\xe2\x80\xae\xe2\x81\xa6\xff\xc3"),
	    80);

	for (const char *c = got; *c != '\0'; c++)
		assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
	assert_null(strchr(got, 0x7f));
	assert_null(strstr(got, "\xc2\x9b"));
	assert_null(strstr(got, "\xe2\x80\xae"));
	assert_non_null(strstr(got,
	    "a\\x1b[31m\\x0a\\x0d\\x09\\x7f\\x9bb"
	    "\\u202e\\u2066\xef\xbf\xbd\xef\xbf\xbd"));
	assert_fits(got, 80);
	free(got);
}

/* ---- text.h ---- */

static void
test_utf8_is_repaired(void **state)
{
#define BAD "\xef\xbf\xbd"
	static const char *const cases[][2] = {
	    {"", ""},
	    {"plain", "plain"},
	    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
	    {"\x80", BAD},
	    {"\xc3", BAD},
	    {"\xc3(", BAD "("},
	    {"\xe2\x82", BAD BAD},
	    {"\xc0\xaf", BAD BAD},                 /* overlong */
	    {"\xe0\x9f\xbf", BAD BAD BAD},         /* overlong */
	    {"\xf0\x8f\xbf\xbf", BAD BAD BAD BAD}, /* overlong */
	    {"\xed\xa0\x80", BAD BAD BAD},         /* surrogate */
	    {"\xed\x9f\xbf", "\xed\x9f\xbf"},      /* the one below */
	    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
	    {"\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* beyond U+10FFFF */
	    {"\xf5\xff", BAD BAD},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *got = utf8_copy(cases[i][0]);

		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

static void
test_text_is_shortened_in_the_middle(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		const char *shown;
	} cases[] = {
	    {"abcdef", 6, "abcdef"},
	    {"abcdef", 5,
		"ab\xe2\x80\xa6"
		"ef"},
	    {"abcdef", 4,
		"ab\xe2\x80\xa6"
		"f"},
	    {"abcdef", 1, "\xe2\x80\xa6"},
	    {"abcdef", 0, ""},
	    {"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 3,
		"\xc3\xa9\xe2\x80\xa6\xc3\xa9"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *got = text_shorten(cases[i].text, cases[i].columns);

		assert_string_equal(got, cases[i].shown);
		free(got);
	}
}

static void
test_numbers_are_written(void **state)
{
	static const struct {
		void (*write)(int64_t value, char text[TEXT_NUMBER_BYTES]);
		int64_t value;
		const char *text;
	} cases[] = {
	    {text_bytes, 0, "0 B"},
	    {text_bytes, 1023, "1023 B"},
	    {text_bytes, 1024, "1.0 KiB"},
	    {text_bytes, 1048575, "1.0 MiB"},
	    {text_bytes, 1258291, "1.2 MiB"},
	    {text_bytes, INT64_MAX, "8192.0 PiB"},
	    {text_duration, 0, "0.0 s"},
	    {text_duration, 450000, "0.4 s"},
	    {text_duration, 119 * US_PER_S, "119 s"},
	    {text_duration, 120 * US_PER_S, "2 min"},
	    {text_duration, 2 * 3600 * US_PER_S, "2 h 0 min"},
	    {text_duration, 55 * 3600 * US_PER_S, "2 d 7 h"},
	    {text_timestamp, FIXTURE_NOW, "2026-11-24T02:03:04.567Z"},
	    {text_timestamp, 0, "1970-01-01T00:00:00.000Z"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[TEXT_NUMBER_BYTES];

		cases[i].write(cases[i].value, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void
test_rates_have_three_digits(void **state)
{
	static const struct {
		uint64_t count;
		const char *text;
	} cases[] = {
	    {1, "~1 per hour"},
	    {9, "~9 per hour"},
	    {999, "~999 per hour"},
	    {1000, "~1000 per hour"},
	    {1394, "~1390 per hour"},
	    {999999, "~1000000 per hour"},
	};
	char text[TEXT_NUMBER_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		text_rate(cases[i].count, 3600 * US_PER_S, text);
		assert_string_equal(text, cases[i].text);
	}
	text_rate(1, 72 * 3600 * US_PER_S, text);
	assert_string_equal(text, "~0.014 per hour");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_leak_at_80_columns),
	    cmocka_unit_test(test_rhythm_in_words),
	    cmocka_unit_test(test_suspect_in_words),
	    cmocka_unit_test(test_one_leak_at_160_columns),
	    cmocka_unit_test(test_nothing_seen),
	    cmocka_unit_test(test_first_line_without_leaks),
	    cmocka_unit_test(test_first_line_counts_what_is_left),
	    cmocka_unit_test(test_first_line_is_of_what_passes),
	    cmocka_unit_test(test_no_rate_without_time),
	    cmocka_unit_test(test_suspects_stand_apart),
	    cmocka_unit_test(test_stories_are_bounded),
	    cmocka_unit_test(test_deadline_is_told),
	    cmocka_unit_test(test_what_is_not_known_is_left_out),
	    cmocka_unit_test(test_many_callers_and_descriptors),
	    cmocka_unit_test(test_full_lists_promise_no_number),
	    cmocka_unit_test(test_the_group_of_the_rest),
	    cmocka_unit_test(test_dates_of_other_days),
	    cmocka_unit_test(test_distrust_is_told),
	    cmocka_unit_test(test_numbers_stay_aligned),
	    cmocka_unit_test(test_long_strings_are_shortened),
	    cmocka_unit_test(test_every_width_fits),
	    cmocka_unit_test(test_widths_are_clamped),
	    cmocka_unit_test(test_terminal_is_safe),
	    cmocka_unit_test(test_utf8_is_repaired),
	    cmocka_unit_test(test_text_is_shortened_in_the_middle),
	    cmocka_unit_test(test_numbers_are_written),
	    cmocka_unit_test(test_rates_have_three_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
