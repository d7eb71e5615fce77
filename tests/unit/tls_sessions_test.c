/* SPDX-License-Identifier: MIT */

/*
 * A session is kept without the certificates that it came with, by version and
 * by route, and what is kept resumes all the same.
 */

#include "proxy/tls_sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/x509.h>

#define ROUTE "https://origin.test:443"

struct ends {
	SSL_CTX *origin;
	SSL_CTX *client;
	struct tls_sessions *sessions;
};

static int
keep(SSL *ssl, SSL_SESSION *session)
{
	const struct ends *ends = SSL_get_app_data(ssl);

	tls_sessions_keep(ends->sessions, ROUTE, session);
	return 0;
}

static void
certify(SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void
open_ends(struct ends *ends, int version)
{
	ends->origin = SSL_CTX_new(TLS_server_method());
	ends->client = SSL_CTX_new(TLS_client_method());
	ends->sessions = tls_sessions_new();
	certify(ends->origin);
	SSL_CTX_set_max_proto_version(ends->origin, version);
	SSL_CTX_set_session_cache_mode(
	    ends->client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ends->client, keep);
}

static void
close_ends(struct ends *ends)
{
	SSL_CTX_free(ends->origin);
	SSL_CTX_free(ends->client);
	tls_sessions_free(ends->sessions);
}

/* Returns whether the handshake took up a session.  A byte after it brings the
 * tickets of TLS 1.3 along. */
static bool
connect_ends(struct ends *ends)
{
	SSL *origin = SSL_new(ends->origin);
	SSL *client = SSL_new(ends->client);
	SSL_SESSION *session = tls_sessions_find(ends->sessions, ROUTE);
	BIO *bios[2];
	bool is_resumed;
	char byte;

	assert_int_equal(BIO_new_bio_pair(&bios[0], 0, &bios[1], 0), 1);
	SSL_set_bio(origin, bios[0], bios[0]);
	SSL_set_bio(client, bios[1], bios[1]);
	SSL_set_app_data(client, ends);
	if (session != NULL)
		SSL_set_session(client, session);
	SSL_SESSION_free(session);
	SSL_set_accept_state(origin);
	SSL_set_connect_state(client);
	for (int i = 0; i < 8; i++) {
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(origin);
	}
	assert_int_equal(SSL_write(origin, "x", 1), 1);
	assert_int_equal(SSL_read(client, &byte, 1), 1);
	is_resumed = SSL_session_reused(client) == 1;
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	SSL_free(origin);
	return is_resumed;
}

static void
test_what_is_kept_resumes(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		struct ends ends;
		SSL_SESSION *session;

		open_ends(&ends, versions[i]);
		assert_null(tls_sessions_find(ends.sessions, ROUTE));
		assert_false(connect_ends(&ends));
		session = tls_sessions_find(ends.sessions, ROUTE);
		assert_non_null(session);
		assert_null(SSL_SESSION_get0_peer(session));
		SSL_SESSION_free(session);
		assert_true(connect_ends(&ends));
		assert_true(connect_ends(&ends));
		tls_sessions_clear(ends.sessions);
		assert_false(connect_ends(&ends));
		close_ends(&ends);
	}
}

/* The one that was kept for longest goes; one that is kept again is new. */
static void
test_the_bound(void **state)
{
	struct ends ends;
	SSL_SESSION *session;
	char route[32];

	open_ends(&ends, TLS1_2_VERSION);
	assert_false(connect_ends(&ends));
	session = tls_sessions_find(ends.sessions, ROUTE);
	for (int i = 0; i < TLS_SESSIONS_MAX; i++) {
		SSL_SESSION *found = tls_sessions_find(ends.sessions, ROUTE);

		assert_non_null(found);
		SSL_SESSION_free(found);
		snprintf(route, sizeof(route), "https://h%d.test:443", i);
		tls_sessions_keep(ends.sessions, route, session);
		if (i == TLS_SESSIONS_MAX / 2)
			tls_sessions_keep(ends.sessions, ROUTE, session);
	}
	assert_null(tls_sessions_find(ends.sessions, "https://h0.test:443"));
	SSL_SESSION_free(session);
	close_ends(&ends);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_kept_resumes),
	    cmocka_unit_test(test_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
