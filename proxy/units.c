/* SPDX-License-Identifier: MIT */

/*
 * Addresses as people write them.
 */

#include "proxy/units.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PORT 65535
#define MAPPED_PREFIX_BITS 96

static void
set_v4(struct address *address, struct in_addr host)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = host};

	memset(address, 0, sizeof(*address));
	memcpy(&address->sockaddr, &v4, sizeof(v4));
	address->length = sizeof(v4);
}

static void
set_v6(struct address *address, const struct in6_addr *host)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = *host};

	memset(address, 0, sizeof(*address));
	memcpy(&address->sockaddr, &v6, sizeof(v6));
	address->length = sizeof(v6);
}

/* `length` bytes of `text`: an IPv4 address, or an IPv6 one in brackets. */
static bool
read_host(const char *text, size_t length, struct address *address)
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;
	bool is_bracketed = length > 2 && text[0] == '[';

	if (is_bracketed) {
		if (text[length - 1] != ']')
			return false;
		text++;
		length -= 2;
	}
	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	if (is_bracketed && inet_pton(AF_INET6, host, &v6) == 1) {
		set_v6(address, &v6);
		return true;
	}
	if (!is_bracketed && inet_pton(AF_INET, host, &v4) == 1) {
		set_v4(address, v4);
		return true;
	}
	return false;
}

bool
units_parse_host_address(const char *text, struct address *address)
{
	return read_host(text, strlen(text), address);
}

bool
units_parse_address(const char *text, struct address *address)
{
	static const char localhost[] = "localhost:";
	struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
	const char *colon = strrchr(text, ':');
	struct address parsed;
	uint64_t port;

	if (colon == NULL || !units_parse_number(colon + 1, MAX_PORT, &port))
		return false;
	if (strncmp(text, localhost, strlen(localhost)) == 0)
		set_v4(&parsed, loopback);
	else if (!read_host(text, (size_t)(colon - text), &parsed))
		return false;
	units_set_port(&parsed, (uint16_t)port);
	*address = parsed;
	return true;
}

/* Clears the bits of `bytes` from `first_bit` on. */
static void
clear_bits(uint8_t *bytes, unsigned first_bit, unsigned bit_count)
{
	for (unsigned bit = first_bit; bit < bit_count; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

static void
unmap_cidr(struct cidr *cidr)
{
	struct in6_addr v6;

	memcpy(&v6, cidr->network, sizeof(v6));
	if (cidr->family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6) ||
	    cidr->prefix_bits < MAPPED_PREFIX_BITS)
		return;
	memset(cidr->network, 0, sizeof(cidr->network));
	memcpy(cidr->network, &v6.s6_addr[12], 4);
	cidr->family = AF_INET;
	cidr->prefix_bits -= MAPPED_PREFIX_BITS;
}

bool
units_parse_cidr(const char *text, struct cidr *cidr)
{
	const char *slash = strchr(text, '/');
	size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
	char host[INET6_ADDRSTRLEN];
	struct cidr parsed = {0};
	unsigned bit_count;
	uint64_t bits;

	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	parsed.family = strchr(host, ':') == NULL ? AF_INET : AF_INET6;
	bit_count = parsed.family == AF_INET ? 32 : 128;
	bits = bit_count;
	if (inet_pton(parsed.family, host, parsed.network) != 1)
		return false;
	if (slash != NULL && !units_parse_number(slash + 1, bit_count, &bits))
		return false;
	parsed.prefix_bits = (unsigned)bits;
	clear_bits(parsed.network, parsed.prefix_bits, bit_count);
	unmap_cidr(&parsed);
	*cidr = parsed;
	return true;
}

/* Returns the family, and 4 or 16 bytes in `bytes`; IPv4-mapped is IPv4. */
static int
plain_address(const struct sockaddr *sockaddr, uint8_t bytes[16])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sockaddr->sa_family == AF_INET) {
		memcpy(&v4, sockaddr, sizeof(v4));
		memcpy(bytes, &v4.sin_addr, 4);
		return AF_INET;
	}
	if (sockaddr->sa_family != AF_INET6)
		return AF_UNSPEC;
	memcpy(&v6, sockaddr, sizeof(v6));
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
		memcpy(bytes, &v6.sin6_addr.s6_addr[12], 4);
		return AF_INET;
	}
	memcpy(bytes, &v6.sin6_addr, 16);
	return AF_INET6;
}

bool
units_cidr_contains(const struct cidr *cidr, const struct sockaddr *sockaddr)
{
	uint8_t bytes[16] = {0};

	if (plain_address(sockaddr, bytes) != cidr->family)
		return false;
	clear_bits(
	    bytes, cidr->prefix_bits, cidr->family == AF_INET ? 32 : 128);
	return memcmp(bytes, cidr->network, sizeof(bytes)) == 0;
}

uint16_t
units_port(const struct address *address)
{
	struct sockaddr_in v4;

	/* The port lies at the same place in both families. */
	memcpy(&v4, &address->sockaddr, sizeof(v4));
	return ntohs(v4.sin_port);
}

void
units_set_port(struct address *address, uint16_t port)
{
	struct sockaddr_in v4;

	memcpy(&v4, &address->sockaddr, sizeof(v4));
	v4.sin_port = htons(port);
	memcpy(&address->sockaddr, &v4, sizeof(v4));
}

bool
units_is_loopback(const struct address *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sockaddr.ss_family == AF_INET) {
		memcpy(&v4, &address->sockaddr, sizeof(v4));
		return ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	memcpy(&v6, &address->sockaddr, sizeof(v6));
	return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

void
units_address_text(
    const struct address *address, char text[UNITS_ADDRESS_TEXT_BYTES])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	char host[INET6_ADDRSTRLEN];

	if (address->sockaddr.ss_family == AF_INET) {
		memcpy(&v4, &address->sockaddr, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
		snprintf(text, UNITS_ADDRESS_TEXT_BYTES, "%s:%u", host,
		    units_port(address));
	} else {
		memcpy(&v6, &address->sockaddr, sizeof(v6));
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
		snprintf(text, UNITS_ADDRESS_TEXT_BYTES, "[%s]:%u", host,
		    units_port(address));
	}
}
