/* SPDX-License-Identifier: MIT */

/*
 * When the proxy answers for an origin, a person reads the line and a program
 * reads Proxy-Status.  The detail comes from outside (a name, a certificate's
 * error, an errno's text): it must neither end a field nor forge one.
 */

#include "proxy/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/http.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define RESPONSE_BYTES 1024

static const struct refusal plain = {
    .status = 502,
    .token = "dns_error",
    .text = "the name does not exist",
    .detail = "",
    .has_body = true,
};

/* Writes it, and returns how long its body is said to be. */
static size_t
write_response(const struct refusal *refusal, char response[RESPONSE_BYTES])
{
	struct text out = {0};
	size_t length = refusal_write(refusal, &out);

	assert_true(out.length < RESPONSE_BYTES);
	memcpy(response, out.bytes, out.length);
	response[out.length] = '\0';
	assert_int_equal(strlen(response), out.length);
	text_fini(&out);
	return length;
}

static void
test_a_refusal_to_the_byte(void **state)
{
	static const char body[] = "leakproxy: the name does not exist\n";
	char response[RESPONSE_BYTES];
	size_t length = write_response(&plain, response);

	assert_int_equal(length, strlen(body));
	assert_string_equal(response,
	    "HTTP/1.1 502 Bad Gateway\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 35\r\n"
	    "Proxy-Status: leakproxy; error=dns_error; "
	    "details=\"the name does not exist\"\r\n"
	    "\r\n"
	    "leakproxy: the name does not exist\n");
}

static void
test_a_refusal_that_closes_with_a_detail(void **state)
{
	struct refusal refusal = plain;
	char response[RESPONSE_BYTES];

	refusal.detail = "a.test";
	refusal.says_close = true;
	(void)write_response(&refusal, response);
	assert_string_equal(response,
	    "HTTP/1.1 502 Bad Gateway\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 44\r\n"
	    "Proxy-Status: leakproxy; error=dns_error; details=\"a.test\"\r\n"
	    "Connection: close\r\n"
	    "\r\n"
	    "leakproxy: the name does not exist (a.test)\n");
}

/* The length that a GET would have got, and not a byte of it. */
static void
test_head_gets_no_body(void **state)
{
	struct refusal refusal = plain;
	char response[RESPONSE_BYTES];

	refusal.has_body = false;
	assert_int_equal(write_response(&refusal, response), 0);
	assert_non_null(strstr(response, "Content-Length: 35\r\n"));
	assert_string_equal(
	    response + strlen(response) - strlen("exist\"\r\n\r\n"),
	    "exist\"\r\n\r\n");
}

static void
test_no_token_is_no_parameter(void **state)
{
	struct refusal refusal = plain;
	char response[RESPONSE_BYTES];

	refusal.token = "";
	(void)write_response(&refusal, response);
	assert_non_null(
	    strstr(response, "\r\nProxy-Status: leakproxy; details=\"the "));
}

/* RFC 8941 §3.3.3: printable ASCII, with quotes and backslashes escaped. */
static void
test_details_are_quoted(void **state)
{
	static const struct {
		const char *detail;
		const char *quoted;
		const char *shown;
	} rows[] = {
	    {"plain", "\"plain\"", "plain"},
	    {"a \"b\" c", "\"a \\\"b\\\" c\"", "a \"b\" c"},
	    {"a\\b", "\"a\\\\b\"", "a\\b"},
	    {"\\\"", "\"\\\\\\\"\"", "\\\""},
	    {"a\r\nSet-Cookie: x", "\"aSet-Cookie: x\"", "a??Set-Cookie: x"},
	    {"a\tb\x01\x1f\x7f", "\"ab\"", "a?b???"},
	    {"caf\xc3\xa9", "\"caf\"", "caf??"},
	    {"~ ", "\"~ \"", "~ "},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct refusal refusal = plain;
		char response[RESPONSE_BYTES];
		char wanted[RESPONSE_BYTES];

		refusal.detail = rows[i].detail;
		(void)write_response(&refusal, response);
		snprintf(
		    wanted, sizeof(wanted), "; details=%s\r\n", rows[i].quoted);
		if (strstr(response, wanted) == NULL)
			fail_msg("no %s in %s", wanted, response);
		snprintf(wanted, sizeof(wanted),
		    "\r\n\r\nleakproxy: the name does not exist (%s)\n",
		    rows[i].shown);
		if (strstr(response, wanted) == NULL)
			fail_msg("no %s in %s", wanted, response);
	}
}

static void
count_body(void *arg, const char *bytes, size_t length)
{
	size_t *total = arg;

	*total += length;
}

/* Whatever the detail holds, the answer is one message of our own fields. */
static void
test_no_detail_breaks_the_message(void **state)
{
	char detail[257];

	for (size_t i = 0; i < sizeof(detail) - 1; i++)
		detail[i] = (char)(i == 0 ? ' ' : i);
	detail[sizeof(detail) - 1] = '\0';
	for (size_t from = 0; from < sizeof(detail); from++) {
		struct refusal refusal = plain;
		char response[RESPONSE_BYTES];
		size_t body_length = 0;
		size_t length;
		size_t taken;
		struct http_parser *parser;

		refusal.detail = detail + from;
		length = write_response(&refusal, response);
		parser = http_parser_new(HTTP_KIND_RESPONSE, RESPONSE_BYTES,
		    count_body, &body_length);
		assert_int_equal(
		    http_feed(parser, response, strlen(response), &taken),
		    HTTP_HAS_HEAD);
		assert_int_equal(http_head(parser)->field_count, 3);
		assert_int_equal(http_feed(parser, response + taken,
				     strlen(response) - taken, &taken),
		    HTTP_HAS_MESSAGE);
		assert_int_equal(taken, length);
		assert_int_equal(body_length, length);
		http_parser_free(parser);
	}
}

static void
test_every_status_has_a_reason(void **state)
{
	static const struct {
		int status;
		const char *reason;
	} rows[] = {
	    {400, "Bad Request"},
	    {403, "Forbidden"},
	    {408, "Request Timeout"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	    {599, "Error"},
	    {0, "Error"},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(
		    refusal_reason(rows[i].status), rows[i].reason);
}

/* What the lists of errors can ask for is none of those without a name. */
static void
test_the_lists_use_named_statuses(void **state)
{
	static const int statuses[] = {
#define HTTP_ERROR(name, status, token, text) status,
#include "proxy/http_errors.def"
#undef HTTP_ERROR
#define DIAL(name, status, token, text) status,
#include "proxy/dial_results.def"
#undef DIAL
	};

	for (size_t i = 0; i < COUNT(statuses); i++) {
		if (statuses[i] != 0)
			assert_string_not_equal(
			    refusal_reason(statuses[i]), "Error");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_refusal_to_the_byte),
	    cmocka_unit_test(test_a_refusal_that_closes_with_a_detail),
	    cmocka_unit_test(test_head_gets_no_body),
	    cmocka_unit_test(test_no_token_is_no_parameter),
	    cmocka_unit_test(test_details_are_quoted),
	    cmocka_unit_test(test_no_detail_breaks_the_message),
	    cmocka_unit_test(test_every_status_has_a_reason),
	    cmocka_unit_test(test_the_lists_use_named_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
