/* SPDX-License-Identifier: MIT */

/*
 * A client that is given one file of roots trusts what is in it and nothing
 * else: where a root is missing, its connections fail; where the file is
 * half-written, all of them do.  So the bundle has the system's roots and ours,
 * appears at once or not at all, does not grow from run to run, and never
 * shows a key to those who may read it.
 */

#include "certs/bundle.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define FILE_MAX_BYTES 16384

/* Three authorities: ours, and two that play other people's roots. */
static char directory[] = "/tmp/bundle_test.XXXXXX";
static struct authority *ours;
static struct authority *system_root;
static struct authority *extra_root;

static char roots_path[64];
static char extra_path[64];
static char output_directory[64];
static char bundle_path[80];

static int
remove_entry(
    const char *path, const struct stat *info, int kind, struct FTW *where)
{
	return remove(path);
}

static struct authority *
open_authority(const char *name)
{
	char error[AUTHORITY_ERROR_BYTES];
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return authority_open(path, error);
}

static int
set_up(void **state)
{
	if (mkdtemp(directory) == NULL)
		return -1;
	ours = open_authority("ours");
	system_root = open_authority("system");
	extra_root = open_authority("extra");
	sprintf(roots_path, "%s/roots.pem", directory);
	sprintf(extra_path, "%s/extra.pem", directory);
	sprintf(output_directory, "%s/out", directory);
	sprintf(bundle_path, "%s/bundle.pem", output_directory);
	if (mkdir(output_directory, 0700) != 0)
		return -1;
	return ours == NULL || system_root == NULL || extra_root == NULL ? -1
									 : 0;
}

static int
tear_down(void **state)
{
	authority_free(ours);
	authority_free(system_root);
	authority_free(extra_root);
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
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
read_file(const char *path, char text[FILE_MAX_BYTES])
{
	FILE *file = fopen(path, "r");
	size_t length;

	assert_non_null(file);
	length = fread(text, 1, FILE_MAX_BYTES - 1, file);
	text[length] = '\0';
	fclose(file);
}

/* Each test begins with one system root, one extra root and no bundle. */
static int
begin(void **state)
{
	unlink(bundle_path);
	write_file(roots_path, authority_pem(system_root));
	write_file(extra_path, authority_pem(extra_root));
	return setenv("SSL_CERT_FILE", roots_path, 1);
}

static void
write_well(const char *extra_roots)
{
	char error[AUTHORITY_ERROR_BYTES] = "";

	if (!bundle_write(ours, extra_roots, bundle_path, error))
		fail_msg("%s", error);
	assert_int_equal(ERR_peek_error(), 0);
}

/* Loads the file as a client does; returns the store. */
static X509_STORE *
load(const char *path, int *count)
{
	X509_STORE *store = X509_STORE_new();

	assert_int_equal(X509_STORE_load_file(store, path), 1);
	*count = sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
	return store;
}

static bool
is_trusted(X509_STORE *store, const struct authority *authority)
{
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	bool is_good;

	assert_int_equal(X509_STORE_CTX_init(check, store,
			     authority_certificate(authority), NULL),
	    1);
	is_good = X509_verify_cert(check) == 1;
	X509_STORE_CTX_free(check);
	return is_good;
}

static void
assert_holds(bool has_system, bool has_extra)
{
	int count;
	X509_STORE *store = load(bundle_path, &count);

	assert_true(is_trusted(store, ours));
	assert_int_equal(is_trusted(store, system_root), has_system);
	assert_int_equal(is_trusted(store, extra_root), has_extra);
	assert_int_equal(count, 1 + has_system + has_extra);
	X509_STORE_free(store);
}

static size_t
count_files(const char *path)
{
	DIR *files = opendir(path);
	const struct dirent *file;
	size_t count = 0;

	assert_non_null(files);
	for (file = readdir(files); file != NULL; file = readdir(files))
		count += file->d_name[0] != '.';
	closedir(files);
	return count;
}

static void
test_it_holds_all_roots_and_ours(void **state)
{
	struct stat info;
	mode_t before = umask(0077);

	write_well(NULL);
	umask(before);
	assert_holds(true, false);
	write_well(extra_path);
	assert_holds(true, true);
	assert_int_equal(stat(bundle_path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0644);
	assert_int_equal(count_files(output_directory), 1);
}

/* A store drops what it has already, so the text is looked at. */
static size_t
count_words(const char *text, const char *word)
{
	size_t count = 0;

	for (text = strstr(text, word); text != NULL;
	     text = strstr(text + 1, word))
		count++;
	return count;
}

static void
test_a_certificate_is_written_once(void **state)
{
	char twice[FILE_MAX_BYTES];
	char bundle[FILE_MAX_BYTES];

	snprintf(twice, sizeof(twice), "%s%s%s", authority_pem(extra_root),
	    authority_pem(ours), authority_pem(extra_root));
	write_file(extra_path, twice);
	write_file(roots_path, twice);
	write_well(extra_path);
	assert_holds(false, true);
	read_file(bundle_path, bundle);
	assert_int_equal(count_words(bundle, "BEGIN CERTIFICATE"), 2);
}

static void
test_comments_pass_and_keys_do_not(void **state)
{
	char key[FILE_MAX_BYTES];
	char mixed[2 * FILE_MAX_BYTES];
	char bundle[FILE_MAX_BYTES];

	read_file(authority_key_path(extra_root), key);
	snprintf(mixed, sizeof(mixed), "# a comment\r\n%s\n subject=x\n%s", key,
	    authority_pem(extra_root));
	write_file(extra_path, mixed);
	write_well(extra_path);
	assert_holds(true, true);
	read_file(bundle_path, bundle);
	assert_null(strstr(bundle, "PRIVATE KEY"));
}

static void
test_a_bundle_made_from_itself_forgets_old_roots(void **state)
{
	char old[FILE_MAX_BYTES];
	const char *usual;
	int count;
	int usual_count = 0;
	X509_STORE *store;

	/* What an earlier run left, by an authority that is gone. */
	snprintf(old, sizeof(old), "%s%s", authority_pem(extra_root),
	    authority_pem(ours));
	write_file(bundle_path, old);
	assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
	usual = bundle_system_roots();
	assert_int_equal(setenv("SSL_CERT_FILE", bundle_path, 1), 0);
	write_well(NULL);
	store = load(bundle_path, &count);
	assert_true(is_trusted(store, ours));
	assert_false(is_trusted(store, extra_root));
	X509_STORE_free(store);
	if (usual != NULL)
		X509_STORE_free(load(usual, &usual_count));
	assert_int_equal(count, usual_count + 1);
}

static void
test_readers_see_the_old_file_or_the_new(void **state)
{
	char before[FILE_MAX_BYTES];
	char seen[FILE_MAX_BYTES] = "";
	FILE *reader;
	size_t length;

	write_well(NULL);
	read_file(bundle_path, before);
	reader = fopen(bundle_path, "r");
	assert_non_null(reader);
	setvbuf(reader, NULL, _IONBF, 0);
	seen[0] = (char)getc(reader);
	write_well(extra_path);
	length = fread(seen + 1, 1, sizeof(seen) - 2, reader);
	fclose(reader);
	assert_int_equal(length + 1, strlen(before));
	assert_string_equal(seen, before);
	assert_holds(true, true);
}

static void
test_system_roots_come_from_the_environment(void **state)
{
	const char *usual;

	assert_string_equal(bundle_system_roots(), roots_path);
	assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
	usual = bundle_system_roots();
	assert_true(usual == NULL || strncmp(usual, "/etc/", 5) == 0);
	/* What cannot be read does not count, nor does a directory. */
	assert_int_equal(setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);
	assert_ptr_equal(bundle_system_roots(), usual);
	assert_int_equal(setenv("SSL_CERT_FILE", directory, 1), 0);
	assert_ptr_equal(bundle_system_roots(), usual);
}

static void
test_a_system_without_roots_is_no_error(void **state)
{
	write_file(roots_path, "");
	write_well(extra_path);
	assert_holds(false, true);
}

static void
no_extra(void)
{
	unlink(extra_path);
}

static void
extra_is_text(void)
{
	write_file(extra_path, "hello\n");
}

static void
extra_is_a_key(void)
{
	char key[FILE_MAX_BYTES];

	read_file(authority_key_path(extra_root), key);
	write_file(extra_path, key);
}

static void
extra_is_cut(void)
{
	char text[FILE_MAX_BYTES];

	snprintf(text, sizeof(text), "%s%.200s\n", authority_pem(extra_root),
	    authority_pem(ours));
	write_file(extra_path, text);
}

static void
roots_are_garbled(void)
{
	write_file(roots_path,
	    "-----BEGIN CERTIFICATE-----\n!!!!\n"
	    "-----END CERTIFICATE-----\n");
}

static void
test_what_is_wrong_is_said_and_the_old_file_stays(void **state)
{
	static const struct {
		void (*spoil)(void);
		const char *file;
		const char *said;
	} rows[] = {
	    {no_extra, "/extra.pem", "cannot be read"},
	    {extra_is_text, "/extra.pem", "no certificate"},
	    {extra_is_a_key, "/extra.pem", "no certificate"},
	    {extra_is_cut, "/extra.pem", "damaged after 1 "},
	    {roots_are_garbled, "/roots.pem", "damaged after 0 "},
	};
	char before[FILE_MAX_BYTES];
	char after[FILE_MAX_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[AUTHORITY_ERROR_BYTES] = "";

		assert_int_equal(begin(state), 0);
		write_well(NULL);
		read_file(bundle_path, before);
		rows[i].spoil();
		assert_false(
		    bundle_write(ours, extra_path, bundle_path, error));
		if (strstr(error, rows[i].file) == NULL ||
		    strstr(error, rows[i].said) == NULL ||
		    strchr(error, '\n') != NULL)
			fail_msg("row %zu says: %s", i, error);
		assert_int_equal(ERR_peek_error(), 0);
		read_file(bundle_path, after);
		assert_string_equal(before, after);
		assert_int_equal(count_files(output_directory), 1);
	}
}

static void
test_a_place_that_cannot_be_written_is_named(void **state)
{
	char error[AUTHORITY_ERROR_BYTES] = "";
	char path[96];

	sprintf(path, "%s/nowhere/bundle.pem", directory);
	assert_false(bundle_write(ours, NULL, path, error));
	assert_non_null(strstr(error, "/nowhere/bundle.pem cannot be written"));
	/* A directory cannot be replaced by a file. */
	assert_int_equal(mkdir(bundle_path, 0700), 0);
	assert_false(bundle_write(ours, NULL, bundle_path, error));
	assert_non_null(strstr(error, "/bundle.pem cannot be written"));
	assert_int_equal(count_files(output_directory), 1);
	assert_int_equal(rmdir(bundle_path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_it_holds_all_roots_and_ours, begin),
	    cmocka_unit_test_setup(test_a_certificate_is_written_once, begin),
	    cmocka_unit_test_setup(test_comments_pass_and_keys_do_not, begin),
	    cmocka_unit_test_setup(
		test_a_bundle_made_from_itself_forgets_old_roots, begin),
	    cmocka_unit_test_setup(
		test_readers_see_the_old_file_or_the_new, begin),
	    cmocka_unit_test_setup(
		test_system_roots_come_from_the_environment, begin),
	    cmocka_unit_test_setup(
		test_a_system_without_roots_is_no_error, begin),
	    cmocka_unit_test(test_what_is_wrong_is_said_and_the_old_file_stays),
	    cmocka_unit_test_setup(
		test_a_place_that_cannot_be_written_is_named, begin),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
