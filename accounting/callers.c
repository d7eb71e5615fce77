/* SPDX-License-Identifier: MIT */

/*
 * Callers' manners.  When the table is full, the caller heard of least
 * recently is forgotten: it has to earn its name again, and until then its
 * silence proves nothing, which errs on the side of not accusing.
 */

#include "accounting/callers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "accounting/memory.h"

struct caller {
	char *key; /* owned */
	unsigned prompt_answers;
	bool has_answered_late;
	UT_hash_handle hh;
};

struct callers {
	pthread_mutex_t lock;
	struct caller *table; /* in the order of their last answer */
};

struct callers *
callers_new(void)
{
	struct callers *callers = xcalloc(1, sizeof(*callers));

	pthread_mutex_init(&callers->lock, NULL);
	return callers;
}

static void
forget(struct callers *callers, struct caller *caller)
{
	HASH_DEL(callers->table, caller);
	free(caller->key);
	free(caller);
}

void
callers_free(struct callers *callers)
{
	struct caller *caller;
	struct caller *next;

	HASH_ITER (hh, callers->table, caller, next)
		forget(callers, caller);
	pthread_mutex_destroy(&callers->lock);
	free(callers);
}

/* Finds or makes the caller, and puts it last in the table's order. */
static struct caller *
heard_of(struct callers *callers, const char *key)
{
	struct caller *caller;

	HASH_FIND_STR(callers->table, key, caller);
	if (caller != NULL) {
		HASH_DEL(callers->table, caller);
	} else {
		if (HASH_COUNT(callers->table) >= CALLERS_MAX)
			forget(callers, callers->table);
		caller = xcalloc(1, sizeof(*caller));
		caller->key = xstrdup(key);
	}
	HASH_ADD_KEYPTR(
	    hh, callers->table, caller->key, strlen(caller->key), caller);
	return caller;
}

void
callers_probe_answered(struct callers *callers, const char *key, bool is_prompt)
{
	struct caller *caller;

	pthread_mutex_lock(&callers->lock);
	caller = heard_of(callers, key);
	if (is_prompt)
		caller->prompt_answers++;
	else
		caller->has_answered_late = true;
	pthread_mutex_unlock(&callers->lock);
}

bool
callers_watch(struct callers *callers, const char *key)
{
	struct caller *caller;
	bool watches;

	pthread_mutex_lock(&callers->lock);
	HASH_FIND_STR(callers->table, key, caller);
	watches = caller != NULL && !caller->has_answered_late &&
	    caller->prompt_answers >= CALLERS_PROMPT_ANSWERS;
	pthread_mutex_unlock(&callers->lock);
	return watches;
}
