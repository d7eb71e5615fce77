/* SPDX-License-Identifier: MIT */

/*
 * Leaves by host.  The table is in order of use, the one unused for longest
 * first; who leases a leaf moves its entry to the end.  The lock is held for a
 * look-up and never while a leaf is minted or freed, so a handshake waits for
 * no other one's signature.  A leaf that has left the table lives on with
 * those who hold it.  Another authority comes between two mints, never during
 * one: none of the old one's leaves gets into the table behind it.
 */

#include "certs/leaf_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* uthash would call exit(), and other threads would go on meanwhile. */
#define uthash_fatal(message) abort()
#include <uthash.h>

#include "certs/leaf_key.h"

#define DAY_S 86400

/* Longer than any host that can be minted, so that none is cut into another. */
#define HOST_MAX_BYTES 256

struct entry {
	struct leaf *leaf; /* owned */
	time_t renew_at;
	bool is_final; /* nothing that we could mint lasts longer */
	UT_hash_handle hh;
	char host[];
};

struct leaf_cache {
	pthread_rwlock_t changing; /* written while the authority changes */
	const struct authority *authority; /* borrowed */
	EVP_PKEY *key;                     /* owned */
	size_t max_leaves;
	pthread_mutex_t lock;
	struct entry *entries; /* owned; under the lock */
};

struct leaf_cache *
leaf_cache_new(const struct authority *authority, size_t max_leaves)
{
	EVP_PKEY *key = leaf_key_new();
	struct leaf_cache *cache;

	assert(max_leaves > 0);
	if (key == NULL)
		return NULL;
	cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		abort();
	cache->authority = authority;
	cache->key = key;
	cache->max_leaves = max_leaves;
	pthread_rwlock_init(&cache->changing, NULL);
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

static void
free_entry(struct entry *entry)
{
	if (entry == NULL)
		return;
	leaf_unref(entry->leaf);
	free(entry);
}

static void
forget_all(struct leaf_cache *cache)
{
	struct entry *entry;
	struct entry *next;

	HASH_ITER (hh, cache->entries, entry, next) {
		HASH_DEL(cache->entries, entry);
		free_entry(entry);
	}
}

void
leaf_cache_set_authority(
    struct leaf_cache *cache, const struct authority *authority)
{
	pthread_rwlock_wrlock(&cache->changing);
	cache->authority = authority;
	pthread_mutex_lock(&cache->lock);
	forget_all(cache);
	pthread_mutex_unlock(&cache->lock);
	pthread_rwlock_unlock(&cache->changing);
}

void
leaf_cache_free(struct leaf_cache *cache)
{
	if (cache == NULL)
		return;
	forget_all(cache);
	pthread_mutex_destroy(&cache->lock);
	pthread_rwlock_destroy(&cache->changing);
	EVP_PKEY_free(cache->key);
	free(cache);
}

/* One host, one key: lower case, without the dot of the root. */
static bool
normalize(const char *host, char name[HOST_MAX_BYTES])
{
	size_t length = strlen(host);

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length == 0 || length >= HOST_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++)
		name[i] = host[i] >= 'A' && host[i] <= 'Z'
		    ? (char)(host[i] - 'A' + 'a')
		    : host[i];
	name[length] = '\0';
	return true;
}

static time_t
end_of(const X509 *certificate)
{
	struct tm utc;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) != 1)
		return 0;
	return timegm(&utc);
}

/* Takes the leaf. */
static struct entry *
make_entry(const struct leaf_cache *cache, const char *name, struct leaf *leaf)
{
	size_t bytes = strlen(name) + 1;
	struct entry *entry = calloc(1, sizeof(*entry) + bytes);
	time_t end = end_of(leaf_certificate(leaf));

	if (entry == NULL)
		abort();
	entry->leaf = leaf;
	entry->renew_at = end - DAY_S;
	/* On its authority's last day each lease would mint in vain. */
	entry->is_final =
	    end >= end_of(authority_certificate(cache->authority));
	memcpy(entry->host, name, bytes);
	return entry;
}

static void
move_to_end(struct leaf_cache *cache, struct entry *entry)
{
	HASH_DEL(cache->entries, entry);
	HASH_ADD_KEYPTR(
	    hh, cache->entries, entry->host, strlen(entry->host), entry);
}

/* Returns a reference to a leaf that need not be renewed, or NULL.  Under the
 * lock. */
static struct leaf *
find_leaf(struct leaf_cache *cache, const char *name, time_t now)
{
	struct entry *entry;

	HASH_FIND_STR(cache->entries, name, entry);
	if (entry == NULL || (now >= entry->renew_at && !entry->is_final))
		return NULL;
	move_to_end(cache, entry);
	return leaf_ref(entry->leaf);
}

/* Returns the entry that has to go for one of this name to come, or NULL.
 * Free with free_entry().  Under the lock. */
static struct entry *
make_room(struct leaf_cache *cache, const char *name)
{
	struct entry *entry;

	HASH_FIND_STR(cache->entries, name, entry);
	if (entry == NULL && HASH_COUNT(cache->entries) >= cache->max_leaves)
		entry = cache->entries;
	if (entry != NULL)
		HASH_DEL(cache->entries, entry);
	return entry;
}

/* Takes the leaf and returns a reference to it, or to that of a thread that
 * was faster. */
static struct leaf *
add_leaf(
    struct leaf_cache *cache, const char *name, struct leaf *minted, time_t now)
{
	struct entry *entry = make_entry(cache, name, minted);
	struct entry *leftover;
	struct leaf *leaf;

	pthread_mutex_lock(&cache->lock);
	leaf = find_leaf(cache, name, now);
	if (leaf != NULL) {
		leftover = entry;
	} else {
		leftover = make_room(cache, name);
		HASH_ADD_KEYPTR(hh, cache->entries, entry->host,
		    strlen(entry->host), entry);
		leaf = leaf_ref(minted);
	}
	pthread_mutex_unlock(&cache->lock);
	free_entry(leftover);
	return leaf;
}

struct leaf *
leaf_cache_lease(struct leaf_cache *cache, const char *host)
{
	char name[HOST_MAX_BYTES];
	time_t now = time(NULL);
	struct leaf *leaf;

	if (!normalize(host, name))
		return NULL;
	pthread_mutex_lock(&cache->lock);
	leaf = find_leaf(cache, name, now);
	pthread_mutex_unlock(&cache->lock);
	if (leaf != NULL)
		return leaf;
	pthread_rwlock_rdlock(&cache->changing);
	leaf = leaf_mint(cache->authority, cache->key, name);
	if (leaf != NULL)
		leaf = add_leaf(cache, name, leaf, now);
	pthread_rwlock_unlock(&cache->changing);
	return leaf;
}

EVP_PKEY *
leaf_cache_key(const struct leaf_cache *cache)
{
	return cache->key;
}

size_t
leaf_cache_count(struct leaf_cache *cache)
{
	size_t count;

	pthread_mutex_lock(&cache->lock);
	count = HASH_COUNT(cache->entries);
	pthread_mutex_unlock(&cache->lock);
	return count;
}
