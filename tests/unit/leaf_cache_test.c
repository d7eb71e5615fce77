/* SPDX-License-Identifier: MIT */

/*
 * Every intercepted handshake passes through the cache, on all cores at once.
 * A host must always get its own leaf, one that is not about to end; callers
 * who ask for a million hosts must not fill the memory; and a leaf that was
 * pushed out stays good for those who still hold it.  The crowd of threads is
 * there for the thread sanitizer.
 */

#include "certs/leaf_cache.h"

#include <ftw.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/x509v3.h>

#define DAY_S 86400L
#define THREADS 16
#define LEASES_EACH 300
#define HOSTS 40
#define ROUNDS 20

/* Sanitizers bring an allocator that mallinfo2() knows nothing of. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_MEMORY_COUNTED false
#else
#define IS_MEMORY_COUNTED true
#endif

static atomic_long clock_offset_s;

/* The clock of this program: libc's, and as far ahead as a test wants. */
time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += atomic_load(&clock_offset_s);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

static char directory[] = "/tmp/leaf_cache_test.XXXXXX";
static struct authority *authority;

static int
remove_entry(
    const char *path, const struct stat *info, int kind, struct FTW *where)
{
	return remove(path);
}

static int
set_up(void **state)
{
	char error[AUTHORITY_ERROR_BYTES];

	if (mkdtemp(directory) == NULL)
		return -1;
	authority = authority_open(directory, error);
	return authority == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	authority_free(authority);
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct leaf_cache *
new_cache(size_t max_leaves)
{
	struct leaf_cache *cache = leaf_cache_new(authority, max_leaves);

	assert_non_null(cache);
	return cache;
}

static bool
is_for(const struct leaf *leaf, const char *host)
{
	return X509_check_host(leaf_certificate(leaf), host, 0, 0, NULL) == 1;
}

/* Whether the host still has this leaf.  It counts as a use. */
static bool
has_leaf(struct leaf_cache *cache, const char *host, const struct leaf *leaf)
{
	struct leaf *found = leaf_cache_lease(cache, host);
	bool is_same = found == leaf;

	assert_non_null(found);
	leaf_unref(found);
	return is_same;
}

static void
test_a_host_has_one_leaf(void **state)
{
	static const char *const same[] = {
	    "registry.test", "REGISTRY.Test", "registry.test."};
	static const char *const others[] = {
	    "other.test", "registry.tes", "registry.test.x", "127.0.0.1"};
	struct leaf_cache *cache = new_cache(10);
	struct leaf *leaf = leaf_cache_lease(cache, "registry.test");

	assert_non_null(leaf);
	assert_true(is_for(leaf, "registry.test"));
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(leaf_certificate(leaf)),
			     leaf_cache_key(cache)),
	    1);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_true(has_leaf(cache, same[i], leaf));
	assert_int_equal(leaf_cache_count(cache), 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(has_leaf(cache, others[i], leaf));
	assert_int_equal(leaf_cache_count(cache), 5);
	leaf_unref(leaf);
	leaf_cache_free(cache);
	leaf_cache_free(NULL);
}

static void
test_what_cannot_be_minted_takes_no_room(void **state)
{
	static const char *const rows[] = {"", ".", "*.test", "a b", "[::1]"};
	struct leaf_cache *cache = new_cache(10);
	char long_host[1000];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_null(leaf_cache_lease(cache, rows[i]));
	for (size_t i = 0; i < sizeof(long_host); i++)
		long_host[i] = i % 10 == 9 ? '.' : 'a';
	long_host[sizeof(long_host) - 1] = '\0';
	assert_null(leaf_cache_lease(cache, long_host));
	assert_int_equal(leaf_cache_count(cache), 0);
	leaf_cache_free(cache);
}

static void
test_the_one_unused_for_longest_goes_first(void **state)
{
	struct leaf_cache *cache = new_cache(3);
	struct leaf *a = leaf_cache_lease(cache, "a.test");
	struct leaf *b = leaf_cache_lease(cache, "b.test");
	struct leaf *c = leaf_cache_lease(cache, "c.test");

	assert_true(has_leaf(cache, "a.test", a));
	assert_true(has_leaf(cache, "c.test", c));
	assert_true(has_leaf(cache, "a.test", a));
	assert_true(has_leaf(cache, "b.test", b));
	/* a and b were used after c was. */
	leaf_unref(leaf_cache_lease(cache, "d.test"));
	assert_int_equal(leaf_cache_count(cache), 3);
	assert_true(has_leaf(cache, "a.test", a));
	assert_true(has_leaf(cache, "b.test", b));
	assert_false(has_leaf(cache, "c.test", c));
	/* We hold c still. */
	assert_true(is_for(c, "c.test"));
	leaf_unref(a);
	leaf_unref(b);
	leaf_unref(c);
	leaf_cache_free(cache);
}

static void
test_a_leaf_outlives_the_cache(void **state)
{
	struct leaf_cache *cache = new_cache(1);
	struct leaf *leaf = leaf_cache_lease(cache, "registry.test");

	leaf_cache_free(cache);
	assert_true(is_for(leaf, "registry.test"));
	leaf_unref(leaf);
}

static void
test_a_leaf_is_renewed_on_its_last_day(void **state)
{
	struct leaf_cache *cache = new_cache(10);
	struct leaf *first = leaf_cache_lease(cache, "registry.test");
	struct leaf *second;
	time_t later;

	/* Valid since yesterday: its last day begins in 823 days. */
	atomic_store(&clock_offset_s, (LEAF_MAX_DAYS - 2) * DAY_S - 60);
	assert_true(has_leaf(cache, "registry.test", first));
	atomic_store(&clock_offset_s, (LEAF_MAX_DAYS - 2) * DAY_S + 60);
	second = leaf_cache_lease(cache, "registry.test");
	assert_ptr_not_equal(second, first);
	assert_true(has_leaf(cache, "registry.test", second));
	assert_int_equal(leaf_cache_count(cache), 1);
	later = time(NULL) + 30 * DAY_S;
	assert_true(X509_cmp_time(X509_get0_notAfter(leaf_certificate(second)),
			&later) > 0);
	atomic_store(&clock_offset_s, 0);
	leaf_unref(first);
	leaf_unref(second);
	leaf_cache_free(cache);
}

/* Once each lease near the authority's end minted anew, in vain. */
static void
test_nothing_is_minted_in_vain_on_the_authoritys_last_day(void **state)
{
	struct leaf_cache *cache = new_cache(10);
	struct leaf *leaf;

	atomic_store(&clock_offset_s, 3651 * DAY_S - DAY_S / 2);
	leaf = leaf_cache_lease(cache, "registry.test");
	assert_true(has_leaf(cache, "registry.test", leaf));
	atomic_store(&clock_offset_s, 0);
	leaf_unref(leaf);
	leaf_cache_free(cache);
}

static void
lease_hosts(struct leaf_cache *cache, const char *name, int count)
{
	char host[64];

	for (int i = 0; i < count; i++) {
		snprintf(
		    host, sizeof(host), "%s-%d.registry.example.com", name, i);
		leaf_unref(leaf_cache_lease(cache, host));
	}
}

static void
test_a_leaf_takes_less_than_four_kilobytes(void **state)
{
	struct leaf_cache *cache;
	size_t before;
	size_t used;

	if (!IS_MEMORY_COUNTED)
		skip();
	cache = new_cache(1000);
	lease_hosts(cache, "warm-up", 10);
	before = mallinfo2().uordblks;
	lease_hosts(cache, "host", 500);
	used = mallinfo2().uordblks - before;
	assert_in_range(used / 500, 500, 4096);
	/* Many more hosts cost no more than the cache may hold. */
	lease_hosts(cache, "more", 3000);
	assert_int_equal(leaf_cache_count(cache), 1000);
	used = mallinfo2().uordblks - before;
	assert_in_range(used / 1000, 500, 4096);
	leaf_cache_free(cache);
}

struct crowd {
	struct leaf_cache *cache;
	pthread_barrier_t start;
	atomic_int wrong;
	struct leaf *leaves[THREADS];
};

struct member {
	struct crowd *crowd;
	size_t number;
};

static void
run_crowd(struct crowd *crowd, void *(*run)(void *))
{
	struct member members[THREADS];
	pthread_t threads[THREADS];

	pthread_barrier_init(&crowd->start, NULL, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		members[i] = (struct member){crowd, i};
		assert_int_equal(
		    pthread_create(&threads[i], NULL, run, &members[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&crowd->start);
}

/* Each member walks over more hosts than there is room for, and keeps its
 * last leaf for a while. */
static void *
lease_often(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;
	struct leaf *held = NULL;
	char held_host[32] = "";
	char host[32];

	pthread_barrier_wait(&crowd->start);
	for (size_t i = 0; i < LEASES_EACH; i++) {
		struct leaf *leaf;

		snprintf(host, sizeof(host), "host-%zu.test",
		    (i * (member->number + 1)) % HOSTS);
		leaf = leaf_cache_lease(crowd->cache, host);
		if (leaf == NULL || !is_for(leaf, host) ||
		    (held != NULL && !is_for(held, held_host)))
			atomic_fetch_add(&crowd->wrong, 1);
		if (leaf_cache_count(crowd->cache) > HOSTS / 2)
			atomic_fetch_add(&crowd->wrong, 1);
		leaf_unref(held);
		held = leaf;
		strcpy(held_host, host);
	}
	leaf_unref(held);
	return NULL;
}

static void
test_many_threads_get_the_right_leaves(void **state)
{
	struct crowd crowd = {.cache = new_cache(HOSTS / 2)};

	run_crowd(&crowd, lease_often);
	assert_int_equal(crowd.wrong, 0);
	assert_int_equal(leaf_cache_count(crowd.cache), HOSTS / 2);
	leaf_cache_free(crowd.cache);
}

static void *
lease_once(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;

	pthread_barrier_wait(&crowd->start);
	crowd->leaves[member->number] =
	    leaf_cache_lease(crowd->cache, "registry.test");
	return NULL;
}

static void
test_threads_that_mint_together_get_one_leaf(void **state)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct crowd crowd = {.cache = new_cache(10)};

		run_crowd(&crowd, lease_once);
		assert_non_null(crowd.leaves[0]);
		for (size_t i = 0; i < THREADS; i++) {
			assert_ptr_equal(crowd.leaves[i], crowd.leaves[0]);
			leaf_unref(crowd.leaves[i]);
		}
		assert_int_equal(leaf_cache_count(crowd.cache), 1);
		leaf_cache_free(crowd.cache);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_host_has_one_leaf),
	    cmocka_unit_test(test_what_cannot_be_minted_takes_no_room),
	    cmocka_unit_test(test_the_one_unused_for_longest_goes_first),
	    cmocka_unit_test(test_a_leaf_outlives_the_cache),
	    cmocka_unit_test(test_a_leaf_is_renewed_on_its_last_day),
	    cmocka_unit_test(
		test_nothing_is_minted_in_vain_on_the_authoritys_last_day),
	    cmocka_unit_test(test_a_leaf_takes_less_than_four_kilobytes),
	    cmocka_unit_test(test_many_threads_get_the_right_leaves),
	    cmocka_unit_test(test_threads_that_mint_together_get_one_leaf),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
