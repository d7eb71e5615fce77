/* SPDX-License-Identifier: MIT */

/*
 * TLS towards origins: who they are is verified by the name that the caller
 * asked for, against the system's roots or --upstream-ca; what is offered is
 * the system's default.  One context, and one store of sessions, a worker.
 */

#include "proxy/tls_parts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "accounting/memory.h"
#include "certs/identity.h"
#include "proxy/hosts.h"
#include "proxy/options.h"
#include "proxy/tls_sessions.h"

struct tls_client {
	struct tls_client_settings settings; /* borrowed, without the roots */
	SSL_CTX *context;                    /* owned */
	struct tls_sessions *sessions;       /* owned */
	uint64_t roots_age; /* how often other roots have come */
};

/* ---- sessions to resume ---- */

bool
tls_has_current_roots(const struct tls *tls)
{
	return tls->client == NULL || tls->roots_age == tls->client->roots_age;
}

/* OpenSSL made a session; returning 0 leaves it to OpenSSL. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_get_app_data(ssl);

	tls->has_new_ticket = true;
	/* A ticket may come long after the handshake. */
	if (tls_has_current_roots(tls))
		tls_sessions_keep(tls->client->sessions, tls->route, session);
	return 0;
}

/* ---- verification ---- */

/* An issuer without a CRL in --upstream-ca is taken as before; any other
 * trouble with a CRL is a refusal. */
static int
on_verified(int is_good, X509_STORE_CTX *chain)
{
	if (is_good ||
	    X509_STORE_CTX_get_error(chain) != X509_V_ERR_UNABLE_TO_GET_CRL)
		return is_good;
	X509_STORE_CTX_set_error(chain, X509_V_OK);
	return 1;
}

/* ---- what we offer ---- */

/*
 * The system's TLS 1.3 suites, with AES-128 before AES-256, which takes a
 * quarter longer: most origins choose by our order.  A system that leaves out
 * AES-128 is obeyed.
 */
static void
offer_fastest_first(SSL_CTX *context)
{
	static const char fastest[] = "TLS_AES_128_GCM_SHA256";
	STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);
	char list[256] = "";
	bool has_fastest = false;

	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		const char *name =
		    SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i));
		size_t length = strlen(list);

		if (strncmp(name, "TLS_", 4) != 0)
			continue;
		if (strcmp(name, fastest) == 0)
			has_fastest = true;
		else
			(void)snprintf(
			    list + length, sizeof(list) - length, ":%s", name);
	}
	if (has_fastest) {
		char ordered[sizeof(list) + sizeof(fastest)];

		(void)snprintf(ordered, sizeof(ordered), "%s%s", fastest, list);
		(void)SSL_CTX_set_ciphersuites(context, ordered);
	}
}

/* ---- who we are ---- */

/* OpenSSL sends it only to an origin that asks for it. */
static void
offer_identity(struct tls *tls)
{
	const struct tls_client_settings *settings = &tls->client->settings;

	for (size_t i = 0; i < settings->client_cert_count; i++) {
		const struct client_cert *cert = &settings->client_certs[i];

		if (!hosts_matches(cert->pattern, tls->host))
			continue;
		if (!identity_use(cert->identity, tls->ssl))
			abort(); /* identity_read() has tried it */
		return;
	}
}

/* ---- contexts and sessions ---- */

struct tls_client *
tls_client_new(
    const struct tls_client_settings *settings, char error[TLS_ERROR_BYTES])
{
	static const unsigned char http11[] = "\x08http/1.1";
	struct tls_client *client = xcalloc(1, sizeof(*client));

	client->settings = *settings;
	client->sessions = tls_sessions_new();
	client->context =
	    tls_context_new(TLS_client_method(), settings->keylog);
	if (client->context == NULL) {
		tls_explain(error, "cannot set up TLS towards origins");
		tls_client_free(client);
		return NULL;
	}
	offer_fastest_first(client->context);
	SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, on_verified);
	SSL_CTX_set_alpn_protos(client->context, http11, sizeof(http11) - 1);
	SSL_CTX_set_session_cache_mode(client->context,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client->context, keep_session);
	tls_client_set_roots(client, settings->roots);
	return client;
}

/* A session that is resumed is not verified again, so none is kept. */
void
tls_client_set_roots(struct tls_client *client, const struct tls_roots *roots)
{
	client->roots_age++;
	tls_sessions_clear(client->sessions);
	SSL_CTX_set1_cert_store(client->context, roots->store);
}

void
tls_client_free(struct tls_client *client)
{
	if (client == NULL)
		return;
	tls_sessions_free(client->sessions);
	SSL_CTX_free(client->context);
	free(client);
}

static bool
is_ip_address(const char *host)
{
	unsigned char address[16];

	return inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1;
}

/* Sets whom we ask for, and whom the certificate must name; an address is not
 * asked for (RFC 6066 §3). */
static bool
expect(struct tls *tls)
{
	const char *host = tls->host;
	X509_VERIFY_PARAM *parameters = SSL_get0_param(tls->ssl);

	X509_VERIFY_PARAM_set_hostflags(
	    parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_ip_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1;
	return X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1 &&
	    SSL_set_tlsext_host_name(tls->ssl, host) == 1;
}

struct tls *
tls_connect(
    struct tls_client *client, int fd, const char *host, const char *route)
{
	struct tls *tls = tls_session_new(client->context, fd, host);
	size_t length = strlen(tls->host);
	SSL_SESSION *session = tls_sessions_find(client->sessions, route);

	/* The root's dot is in no certificate and in no SNI. */
	if (length > 1 && tls->host[length - 1] == '.')
		tls->host[length - 1] = '\0';
	tls->client = client;
	tls->roots_age = client->roots_age;
	tls->keylog = client->settings.keylog;
	tls->route = xstrdup(route);
	if (!expect(tls))
		abort(); /* only for want of memory */
	offer_identity(tls);
	if (session != NULL)
		SSL_set_session(tls->ssl, session);
	SSL_SESSION_free(session);
	SSL_set_connect_state(tls->ssl);
	return tls;
}
