/* SPDX-License-Identifier: MIT */
#ifndef PROXY_UNITS_H
#define PROXY_UNITS_H

/*
 * Numbers as people write them: durations, sizes, addresses, networks.  Pure;
 * any thread.  Each function returns whether the whole of `text` is one, and
 * leaves the result alone where it is not.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "accounting/units.h"

/* Ten years: more is a mistake, and sums with a clock must not overflow. */
#define UNITS_MAX_DURATION_US (INT64_C(10) * 365 * 24 * 3600 * US_PER_S)

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

/* "500ms", "30s", "5m", "2h", or "0". */
bool units_parse_duration(const char *text, mono_us *duration_us) MUST_CHECK;

/* "100", "64KiB", "1MiB", "2GiB". */
bool units_parse_size(const char *text, size_t *size_bytes) MUST_CHECK;

/* Decimal digits alone, at most `max`. */
bool units_parse_number(
    const char *text, uint64_t max, uint64_t *number) MUST_CHECK;

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
