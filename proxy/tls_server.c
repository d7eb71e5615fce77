/* SPDX-License-Identifier: MIT */

/*
 * TLS towards callers.  One SSL_CTX serves all of them: the leaf is installed
 * by SNI in the certificate callback.  What we offer is ours to choose, so
 * there is no weak protocol or cipher to fall back to.
 */

#include "proxy/tls_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "accounting/memory.h"

/* Leaves are ECDSA, so suites for RSA could never be chosen.  AES-128 first,
 * as it is fastest, unless the caller has no AES in hardware and says so by
 * its own order. */
#define TLS12_CIPHERS                    \
	"ECDHE-ECDSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384"
#define TLS13_CIPHERS                   \
	"TLS_AES_128_GCM_SHA256:"       \
	"TLS_CHACHA20_POLY1305_SHA256:" \
	"TLS_AES_256_GCM_SHA384"
#define GROUPS "X25519:P-256:P-384"

/* Of a host name in an SNI. */
#define SERVER_NAME_MAX_BYTES 255

struct tls_server {
	SSL_CTX *context;                /* owned */
	struct leaf_cache *leaves;       /* borrowed */
	const struct tls_keylog *keylog; /* borrowed; NULL: none */
};

/* A caller that offers none of ours (HTTP/2 alone) is told so at once (RFC
 * 7301 §3.2): it would speak what we cannot read. */
static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
    const unsigned char *offered, unsigned offered_length, void *arg)
{
	static const unsigned char http11[] = "\x08http/1.1";
	unsigned char *selected;

	if (SSL_select_next_proto(&selected, out_length, http11,
		sizeof(http11) - 1, offered,
		offered_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

static int
install_leaf(SSL *ssl, void *arg)
{
	struct tls_server *server = arg;
	const struct tls *tls = SSL_get_app_data(ssl);
	bool has_name = tls->server_name != NULL;
	struct leaf *leaf = leaf_cache_lease(
	    server->leaves, has_name ? tls->server_name : tls->host);
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
static void
take_fingerprint(struct tls *tls, SSL *ssl)
{
	const unsigned char *ciphers;
	size_t ciphers_length = SSL_client_hello_get0_ciphers(ssl, &ciphers);
	unsigned version = SSL_client_hello_get0_legacy_version(ssl);
	unsigned char digest[EVP_MAX_MD_SIZE];
	int *extensions = NULL;
	size_t count = 0;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash == NULL)
		return;
	if (SSL_client_hello_get1_extensions_present(
		ssl, &extensions, &count) == 1)
		count = keep_lasting(extensions, count);
	if (EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(hash, &version, sizeof(version)) == 1 &&
	    EVP_DigestUpdate(hash, ciphers, ciphers_length) == 1 &&
	    EVP_DigestUpdate(hash, extensions, count * sizeof(*extensions)) ==
		1 &&
	    EVP_DigestFinal_ex(hash, digest, NULL) == 1) {
		for (size_t i = 0; i < TLS_FINGERPRINT_BYTES / 2; i++)
			snprintf(
			    tls->fingerprint + 2 * i, 3, "%02x", digest[i]);
	}
	OPENSSL_free(extensions);
	EVP_MD_CTX_free(hash);
}

/*
 * Keeps the SNI (RFC 6066 §3: list length, kind 0, name length, name), which
 * OpenSSL forgets when it resumes a TLS 1.2 session.  What is malformed,
 * OpenSSL refuses by itself a moment later.
 */
static void
take_server_name(struct tls *tls, SSL *ssl)
{
	const unsigned char *list;
	size_t size;
	size_t length;

	if (SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_server_name, &list, &size) != 1 ||
	    size < 5 || list[2] != TLSEXT_NAMETYPE_host_name)
		return;
	length = (size_t)list[3] << 8 | list[4];
	if (length == 0 || length > size - 5 ||
	    length > SERVER_NAME_MAX_BYTES || tls->server_name != NULL ||
	    memchr(list + 5, '\0', length) != NULL)
		return;
	tls->server_name = xcalloc(1, length + 1);
	memcpy(tls->server_name, list + 5, length);
}

static int
on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *tls = SSL_get_app_data(ssl);

	take_fingerprint(tls, ssl);
	take_server_name(tls, ssl);
	return SSL_CLIENT_HELLO_SUCCESS;
}

static bool
choose_strength(SSL_CTX *context)
{
	SSL_CTX_set_options(context,
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	return SSL_CTX_set_cipher_list(context, TLS12_CIPHERS) == 1 &&
	    SSL_CTX_set_ciphersuites(context, TLS13_CIPHERS) == 1 &&
	    SSL_CTX_set1_groups_list(context, GROUPS) == 1;
}

struct tls_server *
tls_server_new(struct leaf_cache *leaves, const struct tls_keylog *keylog,
    char error[TLS_ERROR_BYTES])
{
	struct tls_server *server = xcalloc(1, sizeof(*server));

	server->leaves = leaves;
	server->keylog = keylog;
	server->context = tls_context_new(TLS_server_method(), keylog);
	if (server->context == NULL || !choose_strength(server->context)) {
		tls_explain(error, "cannot set up TLS towards callers");
		tls_server_free(server);
		return NULL;
	}
	/* Tickets resume sessions on any worker; a cache would need a lock. */
	SSL_CTX_set_session_cache_mode(server->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(server->context, 1);
	SSL_CTX_set_alpn_select_cb(server->context, select_alpn, NULL);
	SSL_CTX_set_cert_cb(server->context, install_leaf, server);
	SSL_CTX_set_client_hello_cb(server->context, on_client_hello, NULL);
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

struct tls *
tls_accept(struct tls_server *server, int fd, const char *host,
    const void *early, size_t early_length)
{
	struct tls *tls = tls_session_new(server->context, fd, host);

	tls->keylog = server->keylog;
	tls_bio_set_early(&tls->bio, early, early_length);
	SSL_set_accept_state(tls->ssl);
	return tls;
}
