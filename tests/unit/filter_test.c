/* SPDX-License-Identifier: MIT */

/*
 * The filter language: what passes, and what is said of a mistake.
 */

#include "accounting/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "accounting/memory.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* The undrained 404 of the job imagecheck, 250 ms, a minute ago. */
static struct exchange_record
fill(struct tags *tags)
{
	static char method[] = "GET";
	static char url[] =
	    "https://registry.test:5000/v2/tools/agent/manifests/3.2?a=b,c";
	static char origin[] = "https://registry.test:5000";
	static char route[] = "/v2/{}/manifests/{}";
	static char agent[] = "Go http client/1.1";
	static struct process process = {.command = "coderd"};
	static struct owner owner = {
	    .process = &process, .pid = 4242, .fd = -1};

	assert_true(tags_add_dictionary(tags, "job=imagecheck, run=42", 22));
	assert_true(tags_set(tags, "note", "50* a \"b\"", 9));
	return (struct exchange_record){.method = method,
	    .url = url,
	    .origin = origin,
	    .route = route,
	    .user_agent = agent,
	    .status = 404,
	    .is_held = true,
	    .tags = *tags,
	    .owner = &owner,
	    .judgement = {.verdict = VERDICT_UNDRAINED,
		.evidence = EVIDENCE_UNREAD},
	    .body_bytes = 65536,
	    .first_byte_us = 1000,
	    .duration_us = 250 * US_PER_MS,
	    .age_us = 60 * US_PER_S};
}

struct passing {
	const char *text;
	bool passes;
};

static const struct passing passing[] = {
    {"", true},
    {"   ", true},
    {"status=404", true},
    {"status=401", false},
    {"status=401,404", true},
    {"status!=404", false},
    {"status!=401", true},
    {"status!=401,404", false},
    {"status>=400", true},
    {"status>=404", true},
    {"status>404", false},
    {"status<=404", true},
    {"status<404", false},
    {"status<405", true},
    {"status", true},
    {"method=GET", true},
    {"method=get", false},
    {"method!=POST,PUT", true},
    {"origin=https://registry.test:5000", true},
    {"origin=registry.test", true},
    {"origin=registry.test:5000", true},
    {"origin=Registry.TEST", true},
    {"origin=*.test", true},
    {"origin=*.registry.test", false},
    {"origin=https://*", true},
    {"origin=http://*", false},
    {"origin=registry", false},
    {"origin!=registry.test", false},
    {"origin!=*.registry.test", true},
    {"url=*/manifests/*", true},
    {"url=*/manifests/", false},
    {"url=https://*/v2/*/manifests/*?a=*", true},
    {"url=*\"a=b,c\"", true},
    {"url=*a=b\\,c", true},
    {"url=*=x,*,y", true},
    {"url=https:**", true},
    {"url=*/v2/*v2/*", false}, /* one text is not found twice */
    {"url=*b,c*b,c", false},
    {"url=*/3.2\\?*c", true},
    {"url=*\\", false},
    {"route=/v2/{}/manifests/{}", true},
    {"route=/v2/{}/blobs/{}", false},
    {"tag.job", true},
    {"tag.JOB", true},
    {"tag.gc", false},
    {"tag.job=imagecheck", true},
    {"tag.job=gc,imagecheck", true},
    {"tag.job=image*", true},
    {"tag.job=*image", false},
    {"tag.job=Imagecheck", false},
    {"tag.job!=imagecheck", false},
    {"tag.job!=gc", true},
    {"tag.version!=1.4", true}, /* there is none: it is not 1.4 */
    {"tag.version!=*", true},
    {"tag.job!=*", false},
    {"tag.run=42", true},
    {"tag.note=50\\**", true},
    {"tag.note=\"50\\* a \\\"b\\\"\"", true},
    {"tag.note=5\\*", false},
    {"verdict=undrained", true},
    {"verdict=suspected,undrained", true},
    {"verdict=drained", false},
    {"verdict!=drained", true},
    {"verdict", true},
    {"evidence=unread", true},
    {"evidence!=unread,stalled", false},
    {"evidence", true},
    {"held", true},
    {"held=yes", true},
    {"held=no", false},
    {"held!=yes", false},
    {"error", false},
    {"error=*", false},
    {"error!=dns_error", true},
    {"body_bytes=64KiB", true},
    {"body_bytes>64KiB", false},
    {"body_bytes>=65536", true},
    {"body_bytes<1MiB", true},
    {"duration>=250ms", true},
    {"duration<250ms", false},
    {"duration<1s", true},
    {"age>=1m", true},
    {"age>1m", false},
    {"user_agent=\"Go http client/1.1\"", true},
    {"user_agent=\"Go http\"*", true},
    {"user_agent=Go*", true},
    {"user_agent=\"Go *\"", true},
    {"traceparent", false},
    {"traceparent!=00-*", true},
    {"pid=4242", true},
    {"pid!=4242", false},
    {"command=coder?", false},
    {"command=coderd", true},
    {"status>=400 origin=*.test tag.job=imagecheck", true},
    {"status>=400 \t tag.job=gc", false},
    {"  tag.job=imagecheck\n", true},
};

static void
test_what_passes(void **state)
{
	struct tags tags = {0};
	struct exchange_record x = fill(&tags);

	for (size_t i = 0; i < COUNT_OF(passing); i++) {
		struct filter *filter = filter_new(FILTER_EXCHANGES);
		struct filter *copy;
		char *refusal = filter_add(filter, passing[i].text);

		if (refusal != NULL)
			fail_msg("%s: %s", passing[i].text, refusal);
		copy = filter_copy(filter);
		if (filter_passes_exchange(filter, &x) != passing[i].passes)
			fail_msg("%s", passing[i].text);
		filter_free(filter);
		assert_int_equal(
		    filter_passes_exchange(copy, &x), passing[i].passes);
		filter_free(copy);
	}
	assert_true(filter_passes_exchange(NULL, &x));
	assert_null(filter_copy(NULL));
	tags_fini(&tags);
}

/* A record that knows nothing yet holds for no term about a number. */
static void
test_what_is_not_known(void **state)
{
	static const char *const texts[] = {"status!=404", "status<1000",
	    "status", "duration!=1s", "duration<1h", "age!=1s", "age", "pid!=1",
	    "pid", "command!=coderd", "command"};
	struct exchange_record x = {
	    .owner = NULL, .first_byte_us = -1, .duration_us = -1};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct filter *filter = filter_new(FILTER_EXCHANGES);

		assert_null(filter_add(filter, texts[i]));
		if (filter_passes_exchange(filter, &x))
			fail_msg("%s", texts[i]);
		filter_free(filter);
	}
}

/* Workers ask it of each exchange they remember: no pattern, whoever sends it,
 * may keep one from its callers. */
static void
test_no_pattern_takes_long(void **state)
{
	enum { URL_BYTES = 60000, PIECE_BYTES = 1000, EXCHANGES = 64 };
	static char url[URL_BYTES + 1];
	char piece[PIECE_BYTES + 1] = "";
	char *pattern;
	struct exchange_record x = {.url = url};
	struct filter *filter = filter_new(FILTER_EXCHANGES);
	struct timespec taken;

	memset(url, 'a', URL_BYTES);
	memset(piece, 'a', PIECE_BYTES);
	pattern = xasprintf("url=*%sb", piece);
	assert_null(filter_add(filter, pattern));
	for (size_t i = 0; i < EXCHANGES; i++)
		assert_false(filter_passes_exchange(filter, &x));
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &taken), 0);
	assert_true(taken.tv_sec < 2);
	filter_free(filter);
	free(pattern);
}

static void
test_mistakes(void **state)
{
	static const struct {
		enum filter_subject subject;
		const char *text;
		const char *refusal; /* its start */
	} rows[] = {
	    {FILTER_EXCHANGES, "status=404 statsu>=400 held",
		"\"statsu>=400\": a term begins with method, status, origin, "
		"url, route, tag.KEY, verdict, evidence, held, error, "
		"body_bytes, duration, age, user_agent, traceparent, pid, "
		"command, as in tag.job=imagecheck"},
	    {FILTER_LEAKS, "url=*",
		"\"url=*\": a term begins with method, status, origin, route, "
		"tag.KEY, as in"},
	    {FILTER_CONNS, "status=200",
		"\"status=200\": a term begins with origin, tag.KEY, "},
	    {FILTER_EXCHANGES, "tag.=x", "\"tag.=x\": a term begins"},
	    {FILTER_EXCHANGES, "tag.KEY.", NULL},
	    {FILTER_EXCHANGES, "tag", "\"tag\": a term begins"},
	    {FILTER_EXCHANGES, "=404", "\"=404\": a term begins"},
	    {FILTER_EXCHANGES, "status >= 400", "\">=\": a term begins"},
	    {FILTER_EXCHANGES, "status>=", "\"status>=\": a value is missing"},
	    {FILTER_EXCHANGES, "status=404,", "\"status=404,\": a value is"},
	    {FILTER_EXCHANGES, "tag.job=\"\"", "\"tag.job=\"\"\": a value is"},
	    {FILTER_EXCHANGES, "status=4xx",
		"\"status=4xx\": its value is a number, such as 404"},
	    {FILTER_EXCHANGES, "status=-1", "\"status=-1\": its value is a nu"},
	    {FILTER_EXCHANGES, "status==404",
		"\"status==404\": operators are = != < <= > >="},
	    {FILTER_EXCHANGES, "tag.job=~x", "\"tag.job=~x\": operators are"},
	    {FILTER_EXCHANGES, "tag.job!x", "\"tag.job!x\": operators are"},
	    {FILTER_EXCHANGES, "tag.job~x", "\"tag.job~x\": operators are"},
	    {FILTER_EXCHANGES, "status=<400", "\"status=<400\": operators are"},
	    {FILTER_EXCHANGES, "status>400,500",
		"\"status>400,500\": < and > compare with one value alone"},
	    {FILTER_EXCHANGES, "url>x",
		"\"url>x\": < and > compare numbers: write = or !="},
	    {FILTER_EXCHANGES, "verdict<drained", "\"verdict<drained\": < and"},
	    {FILTER_EXCHANGES, "verdict=leaked",
		"\"verdict=leaked\": verdict must be one of none open drained "
		"undrained suspected abandoned unproven"},
	    {FILTER_EXCHANGES, "evidence=fin",
		"\"evidence=fin\": evidence must be one of nothing reuse "},
	    {FILTER_EXCHANGES, "held=true", "\"held=true\": its value is yes"},
	    {FILTER_EXCHANGES, "body_bytes>1k",
		"\"body_bytes>1k\": its value is a size: 65536, 64KiB, 1MiB"},
	    {FILTER_EXCHANGES, "duration>1",
		"\"duration>1\": its value is a duration: 500ms, 30s, 5m"},
	    {FILTER_EXCHANGES, "tag.job=\"a b",
		"\"tag.job=\"a\": a quote is not closed"},
	    {FILTER_EXCHANGES, "tag.job=a\x01", "it has a control character"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct filter *filter = filter_new(rows[i].subject);
		char *refusal = filter_add(filter, rows[i].text);

		if ((refusal == NULL) != (rows[i].refusal == NULL) ||
		    (refusal != NULL &&
			strncmp(refusal, rows[i].refusal,
			    strlen(rows[i].refusal)) != 0))
			fail_msg("%s: %s", rows[i].text,
			    refusal == NULL ? "taken" : refusal);
		free(refusal);
		filter_free(filter);
	}
}

/* Returns `count` times `piece`.  Free with free(). */
static char *
repeat(const char *piece, size_t count)
{
	char *text = xcalloc(count, strlen(piece) + 1);

	for (size_t i = 0; i < count; i++)
		strcat(text, piece);
	return text;
}

static void
test_bounds(void **state)
{
	static const struct {
		const char *start;
		const char *piece;
		size_t count;
		const char *refusal; /* NULL: taken */
	} rows[] = {
	    {"", "held ", FILTER_MAX_TERMS, NULL},
	    {"", "held ", FILTER_MAX_TERMS + 1, "\"held\": a filter has 32 "},
	    {"status=1", ",1", FILTER_MAX_VALUES - 1, NULL},
	    {"status=1", ",1", FILTER_MAX_VALUES, "\"status=1,1,"},
	    {"url=", "a", FILTER_MAX_BYTES - 4, NULL},
	    {"url=", "a", FILTER_MAX_BYTES - 3, "it is longer than 1024 bytes"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct filter *filter = filter_new(FILTER_EXCHANGES);
		char *rest = repeat(rows[i].piece, rows[i].count);
		char *text = xasprintf("%s%s", rows[i].start, rest);
		char *refusal = filter_add(filter, text);

		if (rows[i].refusal == NULL)
			assert_null(refusal);
		else
			assert_memory_equal(
			    refusal, rows[i].refusal, strlen(rows[i].refusal));
		free(refusal);
		free(text);
		free(rest);
		filter_free(filter);
	}
}

/* What a parameter of its own says is meant to the letter. */
static void
test_required_values(void **state)
{
	static const struct {
		enum filter_field field;
		const char *key;
		const char *value;
		bool passes;
	} rows[] = {
	    {FILTER_TAG, "Job", NULL, true},
	    {FILTER_TAG, "gc", NULL, false},
	    {FILTER_TAG, "job", "imagecheck", true},
	    {FILTER_TAG, "job", "image*", false},
	    {FILTER_TAG, "note", "50* a \"b\"", true},
	    {FILTER_VERDICT, NULL, "undrained", true},
	    {FILTER_VERDICT, NULL, "drained", false},
	    {FILTER_ORIGIN, NULL, "https://registry.test:5000", true},
	    {FILTER_ORIGIN, NULL, "*", false},
	};
	struct tags tags = {0};
	struct exchange_record x = fill(&tags);
	struct filter *filter = filter_new(FILTER_EXCHANGES);
	char *refusal;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct filter *one = filter_new(FILTER_EXCHANGES);

		assert_null(filter_require(
		    one, rows[i].field, rows[i].key, rows[i].value));
		assert_true(filter_asks_for(one, rows[i].field));
		assert_false(filter_asks_for(one, FILTER_ROUTE));
		if (filter_passes_exchange(one, &x) != rows[i].passes)
			fail_msg("row %zu", i);
		filter_free(one);
	}
	refusal = filter_require(filter, FILTER_VERDICT, NULL, "leaky");
	assert_non_null(strstr(refusal, "\"leaky\": verdict must be one of"));
	free(refusal);
	filter_free(filter);
	tags_fini(&tags);
}

static void
test_leaks_and_connections(void **state)
{
	static const struct {
		enum filter_subject subject;
		const char *text;
		bool leak_passes;
		bool conn_passes;
	} rows[] = {
	    {FILTER_LEAKS, "method=GET status=404 origin=a", true, true},
	    {FILTER_LEAKS, "route=/v2/* tag.job", true, true},
	    {FILTER_LEAKS, "status!=404", false, true},
	    {FILTER_CONNS, "tag.job age>=5s pid=7", true, true},
	    {FILTER_CONNS, "age>5s", true, false},
	    {FILTER_CONNS, "command!=node user_agent=Go*", true, true},
	    {FILTER_EXCHANGES, "status=500", true, true},
	};
	static char job[] = "job";
	static char gc[] = "gc";
	static char get[] = "GET";
	static char origin[] = "http://a:80";
	static char route[] = "/v2/{}";
	static char agent[] = "Go-http-client/1.1";
	struct tag tag = {job, gc};
	struct leak leak = {.method = get,
	    .origin = origin,
	    .route = route,
	    .status = 404,
	    .tags = {&tag, 1}};
	struct process process = {.command = gc};
	struct owner owner = {.process = &process, .pid = 7};
	struct conn_record conn = {.user_agent = agent,
	    .tags = {&tag, 1},
	    .owner = &owner,
	    .age_us = 5 * US_PER_S};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct filter *filter = filter_new(rows[i].subject);

		assert_null(filter_add(filter, rows[i].text));
		if (filter_passes_leak(filter, &leak) != rows[i].leak_passes ||
		    filter_passes_conn(filter, &conn) != rows[i].conn_passes)
			fail_msg("%s", rows[i].text);
		filter_free(filter);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_passes),
	    cmocka_unit_test(test_what_is_not_known),
	    cmocka_unit_test(test_no_pattern_takes_long),
	    cmocka_unit_test(test_mistakes),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_required_values),
	    cmocka_unit_test(test_leaks_and_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
