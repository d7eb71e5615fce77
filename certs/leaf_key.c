/* SPDX-License-Identifier: MIT */

/*
 * The key that leaves share.
 *
 * X509_set_pubkey() copies the public half of a key that has an EC_KEY under
 * it.  That of a key of EVP_EC_gen() it has written out and parsed again,
 * which in OpenSSL 3.0 takes 215 µs, seven signatures' time, for each leaf.
 * OpenSSL calls such keys deprecated, for it wants applications to keep to
 * EVP; they sign as fast.
 */

#define OPENSSL_SUPPRESS_DEPRECATED

#include "certs/leaf_key.h"

#include <stddef.h>

#include <openssl/ec.h>
#include <openssl/obj_mac.h>

EVP_PKEY *
leaf_key_new(void)
{
	EC_KEY *pair = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	EVP_PKEY *key = EVP_PKEY_new();

	if (pair != NULL && key != NULL && EC_KEY_generate_key(pair) == 1 &&
	    EVP_PKEY_set1_EC_KEY(key, pair) == 1) {
		EC_KEY_free(pair);
		return key;
	}
	EC_KEY_free(pair);
	EVP_PKEY_free(key);
	return NULL;
}
