/* SPDX-License-Identifier: MIT */

/*
 * Leaks: groups of responses that were not drained.
 */

#include "accounting/leak.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/same.h"

/* FNV-1a, 64 bits: an id, not a defence. */
#define FNV_BASIS UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

static uint64_t
hash_text(uint64_t hash, const char *text)
{
	/* The terminating NUL too, so that "ab","c" is not "a","bc". */
	do {
		hash = (hash ^ (unsigned char)*text) * FNV_PRIME;
	} while (*text++ != '\0');
	return hash;
}

/* The number's decimal text, without printf's price: this is asked of every
 * response. */
static uint64_t
hash_status(uint64_t hash, int status)
{
	char text[16];
	char *at = text + sizeof(text) - 1;
	unsigned rest = (unsigned)status;

	*at = '\0';
	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	return hash_text(hash, at);
}

uint64_t
leak_hash(const struct exchange_record *exchange, const char *route)
{
	uint64_t hash = FNV_BASIS;

	hash = hash_text(hash, exchange->origin);
	hash = hash_text(hash, exchange->method);
	hash = hash_text(hash, route);
	hash = hash_status(hash, exchange->status);
	for (size_t i = 0; i < exchange->tags.count; i++) {
		hash = hash_text(hash, exchange->tags.items[i].key);
		hash = hash_text(hash, exchange->tags.items[i].value);
	}
	return hash;
}

void
leak_id(char id[LEAK_ID_BYTES], const struct exchange_record *exchange)
{
	snprintf(id, LEAK_ID_BYTES, "%016" PRIx64,
	    leak_hash(exchange, exchange->route));
}

/* ---- names ---- */

struct leak_name {
	/* owned */
	char *origin;
	char *method;
	char *route;
	struct tags tags;

	atomic_uint references;
};

static void
unref_name(struct leak_name *name)
{
	if (atomic_fetch_sub(&name->references, 1) > 1)
		return;
	free(name->origin);
	free(name->method);
	free(name->route);
	tags_fini(&name->tags);
	free(name);
}

void
leak_set_name(struct leak *leak, const struct exchange_record *exchange)
{
	struct leak_name *name = xcalloc(1, sizeof(*name));

	assert(leak->name == NULL && leak->origin == NULL);
	leak_id(leak->id, exchange);
	leak->status = exchange->status;
	leak->name = name;
	leak->origin = name->origin = xstrdup(exchange->origin);
	leak->method = name->method = xstrdup(exchange->method);
	leak->route = name->route = xstrdup(exchange->route);
	tags_copy(&name->tags, &exchange->tags);
	leak->tags = name->tags;
	atomic_init(&name->references, 1);
}

void
leak_copy(struct leak *to, const struct leak *from)
{
	assert(from->name != NULL);
	*to = *from;
	to->callers = NULL;
	to->caller_count = 0;
	to->example = NULL;
	atomic_fetch_add(&from->name->references, 1);
	arrivals_copy(&to->arrivals, &from->arrivals);
}

/* ---- callers ---- */

static void
fini_caller(struct leak_caller *caller)
{
	free(caller->client_host);
	free(caller->user_agent);
	free(caller->command);
	free(caller->command_line);
}

/* Returns the leak's entry for this caller, or NULL where it has none. */
static struct leak_caller *
find_caller(struct leak *leak, const struct leak_caller *caller)
{
	for (size_t i = 0; i < leak->caller_count; i++) {
		struct leak_caller *known = &leak->callers[i];

		if (known->pid == caller->pid &&
		    same_text(known->client_host, caller->client_host) &&
		    same_text(known->user_agent, caller->user_agent))
			return known;
	}
	return NULL;
}

static void
add_fd(struct leak_caller *caller, int fd)
{
	if (caller->fd_count < LEAK_MAX_FDS)
		caller->fds[caller->fd_count++] = fd;
}

struct leak_caller *
leak_new_caller(struct leak *leak)
{
	size_t count = leak->caller_count;
	struct leak_caller *caller;

	if (count == LEAK_MAX_CALLERS)
		return NULL;
	/* Nearly every leak has one; beyond, room doubles. */
	if ((count & (count - 1)) == 0)
		leak->callers = xreallocarray(leak->callers,
		    count == 0 ? 1 : 2 * count, sizeof(*leak->callers));
	caller = &leak->callers[leak->caller_count++];
	*caller = (struct leak_caller){0};
	return caller;
}

/* Takes what *caller owns. */
static void
take_caller(struct leak *leak, struct leak_caller *caller)
{
	struct leak_caller *known = find_caller(leak, caller);
	struct leak_caller *added;

	if (known != NULL) {
		for (size_t i = 0; i < caller->fd_count; i++)
			add_fd(known, caller->fds[i]);
		fini_caller(caller);
		return;
	}
	added = leak_new_caller(leak);
	if (added != NULL)
		*added = *caller;
	else
		fini_caller(caller);
}

/* "127.0.0.1" of "127.0.0.1:4242", "::1" of "[::1]:4242". */
static char *
host_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t length =
	    colon == NULL ? strlen(address) : (size_t)(colon - address);

	if (length >= 2 && address[0] == '[' && address[length - 1] == ']')
		return xstrndup(address + 1, length - 2);
	return xstrndup(address, length);
}

void
leak_add_caller(struct leak *leak, const struct exchange_record *exchange)
{
	struct owner_view owner = owner_view(exchange->owner);
	struct leak_caller caller = {
	    .client_host = host_of(exchange->client_address),
	    .user_agent = xstrdup_or_null(exchange->user_agent),
	    .command = xstrdup_or_null(owner.command),
	    .command_line = xstrdup_or_null(owner.command_line),
	    .pid = owner.pid,
	};

	if (owner.container != NULL)
		snprintf(caller.container, sizeof(caller.container), "%s",
		    owner.container);
	if (exchange->is_held && owner.fd >= 0)
		add_fd(&caller, owner.fd);
	take_caller(leak, &caller);
}

static void
free_example(struct leak *leak)
{
	if (leak->example == NULL)
		return;
	record_fini_exchange(leak->example);
	free(leak->example);
	leak->example = NULL;
}

void
leak_absorb(struct leak *into, struct leak *from)
{
	into->undrained += from->undrained;
	into->suspected += from->suspected;
	into->held_now += from->held_now;
	into->held_to_exit += from->held_to_exit;
	into->held_bytes += from->held_bytes;
	for (size_t i = 0; i < EVIDENCE_COUNT; i++)
		into->by_evidence[i] += from->by_evidence[i];
	if (from->first_seen < into->first_seen)
		into->first_seen = from->first_seen;
	if (from->last_seen > into->last_seen)
		into->last_seen = from->last_seen;
	into->releases.count += from->releases.count;
	into->releases.sum_s += from->releases.sum_s;
	into->releases.sum_squares_s += from->releases.sum_squares_s;
	arrivals_absorb(&into->arrivals, &from->arrivals);
	levels_absorb(&into->held, &from->held);
	for (size_t i = 0; i < from->caller_count; i++)
		take_caller(into, &from->callers[i]);
	from->caller_count = 0;
	if (into->example == NULL) {
		into->example = from->example;
		from->example = NULL;
	}
	leak_fini(from);
}

bool
leak_has_deadline(const struct leak *leak, double *age_s)
{
	const struct leak_releases *releases = &leak->releases;
	double count = (double)releases->count;
	double mean;
	double variance;
	double spread;

	if (releases->count < LEAK_DEADLINE_MIN)
		return false;
	mean = releases->sum_s / count;
	variance = releases->sum_squares_s / count - mean * mean;
	spread = variance > 0 ? sqrt(variance) : 0;
	if (spread > mean / 20 && spread > 0.05)
		return false;
	*age_s = mean;
	return true;
}

int
leak_rank(const void *a, const void *b)
{
	const struct leak *left = a;
	const struct leak *right = b;

	if (left->undrained != right->undrained)
		return left->undrained > right->undrained ? -1 : 1;
	if (left->suspected != right->suspected)
		return left->suspected > right->suspected ? -1 : 1;
	return strcmp(left->id, right->id);
}

void
leak_fini(struct leak *leak)
{
	if (leak->name != NULL) {
		unref_name(leak->name);
	} else {
		free(leak->origin);
		free(leak->method);
		free(leak->route);
		tags_fini(&leak->tags);
	}
	for (size_t i = 0; i < leak->caller_count; i++)
		fini_caller(&leak->callers[i]);
	free(leak->callers);
	free_example(leak);
	arrivals_fini(&leak->arrivals);
}
