/* SPDX-License-Identifier: MIT */

/*
 * Hosts that another proxy is asked to reach, in whatever spelling a caller
 * finds: where the C library reads an address out of one, and that address is
 * link-local or our own listener, it is prohibited; and nothing else is.
 */

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "proxy/destination.h"
#include "proxy/origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWN_PORT 9901

/* Reads as inet_aton() does: decimal, octal, hex, with fewer dots.  IPv6 maps
 * IPv4. */
static bool
resolve(const char *host, struct in6_addr *address)
{
	struct addrinfo hints = {
	    .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	*address = (struct in6_addr){0};
	if (found->ai_family == AF_INET) {
		address->s6_addr[10] = address->s6_addr[11] = 0xff;
		memcpy(&address->s6_addr[12],
		    &((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr,
		    4);
	} else {
		memcpy(address,
		    &((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr,
		    sizeof(*address));
	}
	freeaddrinfo(found);
	return true;
}

static bool
is_link_local(const struct in6_addr *address)
{
	const uint8_t *bytes = address->s6_addr;

	return (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||
	    (IN6_IS_ADDR_V4MAPPED(address) && bytes[12] == 169 &&
		bytes[13] == 254);
}

/* 127.0.0.1, and what Linux takes for it. */
static bool
is_own(const struct in6_addr *address, uint16_t port)
{
	uint32_t v4 = ntohl(address->s6_addr32[3]);

	return port == OWN_PORT && IN6_IS_ADDR_V4MAPPED(address) &&
	    (v4 == INADDR_LOOPBACK || v4 == INADDR_ANY);
}

static struct destination_rules
rules_of_ours(void)
{
	static struct address own;
	struct sockaddr_in v4 = {.sin_family = AF_INET,
	    .sin_port = htons(OWN_PORT),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	memcpy(&own.sockaddr, &v4, sizeof(v4));
	own.length = sizeof(v4);
	return (struct destination_rules){.own = &own, .own_count = 1};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct destination_rules rules = rules_of_ours();
	struct span text = {(const char *)data, size};
	struct origin_draft draft;
	struct in6_addr address;
	char *host;
	bool is_prohibited;

	if (!origin_parse_authority(text, OWN_PORT, &draft))
		return 0;
	is_prohibited = destination_is_prohibited_host(
	    &rules, draft.host, draft.origin.port);
	host = strdup(draft.host);
	if (host == NULL)
		abort();
	if (host[strlen(host) - 1] == '.')
		host[strlen(host) - 1] = '\0'; /* the root's */
	if (!resolve(host, &address)) {
		/* A name: of those, only this machine's own is known. */
		assert(!is_prohibited ||
		    (strcasecmp(host, "localhost") == 0 &&
			draft.origin.port == OWN_PORT));
	} else if (is_link_local(&address) ||
	    is_own(&address, draft.origin.port)) {
		assert(is_prohibited);
	} else if (IN6_IS_ADDR_V4MAPPED(&address)) {
		assert(!is_prohibited);
	}
	free(host);
	return 0;
}
