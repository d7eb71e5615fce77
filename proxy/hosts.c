/* SPDX-License-Identifier: MIT */

/*
 * Hosts as people name them in options.  Kept as origins are: lower case, an
 * IPv6 address without its brackets, no dot at the end.
 */

#include "proxy/hosts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

#define MAX_HOST_BYTES 253

/* A name or an address: what has no business in one is refused, the rest is
 * for the resolver to judge. */
static bool
is_host(const char *host)
{
	size_t length = strlen(host);

	if (length == 0 || length > MAX_HOST_BYTES)
		return false;
	for (; *host != '\0'; host++) {
		if (!isalnum((unsigned char)*host) &&
		    strchr("-._:", *host) == NULL)
			return false;
	}
	return true;
}

static char *
lower_case(const char *text, size_t length)
{
	char *copy = xstrndup(text, length);

	for (char *at = copy; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return copy;
}

/* Takes the brackets of an IPv6 address and the root's dot off; the dot of
 * "*." stays, or a slip of the pen would be a "*". */
static char *
plain_host(const char *text, size_t length)
{
	if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	} else if (length > 1 && text[length - 1] == '.' &&
	    text[length - 2] != '*') {
		length--;
	}
	return lower_case(text, length);
}

/* Reads "PORT" or "*", up to the colon; returns what follows it, or NULL. */
static const char *
read_rule_port(const char *text, uint16_t *port)
{
	const char *colon = strchr(text, ':');
	uint64_t number = 0;
	char *digits;
	bool is_good;

	if (colon == NULL)
		return NULL;
	digits = xstrndup(text, (size_t)(colon - text));
	is_good = strcmp(digits, "*") == 0 ||
	    (units_parse_number(digits, UINT16_MAX, &number) && number > 0);
	free(digits);
	*port = (uint16_t)number;
	return is_good ? colon + 1 : NULL;
}

static bool
read_rule(const char *text, struct resolve_rule *rule)
{
	const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
	const char *colon = strchr(bracket == NULL ? text : bracket, ':');
	const char *target;

	if (colon == NULL)
		return false;
	rule->host = plain_host(text, (size_t)(colon - text));
	if (strcmp(rule->host, "*") != 0 && !is_host(rule->host))
		return false;
	target = read_rule_port(colon + 1, &rule->port);
	if (target == NULL)
		return false;
	if (units_parse_host_address(target, &rule->address))
		return true;
	return units_parse_address(target, &rule->address) &&
	    units_port(&rule->address) != 0;
}

bool
hosts_parse_rule(const char *text, struct resolve_rule *rule)
{
	struct resolve_rule parsed = {0};

	if (!read_rule(text, &parsed)) {
		free(parsed.host);
		return false;
	}
	*rule = parsed;
	return true;
}

char *
hosts_parse_pattern(const char *text)
{
	char *pattern = plain_host(text, strlen(text));
	const char *host = pattern;
	const char *colon;

	if (strcmp(pattern, "*") == 0)
		return pattern;
	if (strncmp(host, "*.", 2) == 0)
		host += 2;
	colon = strchr(host, ':');
	/* One colon is a port, more are an IPv6 address. */
	if (is_host(host) && (colon == NULL || colon != strrchr(host, ':')))
		return pattern;
	free(pattern);
	return NULL;
}

/* Without the root's dot, which a client may send. */
static size_t
host_length(const char *host)
{
	size_t length = strlen(host);

	return length > 0 && host[length - 1] == '.' ? length - 1 : length;
}

bool
hosts_matches(const char *pattern, const char *host)
{
	size_t length = host_length(host);
	size_t suffix_length;

	if (strcmp(pattern, "*") == 0)
		return true;
	if (strncmp(pattern, "*.", 2) != 0)
		return strlen(pattern) == length &&
		    memcmp(pattern, host, length) == 0;
	suffix_length = strlen(pattern) - 1; /* with its dot */
	return length > suffix_length &&
	    memcmp(pattern + 1, host + length - suffix_length, suffix_length) ==
	    0;
}
