/* SPDX-License-Identifier: MIT */
#ifndef CERTS_AUTHORITY_H
#define CERTS_AUTHORITY_H

/*
 * The certificate authority: one P-256 key and its self-signed certificate,
 * made on first run and kept in the state directory as ca.pem and ca-key.pem
 * (0600).  Immutable once open; any thread may use it.
 */

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

struct authority;

#define AUTHORITY_ERROR_BYTES 512

/*
 * Opens the authority in `state_dir`, making directory (0700), key and
 * certificate where there are none.  Files are written to a temporary name,
 * synced and linked into place, never over one that exists; two processes
 * that start at once end up with the same authority.  Returns NULL, with one
 * line in `error` that names the file and says what to do, when a file cannot
 * be read or written, key and certificate do not match, only one of the two
 * exists, the certificate is no CA, not yet valid or expired, or the key can
 * be read by others.  Free with authority_free().
 */
struct authority *authority_open(
    const char *state_dir, char error[AUTHORITY_ERROR_BYTES]);
void authority_free(struct authority *authority);

/* Borrowed, live as long as the authority. */
X509 *authority_certificate(const struct authority *authority);
EVP_PKEY *authority_key(const struct authority *authority);

/* The certificate in PEM, NUL-terminated; borrowed. */
const char *authority_pem(const struct authority *authority);

/* Absolute paths of ca.pem and ca-key.pem; borrowed. */
const char *authority_certificate_path(const struct authority *authority);
const char *authority_key_path(const struct authority *authority);

#endif
