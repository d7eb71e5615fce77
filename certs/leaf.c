/* SPDX-License-Identifier: MIT */

/*
 * Minting of leaves.
 *
 * The host comes from a caller's SNI or CONNECT and ends up in a certificate
 * that other programs believe, so only a plain host name or an address gets
 * that far: no wildcard, no control byte, nothing but ASCII (names of other
 * scripts come as A-labels).  It reaches OpenSSL as bytes, never through its
 * configuration syntax, in which a comma would begin another name.  Hyphens
 * and underscores may stand anywhere in a label, as such names are in use.
 */

#include "certs/leaf.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define DAY_S 86400
#define SERIAL_BITS 128

/* RFC 1035 §2.3.4, without the dot of the root */
#define HOST_MAX_BYTES 253
#define LABEL_MAX_BYTES 63
/* RFC 5280, ub-common-name */
#define NAME_MAX_BYTES 64

struct leaf {
	atomic_uint references;
	X509 *certificate; /* owned */
};

/* What a subjectAltName says about a host. */
struct host {
	int kind;                            /* GEN_DNS or GEN_IPADD */
	char name[HOST_MAX_BYTES + 1];       /* in lower case */
	unsigned char bytes[HOST_MAX_BYTES]; /* the name, or the address */
	size_t length;
};

static const struct extension {
	int nid;
	const char *value;
} extensions[] = {
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid"},
};

/* Copies the host in lower case, without the dot of the root. */
static bool
read_name(const char *text, struct host *host)
{
	size_t length = strlen(text);

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > HOST_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++)
		host->name[i] = text[i] >= 'A' && text[i] <= 'Z'
		    ? (char)(text[i] - 'A' + 'a')
		    : text[i];
	host->name[length] = '\0';
	return true;
}

static bool
is_address(struct host *host)
{
	host->kind = GEN_IPADD;
	host->length = sizeof(struct in_addr);
	if (inet_pton(AF_INET, host->name, host->bytes) == 1)
		return true;
	host->length = sizeof(struct in6_addr);
	return inet_pton(AF_INET6, host->name, host->bytes) == 1;
}

static bool
is_dns_name(struct host *host)
{
	static const char dns_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789"
					"-_.";
	const char *label = host->name;

	/* All digits and dots is an address gone wrong. */
	if (host->name[strspn(host->name, "0123456789.")] == '\0' ||
	    host->name[strspn(host->name, dns_bytes)] != '\0')
		return false;
	for (;;) {
		size_t length = strcspn(label, ".");

		if (length == 0 || length > LABEL_MAX_BYTES)
			return false;
		label += length;
		if (*label == '\0')
			break;
		label++;
	}
	host->kind = GEN_DNS;
	host->length = strlen(host->name);
	memcpy(host->bytes, host->name, host->length);
	return true;
}

static bool
set_random_serial(X509 *certificate)
{
	BIGNUM *number = BN_new();
	bool is_set = number != NULL &&
	    BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) ==
		1 &&
	    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) !=
		NULL;

	BN_free(number);
	return is_set;
}

static bool
set_validity(X509 *certificate, const X509 *issuer)
{
	time_t start = time(NULL) - DAY_S;
	/* Both ends count (RFC 5280 §4.1.2.5). */
	time_t end = start + (time_t)LEAF_MAX_DAYS * DAY_S - 1;
	const ASN1_TIME *last = X509_get0_notAfter(issuer);

	if (X509_time_adj_ex(X509_getm_notBefore(certificate), 0, 0, &start) ==
	    NULL)
		return false;
	if (X509_cmp_time(last, &end) < 0)
		return X509_set1_notAfter(certificate, last) == 1;
	return X509_time_adj_ex(X509_getm_notAfter(certificate), 0, 0, &end) !=
	    NULL;
}

/* A name that does not fit in a CN leaves the subject empty. */
static bool
set_names(X509 *certificate, const struct host *host, const X509 *issuer)
{
	X509_NAME *subject = X509_get_subject_name(certificate);

	if (strlen(host->name) <= NAME_MAX_BYTES &&
	    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
		(const unsigned char *)host->name, -1, -1, 0) != 1)
		return false;
	return X509_set_issuer_name(
		   certificate, X509_get_subject_name(issuer)) == 1;
}

/* Returns the host as OpenSSL wants it, or NULL. */
static GENERAL_NAME *
make_general_name(const struct host *host)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *bytes = host->kind == GEN_DNS ? ASN1_IA5STRING_new()
						   : ASN1_OCTET_STRING_new();

	if (name != NULL && bytes != NULL &&
	    ASN1_STRING_set(bytes, host->bytes, (int)host->length) == 1) {
		GENERAL_NAME_set0_value(name, host->kind, bytes);
		return name;
	}
	ASN1_STRING_free(bytes);
	GENERAL_NAME_free(name);
	return NULL;
}

static bool
add_alternative_name(X509 *certificate, const struct host *host)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = make_general_name(host);
	/* RFC 5280 §4.2.1.6: critical where it is all there is. */
	int is_critical =
	    X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0;
	bool is_added = false;

	if (names != NULL && name != NULL &&
	    sk_GENERAL_NAME_push(names, name) > 0) {
		name = NULL;
		is_added = X509_add1_ext_i2d(certificate, NID_subject_alt_name,
			       names, is_critical, X509V3_ADD_DEFAULT) == 1;
	}
	GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	return is_added;
}

static bool
add_extensions(X509 *certificate, X509 *issuer)
{
	X509V3_CTX about;
	bool is_added = true;

	X509V3_set_ctx(&about, issuer, certificate, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&about);
	for (size_t i = 0;
	     is_added && i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		X509_EXTENSION *extension;

		/* An authority from elsewhere may have none to refer to. */
		if (extensions[i].nid == NID_authority_key_identifier &&
		    X509_get0_subject_key_id(issuer) == NULL)
			continue;
		extension = X509V3_EXT_nconf_nid(
		    NULL, &about, extensions[i].nid, extensions[i].value);
		is_added = extension != NULL &&
		    X509_add_ext(certificate, extension, -1) == 1;
		X509_EXTENSION_free(extension);
	}
	return is_added;
}

static X509 *
make_certificate(
    const struct authority *authority, EVP_PKEY *key, const struct host *host)
{
	X509 *issuer = authority_certificate(authority);
	X509 *certificate = X509_new();

	if (certificate == NULL)
		return NULL;
	if (X509_set_version(certificate, X509_VERSION_3) == 1 &&
	    set_random_serial(certificate) &&
	    set_validity(certificate, issuer) &&
	    set_names(certificate, host, issuer) &&
	    X509_set_pubkey(certificate, key) == 1 &&
	    add_alternative_name(certificate, host) &&
	    add_extensions(certificate, issuer) &&
	    X509_sign(certificate, authority_key(authority), EVP_sha256()) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

struct leaf *
leaf_mint(const struct authority *authority, EVP_PKEY *key, const char *host)
{
	struct host parsed;
	struct leaf *leaf;
	X509 *certificate;

	if (!read_name(host, &parsed) ||
	    (!is_address(&parsed) && !is_dns_name(&parsed)))
		return NULL;
	/* We run within handshakes, and SSL_get_error() looks at the queue. */
	ERR_set_mark();
	certificate = make_certificate(authority, key, &parsed);
	ERR_pop_to_mark();
	if (certificate == NULL)
		return NULL;
	leaf = malloc(sizeof(*leaf));
	if (leaf == NULL)
		abort();
	atomic_init(&leaf->references, 1);
	leaf->certificate = certificate;
	return leaf;
}

struct leaf *
leaf_ref(struct leaf *leaf)
{
	unsigned before = atomic_fetch_add_explicit(
	    &leaf->references, 1, memory_order_relaxed);

	assert(before > 0);
	return leaf;
}

void
leaf_unref(struct leaf *leaf)
{
	unsigned before;

	if (leaf == NULL)
		return;
	before = atomic_fetch_sub(&leaf->references, 1);
	assert(before > 0);
	if (before > 1)
		return;
	X509_free(leaf->certificate);
	free(leaf);
}

X509 *
leaf_certificate(const struct leaf *leaf)
{
	return leaf->certificate;
}
