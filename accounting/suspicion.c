/* SPDX-License-Identifier: MIT */

/*
 * Groups under suspicion.  A group that answers properly several times in a
 * row rests, so that callers that merely do not watch their idle connections
 * pay a reconnect a few times and not for ever.
 */

#include "accounting/suspicion.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"

struct group {
	char *key; /* owned */
	unsigned proper_answers;
	mono_us rests_until; /* 0: under suspicion */
	UT_hash_handle hh;
};

struct suspicion {
	pthread_mutex_t lock;
	struct group *table;  /* in the order in which they were raised */
	atomic_uint suspects; /* groups that do not rest */
};

struct suspicion *
suspicion_new(void)
{
	struct suspicion *suspicion = xcalloc(1, sizeof(*suspicion));

	pthread_mutex_init(&suspicion->lock, NULL);
	return suspicion;
}

static void
forget(struct suspicion *suspicion, struct group *group)
{
	HASH_DEL(suspicion->table, group);
	if (group->rests_until == 0)
		atomic_fetch_sub(&suspicion->suspects, 1);
	free(group->key);
	free(group);
}

void
suspicion_free(struct suspicion *suspicion)
{
	struct group *group;
	struct group *next;

	HASH_ITER (hh, suspicion->table, group, next)
		forget(suspicion, group);
	pthread_mutex_destroy(&suspicion->lock);
	free(suspicion);
}

static void
add_group(struct suspicion *suspicion, const char *key)
{
	struct group *group = xcalloc(1, sizeof(*group));

	if (HASH_COUNT(suspicion->table) >= SUSPICION_MAX_GROUPS)
		forget(suspicion, suspicion->table);
	group->key = xstrdup(key);
	HASH_ADD_KEYPTR(
	    hh, suspicion->table, group->key, strlen(group->key), group);
	atomic_fetch_add(&suspicion->suspects, 1);
}

void
suspicion_raised(struct suspicion *suspicion, const char *key, mono_us now)
{
	struct group *group;

	pthread_mutex_lock(&suspicion->lock);
	HASH_FIND_STR(suspicion->table, key, group);
	if (group == NULL) {
		add_group(suspicion, key);
	} else if (group->rests_until != 0 && now >= group->rests_until) {
		group->rests_until = 0;
		group->proper_answers = 0;
		atomic_fetch_add(&suspicion->suspects, 1);
	}
	pthread_mutex_unlock(&suspicion->lock);
}

void
suspicion_answered(struct suspicion *suspicion, const char *key, mono_us now)
{
	struct group *group;

	pthread_mutex_lock(&suspicion->lock);
	HASH_FIND_STR(suspicion->table, key, group);
	if (group != NULL && group->rests_until == 0 &&
	    ++group->proper_answers >= SUSPICION_CLEARED_BY) {
		group->rests_until = now + SUSPICION_REST_US;
		atomic_fetch_sub(&suspicion->suspects, 1);
	}
	pthread_mutex_unlock(&suspicion->lock);
}

void
suspicion_confirmed(struct suspicion *suspicion, const char *key)
{
	struct group *group;

	pthread_mutex_lock(&suspicion->lock);
	HASH_FIND_STR(suspicion->table, key, group);
	if (group != NULL)
		group->proper_answers = 0;
	pthread_mutex_unlock(&suspicion->lock);
}

bool
suspicion_is_anyone(struct suspicion *suspicion)
{
	return atomic_load_explicit(
		   &suspicion->suspects, memory_order_relaxed) > 0;
}

bool
suspicion_holds(struct suspicion *suspicion, const char *key)
{
	struct group *group;
	bool holds;

	pthread_mutex_lock(&suspicion->lock);
	HASH_FIND_STR(suspicion->table, key, group);
	holds = group != NULL && group->rests_until == 0;
	pthread_mutex_unlock(&suspicion->lock);
	return holds;
}
