/* SPDX-License-Identifier: MIT */

/*
 * Names to addresses.
 */

#include "proxy/resolve.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/util.h>

#include "accounting/memory.h"

struct resolver {
	struct loop *loop;             /* borrowed */
	const struct options *options; /* borrowed */
	struct evdns_base *dns;        /* owned */
};

struct resolve_query {
	struct resolver *resolver;             /* borrowed */
	struct evdns_getaddrinfo_request *dns; /* NULL: not asking DNS */
	uint16_t port;
	bool is_cancelled;
	resolve_cb on_resolved;
	void *arg; /* borrowed */
	enum resolve_result result;
	struct address *addresses; /* owned */
	size_t count;
};

struct resolver *
resolver_new(struct loop *loop, const struct options *options)
{
	struct resolver *resolver = xcalloc(1, sizeof(*resolver));

	resolver->loop = loop;
	resolver->options = options;
	resolver->dns = evdns_base_new(loop_base(loop),
	    EVDNS_BASE_INITIALIZE_NAMESERVERS |
		EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	/* Without a usable resolv.conf names come from /etc/hosts alone. */
	if (resolver->dns == NULL) {
		resolver->dns = evdns_base_new(
		    loop_base(loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		if (resolver->dns == NULL)
			abort();
		(void)evdns_base_load_hosts(resolver->dns, "/etc/hosts");
	}
	return resolver;
}

void
resolver_free(struct resolver *resolver)
{
	evdns_base_free(resolver->dns, 1);
	free(resolver);
}

static void
set_port(struct address *address, uint16_t port)
{
	if (address->sockaddr.ss_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, &address->sockaddr, sizeof(v6));
		v6.sin6_port = htons(port);
		memcpy(&address->sockaddr, &v6, sizeof(v6));
	} else {
		struct sockaddr_in v4;

		memcpy(&v4, &address->sockaddr, sizeof(v4));
		v4.sin_port = htons(port);
		memcpy(&address->sockaddr, &v4, sizeof(v4));
	}
}

static bool
has_port(const struct address *address)
{
	struct sockaddr_in v4;

	/* The port lies at the same place in both families. */
	memcpy(&v4, &address->sockaddr, sizeof(v4));
	return v4.sin_port != 0;
}

static void
add_address(struct resolve_query *query, const struct sockaddr *sockaddr,
    socklen_t length)
{
	struct address *address;

	if (query->count == RESOLVE_MAX_ADDRESSES)
		return;
	query->addresses = xreallocarray(
	    query->addresses, query->count + 1, sizeof(*query->addresses));
	address = &query->addresses[query->count];
	memset(address, 0, sizeof(*address));
	memcpy(&address->sockaddr, sockaddr, length);
	address->length = length;
	if (!has_port(address))
		set_port(address, query->port);
	query->count++;
}

static void
answer(void *arg)
{
	struct resolve_query *query = arg;

	if (!query->is_cancelled)
		query->on_resolved(
		    query->result, query->addresses, query->count, query->arg);
	free(query->addresses);
	free(query);
}

static bool
applies(const struct resolve_rule *rule, const struct origin *origin)
{
	return (strcmp(rule->host, "*") == 0 ||
		   strcmp(rule->host, origin->host) == 0) &&
	    (rule->port == 0 || rule->port == origin->port);
}

static bool
answer_by_rule(struct resolve_query *query, const struct origin *origin)
{
	const struct options *options = query->resolver->options;

	for (size_t i = 0; i < options->resolve_count; i++) {
		const struct resolve_rule *rule = &options->resolve[i];

		if (applies(rule, origin)) {
			add_address(query,
			    (const struct sockaddr *)&rule->address.sockaddr,
			    rule->address.length);
			return true;
		}
	}
	return false;
}

static bool
answer_literal(struct resolve_query *query, const struct origin *origin)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, origin->host, &v4.sin_addr) == 1) {
		add_address(query, (struct sockaddr *)&v4, sizeof(v4));
		return true;
	}
	if (inet_pton(AF_INET6, origin->host, &v6.sin6_addr) == 1) {
		add_address(query, (struct sockaddr *)&v6, sizeof(v6));
		return true;
	}
	return false;
}

static enum resolve_result
result_of(int error)
{
	switch (error) {
	case 0:
		return RESOLVE_OK;
	case EVUTIL_EAI_NONAME:
	case EVUTIL_EAI_NODATA:
		return RESOLVE_NO_NAME;
	case EVUTIL_EAI_AGAIN:
		return RESOLVE_TIMEOUT;
	default:
		return RESOLVE_FAILED;
	}
}

static void
on_dns_answered(int error, struct evutil_addrinfo *found, void *arg)
{
	struct resolve_query *query = arg;

	query->dns = NULL;
	query->result = result_of(error);
	for (struct evutil_addrinfo *one = found; one != NULL;
	     one = one->ai_next)
		add_address(query, one->ai_addr, one->ai_addrlen);
	if (found != NULL)
		evutil_freeaddrinfo(found);
	/* It may answer inside the call that asked. */
	loop_later(query->resolver->loop, answer, query);
}

static void
ask_dns(struct resolve_query *query, const struct origin *origin)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = EVUTIL_AI_ADDRCONFIG};
	char port[8];
	struct evdns_getaddrinfo_request *asked;

	snprintf(port, sizeof(port), "%u", origin->port);
	asked = evdns_getaddrinfo(query->resolver->dns, origin->host, port,
	    &hints, on_dns_answered, query);
	if (asked != NULL)
		query->dns = asked;
}

struct resolve_query *
resolver_ask(struct resolver *resolver, const struct origin *origin,
    resolve_cb on_resolved, void *arg)
{
	struct resolve_query *query = xcalloc(1, sizeof(*query));

	query->resolver = resolver;
	query->port = origin->port;
	query->on_resolved = on_resolved;
	query->arg = arg;
	if (answer_by_rule(query, origin) || answer_literal(query, origin))
		loop_later(resolver->loop, answer, query);
	else
		ask_dns(query, origin);
	return query;
}

void
resolver_cancel(struct resolve_query **queryp)
{
	struct resolve_query *query = *queryp;

	*queryp = NULL;
	query->is_cancelled = true;
	if (query->dns != NULL)
		evdns_getaddrinfo_cancel(query->dns);
}
