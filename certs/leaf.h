/* SPDX-License-Identifier: MIT */
#ifndef CERTS_LEAF_H
#define CERTS_LEAF_H

/*
 * Leaf certificates for intercepted hosts.  All share one key a process
 * (leaf_key).  Shared by reference count; any thread.
 */

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "certs/authority.h"

#define LEAF_MAX_DAYS 825

struct leaf;

/*
 * Returns a leaf for `host` (a DNS name, or an IPv4 or IPv6 address without
 * brackets), as its only subjectAltName, valid from yesterday for
 * LEAF_MAX_DAYS at most and never beyond the authority's end; or NULL if the
 * host is no valid name or OpenSSL refuses.  Borrows all.  Free with
 * leaf_unref().
 */
struct leaf *leaf_mint(
    const struct authority *authority, EVP_PKEY *key, const char *host);

struct leaf *leaf_ref(struct leaf *leaf);
void leaf_unref(struct leaf *leaf);

/* Borrowed, lives as long as the leaf. */
X509 *leaf_certificate(const struct leaf *leaf);

#endif
