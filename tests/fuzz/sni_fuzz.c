/* SPDX-License-Identifier: MIT */

/*
 * Names that callers ask for, as SNI or as CONNECT's host, in a handshake that
 * is else without fault.  A host name or an address gets a certificate that
 * verifies for it; whatever else gets one that verifies, or none at all.  The
 * first byte chooses between the two, and the version.
 */

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "accounting/memory.h"
#include "tests/fuzz/tls_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS 16
#define SNI_MAX_BYTES 255

enum choice {
	CHOICE_SNI = 1 << 0, /* else: CONNECT's host */
	CHOICE_TLS12 = 1 << 1,
};

/* The caller, who trusts the authority. */
static SSL_CTX *
caller_context(void)
{
	static SSL_CTX *context;

	if (context != NULL)
		return context;
	context = SSL_CTX_new(TLS_client_method());
	if (context == NULL ||
	    X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
		authority_certificate(fixture_authority)) != 1)
		abort();
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return context;
}

static SSL *
caller_new(int fd, unsigned choice, const char *name)
{
	SSL *caller = SSL_new(caller_context());

	if (caller == NULL || SSL_set_fd(caller, fd) != 1)
		abort();
	if ((choice & CHOICE_TLS12) != 0)
		SSL_set_max_proto_version(caller, TLS1_2_VERSION);
	if ((choice & CHOICE_SNI) != 0 &&
	    SSL_set_tlsext_host_name(caller, name) != 1)
		abort();
	SSL_set_connect_state(caller);
	return caller;
}

/* Returns whether both sides are content. */
static bool
shake_hands(SSL *caller, struct tls *tls)
{
	enum tls_result result = TLS_WANT_READ;
	int returned = 0;

	for (unsigned i = 0; i < MAX_STEPS; i++) {
		if (returned != 1)
			returned = SSL_do_handshake(caller);
		if (result != TLS_DONE)
			result = tls_handshake(tls);
		if (result == TLS_FAILED) {
			assert(*tls_error(tls) != '\0');
			return false;
		}
		if (returned == 1 && result == TLS_DONE)
			return true;
		assert(result == TLS_DONE || result == TLS_WANT_READ);
		assert(returned == 1 ||
		    SSL_get_error(caller, returned) == SSL_ERROR_WANT_READ);
	}
	assert(!"the handshake has no end");
	return false;
}

/* Labels of letters, digits and inner hyphens, and no address. */
static bool
is_plain_name(const char *name)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	bool has_letter = false;

	if (strlen(name) > 253)
		return false;
	for (;;) {
		size_t length = strspn(name, bytes);

		if (length < 1 || length > 63 || name[0] == '-' ||
		    name[length - 1] == '-')
			return false;
		has_letter = has_letter || strspn(name, "0123456789-") < length;
		if (name[length] != '.')
			return name[length] == '\0' && has_letter;
		name += length + 1;
	}
}

static bool
is_address(const char *name)
{
	unsigned char address[16];

	return inet_pton(AF_INET, name, address) == 1 ||
	    inet_pton(AF_INET6, name, address) == 1;
}

static void
check_certificate(SSL *caller, const char *name)
{
	X509 *certificate = SSL_get0_peer_certificate(caller);

	assert(certificate != NULL);
	if (is_address(name))
		assert(X509_check_ip_asc(certificate, name, 0) == 1);
	else if (is_plain_name(name))
		assert(X509_check_host(certificate, name, 0,
			   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1);
	/* Nor for anything wider. */
	assert(X509_check_host(certificate, "other.example", 0,
		   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1 ||
	    strncasecmp(name, "other.example", strlen("other.example")) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_server *server = fixture_server();
	bool is_sni;
	struct tls *tls;
	SSL *caller;
	char *name;
	int pair[2];

	if (size < 2 || size > SNI_MAX_BYTES || data[1] == '\0')
		return 0;
	is_sni = (data[0] & CHOICE_SNI) != 0;
	name = xstrndup((const char *)data + 1, size - 1);
	fixture_socket_pair(pair);
	tls = tls_accept(server, pair[0], is_sni ? "h.test" : name, NULL, 0);
	caller = caller_new(pair[1], data[0], name);
	if (shake_hands(caller, tls)) {
		check_certificate(caller, name);
		assert(!is_sni || strcmp(tls_server_name(tls), name) == 0);
	} else {
		assert(!is_plain_name(name) && !is_address(name));
	}
	assert(leaf_cache_count(fixture_leaves) <= FIXTURE_MAX_LEAVES);
	SSL_free(caller);
	tls_free(tls);
	close(pair[0]);
	close(pair[1]);
	free(name);
	return 0;
}
