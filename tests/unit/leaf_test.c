/* SPDX-License-Identifier: MIT */

/*
 * A leaf must be believed by every client that trusts the authority, for the
 * one host it was minted for and for no other; and a caller chooses the host,
 * so nothing but a plain name or address may get into a certificate.  Leaves
 * are checked here as clients check them: by OpenSSL's strict verification.
 */

#include "certs/leaf.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "certs/leaf_key.h"

#define DAY_S 86400
#define YEAR_S (365 * DAY_S)
#define THREADS 8
#define REFERENCES_EACH 10000

#define LABEL_60 "a123456789b123456789c123456789d123456789e123456789f123456789"
#define HOST_64 LABEL_60 ".com"
#define HOST_65 LABEL_60 ".info"
#define HOST_244 LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 "."
#define HOST_253 HOST_244 "123456.de"

static long clock_offset_s;

/* The clock of this program: libc's, and as far ahead as a test wants. */
time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += clock_offset_s;
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

static char directory[] = "/tmp/leaf_test.XXXXXX";
static struct authority *authority;
static EVP_PKEY *key;

static int
remove_entry(
    const char *path, const struct stat *info, int kind, struct FTW *where)
{
	return remove(path);
}

static int
set_up(void **state)
{
	char error[AUTHORITY_ERROR_BYTES];

	if (mkdtemp(directory) == NULL)
		return -1;
	authority = authority_open(directory, error);
	key = leaf_key_new();
	return authority == NULL || key == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	EVP_PKEY_free(key);
	authority_free(authority);
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct leaf *
mint(const char *host)
{
	struct leaf *leaf = leaf_mint(authority, key, host);

	if (leaf == NULL)
		fail_msg("not minted: %s", host);
	return leaf;
}

/* Returns X509_V_OK or why a strict TLS client that knows our authority
 * refuses the certificate. */
static int
verify(X509 *certificate, const char *host, time_t now)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *wanted;
	int outcome;

	assert_true(
	    X509_STORE_add_cert(store, authority_certificate(authority)));
	assert_true(X509_STORE_CTX_init(check, store, certificate, NULL));
	assert_true(X509_STORE_CTX_set_default(check, "ssl_server"));
	wanted = X509_STORE_CTX_get0_param(check);
	X509_VERIFY_PARAM_set_flags(
	    wanted, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
	X509_VERIFY_PARAM_set_time(wanted, now);
	/* No client of today looks at the CN. */
	X509_VERIFY_PARAM_set_hostflags(
	    wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host) != 1)
		assert_true(X509_VERIFY_PARAM_set1_host(wanted, host, 0));
	X509_verify_cert(check);
	outcome = X509_STORE_CTX_get_error(check);
	X509_STORE_CTX_free(check);
	X509_STORE_free(store);
	return outcome;
}

static void
test_clients_believe_it(void **state)
{
	static const struct {
		const char *host;
		const char *name; /* by which it is verified */
		int kind;
		const char *cn; /* NULL: no subject */
	} rows[] = {
	    {"registry.test", "registry.test", GEN_DNS, "registry.test"},
	    {"Registry.TEST", "registry.test", GEN_DNS, "registry.test"},
	    {"registry.test.", "registry.test", GEN_DNS, "registry.test"},
	    {"localhost", "localhost", GEN_DNS, "localhost"},
	    {"xn--bcher-kva.example", "xn--bcher-kva.example", GEN_DNS,
		"xn--bcher-kva.example"},
	    {"my_host.internal", "my_host.internal", GEN_DNS,
		"my_host.internal"},
	    {"r3---sn-a5m.example", "r3---sn-a5m.example", GEN_DNS,
		"r3---sn-a5m.example"},
	    {"1.2.3.4.example", "1.2.3.4.example", GEN_DNS, "1.2.3.4.example"},
	    {"127.0.0.1", "127.0.0.1", GEN_IPADD, "127.0.0.1"},
	    {"::1", "::1", GEN_IPADD, "::1"},
	    {"2001:DB8::A", "2001:db8:0::a", GEN_IPADD, "2001:db8::a"},
	    {HOST_64, HOST_64, GEN_DNS, HOST_64},
	    {HOST_65, HOST_65, GEN_DNS, NULL},
	    {HOST_253, HOST_253, GEN_DNS, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct leaf *leaf = mint(rows[i].host);
		X509 *certificate = leaf_certificate(leaf);
		char cn[256] = "";
		int is_critical = -1;
		GENERAL_NAMES *names = X509_get_ext_d2i(
		    certificate, NID_subject_alt_name, &is_critical, NULL);
		int outcome = verify(certificate, rows[i].name, time(NULL));

		if (outcome != X509_V_OK)
			fail_msg("%s: %s", rows[i].host,
			    X509_verify_cert_error_string(outcome));
		assert_int_equal(sk_GENERAL_NAME_num(names), 1);
		assert_int_equal(
		    sk_GENERAL_NAME_value(names, 0)->type, rows[i].kind);
		assert_int_equal(is_critical, rows[i].cn == NULL);
		X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
		    NID_commonName, cn, sizeof(cn));
		assert_string_equal(cn, rows[i].cn == NULL ? "" : rows[i].cn);
		GENERAL_NAMES_free(names);
		leaf_unref(leaf);
	}
}

static void
test_it_is_good_for_one_host_only(void **state)
{
	static const char *const rows[][2] = {
	    {"registry.test", "other.test"},
	    {"registry.test", "a.registry.test"},
	    {"registry.test", "test"},
	    {"127.0.0.1", "127.0.0.2"},
	    {"::1", "::2"},
	    {"127.0.0.1", "::ffff:127.0.0.1"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct leaf *leaf = mint(rows[i][0]);

		assert_int_not_equal(
		    verify(leaf_certificate(leaf), rows[i][1], time(NULL)),
		    X509_V_OK);
		leaf_unref(leaf);
	}
}

static void
test_no_other_host_is_minted(void **state)
{
	static const char *const rows[] = {
	    "",
	    ".",
	    "..",
	    ".registry.test",
	    "registry..test",
	    "registry.test..",
	    "*.registry.test",
	    "*",
	    "registry.test,DNS:evil.test",
	    "registry.test\nDNS:evil.test",
	    "registry test",
	    "registry.test:443",
	    "http://registry.test",
	    "user@registry.test",
	    "b\xc3\xbc"
	    "cher.example",
	    "registry.test\x7f",
	    "[::1]",
	    "fe80::1%eth0",
	    "1:2:3",
	    "1.2.3",
	    "256.1.1.1",
	    "1.2.3.4.5",
	    "0x7f.1:2",
	    "a/b",
	    LABEL_60 "abcd.example",
	    HOST_244 "1234567.de",
	    HOST_244 HOST_244 "de",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (leaf_mint(authority, key, rows[i]) != NULL)
			fail_msg("minted: %s", rows[i]);
		assert_int_equal(ERR_peek_error(), 0);
	}
}

static bool
is_critical(const X509 *certificate, int nid)
{
	int at = X509_get_ext_by_NID(certificate, nid, -1);

	assert_true(at >= 0);
	return X509_EXTENSION_get_critical(X509_get_ext(certificate, at));
}

static void
test_it_says_what_a_server_certificate_says(void **state)
{
	struct leaf *leaf = mint("registry.test");
	X509 *certificate = leaf_certificate(leaf);
	X509 *issuer = authority_certificate(authority);

	assert_int_equal(X509_get_version(certificate), X509_VERSION_3);
	assert_int_equal(X509_get_key_usage(certificate), KU_DIGITAL_SIGNATURE);
	assert_true(is_critical(certificate, NID_key_usage));
	assert_int_equal(
	    X509_get_extended_key_usage(certificate), XKU_SSL_SERVER);
	assert_false(is_critical(certificate, NID_ext_key_usage));
	assert_int_equal(
	    ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(certificate),
		X509_get0_subject_key_id(issuer)),
	    0);
	assert_non_null(X509_get0_subject_key_id(certificate));
	assert_int_not_equal(
	    ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(certificate),
		X509_get0_subject_key_id(issuer)),
	    0);
	assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(certificate),
			     X509_get_subject_name(issuer)),
	    0);
	assert_int_equal(
	    X509_get_signature_nid(certificate), NID_ecdsa_with_SHA256);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(certificate), key), 1);
	assert_int_equal(X509_check_ca(certificate), 0);
	leaf_unref(leaf);
}

static void
test_serials_are_long_and_random(void **state)
{
	const BIGNUM *last = NULL;
	BIGNUM *serials[16];

	for (size_t i = 0; i < 16; i++) {
		struct leaf *leaf = mint("registry.test");

		serials[i] = ASN1_INTEGER_to_BN(
		    X509_get0_serialNumber(leaf_certificate(leaf)), NULL);
		/* One of 2^32 is shorter by chance. */
		assert_in_range(BN_num_bits(serials[i]), 96, 128);
		assert_false(BN_is_negative(serials[i]));
		assert_true(last == NULL || BN_cmp(last, serials[i]) != 0);
		last = serials[i];
		leaf_unref(leaf);
	}
	for (size_t i = 0; i < 16; i++)
		BN_free(serials[i]);
}

static void
test_it_is_valid_from_yesterday_for_825_days(void **state)
{
	struct leaf *leaf = mint("registry.test");
	X509 *certificate = leaf_certificate(leaf);
	const ASN1_TIME *start = X509_get0_notBefore(certificate);
	int days;
	int seconds;

	assert_true(ASN1_TIME_diff(&days, &seconds, start, NULL));
	assert_int_equal(days, 1);
	assert_in_range(seconds, 0, 60);
	/* The last second counts, so this is 825 days to the second. */
	assert_true(ASN1_TIME_diff(
	    &days, &seconds, start, X509_get0_notAfter(certificate)));
	assert_int_equal(days, LEAF_MAX_DAYS - 1);
	assert_int_equal(seconds, DAY_S - 1);
	assert_int_equal(verify(certificate, "registry.test",
			     time(NULL) + (LEAF_MAX_DAYS - 2) * DAY_S),
	    X509_V_OK);
	assert_int_equal(verify(certificate, "registry.test",
			     time(NULL) + LEAF_MAX_DAYS * DAY_S),
	    X509_V_ERR_CERT_HAS_EXPIRED);
	leaf_unref(leaf);
}

static void
test_it_never_outlives_the_authority(void **state)
{
	struct leaf *leaf;
	int days;
	int seconds;

	clock_offset_s = 9L * YEAR_S;
	leaf = mint("registry.test");
	clock_offset_s = 0;
	assert_true(ASN1_TIME_diff(&days, &seconds,
	    X509_get0_notAfter(leaf_certificate(leaf)),
	    X509_get0_notAfter(authority_certificate(authority))));
	assert_int_equal(days, 0);
	assert_int_equal(seconds, 0);
	assert_int_equal(verify(leaf_certificate(leaf), "registry.test",
			     time(NULL) + 9L * YEAR_S),
	    X509_V_OK);
	leaf_unref(leaf);
}

static void *
reference_often(void *arg)
{
	for (int i = 0; i < REFERENCES_EACH; i++)
		leaf_unref(leaf_ref(arg));
	return NULL;
}

static void
test_it_lives_until_the_last_reference(void **state)
{
	struct leaf *leaf = mint("registry.test");
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, reference_often, leaf),
		    0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_ptr_equal(leaf_ref(leaf), leaf);
	leaf_unref(leaf);
	assert_int_equal(
	    X509_get_version(leaf_certificate(leaf)), X509_VERSION_3);
	leaf_unref(leaf);
	leaf_unref(NULL);
}

static void
add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension =
	    X509V3_EXT_nconf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* Writes a CA as some companies have it: RSA, and without key identifiers. */
static void
write_plain_authority(const char *state_dir)
{
	EVP_PKEY *ca_key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	X509 *ca = X509_new();
	X509_NAME *name = X509_get_subject_name(ca);
	char path[64];
	FILE *file;

	X509_set_version(ca, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(ca), 1);
	X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_ASC,
	    (const unsigned char *)"A company", -1, -1, 0);
	X509_set_issuer_name(ca, name);
	X509_gmtime_adj(X509_getm_notBefore(ca), -DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(ca), YEAR_S);
	X509_set_pubkey(ca, ca_key);
	add_extension(ca, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(ca, ca_key, EVP_sha256()) > 0);
	assert_int_equal(mkdir(state_dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/ca.pem", state_dir);
	file = fopen(path, "w");
	assert_int_equal(PEM_write_X509(file, ca), 1);
	fclose(file);
	snprintf(path, sizeof(path), "%s/ca-key.pem", state_dir);
	file = fopen(path, "w");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(
	    PEM_write_PrivateKey(file, ca_key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
}

/* Once a CA without a key identifier could be opened, and minted nothing. */
static void
test_an_authority_without_key_identifier_mints(void **state)
{
	struct authority *plain;
	struct leaf *leaf;
	char path[48];
	char error[AUTHORITY_ERROR_BYTES] = "";
	EVP_PKEY *ca_key;

	snprintf(path, sizeof(path), "%s/plain", directory);
	write_plain_authority(path);
	plain = authority_open(path, error);
	assert_string_equal(error, "");
	leaf = leaf_mint(plain, key, "registry.test");
	assert_non_null(leaf);
	ca_key = X509_get0_pubkey(authority_certificate(plain));
	assert_int_equal(X509_verify(leaf_certificate(leaf), ca_key), 1);
	assert_int_equal(X509_check_issued(authority_certificate(plain),
			     leaf_certificate(leaf)),
	    X509_V_OK);
	leaf_unref(leaf);
	authority_free(plain);
}

/* Runs both sides until neither has more to say. */
static bool
shake_hands(SSL *client, SSL *server)
{
	for (int turn = 0; turn < 20; turn++) {
		int client_done = SSL_do_handshake(client);
		int server_done = SSL_do_handshake(server);

		if (client_done == 1 && server_done == 1)
			return true;
	}
	return false;
}

static void
test_a_tls_client_shakes_hands_with_it(void **state)
{
	struct leaf *leaf = mint("registry.test");
	SSL_CTX *client_context = SSL_CTX_new(TLS_client_method());
	SSL_CTX *server_context = SSL_CTX_new(TLS_server_method());
	SSL *client = SSL_new(client_context);
	SSL *server = SSL_new(server_context);
	BIO *client_side;
	BIO *server_side;

	assert_int_equal(BIO_new_bio_pair(&client_side, 0, &server_side, 0), 1);
	SSL_set_bio(client, client_side, client_side);
	SSL_set_bio(server, server_side, server_side);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(client_context),
	    authority_certificate(authority));
	SSL_set_verify(client, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_set1_host(client, "registry.test"), 1);
	assert_int_equal(
	    SSL_use_certificate(server, leaf_certificate(leaf)), 1);
	assert_int_equal(SSL_use_PrivateKey(server, key), 1);
	leaf_unref(leaf);
	assert_true(shake_hands(client, server));
	assert_int_equal(SSL_get_verify_result(client), X509_V_OK);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_context);
	SSL_CTX_free(server_context);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clients_believe_it),
	    cmocka_unit_test(test_it_is_good_for_one_host_only),
	    cmocka_unit_test(test_no_other_host_is_minted),
	    cmocka_unit_test(test_it_says_what_a_server_certificate_says),
	    cmocka_unit_test(test_serials_are_long_and_random),
	    cmocka_unit_test(test_it_is_valid_from_yesterday_for_825_days),
	    cmocka_unit_test(test_it_never_outlives_the_authority),
	    cmocka_unit_test(test_it_lives_until_the_last_reference),
	    cmocka_unit_test(test_an_authority_without_key_identifier_mints),
	    cmocka_unit_test(test_a_tls_client_shakes_hands_with_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
