/* SPDX-License-Identifier: MIT */
#ifndef PROXY_UNITS_H
#define PROXY_UNITS_H

/*
 * Addresses and networks as people write them; other numbers are read by
 * accounting/units.h.  Pure; any thread.  Each function returns whether the
 * whole of `text` is one, and leaves the result alone where it is not.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "accounting/units.h"

#define UNITS_ADDRESS_TEXT_BYTES 64

struct address {
	struct sockaddr_storage sockaddr;
	socklen_t length;
};

struct cidr {
	int family; /* AF_INET or AF_INET6 */
	uint8_t network[16];
	unsigned prefix_bits;
};

/* "192.0.2.1" or "[2001:db8::1]", no port. */
bool units_parse_host_address(
    const char *text, struct address *address) MUST_CHECK;

/* "192.0.2.1:8080", "[2001:db8::1]:8080", "localhost:8080" (127.0.0.1). */
bool units_parse_address(const char *text, struct address *address) MUST_CHECK;

/* "10.0.0.0/8", "fd00::/8", or an address alone.  Bits behind the prefix are
 * cleared; an IPv4-mapped network of 96 bits and more becomes IPv4. */
bool units_parse_cidr(const char *text, struct cidr *cidr) MUST_CHECK;

/* Returns whether `sockaddr` is inside; an IPv4-mapped one counts as IPv4. */
bool units_cidr_contains(
    const struct cidr *cidr, const struct sockaddr *sockaddr);

/* Returns whether only this machine can reach it. */
bool units_is_loopback(const struct address *address);

uint16_t units_port(const struct address *address);
void units_set_port(struct address *address, uint16_t port);

/* Writes "192.0.2.1:8080" or "[2001:db8::1]:8080". */
void units_address_text(
    const struct address *address, char text[UNITS_ADDRESS_TEXT_BYTES]);

#endif
