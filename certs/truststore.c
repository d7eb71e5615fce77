/* SPDX-License-Identifier: MIT */

/*
 * A PKCS #12 trust store.  Java takes a certificate in it for trusted only
 * where its bag carries Oracle's trustedKeyUsage attribute.
 */

#include "certs/truststore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "certs/quote.h"

#define TRUSTED_KEY_USAGE "2.16.840.1.113894.746875.1.1"
#define KDF_ITERATIONS 1 /* nothing in it is secret */
#define PATH_BYTES 4096

static bool
add_certificate(
    STACK_OF(PKCS12_SAFEBAG) **bags, X509 *certificate, ASN1_OBJECT *any_usage)
{
	PKCS12_SAFEBAG *bag = PKCS12_add_cert(bags, certificate);
	char name[32];

	if (bag == NULL)
		return false;
	snprintf(name, sizeof(name), "ca-%d", sk_PKCS12_SAFEBAG_num(*bags));
	return PKCS12_add_friendlyname_asc(bag, name, -1) == 1 &&
	    PKCS12_add1_attr_by_txt(bag, TRUSTED_KEY_USAGE, V_ASN1_OBJECT,
		(const unsigned char *)any_usage, -1) == 1;
}

static bool
add_certificates(STACK_OF(PKCS12_SAFEBAG) **bags, FILE *bundle)
{
	ASN1_OBJECT *any_usage = OBJ_nid2obj(NID_anyExtendedKeyUsage);
	X509 *certificate;
	bool is_added = true;

	while (is_added &&
	    (certificate = PEM_read_X509(bundle, NULL, NULL, NULL)) != NULL) {
		is_added = add_certificate(bags, certificate, any_usage);
		X509_free(certificate);
	}
	ERR_clear_error(); /* the end of the file is one to OpenSSL */
	return is_added && *bags != NULL;
}

static PKCS12 *
make_store(FILE *bundle)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	STACK_OF(PKCS7) *safes = NULL;
	PKCS12 *store = NULL;

	if (add_certificates(&bags, bundle) &&
	    PKCS12_add_safe(&safes, bags, -1, 0, NULL) == 1)
		store = PKCS12_add_safes(safes, 0);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	if (store != NULL &&
	    PKCS12_set_mac(store, TRUSTSTORE_PASSWORD, -1, NULL, 0,
		KDF_ITERATIONS, EVP_sha256()) != 1) {
		PKCS12_free(store);
		store = NULL;
	}
	return store;
}

static bool
write_store(PKCS12 *store, const char *path)
{
	char temporary[PATH_BYTES];
	FILE *file;
	bool is_written;

	if (snprintf(temporary, sizeof(temporary), "%s.%d.tmp", path,
		(int)getpid()) >= (int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return false;
	}
	file = fopen(temporary, "we");
	if (file == NULL)
		return false;
	is_written = i2d_PKCS12_fp(file, store) == 1 && fflush(file) == 0 &&
	    fchmod(fileno(file), 0644) == 0;
	is_written =
	    fclose(file) == 0 && is_written && rename(temporary, path) == 0;
	if (!is_written)
		(void)unlink(temporary);
	return is_written;
}

bool
truststore_write(
    const char *bundle, const char *path, char error[AUTHORITY_ERROR_BYTES])
{
	FILE *file = fopen(bundle, "re");
	PKCS12 *store;
	bool is_written;

	if (file == NULL) {
		snprintf(error, AUTHORITY_ERROR_BYTES,
		    "%s cannot be read: %s: make it readable", bundle,
		    strerror(errno));
		return false;
	}
	store = make_store(file);
	fclose(file);
	if (store == NULL) {
		snprintf(error, AUTHORITY_ERROR_BYTES,
		    "%s: OpenSSL cannot make a trust store of it", bundle);
		ERR_clear_error();
		return false;
	}
	is_written = write_store(store, path);
	PKCS12_free(store);
	if (!is_written)
		snprintf(error, AUTHORITY_ERROR_BYTES,
		    "%s cannot be written: %s: make its folder writable", path,
		    strerror(errno));
	return is_written;
}

char *
truststore_java_options(const char *path)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	fputs("-Djavax.net.ssl.trustStore=", out);
	quote_put(out, path);
	fputs(" -Djavax.net.ssl.trustStoreType=PKCS12"
	      " -Djavax.net.ssl.trustStorePassword=" TRUSTSTORE_PASSWORD,
	    out);
	if (fclose(out) != 0)
		abort();
	return text;
}
