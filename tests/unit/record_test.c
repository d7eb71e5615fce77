/* SPDX-License-Identifier: MIT */

/*
 * Records are copied out of the workers' hands and read by another thread: a
 * string that both share is freed twice.  And "c17x3" is typed by people, from
 * a log line into the API's path: what is not such an id must be refused, not
 * be taken for another exchange's.
 */

#include "accounting/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"
#include "tests/unit/owner_fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ---- ids ---- */

static void
test_ids_are_read_as_they_are_written(void **state)
{
	static const struct {
		uint64_t conn_id;
		uint32_t ordinal;
		const char *id;
	} rows[] = {
	    {1, 1, "c1x1"},
	    {17, 3, "c17x3"},
	    {10, 20, "c10x20"},
	    {9, 99, "c9x99"},
	    {UINT64_MAX, UINT32_MAX, "c18446744073709551615x4294967295"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct exchange_record record = {
		    .conn_id = rows[i].conn_id, .ordinal = rows[i].ordinal};
		char id[EXCHANGE_ID_BYTES];
		uint64_t conn_id = 0;
		uint32_t ordinal = 0;

		record_exchange_id(&record, id);
		assert_string_equal(id, rows[i].id);
		assert_true(record_parse_exchange_id(id, &conn_id, &ordinal));
		assert_true(conn_id == rows[i].conn_id);
		assert_int_equal(ordinal, rows[i].ordinal);
	}
}

static void
test_what_is_no_id(void **state)
{
	static const char *const rows[] = {"", "c", "x", "c1", "c1x", "cx1",
	    "x1c1", "1x1", "c1x1 ", " c1x1", "c1x1/har", "c1 x1", "c1xx1",
	    "cc1x1", "C1x1", "c1X1", "c+1x1", "c1x+1", "c-1x1", "c1x-1", "c0x1",
	    "c1x0", "c01x1", "c1x01", "c0x0", "c1.5x1", "c1x1.5", "c0x1f",
	    "c1x1a", "ca1x1", "c1y1", "c18446744073709551616x1",
	    "c184467440737095516150x1", "c99999999999999999999999x1",
	    "c1x4294967296", "c1x42949672950", "c1x99999999999999999999999"};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t conn_id;
		uint32_t ordinal = 77;

		if (record_parse_exchange_id(rows[i], &conn_id, &ordinal))
			fail_msg("%s", rows[i]);
		assert_int_equal(ordinal, 77);
	}
}

/* ---- copies ---- */

static void
fill_conn(struct conn_record *conn)
{
	*conn = (struct conn_record){
	    .id = 17,
	    .client_address = xstrdup("127.0.0.1:1"),
	    .target = xstrdup("registry.test:443"),
	    .user_agent = xstrdup("Go-http-client/1.1"),
	    .tls_version = xstrdup("TLSv1.3"),
	    .tls_fingerprint = xstrdup("abcd"),
	    .trust_refused = xstrdup("unknown_ca"),
	    .owner = fixture_owner(4242, 37, 1000, "coderd"),
	    .transport = TRANSPORT_CLEAR,
	    .state = CONN_WATCHED,
	    .close_reason = CLOSE_IDLE,
	    .is_local = true,
	    .exchange_count = 5,
	    .received_bytes = 6,
	    .sent_bytes = 7,
	    .opened_at = 8,
	    .closed_at = 9,
	    .age_us = 10,
	};
	assert_true(tags_set(&conn->tags, "job", "a", 1));
}

static void
test_a_connection_is_copied_deeply(void **state)
{
	struct conn_record from;
	struct conn_record to;

	fill_conn(&from);
	record_copy_conn(&to, &from);
	record_fini_conn(&from);
	memset(&from, 0x5a, sizeof(from));
	assert_int_equal(to.id, 17);
	assert_string_equal(to.client_address, "127.0.0.1:1");
	assert_string_equal(to.target, "registry.test:443");
	assert_string_equal(to.user_agent, "Go-http-client/1.1");
	assert_string_equal(to.tls_version, "TLSv1.3");
	assert_string_equal(to.tls_fingerprint, "abcd");
	assert_string_equal(to.trust_refused, "unknown_ca");
	assert_string_equal(tags_get(&to.tags, "job"), "a");
	assert_int_equal(to.owner->pid, 4242);
	assert_int_equal(to.owner->fd, 37);
	assert_int_equal(to.owner->uid, 1000);
	assert_string_equal(to.owner->process->command, "coderd");
	assert_int_equal(to.transport, TRANSPORT_CLEAR);
	assert_int_equal(to.state, CONN_WATCHED);
	assert_int_equal(to.close_reason, CLOSE_IDLE);
	assert_true(to.is_local);
	assert_int_equal(to.exchange_count, 5);
	assert_int_equal(to.received_bytes, 6);
	assert_int_equal(to.sent_bytes, 7);
	assert_int_equal(to.opened_at, 8);
	assert_int_equal(to.closed_at, 9);
	assert_int_equal(to.age_us, 10);
	record_fini_conn(&to);
}

static void
test_an_exchange_is_copied_deeply(void **state)
{
	struct exchange_record from = {
	    .conn_id = 17,
	    .ordinal = 3,
	    .status = 404,
	    .is_held = true,
	    .is_escalated = true,
	    .method = xstrdup("GET"),
	    .url = xstrdup("http://a/b"),
	    .origin = xstrdup("http://a:80"),
	    .route = xstrdup("/{}"),
	    .user_agent = xstrdup("ua"),
	    .traceparent = xstrdup("00-1-2-01"),
	    .client_address = xstrdup("127.0.0.1:1"),
	    .error = xstrdup("dns_error"),
	    .owner = fixture_owner(4242, 37, 1000, "coderd"),
	    .facts = {.has_body = true, .unread_bytes = 5},
	    .judgement = {VERDICT_UNDRAINED, EVIDENCE_PROBE, WITNESS_WATCHER},
	    .body_bytes = 6,
	    .age_us = 7,
	};
	struct exchange_record to;

	assert_true(tags_set(&from.tags, "job", "a", 1));
	record_copy_exchange(&to, &from);
	record_fini_exchange(&from);
	memset(&from, 0x5a, sizeof(from));
	assert_int_equal(to.conn_id, 17);
	assert_int_equal(to.ordinal, 3);
	assert_int_equal(to.status, 404);
	assert_true(to.is_held);
	assert_true(to.is_escalated);
	assert_string_equal(to.method, "GET");
	assert_string_equal(to.url, "http://a/b");
	assert_string_equal(to.origin, "http://a:80");
	assert_string_equal(to.route, "/{}");
	assert_string_equal(to.user_agent, "ua");
	assert_string_equal(to.traceparent, "00-1-2-01");
	assert_string_equal(to.client_address, "127.0.0.1:1");
	assert_string_equal(to.error, "dns_error");
	assert_string_equal(to.owner->process->command, "coderd");
	assert_int_equal(to.owner->pid, 4242);
	assert_string_equal(tags_get(&to.tags, "job"), "a");
	assert_int_equal(to.facts.unread_bytes, 5);
	assert_int_equal(to.judgement.witness, WITNESS_WATCHER);
	assert_int_equal(to.body_bytes, 6);
	assert_int_equal(to.age_us, 7);
	record_fini_exchange(&to);
}

/* What is not known stays unknown. */
static void
test_empty_records(void **state)
{
	const struct conn_record no_conn = {.id = 17};
	const struct exchange_record no_exchange = {.first_byte_us = -1};
	struct conn_record conn;
	struct exchange_record exchange;

	record_copy_conn(&conn, &no_conn);
	assert_null(conn.client_address);
	assert_null(conn.user_agent);
	assert_null(conn.owner);
	assert_int_equal(conn.tags.count, 0);
	record_fini_conn(&conn);
	record_copy_exchange(&exchange, &no_exchange);
	assert_null(exchange.url);
	assert_null(exchange.error);
	assert_int_equal(exchange.first_byte_us, -1);
	record_fini_exchange(&exchange);
}

/* ---- words ---- */

static void
check_words(const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_true(strlen(words[i]) > 0);
		assert_int_equal(
		    strspn(words[i], "abcdefghijklmnopqrstuvwxyz-"),
		    strlen(words[i]));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(words[i], words[j]);
	}
}

static void
test_words(void **state)
{
	const char *closes[CLOSE_COUNT];
	const char *transports[TRANSPORT_CLEAR + 1];
	const char *states[CONN_CLOSED + 1];

	for (size_t i = 0; i < COUNT_OF(closes); i++)
		closes[i] = record_close_word((enum close_reason)i);
	for (size_t i = 0; i < COUNT_OF(transports); i++)
		transports[i] = record_transport_word((enum transport)i);
	for (size_t i = 0; i < COUNT_OF(states); i++)
		states[i] = record_conn_state_word((enum conn_state)i);
	check_words(closes, COUNT_OF(closes));
	check_words(transports, COUNT_OF(transports));
	check_words(states, COUNT_OF(states));
	assert_string_equal(closes[CLOSE_PROBE_ANSWERED], "probe-answered");
	assert_string_equal(transports[TRANSPORT_TUNNEL], "tunnel");
	assert_string_equal(states[CONN_WATCHED], "watched");
}

/* An end that we made may never be held against the caller. */
static void
test_only_the_caller_s_ends_are_the_caller_s(void **state)
{
	static const enum ending callers[CLOSE_COUNT] = {
	    [CLOSE_CLIENT_FIN] = ENDING_CLIENT_FIN,
	    [CLOSE_CLIENT_RST] = ENDING_CLIENT_RST,
	    [CLOSE_PROBE_ANSWERED] = ENDING_CLIENT_FIN,
	    [CLOSE_REQUEST_CROSSED] = ENDING_CLIENT_FIN,
	};

	assert_int_equal(record_close_ending(CLOSE_NOT_YET), ENDING_NOT_YET);
	for (size_t i = CLOSE_NOT_YET + 1; i < CLOSE_COUNT; i++) {
		enum ending wanted = callers[i];

		if (wanted == ENDING_NOT_YET)
			wanted = ENDING_OURS;
		assert_int_equal(
		    record_close_ending((enum close_reason)i), wanted);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ids_are_read_as_they_are_written),
	    cmocka_unit_test(test_what_is_no_id),
	    cmocka_unit_test(test_a_connection_is_copied_deeply),
	    cmocka_unit_test(test_an_exchange_is_copied_deeply),
	    cmocka_unit_test(test_empty_records),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_only_the_caller_s_ends_are_the_caller_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
