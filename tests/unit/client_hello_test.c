/* SPDX-License-Identifier: MIT */

/*
 * A ClientHello is read without being answered: OpenSSL's own here, whole, in
 * pieces, in many records, and with any byte of it wrong.
 */

#include "proxy/client_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#define RECORD_HEAD_BYTES 5
#define BYTES_MAX 8192

struct bytes {
	char at[BYTES_MAX];
	size_t length;
};

/* What OpenSSL says first; `alpn` is a list as on the wire. */
static struct bytes
speak(const char *name, const char *alpn)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	BIO *out = BIO_new(BIO_s_mem());
	struct bytes bytes = {.length = 0};
	int length;

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	if (name != NULL)
		SSL_set_tlsext_host_name(ssl, name);
	if (alpn != NULL)
		SSL_set_alpn_protos(
		    ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
	assert_int_equal(SSL_connect(ssl), -1);
	length = BIO_read(out, bytes.at, sizeof(bytes.at));
	assert_true(length > RECORD_HEAD_BYTES);
	bytes.length = (size_t)length;
	SSL_free(ssl);
	SSL_CTX_free(context);
	return bytes;
}

/* Reads from memory of exactly that size, so that a sanitizer sees more. */
static enum client_hello_result
read_exactly(const char *at, size_t length, struct client_hello *hello)
{
	char *copy = malloc(length + 1);
	enum client_hello_result result;

	assert_non_null(copy);
	memcpy(copy + 1, at, length);
	result = client_hello_read(copy + 1, length, hello);
	free(copy);
	return result;
}

static void
test_names_and_protocols(void **state)
{
	static const struct {
		const char *name;
		const char *alpn;
		const char *read_name;
		bool speaks_http1;
	} rows[] = {
	    {"a.test", NULL, "a.test", true},
	    {"A.Test", NULL, "a.test", true},
	    {NULL, NULL, "", true},
	    {"a\n.test", NULL, "", true},
	    {"a b.test", NULL, "", true},
	    {"a/.test", NULL, "", true},
	    {"a.test", "\x02h2\x08http/1.1", "a.test", true},
	    {"a.test", "\x08http/1.0", "a.test", true},
	    {"a.test", "\x02h2", "a.test", false},
	    {NULL, "\x0apostgresql\x04mqtt", "", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bytes bytes = speak(rows[i].name, rows[i].alpn);
		struct client_hello hello;

		assert_int_equal(read_exactly(bytes.at, bytes.length, &hello),
		    CLIENT_HELLO_WHOLE);
		assert_string_equal(hello.server_name, rows[i].read_name);
		assert_int_equal(hello.speaks_http1, rows[i].speaks_http1);
	}
}

static void
test_pieces(void **state)
{
	struct bytes bytes = speak("a.test", NULL);
	struct client_hello hello;

	for (size_t length = 1; length < bytes.length; length++)
		assert_int_equal(read_exactly(bytes.at, length, &hello),
		    CLIENT_HELLO_NEEDS_MORE);
	/* What follows it is not looked at. */
	memcpy(bytes.at + bytes.length, "more", 4);
	assert_int_equal(read_exactly(bytes.at, bytes.length + 4, &hello),
	    CLIENT_HELLO_WHOLE);
}

/* RFC 8446 §5.1: a message may lie in several records. */
static void
test_many_records(void **state)
{
	struct bytes bytes = speak("a.test", NULL);
	struct bytes split = {.length = 0};
	struct client_hello hello;

	for (size_t at = RECORD_HEAD_BYTES; at < bytes.length; at++) {
		static const char head[] = {0x16, 3, 1, 0, 1};

		memcpy(split.at + split.length, head, sizeof(head));
		split.at[split.length + sizeof(head)] = bytes.at[at];
		split.length += sizeof(head) + 1;
		assert_int_equal(read_exactly(split.at, split.length, &hello),
		    at + 1 < bytes.length ? CLIENT_HELLO_NEEDS_MORE
					  : CLIENT_HELLO_WHOLE);
	}
	assert_string_equal(hello.server_name, "a.test");
}

static void
test_what_is_none(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
	    {"\x16 is no handshake", 18},      /* no version of TLS */
	    {"\x17\x03\x03\x00\x05hello", 10}, /* no handshake */
	    {"\x16\x03\x01\x00\x00", 5},       /* nothing in it */
	    {"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", 10}, /* ServerHello */
	    {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", 10}, /* too short */
	    {"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x03", 10}, /* too long */
	    {"\x16\x03\x01\x00\x01\x01\x15\x03\x01\x00\x02\x02\x28", 13},
	};
	static char endless[CLIENT_HELLO_MAX_BYTES + 5] = {
	    0x16, 3, 1, 0x3f, (char)0xff, 1, 0, 0x3f, (char)0xfb};
	struct client_hello hello;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(
		    read_exactly(rows[i].bytes, rows[i].length, &hello),
		    CLIENT_HELLO_NONE);
	assert_int_equal(
	    read_exactly(endless, CLIENT_HELLO_MAX_BYTES - 1, &hello),
	    CLIENT_HELLO_NEEDS_MORE);
	assert_int_equal(
	    read_exactly(endless, sizeof(endless), &hello), CLIENT_HELLO_NONE);
}

/* Whatever comes in their place, nothing is read that is not there. */
static void
test_any_byte_may_be_wrong(void **state)
{
	static const char wrong[] = {0, 1, 0x7f, (char)0x80, (char)0xff};
	const struct bytes good = speak("a.test", "\x02h2\x08http/1.1");
	struct client_hello hello;

	for (size_t at = 0; at < good.length; at++) {
		for (size_t i = 0; i < sizeof(wrong); i++) {
			struct bytes bytes = good;

			bytes.at[at] = wrong[i];
			if (read_exactly(bytes.at, bytes.length, &hello) ==
			    CLIENT_HELLO_WHOLE)
				assert_true(strlen(hello.server_name) <
				    sizeof(hello.server_name));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names_and_protocols),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_many_records),
	    cmocka_unit_test(test_what_is_none),
	    cmocka_unit_test(test_any_byte_may_be_wrong),
	};

	return cmocka_run_group_tests_name("client_hello", tests, NULL, NULL);
}
