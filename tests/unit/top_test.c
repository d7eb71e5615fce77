/* SPDX-License-Identifier: MIT */

/*
 * `leakproxy top`, word for word: what the API says is drawn, in any size of
 * terminal, with or without UTF-8; and nothing that a caller sends can move
 * the cursor.
 */

#include "admin/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin/api.h"
#include "admin/text.h"
#include "tests/unit/admin_fixture.h"

#define WHERE "127.0.0.1:9901"

/* Two more held each second, and then two fewer. */
static void
fill_timeline(struct timeline *timeline)
{
	timeline_begin(timeline, 0);
	for (mono_us at = 0; at < 7; at++)
		timeline_held(timeline, at * US_PER_S, 2);
	timeline_held(timeline, 8 * US_PER_S, -2);
	timeline_advance(timeline, 10 * US_PER_S - 1);
}

/* Takes the snapshot. */
static struct top *
read_snapshot(struct snapshot *snapshot)
{
	struct top *top = top_new();
	char *leaks = api_leaks(snapshot);
	char *timeline = api_timeline(snapshot);
	const char *const answers[] = {leaks, timeline};

	assert_true(top_read(top, answers));
	free(leaks);
	free(timeline);
	snapshot_free(snapshot);
	return top;
}

/* Takes the snapshot. */
static char *
draw(struct snapshot *snapshot, const struct frame *frame)
{
	struct top *top = read_snapshot(snapshot);
	char *text = top_draw(top, frame);

	top_free(top);
	return text;
}

/* Takes the snapshot. */
static void
assert_drawn(
    struct snapshot *snapshot, const struct frame *frame, const char *expected)
{
	char *text = draw(snapshot, frame);

	assert_string_equal(text, expected);
	free(text);
}

static struct snapshot *
story(void)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];

	fill_timeline(&snapshot->timeline);
	snapshot->totals.recovered = 1;
	leak->suspected = 2;
	leak->rhythm = (struct rhythm){.bursts = 12,
	    .period = {.period_s = 47.2, .jitter_s = 1.1},
	    .has_correlation = true,
	    .load_correlation = 0.02};
	leak->suspect = (struct suspect){.outcome = SUSPECT_NAMED,
	    .mark = "imagecheck",
	    .phase = MARK_START,
	    .bursts_explained = 11,
	    .bursts = 12,
	    .chance = 1e-9};
	return snapshot;
}

#define HEAD                                                          \
	"leakproxy top   127.0.0.1:9901   02:03:04Z   watched 31 s\n" \
	"1 LEAK: 12 held now, 12 undrained (~1390 per hour)\n"        \
	"connections  15 accepted\n"                                  \
	"exchanges    55 in all, 2 no body, 1 open, 40 drained, 12 "  \
	"undrained,\n"                                                \
	"             1 recovered\n"

static void
test_a_leak(void **state)
{
	assert_drawn(story(), &(struct frame){.where = WHERE, .columns = 80},
	    HEAD
	    "held         |"
	    "\342\226\202\342\226\202\342\226\202\342\226\203\342\226\203\342"
	    "\226\203"
	    "\342\226\204\342\226\204\342\226\204\342\226\205\342\226\205\342"
	    "\226\205"
	    "\342\226\206\342\226\206\342\226\206\342\226\206\342\226\207\342"
	    "\226\207"
	    "\342\226\207\342\226\210\342\226\210\342\226\210\342\226\210\342"
	    "\226\210"
	    "\342\226\210\342\226\210\342\226\207\342\226\207\342\226\207\342"
	    "\226\207"
	    "\342\226\207\342\226\207"
	    "| 12 now, at most 14 in 31 s\n"
	    "\n"
	    "LEAK 1   12 held now, 12 undrained, 2 suspected   ~1390 per "
	    "hour\n"
	    "  GET https://registry.test:5000/v2/{}/manifests/{}   status "
	    "404\n"
	    "  tags      job=imagecheck\n"
	    "  evidence  10 unread, 2 close\n"
	    "  caller    demo (pid 4242) at 127.0.0.1, Go-http-client/1.1, "
	    "fds 37 41 43\n"
	    "  rhythm    every 47 s \302\261 1.1 s, 12 bursts: a background "
	    "job, not load (r =\n"
	    "            0.02)\n"
	    "  suspect   imagecheck: 11 of 12 bursts begin soon after its "
	    "start (by chance:\n"
	    "            under 1 in a million)\n");
}

/* What the terminal cannot show is not sent. */
static void
test_ascii(void **state)
{
	char *text = draw(story(),
	    &(struct frame){.where = WHERE, .columns = 100, .is_ascii = true});

	for (const char *c = text; *c != '\0'; c++)
		assert_true((unsigned char)*c < 0x80);
	assert_non_null(strstr(text, "\nheld         |::::"));
	assert_non_null(strstr(text, "@@@####"));
	assert_non_null(strstr(text, "every 47 s +- 1.1 s"));
	free(text);
}

static void
test_nothing_yet(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();

	timeline_begin(&snapshot->timeline, 0);
	assert_drawn(snapshot,
	    &(struct frame){.where = WHERE, .columns = 80, .hint = "q quits"},
	    "leakproxy top   127.0.0.1:9901   02:03:04Z   watched 31 s   q "
	    "quits\n"
	    "No leaks.   0 held now, 0 undrained\n"
	    "connections  0 accepted\n"
	    "exchanges    0 in all\n"
	    "held         | | 0 now, at most 0 in 31 s\n");
}

/* Why nobody is named comes as text. */
static void
test_a_note_on_suspects(void **state)
{
	struct snapshot *snapshot = story();
	char *text;

	snapshot->leaks[0].suspect =
	    (struct suspect){.outcome = SUSPECT_TOO_FEW};
	text = draw(snapshot, &(struct frame){.where = WHERE, .columns = 120});
	assert_non_null(
	    strstr(text, "  suspect   too early to tell: it takes"));
	free(text);
}

/* ---- trouble ---- */

static void
test_the_proxy_is_gone(void **state)
{
	struct top *top = top_new();
	struct frame frame = {
	    .where = WHERE, .columns = 80, .trouble = "Nothing answers."};
	char *text = top_draw(top, &frame);

	assert_string_equal(text,
	    "leakproxy top   127.0.0.1:9901\n"
	    "Nothing answers. Asking again.\n");
	free(text);
	top_free(top);
	text = draw(fixture_leaking(), &frame);
	assert_non_null(strstr(text,
	    "\nNothing answers. Asking again. This was at 02:03:04Z:\n"
	    "1 LEAK: 12 held now"));
	free(text);
}

/* Whatever it is that answers there, it does not end us. */
static void
test_answers_of_somebody_else(void **state)
{
	static const char *const answers[][2] = {
	    {"", ""},
	    {"[]", "{}"},
	    {"{\"totals\":{}}", "{\"bins\":7}"},
	    {"{\"totals\":[]}", "{\"bins\":[]}"},
	    {"<html>", "{\"bins\":[]}"},
	};
	struct top *top = read_snapshot(fixture_leaking());

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++)
		assert_false(top_read(top, answers[i]));
	assert_int_equal(top_count(top), 1);
	top_free(top);
}

/* An older or a newer leakproxy, or somebody's joke. */
static void
test_fields_of_other_types(void **state)
{
	const char *const answers[] = {
	    "{\"since\":7,\"seconds\":1e300,\"totals\":{\"held_now\":-1},"
	    "\"leaks\":[{},7,{\"undrained\":1,\"tags\":{\"\":\"\",\"a\":1},"
	    "\"callers\":[{\"pid\":\"x\",\"fds\":[\"y\",3]},null],"
	    "\"rhythm\":[],\"suspect\":{\"mark\":\"\",\"phase\":\"x\"}}]}",
	    "{\"bin_s\":-1,\"bins\":[{\"held\":\"x\"},7]}"};
	struct top *top = top_new();
	char *text;

	assert_true(top_read(top, answers));
	text = top_draw(top, &(struct frame){.where = WHERE, .columns = 80});
	assert_non_null(strstr(text, "1 LEAK: 0 held now, 0 undrained\n"));
	assert_non_null(strstr(text, "LEAK 3   0 held now, 1 undrained\n"));
	free(text);
	top_free(top);
}

static void
test_a_fraction_without_end(void **state)
{
	const char *const answers[] = {
	    "{\"since\":\"2026-11-24T02:02:33.9223372036854775807Z\","
	    "\"seconds\":31,\"totals\":{},\"leaks\":[]}",
	    "{\"bins\":[]}"};
	struct top *top = top_new();
	char *text;

	assert_true(top_read(top, answers));
	text = top_draw(top, &(struct frame){.where = WHERE, .columns = 80});
	assert_non_null(strstr(text, "02:03:04Z   watched 31 s"));
	free(text);
	top_free(top);
}

/* ---- sizes ---- */

static void
assert_fits(const char *text, const struct frame *frame)
{
	char *copy = xstrdup(text);
	char *rest = copy;
	unsigned lines = 0;

	for (; *rest != '\0'; lines++) {
		const char *line = strsep(&rest, "\n");

		if (text_columns(line) > frame->columns)
			fail_msg("%u columns: %s", frame->columns, line);
	}
	if (frame->rows > 0 && lines > frame->rows)
		fail_msg("%u lines in %u: %s", lines, frame->rows, text);
	free(copy);
}

static void
test_every_size_fits(void **state)
{
	struct top *top = read_snapshot(story());

	for (unsigned columns = 1; columns <= 240; columns++) {
		struct frame frame = {.where = WHERE,
		    .columns = columns,
		    .rows = columns % 30 + 1,
		    .is_ascii = columns % 2 == 0};
		char *text = top_draw(top, &frame);

		assert_fits(text, &frame);
		free(text);
	}
	top_free(top);
}

static void
test_what_does_not_fit_is_said(void **state)
{
	assert_drawn(story(),
	    &(struct frame){.where = WHERE, .columns = 80, .rows = 6},
	    HEAD "... 11 more lines\n");
}

static void
test_scrolling(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	char *text;

	fixture_add_leak(snapshot)->status = 500;
	text = draw(snapshot,
	    &(struct frame){.where = WHERE, .columns = 80, .skipped = 1});
	assert_null(strstr(text, "status 404"));
	assert_non_null(strstr(text, "LEAK 2   12 held now"));
	assert_non_null(strstr(text, "2 LEAKS:"));
	free(text);
}

/* ---- strangers' bytes ---- */

static void
test_terminal_is_safe(void **state)
{
	static const char text[] = "a\x1b[31m\n\t\x7f\xc2\x9b"
				   "b\xe2\x80\xae\xe2\x81\xa6\xff";
	struct frame frame = {.where = WHERE, .columns = 80};
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];
	char *got;

	fixture_set(&leak->origin, text);
	fixture_set(&leak->method, text);
	fixture_set(&leak->route, text);
	fixture_set(&leak->tags.items[0].value, "\xe2\x80\xae");
	fixture_set(&leak->callers[0].user_agent, text);
	fixture_set(&leak->callers[0].command, text);
	fixture_set(&leak->callers[0].command_line, "a \x1b[2J");
	got = draw(snapshot, &frame);
	for (const char *c = got; *c != '\0'; c++)
		assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
	assert_null(strchr(got, 0x7f));
	assert_null(strstr(got, "\xc2\x9b"));
	assert_null(strstr(got, "\xe2\x80\xae"));
	assert_non_null(strstr(got, "job=\\u202e"));
	assert_fits(got, &frame);
	free(got);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_leak),
	    cmocka_unit_test(test_ascii),
	    cmocka_unit_test(test_nothing_yet),
	    cmocka_unit_test(test_a_note_on_suspects),
	    cmocka_unit_test(test_the_proxy_is_gone),
	    cmocka_unit_test(test_answers_of_somebody_else),
	    cmocka_unit_test(test_fields_of_other_types),
	    cmocka_unit_test(test_a_fraction_without_end),
	    cmocka_unit_test(test_every_size_fits),
	    cmocka_unit_test(test_what_does_not_fit_is_said),
	    cmocka_unit_test(test_scrolling),
	    cmocka_unit_test(test_terminal_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
