/* SPDX-License-Identifier: MIT */

/*
 * The authority's key is the most dangerous thing that leakproxy owns.  It is
 * made once, nobody else can read it at any moment, processes that start
 * together agree on one, and nothing that is already there is ever replaced:
 * whatever is wrong with it, the user gets one line that names the file and
 * says what to do.
 */

#include "certs/authority.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define PROCESSES 12
#define FILE_MAX_BYTES 4096

/* A directory of our own, and paths in it. */
struct fixture {
	char directory[64];
	char state[80];
	char certificate[96];
	char key[96];
};

static int
remove_entry(
    const char *path, const struct stat *info, int kind, struct FTW *where)
{
	return remove(path);
}

static int
set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (fixture == NULL)
		return -1;
	strcpy(fixture->directory, "/tmp/authority_test.XXXXXX");
	if (mkdtemp(fixture->directory) == NULL)
		return -1;
	sprintf(fixture->state, "%s/state", fixture->directory);
	sprintf(fixture->certificate, "%s/ca.pem", fixture->state);
	sprintf(fixture->key, "%s/ca-key.pem", fixture->state);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;
	int outcome =
	    nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);

	free(fixture);
	return outcome;
}

static struct authority *
open_well(const char *state_dir)
{
	char error[AUTHORITY_ERROR_BYTES] = "";
	struct authority *authority = authority_open(state_dir, error);

	if (authority == NULL)
		fail_msg("%s", error);
	return authority;
}

static mode_t
mode_of(const char *path)
{
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	return info.st_mode & 07777;
}

static size_t
count_files(const char *directory)
{
	DIR *files = opendir(directory);
	const struct dirent *file;
	size_t count = 0;

	assert_non_null(files);
	for (file = readdir(files); file != NULL; file = readdir(files))
		count += file->d_name[0] != '.';
	closedir(files);
	return count;
}

static void
read_file(const char *path, char text[FILE_MAX_BYTES])
{
	FILE *file = fopen(path, "r");
	size_t length;

	assert_non_null(file);
	length = fread(text, 1, FILE_MAX_BYTES - 1, file);
	text[length] = '\0';
	fclose(file);
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void
test_the_first_run_makes_what_is_missing(void **state)
{
	struct fixture *fixture = *state;
	char deep[128];
	char text[FILE_MAX_BYTES];
	struct authority *authority;
	mode_t before = umask(0);

	sprintf(deep, "%s/a/b/", fixture->directory);
	authority = open_well(deep);
	umask(before);
	read_file(authority_certificate_path(authority), text);
	assert_string_equal(text, authority_pem(authority));
	assert_int_equal(mode_of(authority_key_path(authority)), 0600);
	assert_int_equal(mode_of(authority_certificate_path(authority)), 0644);
	assert_int_equal(mode_of(deep), 0700);
	sprintf(text, "%s/a", fixture->directory);
	assert_int_equal(mode_of(text), 0700);
	/* No temporary file is left. */
	assert_int_equal(count_files(deep), 2);
	authority_free(authority);
	authority_free(NULL);
}

static void
test_a_strict_umask_does_not_lock_us_out(void **state)
{
	struct fixture *fixture = *state;
	struct authority *authority;
	mode_t before;

	assert_int_equal(mkdir(fixture->state, 0755), 0);
	before = umask(0777);
	authority = open_well(fixture->state);
	umask(before);
	assert_int_equal(mode_of(fixture->key), 0600);
	assert_int_equal(mode_of(fixture->certificate), 0644);
	authority_free(authority);
}

static void
test_the_certificate_is_a_narrow_ca(void **state)
{
	struct fixture *fixture = *state;
	struct authority *authority = open_well(fixture->state);
	X509 *certificate = authority_certificate(authority);
	X509_NAME *subject = X509_get_subject_name(certificate);
	char name[256] = "";
	char group[32] = "";
	int is_critical = -1;
	int days;
	int seconds;
	BASIC_CONSTRAINTS *constraints = X509_get_ext_d2i(
	    certificate, NID_basic_constraints, &is_critical, NULL);
	BIGNUM *serial =
	    ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);

	assert_non_null(constraints);
	assert_int_equal(is_critical, 1);
	assert_true(constraints->ca);
	assert_int_equal(ASN1_INTEGER_get(constraints->pathlen), 0);
	assert_int_equal(
	    X509_get_key_usage(certificate), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	BASIC_CONSTRAINTS_free(constraints);
	assert_true(X509_EXTENSION_get_critical(X509_get_ext(
	    certificate, X509_get_ext_by_NID(certificate, NID_key_usage, -1))));
	assert_non_null(X509_get0_subject_key_id(certificate));

	assert_true(EVP_PKEY_get_group_name(
	    authority_key(authority), group, sizeof(group), NULL));
	assert_string_equal(group, "prime256v1");
	assert_int_equal(
	    X509_get_signature_nid(certificate), NID_ecdsa_with_SHA256);
	assert_int_equal(X509_verify(certificate, authority_key(authority)), 1);
	assert_int_equal(X509_get_version(certificate), X509_VERSION_3);

	assert_in_range(BN_num_bits(serial), 64, 128);
	assert_false(BN_is_negative(serial));
	BN_free(serial);

	assert_true(X509_NAME_get_text_by_NID(
			subject, NID_commonName, name, sizeof(name)) <= 64);
	assert_int_equal(strncmp(name, "leakproxy CA (", 14), 0);
	assert_int_equal(name[strlen(name) - 1], ')');
	assert_int_equal(
	    X509_NAME_cmp(subject, X509_get_issuer_name(certificate)), 0);

	assert_true(ASN1_TIME_diff(&days, &seconds,
	    X509_get0_notBefore(certificate), X509_get0_notAfter(certificate)));
	assert_int_equal(days, 3652);
	assert_true(ASN1_TIME_diff(
	    &days, &seconds, X509_get0_notBefore(certificate), NULL));
	assert_int_equal(days, 1);
	assert_in_range(seconds, 0, 3600);
	authority_free(authority);
}

/* Clients look roots up by name: two of the same name get mixed up. */
static void
test_no_two_authorities_have_one_name(void **state)
{
	struct fixture *fixture = *state;
	struct authority *first = open_well(fixture->state);
	struct authority *second = open_well(fixture->directory);

	assert_int_not_equal(
	    X509_NAME_cmp(X509_get_subject_name(authority_certificate(first)),
		X509_get_subject_name(authority_certificate(second))),
	    0);
	authority_free(first);
	authority_free(second);
}

static void
test_the_second_run_finds_it(void **state)
{
	struct fixture *fixture = *state;
	struct authority *first = open_well(fixture->state);
	struct authority *second = open_well(fixture->state);

	assert_string_equal(authority_pem(first), authority_pem(second));
	assert_int_equal(
	    EVP_PKEY_eq(authority_key(first), authority_key(second)), 1);
	assert_int_equal(count_files(fixture->state), 2);
	authority_free(first);
	authority_free(second);
}

static void
test_paths_are_absolute(void **state)
{
	struct fixture *fixture = *state;
	char before[PATH_MAX];
	struct authority *authority;

	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(fixture->directory), 0);
	authority = open_well("state");
	assert_int_equal(chdir(before), 0);
	assert_string_equal(
	    authority_certificate_path(authority), fixture->certificate);
	assert_string_equal(authority_key_path(authority), fixture->key);
	authority_free(authority);
}

/* In a child: opens the authority and says which one it got. */
static void
report_authority(const char *state_dir, int start, int out)
{
	char error[AUTHORITY_ERROR_BYTES];
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	struct authority *authority;
	char go;

	/* Returns when the parent closes the other end: all start at once. */
	if (read(start, &go, 1) != 0)
		_exit(1);
	authority = authority_open(state_dir, error);
	if (authority == NULL)
		_exit(2);
	X509_digest(
	    authority_certificate(authority), EVP_sha256(), digest, NULL);
	authority_free(authority);
	_exit(write(out, digest, 32) == 32 ? 0 : 3);
}

static void
test_processes_that_start_together_agree(void **state)
{
	struct fixture *fixture = *state;
	unsigned char first[32];
	unsigned char next[32];
	int start[2];
	int out[2];
	int status;

	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(out), 0);
	for (int i = 0; i < PROCESSES; i++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			close(start[1]);
			report_authority(fixture->state, start[0], out[1]);
		}
	}
	close(start[0]);
	close(start[1]);
	close(out[1]);
	assert_int_equal(read(out[0], first, 32), 32);
	for (int i = 1; i < PROCESSES; i++) {
		assert_int_equal(read(out[0], next, 32), 32);
		assert_memory_equal(first, next, 32);
	}
	close(out[0]);
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_files(fixture->state), 2);
}

/* What a hand-made certificate says. */
struct wish {
	const char *constraints;
	const char *usage;
	int start_days; /* from now */
	int end_days;
};

static const struct wish good_wish = {
    "critical,CA:TRUE", "critical,keyCertSign", -1, 1};

static void
add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension =
	    X509V3_EXT_nconf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void
write_key(const struct fixture *fixture, EVP_PKEY *key, const char *passphrase)
{
	FILE *file = fopen(fixture->key, "w");

	assert_non_null(file);
	assert_int_equal(
	    PEM_write_PrivateKey(file, key,
		passphrase == NULL ? NULL : EVP_aes_128_cbc(), NULL, 0, NULL,
		passphrase == NULL ? NULL : strdupa(passphrase)),
	    1);
	fclose(file);
	assert_int_equal(chmod(fixture->key, 0600), 0);
}

static void
write_certificate(const struct fixture *fixture, EVP_PKEY *key,
    const struct wish *wish, const EVP_MD *digest)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	FILE *file = fopen(fixture->certificate, "w");

	assert_non_null(file);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
	    (const unsigned char *)"x", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_time_adj_ex(
	    X509_getm_notBefore(certificate), wish->start_days, 0, NULL);
	X509_time_adj_ex(
	    X509_getm_notAfter(certificate), wish->end_days, 0, NULL);
	X509_set_pubkey(certificate, key);
	if (wish->constraints != NULL)
		add_extension(
		    certificate, NID_basic_constraints, wish->constraints);
	if (wish->usage != NULL)
		add_extension(certificate, NID_key_usage, wish->usage);
	assert_true(X509_sign(certificate, key, digest) > 0);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	X509_free(certificate);
}

static void
write_pair(const struct fixture *fixture, EVP_PKEY *key,
    const struct wish *wish, const EVP_MD *digest)
{
	assert_non_null(key);
	mkdir(fixture->state, 0700);
	write_key(fixture, key, NULL);
	write_certificate(fixture, key, wish, digest);
	EVP_PKEY_free(key);
}

static void
write_wish(const struct fixture *fixture, const struct wish *wish)
{
	write_pair(fixture, EVP_EC_gen("P-256"), wish, EVP_sha256());
}

static void
test_an_authority_of_ones_own_is_taken(void **state)
{
	struct fixture *fixture = *state;

	write_wish(fixture, &good_wish);
	authority_free(open_well(fixture->state));
	write_pair(fixture, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048),
	    &good_wish, EVP_sha256());
	authority_free(open_well(fixture->state));
}

static void
spoil_nothing(const struct fixture *fixture)
{
	write_wish(fixture, &good_wish);
}

static void
open_key_to_all(const struct fixture *fixture)
{
	spoil_nothing(fixture);
	chmod(fixture->key, 0644);
}

static void
open_key_to_group(const struct fixture *fixture)
{
	spoil_nothing(fixture);
	chmod(fixture->key, 0640);
}

static void
remove_key(const struct fixture *fixture)
{
	spoil_nothing(fixture);
	unlink(fixture->key);
}

static void
remove_certificate(const struct fixture *fixture)
{
	spoil_nothing(fixture);
	unlink(fixture->certificate);
}

static void
dangle_certificate(const struct fixture *fixture)
{
	remove_certificate(fixture);
	assert_int_equal(symlink("elsewhere", fixture->certificate), 0);
}

static void
garble_key(const struct fixture *fixture)
{
	spoil_nothing(fixture);
	write_file(fixture->key, "-----BEGIN PRIVATE KEY-----\nAAAA\n");
}

static void
empty_certificate(const struct fixture *fixture)
{
	spoil_nothing(fixture);
	write_file(fixture->certificate, "");
}

static void
encrypt_key(const struct fixture *fixture)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	spoil_nothing(fixture);
	write_key(fixture, key, "secret");
	EVP_PKEY_free(key);
}

static void
swap_key(const struct fixture *fixture)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	spoil_nothing(fixture);
	write_key(fixture, key, NULL);
	EVP_PKEY_free(key);
}

static void
use_ed25519(const struct fixture *fixture)
{
	write_pair(fixture, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
	    &good_wish, NULL);
}

static void
pipe_for_key(const struct fixture *fixture)
{
	remove_key(fixture);
	assert_int_equal(mkfifo(fixture->key, 0600), 0);
}

static void
no_ca(const struct fixture *fixture)
{
	write_wish(fixture,
	    &(struct wish){
		"critical,CA:FALSE", "critical,digitalSignature", -1, 1});
}

static void
no_constraints(const struct fixture *fixture)
{
	write_wish(
	    fixture, &(struct wish){NULL, "critical,keyCertSign", -1, 1});
}

static void
may_not_sign(const struct fixture *fixture)
{
	write_wish(fixture,
	    &(struct wish){
		"critical,CA:TRUE", "critical,digitalSignature", -1, 1});
}

static void
not_yet(const struct fixture *fixture)
{
	write_wish(fixture, &(struct wish){"critical,CA:TRUE", NULL, 1, 2});
}

static void
no_more(const struct fixture *fixture)
{
	write_wish(fixture, &(struct wish){"critical,CA:TRUE", NULL, -3, -1});
}

static void
state_is_a_file(const struct fixture *fixture)
{
	write_file(fixture->state, "x");
}

static void
test_what_is_wrong_is_said_in_one_line(void **state)
{
	static const struct {
		void (*spoil)(const struct fixture *fixture);
		const char *file;
		const char *said;
	} rows[] = {
	    {open_key_to_all, "ca-key.pem", "(mode 0644): run chmod 600 /"},
	    {open_key_to_group, "ca-key.pem", "(mode 0640): run chmod 600 /"},
	    {remove_key, "ca-key.pem", "ca.pem is there and /"},
	    {remove_certificate, "ca.pem", "ca-key.pem is there and /"},
	    {dangle_certificate, "ca.pem", "No such file"},
	    {garble_key, "ca-key.pem", "no ECDSA or RSA key"},
	    {empty_certificate, "ca.pem", "no certificate"},
	    {encrypt_key, "ca-key.pem", "without a passphrase"},
	    {swap_key, "ca-key.pem", "do not belong together"},
	    {use_ed25519, "ca-key.pem", "no ECDSA or RSA key"},
	    {pipe_for_key, "ca-key.pem", "no regular file"},
	    {no_ca, "ca.pem", "no CA certificate"},
	    {no_constraints, "ca.pem", "no CA certificate"},
	    {may_not_sign, "ca.pem", "no CA certificate"},
	    {not_yet, "ca.pem", "not valid before 20"},
	    {no_more, "ca.pem", "expired on 20"},
	    {state_is_a_file, "/state ", "Not a directory"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture *fixture;
		char error[AUTHORITY_ERROR_BYTES] = "";

		assert_int_equal(set_up(state), 0);
		fixture = *state;
		rows[i].spoil(fixture);
		ERR_clear_error();
		assert_null(authority_open(fixture->state, error));
		if (strstr(error, rows[i].file) == NULL ||
		    strstr(error, rows[i].said) == NULL ||
		    strstr(error, fixture->directory) == NULL)
			fail_msg("row %zu says: %s", i, error);
		assert_null(strchr(error, '\n'));
		/* Nothing waits for the next TLS connection to trip over. */
		assert_int_equal(ERR_peek_error(), 0);
		assert_int_equal(tear_down(state), 0);
	}
	*state = NULL;
}

static void
test_nothing_is_ever_replaced(void **state)
{
	static void (*const spoils[])(const struct fixture *) = {
	    open_key_to_all, remove_certificate, garble_key, swap_key, no_more};

	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		struct fixture *fixture;
		char error[AUTHORITY_ERROR_BYTES];
		char before[FILE_MAX_BYTES];
		char after[FILE_MAX_BYTES];
		size_t files;

		assert_int_equal(set_up(state), 0);
		fixture = *state;
		spoils[i](fixture);
		files = count_files(fixture->state);
		read_file(fixture->key, before);
		assert_null(authority_open(fixture->state, error));
		read_file(fixture->key, after);
		assert_string_equal(before, after);
		assert_int_equal(count_files(fixture->state), files);
		assert_int_equal(tear_down(state), 0);
	}
	*state = NULL;
}

static void
test_a_path_with_a_line_break_makes_no_second_line(void **state)
{
	struct fixture *fixture = *state;
	char error[AUTHORITY_ERROR_BYTES] = "";
	char path[160];

	sprintf(path, "%s/two\nlines", fixture->directory);
	write_file(path, "x");
	assert_null(authority_open(path, error));
	assert_non_null(strstr(error, "two?lines"));
}

#define IN_A_DIRECTORY(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_A_DIRECTORY(test_the_first_run_makes_what_is_missing),
	    IN_A_DIRECTORY(test_a_strict_umask_does_not_lock_us_out),
	    IN_A_DIRECTORY(test_the_certificate_is_a_narrow_ca),
	    IN_A_DIRECTORY(test_no_two_authorities_have_one_name),
	    IN_A_DIRECTORY(test_the_second_run_finds_it),
	    IN_A_DIRECTORY(test_paths_are_absolute),
	    IN_A_DIRECTORY(test_processes_that_start_together_agree),
	    IN_A_DIRECTORY(test_an_authority_of_ones_own_is_taken),
	    cmocka_unit_test(test_what_is_wrong_is_said_in_one_line),
	    cmocka_unit_test(test_nothing_is_ever_replaced),
	    IN_A_DIRECTORY(test_a_path_with_a_line_break_makes_no_second_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
