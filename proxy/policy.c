/* SPDX-License-Identifier: MIT */

/*
 * What SIGHUP reads anew, as one thing that is swapped as a whole.
 */

#include "proxy/policy.h"

#include <stdlib.h>

#include "accounting/memory.h"
#include "proxy/hosts.h"
#include "proxy/tls.h"

struct policy *
policy_new(void)
{
	struct policy *policy = xcalloc(1, sizeof(*policy));

	atomic_init(&policy->references, 1);
	policy->routes = route_set_new();
	return policy;
}

struct policy *
policy_ref(struct policy *policy)
{
	atomic_fetch_add(&policy->references, 1);
	return policy;
}

void
policy_unref(struct policy *policy)
{
	if (policy == NULL || atomic_fetch_sub(&policy->references, 1) > 1)
		return;
	strings_fini(&policy->passthrough);
	free(policy->allow);
	route_set_free(policy->routes);
	tls_roots_free(policy->roots);
	free(policy);
}

bool
policy_allows(const struct policy *policy, const struct sockaddr *sockaddr)
{
	for (size_t i = 0; i < policy->allow_count; i++) {
		if (units_cidr_contains(&policy->allow[i], sockaddr))
			return true;
	}
	return false;
}

bool
policy_passes_through(const struct policy *policy, const char *host)
{
	for (size_t i = 0; i < policy->passthrough.count; i++) {
		if (hosts_matches(policy->passthrough.items[i], host))
			return true;
	}
	return false;
}

void
strings_append(struct strings *strings, char *item)
{
	strings->items = xreallocarray(
	    strings->items, strings->count + 1, sizeof(*strings->items));
	strings->items[strings->count++] = item;
}

void
strings_fini(struct strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
}
