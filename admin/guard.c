/* SPDX-License-Identifier: MIT */

/*
 * Who may ask.
 */

#include "admin/guard.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A name in DNS has no more (RFC 1035 §2.3.4); then the zero. */
#define HOST_MAX_BYTES 256

static bool
is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits >= 1 && digits <= 5 && text[digits] == '\0';
}

/* Copies the host of "host", "host:port", "[v6]:port" without brackets.
 * Returns false where the field is none of these. */
static bool
split_host(const char *field, char host[HOST_MAX_BYTES], bool *is_bracketed)
{
	const char *end;

	*is_bracketed = field[0] == '[';
	if (*is_bracketed)
		end = strchr(++field, ']');
	else
		end = field + strcspn(field, ":");
	if (end == NULL || end == field || end - field >= HOST_MAX_BYTES)
		return false;
	*(char *)mempcpy(host, field, (size_t)(end - field)) = '\0';
	if (*is_bracketed)
		end++;
	return *end == '\0' || (*end == ':' && is_port(end + 1));
}

/* Letters, digits and what else names of machines are made of. */
static bool
is_name(const char *host)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789-._";

	return host[strspn(host, alphabet)] == '\0';
}

const char *
guard_refuse_host(const char *field, bool has_token)
{
	unsigned char address[sizeof(struct in6_addr)];
	char host[HOST_MAX_BYTES];
	bool is_bracketed;

	if (field == NULL)
		return "the Host field is missing";
	if (!split_host(field, host, &is_bracketed))
		return "Host must be one host, with or without a port";
	if (is_bracketed && inet_pton(AF_INET6, host, address) == 1)
		return NULL;
	if (!is_bracketed &&
	    (inet_pton(AF_INET, host, address) == 1 ||
		strcasecmp(host, "localhost") == 0 ||
		(has_token && is_name(host))))
		return NULL;
	return "Host must be an IP address or localhost (a name may be DNS "
	       "rebinding; with --admin-token-file it is welcome)";
}

const char *
guard_refuse_origin(const char *origin, const char *host)
{
	static const char *const schemes[] = {"http://", "https://"};

	if (origin == NULL)
		return NULL;
	for (size_t i = 0; i < 2 && host != NULL; i++) {
		size_t length = strlen(schemes[i]);

		if (strncasecmp(origin, schemes[i], length) == 0 &&
		    strcasecmp(origin + length, host) == 0)
			return NULL;
	}
	return "Origin is another site than Host";
}
