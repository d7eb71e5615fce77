/* SPDX-License-Identifier: MIT */

/*
 * The metrics: counters that never fall, series that are there once however
 * callers name their tags, and a text that each format's reader accepts.
 */

#include "admin/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/admin_fixture.h"

/* Takes the snapshot. */
static char *
render(struct snapshot *snapshot, enum metrics_format format)
{
	char *text = metrics_text(snapshot, format);

	snapshot_free(snapshot);
	return text;
}

static void
assert_line(const char *text, const char *line)
{
	char *whole = xasprintf("\n%s\n", line);

	if (strstr(text, whole) == NULL)
		fail_msg("no line \"%s\" in:\n%s", line, text);
	free(whole);
}

static size_t
count_lines(const char *text, const char *start)
{
	size_t count = strncmp(text, start, strlen(start)) == 0;

	for (const char *at = text; (at = strchr(at, '\n')) != NULL;) {
		at++;
		count += strncmp(at, start, strlen(start)) == 0;
	}
	return count;
}

/* Each family is declared once, its samples follow, and no sample is there
 * twice. */
static void
assert_sound(const char *text)
{
	char *copy = xstrdup(text);
	char *rest = copy;
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		char *series = xstrndup(line,
		    strcspn(line, "#") == 0
			? strlen(line)
			: (size_t)(strrchr(line, ' ') - line + 1));

		if (count_lines(text, series) != 1)
			fail_msg("more than once: %s", series);
		free(series);
	}
	free(copy);
}

static void
test_text_format(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	char *text;

	snapshot->counters.connections = 15;
	snapshot->counters.client_sent_bytes = 123;
	snapshot->counters.client_handshakes_refused = 2;
	snapshot->gauges.upstream_idle = 4;
	text = render(snapshot, METRICS_TEXT);
	assert_line(text,
	    "# TYPE leakproxy_connections_total counter\n"
	    "leakproxy_connections_total 15");
	assert_line(text,
	    "# HELP leakproxy_bytes_total Bytes on the wire.\n"
	    "# TYPE leakproxy_bytes_total counter");
	assert_line(text,
	    "leakproxy_bytes_total{side=\"client\",direction=\"sent\"} 123");
	assert_line(text,
	    "leakproxy_tls_handshakes_total{side=\"client\","
	    "result=\"refused\"} 2");
	assert_line(text,
	    "# TYPE leakproxy_connections gauge\n"
	    "leakproxy_connections{side=\"client\","
	    "state=\"active\"} 1");
	assert_line(text,
	    "leakproxy_connections{side=\"client\",state=\"watched\"} 12");
	assert_line(
	    text, "leakproxy_connections{side=\"upstream\",state=\"idle\"} 4");
	assert_line(text,
	    "# TYPE leakproxy_build_info gauge\n"
	    "leakproxy_build_info{version=\"" LEAKPROXY_VERSION "\"} 1");
	assert_null(strstr(text, "# EOF"));
	assert_sound(text);
	free(text);
}

static void
test_openmetrics_format(void **state)
{
	char *text = render(fixture_leaking(), METRICS_OPENMETRICS);
	size_t length = strlen(text);

	assert_line(text, "# TYPE leakproxy_bytes counter");
	assert_line(text, "# TYPE leakproxy_exchanges counter");
	assert_line(text, "leakproxy_exchanges_total{verdict=\"drained\"} 40");
	assert_line(text, "# TYPE process_cpu_seconds counter");
	assert_line(
	    text, "leakproxy_build_info{version=\"" LEAKPROXY_VERSION "\"} 1");
	assert_non_null(strstr(text, "# TYPE leakproxy_build info\n"));
	/* The gauge has the family's name; the counter cannot have it too. */
	assert_line(text, "# TYPE leakproxy_connections gauge");
	assert_line(text, "# TYPE leakproxy_connections_total unknown");
	assert_string_equal(text + length - 6, "# EOF\n");
	assert_sound(text);
	free(text);
}

/* Without a bound there is nothing to come near to. */
static void
test_limit_of_connections(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();
	char *text;

	snapshot->max_connections = 1000;
	text = render(snapshot, METRICS_OPENMETRICS);
	assert_line(text,
	    "# TYPE leakproxy_connections_limit gauge\n"
	    "leakproxy_connections_limit 1000");
	assert_sound(text);
	free(text);
	text = render(fixture_snapshot(), METRICS_TEXT);
	assert_int_equal(count_lines(text, "leakproxy_connections_limit"), 0);
	free(text);
}

/* A recovered leak takes one from the verdict, and nothing from the total. */
static void
test_totals_never_fall(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	char *text;

	snapshot->totals.by_verdict[VERDICT_UNDRAINED] = 11;
	snapshot->totals.by_verdict[VERDICT_OPEN] = 2;
	snapshot->totals.recovered = 1;
	text = render(snapshot, METRICS_TEXT);
	assert_line(
	    text, "leakproxy_exchanges_total{verdict=\"undrained\"} 12");
	assert_line(text, "leakproxy_exchanges_total{verdict=\"drained\"} 40");
	assert_line(text, "leakproxy_exchanges_total{verdict=\"none\"} 2");
	assert_int_equal(count_lines(text, "leakproxy_exchanges_total{"), 5);
	assert_line(
	    text, "leakproxy_exchange_verdicts{verdict=\"undrained\"} 11");
	assert_line(text, "leakproxy_exchange_verdicts{verdict=\"open\"} 2");
	assert_int_equal(count_lines(text, "leakproxy_exchange_verdicts{"), 7);
	free(text);
}

/* ---- responses held ---- */

static void
test_held_has_a_series_a_leak(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = fixture_add_leak(snapshot);
	char *text;

	leak->held_now = 0;
	tags_fini(&leak->tags);
	fixture_tag(&leak->tags, "user", "x");
	text = render(snapshot, METRICS_TEXT);
	assert_line(text,
	    "leakproxy_responses_held{origin=\"https://registry.test:5000\","
	    "route=\"/v2/{}/manifests/{}\",status=\"404\",method=\"GET\","
	    "job=\"imagecheck\",user=\"\"} 12");
	assert_line(text,
	    "leakproxy_responses_held{origin=\"https://registry.test:5000\","
	    "route=\"/v2/{}/manifests/{}\",status=\"404\",method=\"GET\","
	    "job=\"\",user=\"x\"} 0");
	free(text);
}

static void
test_held_without_leaks(void **state)
{
	char *text = render(fixture_snapshot(), METRICS_TEXT);

	assert_line(text, "# TYPE leakproxy_responses_held gauge");
	assert_int_equal(count_lines(text, "leakproxy_responses_held{"), 0);
	assert_sound(text);
	free(text);
}

static void
test_held_is_bounded(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();
	char *text;

	for (int i = 0; i < 60; i++) {
		struct leak *leak = fixture_add_leak(snapshot);

		leak->status = 400 + i;
		leak->held_now = (uint64_t)i + 1;
	}
	text = render(snapshot, METRICS_TEXT);
	assert_int_equal(count_lines(text, "leakproxy_responses_held{"), 51);
	/* The ten smallest: 1 + ... + 10. */
	assert_line(text,
	    "leakproxy_responses_held{origin=\"other\","
	    "route=\"\",status=\"\",method=\"\",job=\"\"} 55");
	assert_non_null(strstr(text, "status=\"410\""));
	assert_null(strstr(text, "status=\"409\""));
	assert_sound(text);
	free(text);
}

static void
test_tag_keys_become_label_names(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct tags *tags = &snapshot->leaks[0].tags;
	char *text;

	fixture_tag(tags, "*star", "1");
	fixture_tag(tags, "**", "2");
	fixture_tag(tags, "9lives", "3");
	fixture_tag(tags, "a-b", "4");
	fixture_tag(tags, "a.b", "5");
	fixture_tag(tags, "a_b", "6");
	fixture_tag(tags, "origin", "7");
	fixture_tag(tags, "tag_origin", "8");
	fixture_tag(tags, "\xc3\xa9\"}\n", "9");
	text = render(snapshot, METRICS_TEXT);
	assert_line(text,
	    "leakproxy_responses_held{origin=\"https://registry.test:5000\","
	    "route=\"/v2/{}/manifests/{}\",status=\"404\",method=\"GET\","
	    "tag___=\"2\",_star=\"1\",tag_9lives=\"3\",a_b=\"4\","
	    "tag_a_b=\"5\",tag_a_b_2=\"6\",job=\"imagecheck\","
	    "tag_origin=\"7\",tag_tag_origin=\"8\",tag______=\"9\"} 12");
	assert_sound(text);
	free(text);
}

static void
test_tag_keys_are_bounded(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();
	char *text;
	const char *line;
	size_t labels = 0;

	for (int i = 0; i < 40; i++) {
		struct leak *leak = fixture_add_leak(snapshot);
		char *key = xasprintf("key%d", i);

		fixture_set(&leak->tags.items[0].key, key);
		leak->held_now = 100 - (uint64_t)i;
		free(key);
	}
	text = render(snapshot, METRICS_TEXT);
	line = strstr(text, "\nleakproxy_responses_held{") + 1;
	for (; *line != '\n'; line++)
		labels += *line == '=';
	assert_int_equal(labels, 4 + 16);
	/* Those whose key has no label any more are one: 84 + ... + 61. */
	assert_int_equal(count_lines(text, "leakproxy_responses_held{"), 17);
	assert_non_null(strstr(text, "key15=\"\"} 1740\n"));
	assert_sound(text);
	free(text);
}

static void
test_label_values_are_escaped(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	char *text;

	fixture_set(&snapshot->leaks[0].tags.items[0].value, "a\"b\\c\nd\xff");
	text = render(snapshot, METRICS_TEXT);
	assert_non_null(
	    strstr(text, ",job=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 12\n"));
	free(text);
}

/* A series that is there twice costs the whole scrape. */
static void
test_values_that_become_the_same_are_summed(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = fixture_add_leak(snapshot);
	char *text;

	fixture_set(&snapshot->leaks[0].tags.items[0].value, "\xfe");
	fixture_set(&leak->tags.items[0].value, "\xff");
	leak->held_now = 5;
	text = render(snapshot, METRICS_TEXT);
	assert_int_equal(count_lines(text, "leakproxy_responses_held{"), 1);
	assert_non_null(strstr(text, ",job=\"\xef\xbf\xbd\"} 17\n"));
	free(text);
}

static void
test_long_values_are_cut_between_characters(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	char *value = xcalloc(1, 8193);
	const char *at;
	char *text;

	for (size_t i = 0; i < 8190; i += 3)
		memcpy(value + i, "\xe2\x82\xac", 3);
	fixture_set(&snapshot->leaks[0].tags.items[0].value, value);
	text = render(snapshot, METRICS_TEXT);
	at = strstr(text, ",job=\"");
	assert_non_null(at);
	assert_int_equal(strcspn(at + 6, "\""), 255);
	free(text);
	free(value);
}

/* ---- this process, and formats ---- */

static void
test_process_metrics_are_plausible(void **state)
{
	char *text = render(fixture_snapshot(), METRICS_TEXT);
	const char *start;

	assert_int_equal(count_lines(text, "process_cpu_seconds_total "), 1);
	assert_int_equal(count_lines(text, "process_open_fds "), 1);
	assert_int_equal(count_lines(text, "process_max_fds "), 1);
	start = strstr(text, "\nprocess_resident_memory_bytes ");
	assert_non_null(start);
	assert_true(strtod(strchr(start, ' '), NULL) > 100000);
	start = strstr(text, "\nprocess_start_time_seconds ");
	assert_non_null(start);
	/* Within the last hour, give or take the kernel's idea of the boot. */
	assert_true(
	    strtod(strchr(start, ' '), NULL) > (double)time(NULL) - 3600);
	assert_true(strtod(strchr(start, ' '), NULL) < (double)time(NULL) + 60);
	free(text);
}

static void
test_negotiation(void **state)
{
	static const struct {
		const char *accept;
		enum metrics_format format;
	} cases[] = {
	    {NULL, METRICS_TEXT},
	    {"", METRICS_TEXT},
	    {"*/*", METRICS_TEXT},
	    {"text/html,*/*;q=0.8", METRICS_TEXT},
	    {"application/openmetrics-text", METRICS_OPENMETRICS},
	    {"application/openmetrics-text;version=1.0.0,text/plain;"
	     "version=0.0.4;q=0.5,*/*;q=0.1",
		METRICS_OPENMETRICS},
	    {"text/plain;version=0.0.4;q=0.3, "
	     "Application/OpenMetrics-Text; version=1.0.0; q=0.5",
		METRICS_OPENMETRICS},
	    {"application/openmetrics-text;q=0.2,text/plain;q=0.9",
		METRICS_TEXT},
	    {"application/openmetrics-text;q=0", METRICS_TEXT},
	    {"application/openmetrics-textile", METRICS_TEXT},
	    {", ,", METRICS_TEXT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
		    metrics_negotiate(cases[i].accept), cases[i].format);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text_format),
	    cmocka_unit_test(test_openmetrics_format),
	    cmocka_unit_test(test_limit_of_connections),
	    cmocka_unit_test(test_totals_never_fall),
	    cmocka_unit_test(test_held_has_a_series_a_leak),
	    cmocka_unit_test(test_held_without_leaks),
	    cmocka_unit_test(test_held_is_bounded),
	    cmocka_unit_test(test_tag_keys_become_label_names),
	    cmocka_unit_test(test_tag_keys_are_bounded),
	    cmocka_unit_test(test_label_values_are_escaped),
	    cmocka_unit_test(test_values_that_become_the_same_are_summed),
	    cmocka_unit_test(test_long_values_are_cut_between_characters),
	    cmocka_unit_test(test_process_metrics_are_plausible),
	    cmocka_unit_test(test_negotiation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
