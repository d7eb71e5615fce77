/* SPDX-License-Identifier: MIT */
#ifndef CERTS_LEAF_KEY_H
#define CERTS_LEAF_KEY_H

/*
 * The key that leaves share.  Any thread.
 */

#include <openssl/evp.h>

/* Returns a new ECDSA P-256 key, cheap to put into certificates, or NULL.
 * Free with EVP_PKEY_free(). */
EVP_PKEY *leaf_key_new(void);

#endif
