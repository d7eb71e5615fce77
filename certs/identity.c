/* SPDX-License-Identifier: MIT */

/*
 * Reading of client certificates.  The certificate is the one that belongs to
 * the key, wherever it stands in the file; the others are its chain.
 */

#include "certs/identity.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct identity {
	X509 *certificate;     /* owned */
	STACK_OF(X509) *chain; /* owned */
	EVP_PKEY *key;         /* owned */
};

__attribute__((format(printf, 2, 3))) static bool
fail(char error[IDENTITY_ERROR_BYTES], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, IDENTITY_ERROR_BYTES, format, args);
	va_end(args);
	ERR_clear_error();
	return false;
}

/* Nobody is there to type one. */
static int
no_passphrase(char *buffer, int size, int is_writing, void *arg)
{
	return -1;
}

static bool
has_key(BIO *file)
{
	bool is_found = false;
	unsigned char *bytes;
	char *name;
	char *header;
	long length;

	while (!is_found &&
	    PEM_read_bio(file, &name, &header, &bytes, &length) == 1) {
		is_found = strstr(name, "PRIVATE KEY") != NULL;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(bytes, (size_t)length);
	}
	return is_found;
}

static bool
read_key(struct identity *identity, BIO *file, char *error)
{
	identity->key =
	    PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL);
	if (identity->key != NULL)
		return true;
	(void)BIO_seek(file, 0);
	if (!has_key(file))
		return fail(error,
		    "holds no private key: append it (PEM, without a "
		    "passphrase)");
	return fail(error,
	    "has a private key that cannot be read: write it without a "
	    "passphrase, as openssl pkey does");
}

static void
read_certificates(struct identity *identity, BIO *file)
{
	X509 *certificate;

	while ((certificate = PEM_read_bio_X509(
		    file, NULL, no_passphrase, NULL)) != NULL) {
		if (sk_X509_push(identity->chain, certificate) == 0)
			abort();
	}
}

static bool
find_certificate(struct identity *identity, char *error)
{
	if (sk_X509_num(identity->chain) == 0)
		return fail(error,
		    "holds no certificate: put it before the key (PEM, not "
		    "DER)");
	for (int i = 0; i < sk_X509_num(identity->chain); i++) {
		X509 *certificate = sk_X509_value(identity->chain, i);

		if (X509_check_private_key(certificate, identity->key) != 1)
			continue;
		identity->certificate = sk_X509_delete(identity->chain, i);
		ERR_clear_error();
		return true;
	}
	return fail(error,
	    "has a private key that does not match its certificate: name a "
	    "file with both from one source");
}

/* What OpenSSL refuses (a key too short) is known at the start. */
static bool
try_out(const struct identity *identity, char *error)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = context == NULL ? NULL : SSL_new(context);
	bool is_good = ssl != NULL && identity_use(identity, ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	SSL_free(ssl);
	SSL_CTX_free(context);
	return is_good ||
	    fail(error, "cannot be used (%s): name another",
		reason == NULL ? "unknown error" : reason);
}

static bool
read_all(struct identity *identity, BIO *file, char *error)
{
	if (!read_key(identity, file, error))
		return false;
	if (BIO_seek(file, 0) != 0)
		return fail(error, "cannot be read twice: name a plain file");
	read_certificates(identity, file);
	return find_certificate(identity, error) && try_out(identity, error);
}

struct identity *
identity_read(const char *path, char error[IDENTITY_ERROR_BYTES])
{
	struct identity *identity = calloc(1, sizeof(*identity));
	BIO *file = BIO_new_file(path, "re");
	bool is_read;

	if (identity == NULL)
		abort();
	identity->chain = sk_X509_new_null();
	if (identity->chain == NULL)
		abort();
	is_read = file != NULL
	    ? read_all(identity, file, error)
	    : fail(error, "cannot be read: %s", strerror(errno));
	BIO_free(file);
	if (is_read)
		return identity;
	identity_free(identity);
	return NULL;
}

void
identity_free(struct identity *identity)
{
	if (identity == NULL)
		return;
	X509_free(identity->certificate);
	sk_X509_pop_free(identity->chain, X509_free);
	EVP_PKEY_free(identity->key);
	free(identity);
}

bool
identity_is_current(const struct identity *identity)
{
	return X509_cmp_current_time(
		   X509_get0_notBefore(identity->certificate)) < 0 &&
	    X509_cmp_current_time(X509_get0_notAfter(identity->certificate)) >
	    0;
}

bool
identity_use(const struct identity *identity, SSL *ssl)
{
	return SSL_use_cert_and_key(ssl, identity->certificate, identity->key,
		   identity->chain, 1) == 1;
}
