/* SPDX-License-Identifier: MIT */

/*
 * The trust bundle.
 *
 * Files are not pasted together but read block by block, and only certificates
 * are written: a key that lies beside a certificate does not end up in a file
 * that all may read, and a bundle that was made from an earlier bundle does
 * not grow.  Certificates pass as the bytes they are, so one that OpenSSL
 * would refuse cannot spoil the bundle for clients that would take it.
 */

#include "certs/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "certs/fail.h"
#include "certs/install.h"

#define BUNDLE_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH)

struct block {
	unsigned char *der; /* owned, by OpenSSL's allocator */
	long length;
};

struct bundle {
	struct block *blocks; /* owned */
	size_t count;
};

/* Where Debian, RHEL, SUSE and Alpine keep them. */
static const char *const usual_places[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

static bool
is_readable(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
	    access(path, R_OK) == 0;
}

static const char *
find_usual_roots(void)
{
	for (size_t i = 0; i < sizeof(usual_places) / sizeof(usual_places[0]);
	     i++) {
		if (is_readable(usual_places[i]))
			return usual_places[i];
	}
	return NULL;
}

const char *
bundle_system_roots(void)
{
	const char *chosen = getenv("SSL_CERT_FILE");

	if (chosen != NULL && is_readable(chosen))
		return chosen;
	return find_usual_roots();
}

static void
free_bundle(struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->count; i++)
		OPENSSL_free(bundle->blocks[i].der);
	free(bundle->blocks);
}

/* Takes *der, whether it is new or not. */
static void
add_block(struct bundle *bundle, unsigned char **der, long length)
{
	struct block block = {*der, length};

	*der = NULL;
	for (size_t i = 0; i < bundle->count; i++) {
		const struct block *known = &bundle->blocks[i];

		if (known->length == block.length &&
		    memcmp(known->der, block.der, (size_t)length) == 0) {
			OPENSSL_free(block.der);
			return;
		}
	}
	bundle->blocks = reallocarray(
	    bundle->blocks, bundle->count + 1, sizeof(*bundle->blocks));
	if (bundle->blocks == NULL)
		abort();
	bundle->blocks[bundle->count++] = block;
}

static bool
is_certificate(const char *name)
{
	return strcmp(name, PEM_STRING_X509) == 0 ||
	    strcmp(name, PEM_STRING_X509_OLD) == 0;
}

/* Adds the certificates up to the end, or to what is no PEM; returns how many
 * there were. */
static size_t
add_blocks(struct bundle *bundle, BIO *text)
{
	size_t found = 0;
	unsigned char *der;
	char *name;
	char *header;
	long length;

	while (PEM_read_bio(text, &name, &header, &der, &length) == 1) {
		if (is_certificate(name)) {
			add_block(bundle, &der, length);
			found++;
		} else {
			OPENSSL_clear_free(der, (size_t)length);
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
	}
	return found;
}

/* How many certificates make a file worth naming. */
enum need { NEED_NONE, NEED_ONE };

static bool
add_file(struct bundle *bundle, const char *path, enum need need,
    char error[AUTHORITY_ERROR_BYTES])
{
	FILE *file = is_readable(path) ? fopen(path, "re") : NULL;
	BIO *text = file == NULL ? NULL : BIO_new_fp(file, BIO_CLOSE);
	size_t found;
	bool is_whole;

	if (text == NULL)
		return fail(error,
		    "%s cannot be read: name a PEM file that the user who "
		    "runs leakproxy may read",
		    path);
	found = add_blocks(bundle, text);
	is_whole =
	    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE &&
	    ferror(file) == 0;
	BIO_free(text);
	if (!is_whole)
		return fail(error,
		    "%s is damaged after %zu certificates: restore it", path,
		    found);
	if (found == 0 && need == NEED_ONE)
		return fail(error,
		    "%s holds no certificate: name a file with roots in PEM",
		    path);
	return true;
}

static bool
is_same_file(const char *a, const char *b)
{
	struct stat a_info;
	struct stat b_info;

	return stat(a, &a_info) == 0 && stat(b, &b_info) == 0 &&
	    a_info.st_dev == b_info.st_dev && a_info.st_ino == b_info.st_ino;
}

static bool
write_blocks(const struct bundle *bundle, FILE *file)
{
	for (size_t i = 0; i < bundle->count; i++) {
		const struct block *block = &bundle->blocks[i];

		if (PEM_write(file, PEM_STRING_X509, "", block->der,
			block->length) == 0)
			return false;
	}
	return fflush(file) == 0;
}

static bool
replace_file(const struct bundle *bundle, const char *path,
    char error[AUTHORITY_ERROR_BYTES])
{
	char *text;
	size_t length;
	FILE *file = open_memstream(&text, &length);
	bool is_replaced;

	if (file == NULL || !write_blocks(bundle, file) || fclose(file) != 0)
		abort(); /* only for want of memory */
	is_replaced =
	    install_file(path, BUNDLE_MODE, text, length, INSTALL_OVER) ||
	    fail(error,
		"%s cannot be written: %s: free some space or choose another "
		"state directory",
		path, strerror(errno));
	free(text);
	return is_replaced;
}

/* In a shell that uses our bundle, SSL_CERT_FILE is the one that we are about
 * to write: made from itself, it would keep what has left the system. */
static const char *
find_roots_for(const char *path)
{
	const char *roots = bundle_system_roots();

	if (roots != NULL && is_same_file(roots, path))
		return find_usual_roots();
	return roots;
}

static bool
collect(struct bundle *bundle, const char *roots, const char *extra_roots,
    char error[AUTHORITY_ERROR_BYTES])
{
	return (roots == NULL || add_file(bundle, roots, NEED_NONE, error)) &&
	    (extra_roots == NULL ||
		add_file(bundle, extra_roots, NEED_ONE, error));
}

bool
bundle_write(const struct authority *authority, const char *extra_roots,
    const char *path, char error[AUTHORITY_ERROR_BYTES])
{
	struct bundle bundle = {0};
	unsigned char *der = NULL;
	int length = i2d_X509(authority_certificate(authority), &der);
	bool is_written;

	if (length <= 0)
		abort();
	add_block(&bundle, &der, length);
	/* The end of a PEM file is an error to OpenSSL. */
	ERR_set_mark();
	is_written =
	    collect(&bundle, find_roots_for(path), extra_roots, error) &&
	    replace_file(&bundle, path, error);
	ERR_pop_to_mark();
	free_bundle(&bundle);
	return is_written;
}
