/* SPDX-License-Identifier: MIT */

/*
 * The JSON: its names are a contract with tools, so they are pinned, all of
 * them and in their types; what is not known is null; and no byte that a
 * caller sends makes a field, or the document, disappear.
 */

#include "admin/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/admin_fixture.h"

/* Takes text and snapshot. */
static json_t *
parse(char *text, struct snapshot *snapshot)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (json == NULL)
		fail_msg("%s in:\n%s", error.text, text);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	snapshot_free(snapshot);
	return json;
}

/* The object has these names in this order, and no other. */
static void
assert_names(json_t *object, const char *names)
{
	char *got = xstrdup("");
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		char *longer =
		    xasprintf("%s%s%s", got, *got == '\0' ? "" : " ", key);

		free(got);
		got = longer;
	}
	assert_string_equal(got, names);
	free(got);
}

/* The value prints as `text`. */
static void
assert_value(json_t *object, const char *key, const char *text)
{
	json_t *value = json_object_get(object, key);
	char *got;

	assert_non_null(value);
	got = json_dumps(
	    value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (strcmp(got, text) != 0)
		fail_msg("%s is %s, not %s", key, got, text);
	free(got);
}

struct expected {
	const char *key;
	const char *text;
};

static void
assert_values(json_t *object, const struct expected *expected, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_value(object, expected[i].key, expected[i].text);
}

#define ASSERT_VALUES(object, list) \
	assert_values(object, list, sizeof(list) / sizeof(*(list)))

/* Takes the snapshot. */
static json_t *
first_leak(struct snapshot *snapshot)
{
	json_t *json = parse(api_leaks(snapshot), snapshot);
	json_t *leak =
	    json_incref(json_array_get(json_object_get(json, "leaks"), 0));

	json_decref(json);
	return leak;
}

/* ---- leaks ---- */

static void
test_leaks_frame_and_totals(void **state)
{
	static const struct expected totals[] = {
	    {"connections", "15"},
	    {"exchanges", "55"},
	    {"none", "2"},
	    {"open", "1"},
	    {"drained", "40"},
	    {"undrained", "12"},
	    {"suspected", "0"},
	    {"abandoned", "0"},
	    {"unproven", "0"},
	    {"recovered", "3"},
	    {"held_now", "12"},
	};
	struct snapshot *snapshot = fixture_leaking();
	json_t *json;

	snapshot->totals.recovered = 3;
	json = parse(api_leaks(snapshot), snapshot);
	assert_names(
	    json, "since seconds totals pprof left_out total offset leaks");
	assert_value(json, "since", "\"2026-11-24T02:02:33.567Z\"");
	assert_value(json, "seconds", "31.0");
	assert_names(json_object_get(json, "totals"),
	    "connections exchanges none open drained undrained suspected "
	    "abandoned unproven recovered held_now");
	ASSERT_VALUES(json_object_get(json, "totals"), totals);
	assert_int_equal(json_array_size(json_object_get(json, "leaks")), 1);
	json_decref(json);
}

static void
test_leak(void **state)
{
	static const struct expected expected[] = {
	    {"id", "\"00c0ffee00c0ffee\""},
	    {"origin", "\"https://registry.test:5000\""},
	    {"method", "\"GET\""},
	    {"route", "\"/v2/{}/manifests/{}\""},
	    {"status", "404"},
	    {"tags", "{\"job\":\"imagecheck\"}"},
	    {"undrained", "12"},
	    {"suspected", "0"},
	    {"held_now", "12"},
	    {"held_bytes", "1884"},
	    {"per_hour", "1393.548387097"},
	    {"first_seen", "\"2026-11-24T02:02:34.567Z\""},
	    {"last_seen", "\"2026-11-24T02:03:02.567Z\""},
	    {"evidence", "{\"unread\":10,\"close\":2}"},
	    {"release", "null"},
	    {"rhythm", "null"},
	    {"suspect", "null"},
	    {"callers",
		"[{\"peer\":\"127.0.0.1\",\"pid\":4242,\"command\":\"demo\","
		"\"command_line\":null,\"container\":null,"
		"\"fds\":[43,37,41],\"user_agent\":\"Go-http-client/1.1\"}]"},
	    {"example",
		"{\"exchange\":\"c17x3\",\"url\":\"" FIXTURE_URL "\","
		"\"body_bytes\":157,\"delivered_bytes\":157,"
		"\"unread_bytes\":157}"},
	};
	json_t *leak = first_leak(fixture_leaking());

	assert_names(leak,
	    "id origin method route status tags undrained suspected held_now "
	    "held_to_exit "
	    "held_bytes per_hour first_seen last_seen evidence release rhythm "
	    "suspect suspect_note callers example");
	ASSERT_VALUES(leak, expected);
	json_decref(leak);
}

static void
test_leak_with_a_rhythm_and_a_suspect(void **state)
{
	static const struct expected expected[] = {
	    {"rhythm",
		"{\"period_s\":2820.0,\"jitter_s\":9.0,\"bursts\":12,"
		"\"load_correlation\":0.02,\"follows_load\":false,"
		"\"slope_per_hour\":12.0,"
		"\"slope_low\":6.5,\"slope_high\":21.0}"},
	    {"suspect",
		"{\"mark\":\"imagecheck\",\"phase\":\"start\","
		"\"bursts_explained\":12,\"bursts\":12,"
		"\"chance\":0.04}"},
	    {"suspect_note", "null"},
	};
	struct snapshot *snapshot = fixture_leaking();
	json_t *leak;

	snapshot->leaks[0].rhythm = (struct rhythm){.bursts = 12,
	    .period = {.period_s = 2820, .jitter_s = 9},
	    .has_correlation = true,
	    .load_correlation = 0.02,
	    .has_slope = true,
	    .slope_per_hour = 12,
	    .slope_low = 6.5,
	    .slope_high = 21};
	snapshot->leaks[0].suspect = (struct suspect){.outcome = SUSPECT_NAMED,
	    .mark = "imagecheck",
	    .phase = MARK_START,
	    .bursts_explained = 12,
	    .bursts = 12,
	    .chance = 0.04};
	leak = first_leak(snapshot);
	ASSERT_VALUES(leak, expected);
	json_decref(leak);
}

static void
test_leak_of_unknown_rhythm(void **state)
{
	static const struct expected expected[] = {
	    {"rhythm",
		"{\"period_s\":null,\"jitter_s\":null,\"bursts\":1,"
		"\"load_correlation\":null,\"follows_load\":null,"
		"\"slope_per_hour\":null,"
		"\"slope_low\":null,\"slope_high\":null}"},
	    {"suspect", "null"},
	    {"suspect_note",
		"\"cannot tell gc from sync: they run in step; "
		"give the jobs intervals without a common factor (as 47, 53, "
		"59 and 67 s) and watch again\""},
	};
	struct snapshot *snapshot = fixture_leaking();
	json_t *leak;

	snapshot->leaks[0].rhythm = (struct rhythm){.bursts = 1};
	snapshot->leaks[0].suspect = (struct suspect){.outcome = SUSPECT_ALIKE,
	    .mark = "gc",
	    .rivals = {"sync"},
	    .rival_count = 1};
	leak = first_leak(snapshot);
	ASSERT_VALUES(leak, expected);
	json_decref(leak);
}

static void
test_leak_with_a_deadline(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak_releases *releases = &snapshot->leaks[0].releases;
	json_t *leak;

	releases->count = 3;
	releases->sum_s = 90;
	releases->sum_squares_s = 2700;
	leak = first_leak(snapshot);
	assert_value(leak, "release", "{\"kind\":\"deadline\",\"age_s\":30.0}");
	json_decref(leak);
}

static void
test_leak_of_which_little_is_known(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	struct leak *leak = &snapshot->leaks[0];
	json_t *json;

	snapshot->seconds_us = 0;
	tags_fini(&leak->tags);
	leak->callers[0].pid = -1;
	leak->callers[0].fd_count = 0;
	fixture_set(&leak->callers[0].command, NULL);
	fixture_set(&leak->callers[0].user_agent, NULL);
	leak->example->facts.unread_bytes = -1;
	json = first_leak(snapshot);
	assert_value(json, "per_hour", "null");
	assert_value(json, "tags", "{}");
	assert_value(json, "callers",
	    "[{\"peer\":\"127.0.0.1\",\"pid\":null,\"command\":null,"
	    "\"command_line\":null,\"container\":null,"
	    "\"fds\":[],\"user_agent\":null}]");
	assert_value(json_object_get(json, "example"), "unread_bytes", "null");
	json_decref(json);

	snapshot = fixture_leaking();
	leak = &snapshot->leaks[0];
	record_fini_exchange(leak->example);
	free(leak->example);
	leak->example = NULL;
	json = first_leak(snapshot);
	assert_value(json, "example", "null");
	json_decref(json);
}

/* ---- exchanges ---- */

/* Takes the snapshot, which has one exchange. */
static json_t *
only_exchange(struct snapshot *snapshot)
{
	return parse(api_exchange(&snapshot->exchanges[0]), snapshot);
}

static void
test_exchange(void **state)
{
	static const struct expected expected[] = {
	    {"id", "\"c17x3\""},
	    {"connection", "\"c17\""},
	    {"method", "\"GET\""},
	    {"url", "\"" FIXTURE_URL "\""},
	    {"origin", "\"https://registry.test:5000\""},
	    {"route", "\"/v2/{}/manifests/{}\""},
	    {"status", "404"},
	    {"tags", "{\"job\":\"imagecheck\"}"},
	    {"verdict", "\"undrained\""},
	    {"evidence", "\"unread\""},
	    {"witness", "null"},
	    {"held", "true"},
	    {"began_at", "\"2026-11-24T02:02:44.567Z\""},
	    {"first_byte_s", "0.0015"},
	    {"duration_s", "0.0025"},
	    {"age_s", "20.0"},
	    {"request_body_bytes", "0"},
	    {"body_bytes", "157"},
	    {"delivered_bytes", "157"},
	    {"unread_bytes", "157"},
	    {"user_agent", "\"Go-http-client/1.1\""},
	    {"traceparent", "null"},
	    {"client_address", "\"127.0.0.1:41234\""},
	    {"pid", "4242"},
	    {"command", "\"demo\""},
	    {"fd", "37"},
	    {"uid", "1000"},
	    {"error", "null"},
	    {"escalated", "false"},
	    {"meaning",
		"\"proven held: never read to the end, never closed; seen: "
		"the body lies unread in the caller's socket\""},
	};
	struct snapshot *snapshot = fixture_snapshot();
	json_t *json;

	fixture_add_exchange(snapshot);
	json = only_exchange(snapshot);
	assert_names(json,
	    "id connection method url origin route status tags verdict "
	    "evidence witness held began_at first_byte_s duration_s age_s "
	    "request_body_bytes body_bytes delivered_bytes unread_bytes "
	    "user_agent traceparent client_address pid command "
	    "command_line container fd uid error "
	    "escalated meaning");
	ASSERT_VALUES(json, expected);
	json_decref(json);
}

static void
test_exchange_without_a_response(void **state)
{
	static const struct expected expected[] = {
	    {"route", "null"},
	    {"status", "null"},
	    {"verdict", "\"open\""},
	    {"evidence", "null"},
	    {"first_byte_s", "null"},
	    {"duration_s", "null"},
	    {"age_s", "null"},
	    {"unread_bytes", "null"},
	    {"pid", "null"},
	    {"command", "null"},
	    {"fd", "null"},
	    {"uid", "null"},
	    {"meaning", "\"still flowing, or nothing proven yet\""},
	};
	struct snapshot *snapshot = fixture_snapshot();
	struct exchange_record *x = fixture_add_exchange(snapshot);
	json_t *json;

	x->status = 0;
	x->first_byte_us = -1;
	x->duration_us = -1;
	x->judgement =
	    (struct judgement){VERDICT_OPEN, EVIDENCE_NOTHING, WITNESS_NONE};
	x->facts.unread_bytes = -1;
	fixture_set(&x->route, NULL);
	owner_unref(&x->owner);
	json = only_exchange(snapshot);
	ASSERT_VALUES(json, expected);
	json_decref(json);
}

static void
test_witnesses(void **state)
{
	static const char *const words[] = {
	    [WITNESS_NONE] = "null",
	    [WITNESS_UNREAD] = "\"unread\"",
	    [WITNESS_WATCHER] = "\"watcher\"",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		struct snapshot *snapshot = fixture_snapshot();
		struct exchange_record *x = fixture_add_exchange(snapshot);
		json_t *json;

		x->judgement.witness = (enum witness)i;
		json = only_exchange(snapshot);
		assert_value(json, "witness", words[i]);
		json_decref(json);
	}
}

static void
test_exchanges_and_their_limit(void **state)
{
	for (size_t limit = 1; limit <= 3; limit++) {
		const struct view view = {.query.page.limit = limit};
		struct snapshot *snapshot = fixture_snapshot();
		json_t *json;
		json_t *list;

		fixture_add_exchange(snapshot);
		fixture_add_exchange(snapshot)->ordinal = 4;
		snapshot_seal(snapshot, &view.query);
		json = parse(api_exchanges(snapshot, &view), snapshot);
		list = json_object_get(json, "exchanges");
		assert_names(json, "since seconds more total offset exchanges");
		assert_value(json, "total", "2");
		assert_value(json, "more", limit < 2 ? "true" : "false");
		assert_int_equal(json_array_size(list), limit < 2 ? limit : 2);
		assert_value(json_array_get(list, 0), "id", "\"c17x4\"");
		json_decref(json);
	}
}

/* A page that begins late is of the same list. */
static void
test_leaks_total_is_of_all_pages(void **state)
{
	for (size_t offset = 0; offset <= 2; offset++) {
		const struct view view = {.query.page.offset = offset};
		struct snapshot *snapshot = fixture_leaking();
		json_t *json;

		snapshot_seal(snapshot, &view.query);
		json = parse(api_leaks_beside(snapshot, NULL, &view), snapshot);
		assert_value(json, "total", "1");
		assert_int_equal(
		    json_array_size(json_object_get(json, "leaks")),
		    offset == 0 ? 1 : 0);
		json_decref(json);
	}
}

/* ---- connections ---- */

static void
test_connection(void **state)
{
	static const struct expected expected[] = {
	    {"id", "\"c18446744073709551615\""},
	    {"client_address", "\"127.0.0.1:41234\""},
	    {"local", "true"},
	    {"transport", "\"intercepted\""},
	    {"redirected", "false"},
	    {"target", "\"registry.test:5000\""},
	    {"origin", "null"},
	    {"state", "\"idle\""},
	    {"close_reason", "null"},
	    {"tags", "{\"job\":\"imagecheck\"}"},
	    {"exchanges", "3"},
	    {"received_bytes", "1024"},
	    {"sent_bytes", "2048"},
	    {"opened_at", "\"2026-11-24T02:02:39.567Z\""},
	    {"closed_at", "null"},
	    {"age_s", "25.0"},
	    {"user_agent", "\"Go-http-client/1.1\""},
	    {"tls_version", "\"TLSv1.3\""},
	    {"tls_fingerprint", "null"},
	    {"trust_refused", "null"},
	    {"pid", "4242"},
	    {"command", "\"demo\""},
	    {"fd", "37"},
	    {"uid", "1000"},
	};
	const struct view view = {.query.page.limit = 10};
	struct snapshot *snapshot = fixture_snapshot();
	json_t *json;
	json_t *conn;

	fixture_add_conn(snapshot, UINT64_MAX);
	json = parse(api_connections(snapshot, &view), snapshot);
	assert_names(json, "since seconds more total offset connections");
	conn = json_array_get(json_object_get(json, "connections"), 0);
	assert_names(conn,
	    "id client_address local transport redirected target origin state "
	    "close_reason "
	    "tags exchanges received_bytes sent_bytes opened_at closed_at "
	    "age_s user_agent tls_version tls_fingerprint trust_refused pid "
	    "command command_line container fd uid");
	ASSERT_VALUES(conn, expected);
	json_decref(json);
}

static void
test_closed_connection(void **state)
{
	const struct view view = {.query.page.limit = 10};
	struct snapshot *snapshot = fixture_snapshot();
	struct conn_record *record = fixture_add_conn(snapshot, 1);
	json_t *json;
	json_t *conn;

	record->state = CONN_CLOSED;
	record->close_reason = CLOSE_PROBE_ANSWERED;
	record->closed_at = FIXTURE_NOW;
	fixture_set(&record->trust_refused, "unknown_ca");
	json = parse(api_connections(snapshot, &view), snapshot);
	conn = json_array_get(json_object_get(json, "connections"), 0);
	assert_value(conn, "state", "\"closed\"");
	assert_value(conn, "close_reason", "\"probe-answered\"");
	assert_value(conn, "closed_at", "\"2026-11-24T02:03:04.567Z\"");
	assert_value(conn, "trust_refused", "\"unknown_ca\"");
	json_decref(json);
}

static void
test_connections_newest_first(void **state)
{
	const struct view view = {.query.page.limit = 2};
	struct snapshot *snapshot = fixture_snapshot();
	json_t *json;
	json_t *list;

	for (uint64_t id = 1; id <= 5; id++)
		fixture_add_conn(snapshot, id);
	snapshot_seal(snapshot, &view.query);
	json = parse(api_connections(snapshot, &view), snapshot);
	list = json_object_get(json, "connections");
	assert_value(json, "more", "true");
	assert_value(json, "total", "5");
	assert_int_equal(json_array_size(list), 2);
	assert_value(json_array_get(list, 0), "id", "\"c5\"");
	assert_value(json_array_get(list, 1), "id", "\"c4\"");
	json_decref(json);
}

/* ---- strangers' bytes ---- */

static void
test_hostile_strings(void **state)
{
	static const char *const texts[] = {"\xff", "a\xc3", "\xed\xa0\x80",
	    "\x01\x1b[2J\"\\\n</script>", "\xf4\x90\x80\x80"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct snapshot *snapshot = fixture_snapshot();
		struct exchange_record *x = fixture_add_exchange(snapshot);
		json_t *json;

		fixture_set(&x->url, texts[i]);
		fixture_set(&x->method, texts[i]);
		fixture_set(&x->user_agent, texts[i]);
		fixture_rename(x->owner, texts[i]);
		fixture_set(&x->tags.items[0].key, texts[i]);
		fixture_set(&x->tags.items[0].value, texts[i]);
		json = only_exchange(snapshot);
		assert_true(json_is_string(json_object_get(json, "url")));
		assert_true(json_is_string(json_object_get(json, "command")));
		assert_int_equal(
		    json_object_size(json_object_get(json, "tags")), 1);
		if (i == 0)
			assert_value(json, "url", "\"\xef\xbf\xbd\"");
		json_decref(json);
	}
}

static void
test_long_strings_are_kept(void **state)
{
	struct snapshot *snapshot = fixture_snapshot();
	struct exchange_record *x = fixture_add_exchange(snapshot);
	char *text = xcalloc(1, 8193);
	json_t *json;

	memset(text, 'x', 8192);
	fixture_set(&x->url, text);
	json = only_exchange(snapshot);
	assert_int_equal(
	    json_string_length(json_object_get(json, "url")), 8192);
	json_decref(json);
	free(text);
}

/* `held` more of the leak's are held since `ms` after the beginning. */
static struct leak *
add_holding(struct snapshot *snapshot, mono_us ms, int held)
{
	struct leak *leak = fixture_add_leak(snapshot);

	snprintf(leak->id, sizeof(leak->id), "%016zu", snapshot->leak_count);
	/* Another shard, which began a moment later. */
	levels_begin(&leak->held, US_PER_S + US_PER_MS);
	levels_step(&leak->held, US_PER_S + ms * US_PER_MS, held);
	return leak;
}

static void
test_timeline_by_leak(void **state)
{
	static const struct expected expected[] = {
	    {"other", "{\"bin_s\":0.1,\"values\":[2,2,2]}"},
	    {"other_leaks", "2"}};
	static const struct expected heaviest[] = {
	    {"id", "\"0000000000000002\""}, {"status", "404"},
	    {"tags", "{\"job\":\"imagecheck\"}"},
	    {"held_series", "{\"bin_s\":0.1,\"values\":[0,50,50]}"}};
	struct snapshot *snapshot = fixture_snapshot();
	json_t *json;
	json_t *by_leak;
	json_t *leaks;

	timeline_begin(&snapshot->timeline, US_PER_S);
	snapshot->taken_mono = US_PER_S + 250 * US_PER_MS;
	add_holding(snapshot, 50, 10);
	add_holding(snapshot, 150, 50);
	for (size_t i = 0; i < API_TIMELINE_LEAKS; i++)
		add_holding(snapshot, 50, i < 2 ? 1 : 20);
	json = parse(api_timeline(snapshot), snapshot);
	by_leak = json_object_get(json, "held_by_leak");
	ASSERT_VALUES(by_leak, expected);
	leaks = json_object_get(by_leak, "leaks");
	assert_int_equal(json_array_size(leaks), API_TIMELINE_LEAKS);
	ASSERT_VALUES(json_array_get(leaks, 0), heaviest);
	json_decref(json);
}

static void
test_one_leak(void **state)
{
	static const struct expected expected[] = {
	    {"id", "\"0000000000000001\""},
	    {"held_series", "{\"bin_s\":0.1,\"values\":[3]}"},
	    {"intervals_s", "[1.0,0.5]"}};
	struct snapshot *snapshot = fixture_snapshot();
	struct leak *leak = add_holding(snapshot, 50, 3);
	const struct view view = {.wants_series = true};
	json_t *json;
	json_t *listed;

	arrivals_add(&leak->arrivals, US_PER_S);
	arrivals_add(&leak->arrivals, 2 * US_PER_S);
	arrivals_add(&leak->arrivals, 5 * US_PER_S / 2);
	json = parse(api_leaks_beside(snapshot, NULL, &view), snapshot_new());
	listed = json_array_get(json_object_get(json, "leaks"), 0);
	assert_value(listed, "held_series", expected[1].text);
	json_decref(json);
	json = parse(api_leak(snapshot), snapshot);
	ASSERT_VALUES(json, expected);
	json_decref(json);
}

static void
test_health(void **state)
{
	static const struct expected expected[] = {
	    {"connections",
		"{\"client_active\":1,\"client_idle\":0,\"client_watched\":12,"
		"\"upstream_active\":0,\"upstream_idle\":0}"},
	    {"trust_refused",
		"[{\"peer\":\"127.0.0.1\",\"pid\":4242,\"command\":\"demo\","
		"\"target\":\"registry.test:5000\",\"alert\":\"unknown_ca\","
		"\"connections\":2}]"},
	    {"errors",
		"[{\"origin\":\"https://registry.test:5000\","
		"\"error\":\"dns_timeout\",\"exchanges\":2,"
		"\"last_seen\":\"2026-11-24T02:02:44.567Z\","
		"\"example\":\"c17x3\"},"
		"{\"origin\":\"https://registry.test:5000\","
		"\"error\":\"connection_refused\",\"exchanges\":1,"
		"\"last_seen\":\"2026-11-24T02:02:44.567Z\","
		"\"example\":\"c17x4\"}]"}};
	static const char *const errors[] = {
	    "dns_timeout", "connection_refused", "dns_timeout"};
	struct snapshot *snapshot = fixture_leaking();
	json_t *json;

	for (uint32_t i = 0; i < 3; i++) {
		struct exchange_record *x = fixture_add_exchange(snapshot);

		x->ordinal = 3 + i;
		fixture_set(&x->error, errors[i]);
	}
	for (uint64_t id = 1; id <= 3; id++)
		fixture_set(&fixture_add_conn(snapshot, id)->trust_refused,
		    id == 2 ? NULL : "unknown_ca");
	snapshot->counters.probes_sent = 7;
	json = parse(api_health(snapshot), snapshot);
	ASSERT_VALUES(json, expected);
	assert_value(json_object_get(json, "counters"), "probes_sent", "7");
	json_decref(json);
}

/* A caller may ask for another origin each time. */
static void
test_many_origins_that_fail(void **state)
{
	enum { ORIGINS = 20000 };
	struct snapshot *snapshot = fixture_snapshot();
	struct timespec taken;
	json_t *json;

	for (int i = 0; i < ORIGINS; i++) {
		struct exchange_record *x = fixture_add_exchange(snapshot);

		free(x->origin);
		x->origin = xasprintf("https://%d.registry.test:5000", i);
		fixture_set(&x->error, "dns_error");
	}
	json = parse(api_health(snapshot), snapshot);
	assert_int_equal(
	    json_array_size(json_object_get(json, "errors")), ORIGINS);
	json_decref(json);
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &taken), 0);
	assert_true(taken.tv_sec < 3);
}

static void
test_summary_is_one_line(void **state)
{
	struct snapshot *snapshot = fixture_leaking();
	char *text = api_summary(snapshot);
	json_t *json = json_loads(text, 0, NULL);

	assert_null(strchr(text, '\n'));
	assert_names(
	    json, "since seconds at totals connections leaks trust_refused");
	assert_value(json, "leaks", "1");
	json_decref(json);
	free(text);
	snapshot_free(snapshot);
}

/* What is held adds up over the bins; before the workers answer, there are
 * none. */
static void
test_timeline(void **state)
{
	static const struct expected expected[] = {
	    {"start", "\"2026-11-24T02:02:33.567Z\""}, {"bin_s", "0.1"},
	    {"bins",
		"[{\"requests\":2,\"undrained\":1,\"held\":0},"
		"{\"requests\":0,\"undrained\":0,\"held\":2},"
		"{\"requests\":0,\"undrained\":0,\"held\":1}]"}};
	static const struct expected nothing[] = {
	    {"start", "null"}, {"bin_s", "null"}, {"bins", "[]"}};
	struct snapshot *snapshot = fixture_snapshot();
	struct timeline *timeline = &snapshot->timeline;
	json_t *json;

	timeline_begin(timeline, US_PER_S);
	timeline_request(timeline, US_PER_S);
	timeline_request(timeline, US_PER_S + 1);
	timeline_undrained(timeline, US_PER_S, 1);
	timeline_held(timeline, US_PER_S + 150 * US_PER_MS, 1);
	timeline_held(timeline, US_PER_S + 160 * US_PER_MS, 1);
	timeline_held(timeline, US_PER_S + 250 * US_PER_MS, -1);
	snapshot->taken_mono = US_PER_S + 250 * US_PER_MS;
	json = parse(api_timeline(snapshot), snapshot);
	assert_names(json, "since seconds start bin_s bins held_by_leak");
	ASSERT_VALUES(json, expected);
	json_decref(json);
	snapshot = fixture_snapshot();
	json = parse(api_timeline(snapshot), snapshot);
	ASSERT_VALUES(json, nothing);
	json_decref(json);
}

static void
test_error(void **state)
{
	json_t *json = parse(api_error("no \"\xff\""), NULL);

	assert_names(json, "error");
	assert_value(json, "error", "\"no \\\"\xef\xbf\xbd\\\"\"");
	json_decref(json);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_leaks_frame_and_totals),
	    cmocka_unit_test(test_leak),
	    cmocka_unit_test(test_leak_with_a_rhythm_and_a_suspect),
	    cmocka_unit_test(test_leak_of_unknown_rhythm),
	    cmocka_unit_test(test_leak_with_a_deadline),
	    cmocka_unit_test(test_leak_of_which_little_is_known),
	    cmocka_unit_test(test_exchange),
	    cmocka_unit_test(test_exchange_without_a_response),
	    cmocka_unit_test(test_witnesses),
	    cmocka_unit_test(test_exchanges_and_their_limit),
	    cmocka_unit_test(test_leaks_total_is_of_all_pages),
	    cmocka_unit_test(test_connection),
	    cmocka_unit_test(test_closed_connection),
	    cmocka_unit_test(test_connections_newest_first),
	    cmocka_unit_test(test_hostile_strings),
	    cmocka_unit_test(test_long_strings_are_kept),
	    cmocka_unit_test(test_timeline),
	    cmocka_unit_test(test_timeline_by_leak),
	    cmocka_unit_test(test_one_leak),
	    cmocka_unit_test(test_health),
	    cmocka_unit_test(test_many_origins_that_fail),
	    cmocka_unit_test(test_summary_is_one_line),
	    cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
