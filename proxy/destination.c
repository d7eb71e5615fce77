/* SPDX-License-Identifier: MIT */

/*
 * Which addresses are not proxied to.
 *
 * An address is first put into one form, IPv6 with IPv4 mapped into it, so
 * that two spellings of one place cannot be told apart.  Our own listeners are
 * never allowed: a request to them would go round in a circle, or reach the
 * admin port from a caller who may not.
 */

#include "proxy/destination.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "proxy/origin.h"

#define LINK_LOCAL_V4 0xa9fe0000u /* 169.254.0.0/16, RFC 3927 */
#define LINK_LOCAL_V4_MASK 0xffff0000u

/* IPv4 mapped into IPv6; in Linux the unspecified address is loopback. */
static struct in6_addr
canonical(const struct sockaddr *sockaddr)
{
	struct in6_addr address = {0};
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sockaddr->sa_family == AF_INET) {
		memcpy(&v4, sockaddr, sizeof(v4));
		if (v4.sin_addr.s_addr == htonl(INADDR_ANY))
			v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		address.s6_addr[10] = address.s6_addr[11] = 0xff;
		memcpy(&address.s6_addr[12], &v4.sin_addr, 4);
		return address;
	}
	memcpy(&v6, sockaddr, sizeof(v6));
	address = v6.sin6_addr;
	if (IN6_IS_ADDR_UNSPECIFIED(&address))
		return in6addr_loopback;
	if (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr32[3] == 0)
		address.s6_addr32[3] = htonl(INADDR_LOOPBACK);
	return address;
}

/* The port lies at the same place in both families. */
static in_port_t
port_of(const struct sockaddr *sockaddr)
{
	struct sockaddr_in v4;

	memcpy(&v4, sockaddr, sizeof(v4));
	return v4.sin_port;
}

/* ---- link-local ---- */

/* Where an IPv4 address lies inside the IPv6 one, at *offset. */
static bool
embeds_v4(const struct in6_addr *address, size_t *offset)
{
	static const uint8_t nat64[12] = {
	    0x00, 0x64, 0xff, 0x9b};               /* RFC 6052 */
	static const uint8_t compatible[12] = {0}; /* RFC 4291 §2.5.5.1 */

	*offset = 12;
	if (IN6_IS_ADDR_V4MAPPED(address) ||
	    memcmp(address->s6_addr, nat64, sizeof(nat64)) == 0 ||
	    memcmp(address->s6_addr, compatible, sizeof(compatible)) == 0)
		return true;
	*offset = 2; /* 6to4, RFC 3056 §2 */
	return address->s6_addr[0] == 0x20 && address->s6_addr[1] == 0x02;
}

/* Where AWS and Google keep over IPv6 what they keep at 169.254.169.254. */
static bool
is_metadata(const struct in6_addr *address)
{
	static const struct in6_addr aws = {
	    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}}};
	static const struct in6_addr google = {
	    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}}};

	return IN6_ARE_ADDR_EQUAL(address, &aws) ||
	    IN6_ARE_ADDR_EQUAL(address, &google);
}

static bool
is_link_local(const struct in6_addr *address)
{
	uint32_t v4;
	size_t offset;

	if (IN6_IS_ADDR_LINKLOCAL(address))
		return true;
	if (!embeds_v4(address, &offset))
		return false;
	memcpy(&v4, &address->s6_addr[offset], sizeof(v4));
	return (ntohl(v4) & LINK_LOCAL_V4_MASK) == LINK_LOCAL_V4;
}

static bool
is_allowed(
    const struct destination_rules *rules, const struct sockaddr *sockaddr)
{
	for (size_t i = 0; i < rules->allowed_count; i++) {
		if (units_cidr_contains(&rules->allowed[i], sockaddr))
			return true;
	}
	return false;
}

/* ---- our own ---- */

static bool
is_any(const struct address *own)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (own->sockaddr.ss_family == AF_INET) {
		memcpy(&v4, &own->sockaddr, sizeof(v4));
		return v4.sin_addr.s_addr == htonl(INADDR_ANY);
	}
	memcpy(&v6, &own->sockaddr, sizeof(v6));
	return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

/* Whether the address is one of this machine's: the kernel lets nobody bind
 * to another's. */
static bool
is_of_this_machine(const struct in6_addr *address)
{
	struct sockaddr_in6 any_port = {
	    .sin6_family = AF_INET6, .sin6_addr = *address};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	bool is_v4 = IN6_IS_ADDR_V4MAPPED(address);
	int fd =
	    socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_ours;

	if (fd < 0)
		return true; /* cannot be known: rather not */
	memcpy(&v4.sin_addr, &address->s6_addr[12], 4);
	is_ours = is_v4
	    ? bind(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0
	    : bind(fd, (struct sockaddr *)&any_port, sizeof(any_port)) == 0;
	close(fd);
	return is_ours;
}

bool
destination_is_here(const struct sockaddr *sockaddr)
{
	struct in6_addr address = canonical(sockaddr);

	return is_of_this_machine(&address);
}

bool
destination_is_own(
    const struct destination_rules *rules, const struct sockaddr *sockaddr)
{
	struct in6_addr address = canonical(sockaddr);

	for (size_t i = 0; i < rules->own_count; i++) {
		const struct address *own = &rules->own[i];
		const struct sockaddr *listener =
		    (const struct sockaddr *)&own->sockaddr;
		struct in6_addr bound = canonical(listener);

		if (port_of(sockaddr) != port_of(listener))
			continue;
		if (memcmp(&bound, &address, sizeof(bound)) == 0 ||
		    (is_any(own) && is_of_this_machine(&address)))
			return true;
	}
	return false;
}

/* ---- answers ---- */

bool
destination_is_prohibited(
    const struct destination_rules *rules, const struct sockaddr *sockaddr)
{
	struct in6_addr address = canonical(sockaddr);

	if (destination_is_own(rules, sockaddr))
		return true;
	return (is_link_local(&address) || is_metadata(&address)) &&
	    !is_allowed(rules, sockaddr);
}

/* inet_aton() reads what inet_pton() refuses, "2852039166" and "0xa9fe0101",
 * and so may the next proxy. */
static bool
read_literal(const char *name, uint16_t port, struct sockaddr_storage *literal)
{
	char host[ORIGIN_HOST_BYTES]; /* inet_aton() takes zeros at will */
	size_t length = strlen(name);
	struct sockaddr_in v4 = {
	    .sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (length > 0 && name[length - 1] == '.')
		length--; /* the root's */
	if (length >= sizeof(host))
		return false;
	memcpy(host, name, length);
	host[length] = '\0';
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(literal, &v6, sizeof(v6));
		return true;
	}
	if (strcasecmp(host, "localhost") == 0)
		v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (inet_aton(host, &v4.sin_addr) == 0)
		return false;
	memcpy(literal, &v4, sizeof(v4));
	return true;
}

bool
destination_is_prohibited_host(
    const struct destination_rules *rules, const char *host, uint16_t port)
{
	struct sockaddr_storage literal = {0};

	return read_literal(host, port, &literal) &&
	    destination_is_prohibited(rules, (struct sockaddr *)&literal);
}
