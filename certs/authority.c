/* SPDX-License-Identifier: MIT */

/*
 * The certificate authority in the state directory.
 *
 * Whoever has its key can read what our callers send, so the key is 0600 from
 * the first byte and is refused once others could have read it.  Files appear
 * complete or not at all: they are written to a temporary name, synced, and
 * linked, which unlike rename() cannot replace an authority that clients
 * already trust.  A lock on the directory makes processes that start together
 * wait for the one that is first.  What was made is read back and checked like
 * what was found, so there is one way to open an authority.
 */

#include "certs/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "certs/fail.h"
#include "certs/install.h"

#define VALID_DAYS 3652
#define DAY_S 86400
#define SERIAL_BITS 128

/* RFC 5280, ub-common-name */
#define NAME_MAX_BYTES 64
/* So much of the host's name that the rest still fits. */
#define HOST_MAX_BYTES 28

#define FOR_OTHERS (S_IRWXG | S_IRWXO)

struct authority {
	/* owned */
	X509 *certificate;
	EVP_PKEY *key;
	char *pem;
	char *certificate_path;
	char *key_path;
};

static const struct extension {
	int nid;
	const char *value;
} extensions[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_subject_key_identifier, "hash"},
};

static char *
join(const char *directory, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		abort();
	return path;
}

/* Makes the directory and its parents, each for its owner alone. */
static bool
make_directory(const char *path, char error[AUTHORITY_ERROR_BYTES])
{
	char *partial = strdup(path);
	bool is_made = true;

	if (partial == NULL)
		abort();
	for (char *c = partial; is_made && *c != '\0'; c++) {
		char next = c[1];

		if (*c == '/' || (next != '/' && next != '\0'))
			continue;
		c[1] = '\0';
		is_made = mkdir(partial, S_IRWXU) == 0 || errno == EEXIST ||
		    access(partial, F_OK) == 0;
		if (!is_made)
			fail(error,
			    "%s cannot be made: %s: make it, or choose "
			    "another state directory",
			    partial, strerror(errno));
		c[1] = next;
	}
	free(partial);
	return is_made;
}

/* Returns the directory, locked while it is open, or -1. */
static int
lock_directory(const char *path, char error[AUTHORITY_ERROR_BYTES])
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory == -1) {
		fail(error,
		    "%s cannot be opened: %s: choose another state directory",
		    path, strerror(errno));
		return -1;
	}
	/* Some network file systems cannot lock a directory.  There, one of
	 * two processes that start together fails when it links. */
	while (flock(directory, LOCK_EX) == -1 && errno == EINTR)
		continue;
	return directory;
}

/* Writes the content of `text` to a file that did not exist before. */
static bool
install_new(
    const char *path, BIO *text, mode_t mode, char error[AUTHORITY_ERROR_BYTES])
{
	char *bytes;
	long length = BIO_get_mem_data(text, &bytes);

	return install_file(path, mode, bytes, (size_t)length, INSTALL_NEW) ||
	    fail(error, "%s cannot be written: %s: %s", path, strerror(errno),
		errno == EEXIST
		    ? "another process has just made it: start again"
		    : "make room, or choose another state directory");
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

/*
 * Clients look roots up by name, and one that trusts two of the same name may
 * pick the wrong one.  So besides what a person wants to know the name holds
 * some random digits, for authorities made on the same day.
 */
static bool
write_name(char name[NAME_MAX_BYTES + 1], time_t now)
{
	char host[HOST_MAX_BYTES + 1] = "";
	char date[sizeof("YYYY-MM-DD")] = "";
	unsigned char id[3];
	struct tm utc;

	/* A name that was cut need not be terminated. */
	if (gethostname(host, sizeof(host) - 1) == -1 && errno != ENAMETOOLONG)
		host[0] = '\0';
	for (char *c = host; *c != '\0'; c++) {
		if (*c <= 0x20 || *c >= 0x7f)
			*c = '-';
	}
	if (gmtime_r(&now, &utc) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%d", &utc);
	if (RAND_bytes(id, sizeof(id)) != 1)
		return false;
	snprintf(name, NAME_MAX_BYTES + 1,
	    "leakproxy CA (%s, %s, %02x%02x%02x)", host, date, id[0], id[1],
	    id[2]);
	return true;
}

static bool
set_names(X509 *certificate, time_t now)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	char name[NAME_MAX_BYTES + 1];

	return write_name(name, now) &&
	    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
		(const unsigned char *)name, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(certificate, subject) == 1;
}

static bool
add_extensions(X509 *certificate)
{
	X509V3_CTX about;
	bool is_added = true;

	X509V3_set_ctx(&about, certificate, certificate, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&about);
	for (size_t i = 0;
	     is_added && i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		X509_EXTENSION *extension = X509V3_EXT_nconf_nid(
		    NULL, &about, extensions[i].nid, extensions[i].value);

		is_added = extension != NULL &&
		    X509_add_ext(certificate, extension, -1) == 1;
		X509_EXTENSION_free(extension);
	}
	return is_added;
}

/* Returns a self-signed certificate for `key`, or NULL.  Free with
 * X509_free(). */
static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	time_t now = time(NULL);
	time_t start = now - DAY_S;

	if (certificate == NULL)
		return NULL;
	if (X509_set_version(certificate, X509_VERSION_3) == 1 &&
	    set_random_serial(certificate) && set_names(certificate, now) &&
	    X509_time_adj_ex(X509_getm_notBefore(certificate), 0, 0, &start) !=
		NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(certificate), VALID_DAYS, 0,
		&start) != NULL &&
	    X509_set_pubkey(certificate, key) == 1 &&
	    add_extensions(certificate) &&
	    X509_sign(certificate, key, EVP_sha256()) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

/* Writes both files; on failure, neither is left. */
static bool
install_pair(const struct authority *authority, BIO *key, BIO *certificate,
    char error[AUTHORITY_ERROR_BYTES])
{
	if (!install_new(authority->key_path, key, S_IRUSR | S_IWUSR, error))
		return false;
	if (install_new(authority->certificate_path, certificate,
		S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH, error))
		return true;
	unlink(authority->key_path);
	return false;
}

static bool
create(const struct authority *authority, char error[AUTHORITY_ERROR_BYTES])
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key == NULL ? NULL : make_certificate(key);
	BIO *key_text = BIO_new(BIO_s_mem()); /* wiped when freed */
	BIO *certificate_text = BIO_new(BIO_s_mem());
	bool is_created;

	if (certificate != NULL && key_text != NULL &&
	    certificate_text != NULL &&
	    PEM_write_bio_PrivateKey(
		key_text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    PEM_write_bio_X509(certificate_text, certificate) == 1)
		is_created =
		    install_pair(authority, key_text, certificate_text, error);
	else
		is_created = fail(error,
		    "%s cannot be made: OpenSSL refuses to make a P-256 key: "
		    "check its configuration",
		    authority->key_path);
	BIO_free(certificate_text);
	BIO_free(key_text);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return is_created;
}

/* Returns the file, or NULL with the error set.  Free with BIO_free(). */
static BIO *
open_file(const char *path, mode_t forbidden, char error[AUTHORITY_ERROR_BYTES])
{
	/* O_NONBLOCK: a FIFO must not hang the start. */
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat info;
	FILE *stream;
	BIO *bio;

	if (file == -1 || fstat(file, &info) == -1) {
		fail(error,
		    "%s cannot be read: %s: give it to the user who runs "
		    "leakproxy",
		    path, strerror(errno));
	} else if (!S_ISREG(info.st_mode)) {
		fail(error, "%s is no regular file: move it away", path);
	} else if ((info.st_mode & forbidden) != 0) {
		fail(error,
		    "%s can be read by others (mode %04o): run chmod 600 %s",
		    path, (unsigned)info.st_mode & 07777, path);
	} else {
		stream = fdopen(file, "r");
		bio = stream == NULL ? NULL : BIO_new_fp(stream, BIO_CLOSE);
		if (bio == NULL)
			abort();
		return bio;
	}
	if (file != -1)
		close(file);
	return NULL;
}

/* What is wrong with a file of the pair; the ways out are the same. */
static bool
refuse(const struct authority *authority, const char *path, const char *flaw,
    char error[AUTHORITY_ERROR_BYTES])
{
	return fail(error,
	    "%s %s: restore it, or remove it and %s to make new ones", path,
	    flaw,
	    path == authority->key_path ? authority->certificate_path
					: authority->key_path);
}

/* Nobody is there to type it. */
static int
no_passphrase(char *buffer, int size, int is_writing, void *arg)
{
	return -1;
}

static bool
load_key(struct authority *authority, char error[AUTHORITY_ERROR_BYTES])
{
	const char *path = authority->key_path;
	BIO *file = open_file(path, FOR_OTHERS, error);

	if (file == NULL)
		return false;
	authority->key =
	    PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL);
	BIO_free(file);
	/* Leaves are signed with SHA-256, which other kinds refuse. */
	if (authority->key == NULL ||
	    (!EVP_PKEY_is_a(authority->key, "EC") &&
		!EVP_PKEY_is_a(authority->key, "RSA")))
		return refuse(authority, path,
		    "holds no ECDSA or RSA key in PEM without a passphrase",
		    error);
	return true;
}

static bool
load_certificate(struct authority *authority, char error[AUTHORITY_ERROR_BYTES])
{
	BIO *file = open_file(authority->certificate_path, 0, error);

	if (file == NULL)
		return false;
	authority->certificate =
	    PEM_read_bio_X509(file, NULL, no_passphrase, NULL);
	BIO_free(file);
	if (authority->certificate == NULL)
		return refuse(authority, authority->certificate_path,
		    "holds no certificate in PEM", error);
	return true;
}

static const char *
date_of(const ASN1_TIME *moment, char date[sizeof("YYYY-MM-DD")])
{
	struct tm utc;

	if (ASN1_TIME_to_tm(moment, &utc) != 1 ||
	    strftime(date, sizeof("YYYY-MM-DD"), "%Y-%m-%d", &utc) == 0)
		return "a date that cannot be read";
	return date;
}

static bool
check_pair(const struct authority *authority, char error[AUTHORITY_ERROR_BYTES])
{
	X509 *certificate = authority->certificate;
	const ASN1_TIME *start = X509_get0_notBefore(certificate);
	const ASN1_TIME *end = X509_get0_notAfter(certificate);
	char date[sizeof("YYYY-MM-DD")];

	if (X509_check_private_key(certificate, authority->key) != 1)
		return fail(error,
		    "%s and %s do not belong together: restore the pair, or "
		    "remove both to make new ones",
		    authority->certificate_path, authority->key_path);
	/* 1 is a CA by its basicConstraints, and none of the old ways. */
	if (X509_check_ca(certificate) != 1)
		return refuse(authority, authority->certificate_path,
		    "is no CA certificate (CA:TRUE, keyCertSign)", error);
	if (X509_cmp_current_time(start) >= 0)
		return fail(error,
		    "%s is not valid before %s: set the clock right",
		    authority->certificate_path, date_of(start, date));
	if (X509_cmp_current_time(end) <= 0)
		return fail(error,
		    "%s expired on %s: remove it and %s to make new ones, and "
		    "have clients trust those",
		    authority->certificate_path, date_of(end, date),
		    authority->key_path);
	return true;
}

static void
write_pem(struct authority *authority)
{
	BIO *text = BIO_new(BIO_s_mem());
	char *bytes;
	long length;

	if (text == NULL ||
	    PEM_write_bio_X509(text, authority->certificate) != 1)
		abort();
	length = BIO_get_mem_data(text, &bytes);
	authority->pem = strndup(bytes, (size_t)length);
	if (authority->pem == NULL)
		abort();
	BIO_free(text);
}

/* A dangling link is there too: it says where the file should be. */
static bool
is_there(const char *path)
{
	struct stat info;

	return lstat(path, &info) == 0;
}

static bool
create_or_load(struct authority *authority, int directory,
    char error[AUTHORITY_ERROR_BYTES])
{
	bool has_key = is_there(authority->key_path);
	bool has_certificate = is_there(authority->certificate_path);

	if (has_key != has_certificate)
		return fail(error,
		    "%s is there and %s is not: restore that, or remove this "
		    "to make new ones",
		    has_key ? authority->key_path : authority->certificate_path,
		    has_key ? authority->certificate_path
			    : authority->key_path);
	if (!has_key && !create(authority, error))
		return false;
	if (!has_key && fsync(directory) == -1)
		return fail(error, "%s cannot be synced: %s: check its disk",
		    authority->key_path, strerror(errno));
	if (!load_key(authority, error) ||
	    !load_certificate(authority, error) ||
	    !check_pair(authority, error))
		return false;
	write_pem(authority);
	return true;
}

/* What is in an existing directory; its path is absolute. */
static struct authority *
open_locked(const char *path, int directory, char error[AUTHORITY_ERROR_BYTES])
{
	struct authority *authority = calloc(1, sizeof(*authority));
	bool is_open;

	if (authority == NULL)
		abort();
	authority->certificate_path = join(path, "ca.pem");
	authority->key_path = join(path, "ca-key.pem");
	/* What OpenSSL has to say about a file is in our one line. */
	ERR_set_mark();
	is_open = create_or_load(authority, directory, error);
	ERR_pop_to_mark();
	if (is_open)
		return authority;
	authority_free(authority);
	return NULL;
}

struct authority *
authority_open(const char *state_dir, char error[AUTHORITY_ERROR_BYTES])
{
	struct authority *authority = NULL;
	char *path;
	int directory;

	if (!make_directory(state_dir, error))
		return NULL;
	directory = lock_directory(state_dir, error);
	if (directory == -1)
		return NULL;
	path = realpath(state_dir, NULL);
	if (path != NULL)
		authority = open_locked(path, directory, error);
	else
		fail(error,
		    "%s has no absolute path: %s: choose another "
		    "state directory",
		    state_dir, strerror(errno));
	free(path);
	close(directory);
	return authority;
}

void
authority_free(struct authority *authority)
{
	if (authority == NULL)
		return;
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
	free(authority->pem);
	free(authority->certificate_path);
	free(authority->key_path);
	free(authority);
}

X509 *
authority_certificate(const struct authority *authority)
{
	return authority->certificate;
}

EVP_PKEY *
authority_key(const struct authority *authority)
{
	return authority->key;
}

const char *
authority_pem(const struct authority *authority)
{
	return authority->pem;
}

const char *
authority_certificate_path(const struct authority *authority)
{
	return authority->certificate_path;
}

const char *
authority_key_path(const struct authority *authority)
{
	return authority->key_path;
}
