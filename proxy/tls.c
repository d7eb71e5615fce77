/* SPDX-License-Identifier: MIT */

/*
 * TLS on both legs.
 *
 * One SSL_CTX serves all callers: the leaf is installed by SNI in the
 * certificate callback.  Sessions speak through a BIO of our own (tls_bio).
 */

#include "proxy/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <uthash.h>

#include "accounting/memory.h"
#include "certs/bundle.h"
#include "proxy/tls_bio.h"

#define FINGERPRINT_BYTES 33
#define MAX_SESSIONS 1024

/* One read gets a whole record, header and body (a record is 16 KiB). */
#define READ_AHEAD_BYTES (17 * 1024)

struct tls_server {
	SSL_CTX *context;          /* owned */
	struct leaf_cache *leaves; /* borrowed */
};

/* The last session with an origin, for resumption. */
struct origin_session {
	char *origin_key;     /* owned */
	SSL_SESSION *session; /* owned */
	UT_hash_handle hh;
};

struct tls_client {
	SSL_CTX *context;                /* owned */
	struct origin_session *sessions; /* owned, oldest first */
};

struct tls {
	SSL *ssl; /* owned */
	struct tls_bio bio;
	struct tls_client *client; /* borrowed; NULL towards a caller */
	char *host;                /* owned: CONNECT's host, or the origin's */
	char *origin_key;          /* owned; NULL towards a caller */
	const char *trust_alert;
	char fingerprint[FINGERPRINT_BYTES];
	char error[TLS_ERROR_BYTES];
};

/* ---- contexts ---- */

static void
explain(char error[TLS_ERROR_BYTES], const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	snprintf(error, TLS_ERROR_BYTES, "%s: %s", what,
	    reason == NULL ? "unknown TLS error" : reason);
	ERR_clear_error();
}

static SSL_CTX *
new_context(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (context == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* An end without close_notify is ours to see: OpenSSL would answer it
	 * with an alert, whose bytes then seem to wait for the caller. */
	SSL_CTX_set_options(context,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
	return context;
}

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
    const unsigned char *offered, unsigned offered_length, void *arg)
{
	static const unsigned char http11[] = "\x08http/1.1";
	unsigned char *selected;

	if (SSL_select_next_proto(&selected, out_length, http11,
		sizeof(http11) - 1, offered,
		offered_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

static int
install_leaf(SSL *ssl, void *arg)
{
	struct tls_server *server = arg;
	const struct tls *tls = SSL_get_app_data(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct leaf *leaf =
	    leaf_cache_lease(server->leaves, name == NULL ? tls->host : name);
	int is_installed;

	if (leaf == NULL)
		return 0;
	is_installed = SSL_use_certificate(ssl, leaf_certificate(leaf)) == 1 &&
	    SSL_use_PrivateKey(ssl, leaf_cache_key(server->leaves)) == 1;
	leaf_unref(leaf);
	return is_installed;
}

static int
by_number(const void *a, const void *b)
{
	int left = *(const int *)a;
	int right = *(const int *)b;

	return left < right ? -1 : left > right;
}

/*
 * Extensions that tell one connection from another and not one client from
 * another: what names the host, pads, or resumes a session.
 */
static bool
is_of_the_moment(int extension)
{
	return extension == TLSEXT_TYPE_server_name ||
	    extension == TLSEXT_TYPE_padding ||
	    extension == TLSEXT_TYPE_session_ticket ||
	    extension == TLSEXT_TYPE_psk ||
	    extension == TLSEXT_TYPE_early_data ||
	    extension == TLSEXT_TYPE_cookie;
}

/* Drops those, and sorts the rest, which some clients shuffle.  Returns how
 * many are left. */
static size_t
keep_lasting(int *extensions, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!is_of_the_moment(extensions[i]))
			extensions[kept++] = extensions[i];
	}
	if (kept > 0)
		qsort(extensions, kept, sizeof(*extensions), by_number);
	return kept;
}

/* Version, cipher suites in their order, extensions: enough to tell one TLS
 * library from another. */
static int
take_fingerprint(SSL *ssl, int *alert, void *arg)
{
	struct tls *tls = SSL_get_app_data(ssl);
	const unsigned char *ciphers;
	size_t ciphers_length = SSL_client_hello_get0_ciphers(ssl, &ciphers);
	unsigned version = SSL_client_hello_get0_legacy_version(ssl);
	unsigned char digest[EVP_MAX_MD_SIZE];
	int *extensions = NULL;
	size_t count = 0;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash == NULL)
		return SSL_CLIENT_HELLO_SUCCESS;
	if (SSL_client_hello_get1_extensions_present(
		ssl, &extensions, &count) == 1)
		count = keep_lasting(extensions, count);
	if (EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(hash, &version, sizeof(version)) == 1 &&
	    EVP_DigestUpdate(hash, ciphers, ciphers_length) == 1 &&
	    EVP_DigestUpdate(hash, extensions, count * sizeof(*extensions)) ==
		1 &&
	    EVP_DigestFinal_ex(hash, digest, NULL) == 1) {
		for (size_t i = 0; i < FINGERPRINT_BYTES / 2; i++)
			snprintf(
			    tls->fingerprint + 2 * i, 3, "%02x", digest[i]);
	}
	OPENSSL_free(extensions);
	EVP_MD_CTX_free(hash);
	return SSL_CLIENT_HELLO_SUCCESS;
}

struct tls_server *
tls_server_new(struct leaf_cache *leaves, char error[TLS_ERROR_BYTES])
{
	struct tls_server *server = xcalloc(1, sizeof(*server));

	server->leaves = leaves;
	server->context = new_context(TLS_server_method());
	if (server->context == NULL) {
		explain(error, "cannot set up TLS towards callers");
		tls_server_free(server);
		return NULL;
	}
	/* Tickets resume sessions on any worker; a cache would need a lock. */
	SSL_CTX_set_session_cache_mode(server->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(server->context, 1);
	SSL_CTX_set_alpn_select_cb(server->context, select_alpn, NULL);
	SSL_CTX_set_cert_cb(server->context, install_leaf, server);
	SSL_CTX_set_client_hello_cb(server->context, take_fingerprint, NULL);
	return server;
}

void
tls_server_free(struct tls_server *server)
{
	if (server == NULL)
		return;
	SSL_CTX_free(server->context);
	free(server);
}

static void
forget_session(struct tls_client *client, struct origin_session *session)
{
	HASH_DEL(client->sessions, session);
	SSL_SESSION_free(session->session);
	free(session->origin_key);
	free(session);
}

/* OpenSSL made a session; returning 1 keeps the reference. */
static int
keep_session(SSL *ssl, SSL_SESSION *ssl_session)
{
	struct tls *tls = SSL_get_app_data(ssl);
	struct tls_client *client = tls->client;
	struct origin_session *session;

	HASH_FIND_STR(client->sessions, tls->origin_key, session);
	if (session != NULL)
		forget_session(client, session);
	else if (HASH_COUNT(client->sessions) >= MAX_SESSIONS)
		forget_session(client, client->sessions);
	session = xcalloc(1, sizeof(*session));
	session->origin_key = xstrdup(tls->origin_key);
	session->session = ssl_session;
	HASH_ADD_KEYPTR(hh, client->sessions, session->origin_key,
	    strlen(session->origin_key), session);
	return 1;
}

static bool
load_roots(SSL_CTX *context, const char *ca_file)
{
	const char *roots = ca_file != NULL ? ca_file : bundle_system_roots();

	/* Without any roots nothing verifies, and each dial says so. */
	return roots == NULL || SSL_CTX_load_verify_file(context, roots) == 1;
}

struct tls_client *
tls_client_new(const char *ca_file, char error[TLS_ERROR_BYTES])
{
	static const unsigned char http11[] = "\x08http/1.1";
	struct tls_client *client = xcalloc(1, sizeof(*client));

	client->context = new_context(TLS_client_method());
	if (client->context == NULL || !load_roots(client->context, ca_file)) {
		explain(error, "cannot load the roots to verify origins by");
		tls_client_free(client);
		return NULL;
	}
	SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_protos(client->context, http11, sizeof(http11) - 1);
	SSL_CTX_set_session_cache_mode(client->context,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client->context, keep_session);
	return client;
}

void
tls_client_free(struct tls_client *client)
{
	struct origin_session *session;
	struct origin_session *next;

	if (client == NULL)
		return;
	HASH_ITER (hh, client->sessions, session, next)
		forget_session(client, session);
	SSL_CTX_free(client->context);
	free(client);
}

/* ---- sessions ---- */

static struct tls *
new_session(SSL_CTX *context, int fd, const char *host)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));
	BIO *bio = tls_bio_new(&tls->bio, fd);

	tls->ssl = SSL_new(context);
	if (tls->ssl == NULL)
		abort(); /* only for want of memory */
	tls->host = xstrdup(host);
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_app_data(tls->ssl, tls);
	return tls;
}

struct tls *
tls_accept(struct tls_server *server, int fd, const char *host,
    const void *early, size_t early_length)
{
	struct tls *tls = new_session(server->context, fd, host);

	tls_bio_set_early(&tls->bio, early, early_length);
	SSL_set_accept_state(tls->ssl);
	return tls;
}

static bool
is_ip_address(const char *host)
{
	unsigned char address[16];

	return inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1;
}

struct tls *
tls_connect(
    struct tls_client *client, int fd, const char *host, const char *origin_key)
{
	struct tls *tls = new_session(client->context, fd, host);
	X509_VERIFY_PARAM *parameters = SSL_get0_param(tls->ssl);
	struct origin_session *session;
	int is_set;

	tls->client = client;
	tls->origin_key = xstrdup(origin_key);
	X509_VERIFY_PARAM_set_hostflags(
	    parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_ip_address(host))
		is_set = X509_VERIFY_PARAM_set1_ip_asc(parameters, host);
	else
		is_set = X509_VERIFY_PARAM_set1_host(parameters, host, 0) &&
		    SSL_set_tlsext_host_name(tls->ssl, host);
	if (!is_set)
		abort();
	HASH_FIND_STR(client->sessions, origin_key, session);
	if (session != NULL)
		SSL_set_session(tls->ssl, session->session);
	SSL_set_connect_state(tls->ssl);
	return tls;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	tls_bio_fini(&tls->bio);
	free(tls->host);
	free(tls->origin_key);
	free(tls);
}

/*
 * The alert by which callers say that they do not trust our certificate.
 * OpenSSL, Go, Node and Java differ in which of them they send.
 */
static const char *
trust_alert_of(unsigned long code)
{
	switch (ERR_GET_REASON(code)) {
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "unknown_ca";
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
		return "bad_certificate";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
		return "certificate_unknown";
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		return "unsupported_certificate";
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
		return "access_denied";
	default:
		return NULL;
	}
}

static void
note_failure(struct tls *tls)
{
	unsigned long code = ERR_peek_error();
	long verified = SSL_get_verify_result(tls->ssl);

	if (tls->client == NULL)
		tls->trust_alert = trust_alert_of(code);
	if (tls->client != NULL && verified != X509_V_OK)
		snprintf(tls->error, sizeof(tls->error), "%s",
		    X509_verify_cert_error_string(verified));
	else
		explain(tls->error, "TLS");
	ERR_clear_error();
}

static enum tls_result
result_of(struct tls *tls, int returned)
{
	switch (SSL_get_error(tls->ssl, returned)) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return tls->bio.saw_eof ? TLS_EOF : TLS_CLOSED;
	default:
		break;
	}
	if (ERR_peek_error() != 0 && !tls->bio.saw_eof && !tls->bio.was_reset) {
		note_failure(tls);
		return TLS_FAILED;
	}
	ERR_clear_error();
	return tls->bio.was_reset ? TLS_RESET : TLS_EOF;
}

enum tls_result
tls_handshake(struct tls *tls)
{
	ERR_clear_error();
	return result_of(tls, SSL_do_handshake(tls->ssl));
}

enum tls_result
tls_read(struct tls *tls, void *bytes, size_t size, size_t *length)
{
	ERR_clear_error();
	return result_of(tls, SSL_read_ex(tls->ssl, bytes, size, length));
}

enum tls_result
tls_write(struct tls *tls, const void *bytes, size_t size, size_t *length)
{
	ERR_clear_error();
	return result_of(tls, SSL_write_ex(tls->ssl, bytes, size, length));
}

enum tls_result
tls_shutdown(struct tls *tls)
{
	int returned;

	ERR_clear_error();
	returned = SSL_shutdown(tls->ssl);
	return returned >= 0 ? TLS_DONE : result_of(tls, returned);
}

bool
tls_has_pending(const struct tls *tls)
{
	return SSL_has_pending(tls->ssl) == 1;
}

int64_t
tls_received_bytes(const struct tls *tls)
{
	return tls->bio.received_bytes;
}

int64_t
tls_sent_bytes(const struct tls *tls)
{
	return tls->bio.sent_bytes;
}

const char *
tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *
tls_fingerprint(const struct tls *tls)
{
	return tls->fingerprint;
}

const char *
tls_server_name(const struct tls *tls)
{
	return SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
}

const char *
tls_trust_alert(const struct tls *tls)
{
	return tls->trust_alert;
}

bool
tls_is_certificate_error(const struct tls *tls)
{
	return tls->client != NULL &&
	    SSL_get_verify_result(tls->ssl) != X509_V_OK;
}

const char *
tls_error(const struct tls *tls)
{
	return tls->error;
}
