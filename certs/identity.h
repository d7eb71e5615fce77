/* SPDX-License-Identifier: MIT */
#ifndef CERTS_IDENTITY_H
#define CERTS_IDENTITY_H

/*
 * Who we are towards an origin that asks for a client certificate: the
 * certificate, its chain and its key.  Read-only once read; any thread.
 */

#include <stdbool.h>

#include <openssl/ssl.h>

#define IDENTITY_ERROR_BYTES 256

struct identity;

/* Reads a PEM file.  Returns NULL with a line in `error` that says what is
 * missing.  Free with identity_free(). */
struct identity *identity_read(
    const char *path, char error[IDENTITY_ERROR_BYTES]);
void identity_free(struct identity *identity);

/* Whether the certificate is valid today. */
bool identity_is_current(const struct identity *identity);

/* Has the session show it when it is asked. */
bool identity_use(const struct identity *identity, SSL *ssl)
    __attribute__((warn_unused_result));

#endif
