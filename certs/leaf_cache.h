/* SPDX-License-Identifier: MIT */
#ifndef CERTS_LEAF_CACHE_H
#define CERTS_LEAF_CACHE_H

/*
 * Leaves by host, minted when first asked for.  Bounded: the one unused for
 * longest goes first.  The one thing that workers share on the hot path; any
 * thread.
 */

#include <stddef.h>

#include "certs/authority.h"
#include "certs/leaf.h"

#define LEAF_CACHE_DEFAULT_MAX 4096

struct leaf_cache;

/* Borrows the authority for the cache's life, or until another is set.
 * Returns NULL if OpenSSL cannot make the leaves' key.  Free with
 * leaf_cache_free(). */
struct leaf_cache *leaf_cache_new(
    const struct authority *authority, size_t max_leaves);
void leaf_cache_free(struct leaf_cache *cache);

/* From now on leaves are of this authority, which is borrowed for the cache's
 * life; nobody uses the old one any more.  Waits for leaves that are being
 * minted. */
void leaf_cache_set_authority(
    struct leaf_cache *cache, const struct authority *authority);

/*
 * Returns the leaf for `host` (compared without case), or NULL if it cannot
 * be minted.  A leaf within a day of its end is minted again.  Minting runs
 * outside the lock; when two threads mint for one host, one leaf wins and
 * both get it.  Free with leaf_unref().
 */
struct leaf *leaf_cache_lease(struct leaf_cache *cache, const char *host);

/* The leaves' key; borrowed. */
EVP_PKEY *leaf_cache_key(const struct leaf_cache *cache);

size_t leaf_cache_count(struct leaf_cache *cache);

#endif
