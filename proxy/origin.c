/* SPDX-License-Identifier: MIT */

/*
 * Where a request goes.
 */

#include "proxy/origin.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"

/* ---- to keep ---- */

/* Copies a string, and returns where the next one goes. */
static char *
put(const char **copy, char *room, const char *string)
{
	*copy = room;
	return stpcpy(room, string) + 1;
}

struct origin *
origin_new(const struct origin *origin)
{
	struct origin *copy = xcalloc(1,
	    sizeof(*copy) + strlen(origin->host) + strlen(origin->server_name) +
		strlen(origin->key) + 3);
	char *room = (char *)(copy + 1);

	copy->ref_count = 1;
	copy->is_tls = origin->is_tls;
	copy->port = origin->port;
	room = put(&copy->host, room, origin->host);
	room = put(&copy->server_name, room, origin->server_name);
	(void)put(&copy->key, room, origin->key);
	return copy;
}

struct origin *
origin_ref(struct origin *origin)
{
	assert(origin->ref_count > 0);
	origin->ref_count++;
	return origin;
}

void
origin_unref(struct origin **originp)
{
	struct origin *origin = *originp;

	*originp = NULL;
	if (origin == NULL)
		return;
	assert(origin->ref_count > 0);
	if (--origin->ref_count == 0)
		free(origin);
}

/* ---- to read ---- */

static void
begin(struct origin_draft *draft)
{
	draft->origin.ref_count = 0;
	draft->origin.host = draft->host;
	draft->origin.server_name = draft->server_name;
	draft->origin.key = draft->key;
	draft->server_name[0] = '\0';
}

void
origin_draft(struct origin_draft *draft, const struct origin *origin)
{
	begin(draft);
	draft->origin.is_tls = origin->is_tls;
	draft->origin.port = origin->port;
	strcpy(draft->host, origin->host);
	strcpy(draft->server_name, origin->server_name);
	strcpy(draft->key, origin->key);
}

static uint16_t
own_port(bool is_tls)
{
	return is_tls ? 443 : 80;
}

/* Writes "host", "[v6]" and, but for 0, ":port".  By hand: each request has
 * its key and Host written, and printf takes ten times as long. */
static void
add_authority(char *to, const char *host, unsigned port)
{
	bool is_v6 = strchr(host, ':') != NULL;
	char digits[] = ":65535";
	size_t at = sizeof(digits) - 1;

	if (is_v6)
		*to++ = '[';
	to = stpcpy(to, host);
	if (is_v6)
		*to++ = ']';
	for (; port > 0; port /= 10)
		digits[--at] = (char)('0' + port % 10);
	if (at < sizeof(digits) - 1)
		digits[--at] = ':';
	strcpy(to, digits + at);
}

static void
write_key(struct origin_draft *draft)
{
	const struct origin *origin = &draft->origin;

	add_authority(
	    stpcpy(draft->key, origin->is_tls ? "https://" : "http://"),
	    origin_server_name(origin), origin->port);
}

void
origin_set_tls(struct origin_draft *draft, bool is_tls)
{
	/* Without TLS there is nobody to verify: who is where. */
	if (!is_tls)
		draft->server_name[0] = '\0';
	draft->origin.is_tls = is_tls;
	write_key(draft);
}

/* Letters, digits and what occurs in names: nothing that could end a host in
 * another parser's reading. */
static bool
is_host_byte(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

bool
origin_copy_host(char copy[ORIGIN_HOST_BYTES], const char *host, size_t length)
{
	if (length == 0 || length >= ORIGIN_HOST_BYTES)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_host_byte(host[i]))
			return false;
		copy[i] = (char)tolower((unsigned char)host[i]);
	}
	copy[length] = '\0';
	return true;
}

/* Reads "[v6]"; *length is what of the authority that was. */
static bool
set_v6_host(struct origin_draft *draft, struct span authority, size_t *length)
{
	const char *end = memchr(authority.at, ']', authority.length);
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];
	size_t text_length;

	if (end == NULL)
		return false;
	text_length = (size_t)(end - authority.at) - 1;
	if (text_length >= sizeof(text))
		return false;
	memcpy(text, authority.at + 1, text_length);
	text[text_length] = '\0';
	if (inet_pton(AF_INET6, text, &address) != 1)
		return false;
	inet_ntop(AF_INET6, &address, draft->host, sizeof(draft->host));
	*length = text_length + 2;
	return true;
}

static bool
parse_port(struct span text, uint16_t *port)
{
	unsigned value = 0;

	if (text.length == 0 || text.length > 5)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		if (!isdigit((unsigned char)text.at[i]))
			return false;
		value = value * 10 + (unsigned)(text.at[i] - '0');
	}
	*port = (uint16_t)value;
	return value > 0 && value <= UINT16_MAX;
}

bool
origin_parse_authority(
    struct span authority, uint16_t default_port, struct origin_draft *draft)
{
	const char *end = authority.at + authority.length;
	size_t host_length;
	struct span port;

	if (authority.length == 0)
		return false;
	begin(draft);
	if (authority.at[0] == '[') {
		if (!set_v6_host(draft, authority, &host_length))
			return false;
	} else {
		const char *colon = memchr(authority.at, ':', authority.length);

		host_length = colon == NULL ? authority.length
					    : (size_t)(colon - authority.at);
		if (!origin_copy_host(draft->host, authority.at, host_length))
			return false;
	}
	if (host_length == authority.length) {
		draft->origin.port = default_port;
		origin_set_tls(draft, default_port == 443);
		return default_port != 0;
	}
	port.at = authority.at + host_length + 1;
	port.length = (size_t)(end - port.at);
	if (authority.at[host_length] != ':' ||
	    !parse_port(port, &draft->origin.port))
		return false;
	origin_set_tls(draft, default_port == 443);
	return true;
}

static bool
skip_scheme(struct span *target, const char *scheme)
{
	size_t length = strlen(scheme);

	if (target->length < length ||
	    strncasecmp(target->at, scheme, length) != 0)
		return false;
	target->at += length;
	target->length -= length;
	return true;
}

/* RFC 3986 §3.2 */
static bool
ends_authority(char c)
{
	return c == '/' || c == '?' || c == '#';
}

bool
origin_parse_absolute(
    struct span target, struct origin_draft *draft, struct span *path)
{
	bool is_tls = false;
	struct span authority;

	if (!skip_scheme(&target, "http://")) {
		if (!skip_scheme(&target, "https://"))
			return false;
		is_tls = true;
	}
	authority.at = target.at;
	authority.length = 0;
	while (authority.length < target.length &&
	    !ends_authority(target.at[authority.length]))
		authority.length++;
	path->at = target.at + authority.length;
	path->length = target.length - authority.length;
	return origin_parse_authority(authority, own_port(is_tls), draft);
}

bool
origin_set_server_name(struct origin_draft *draft, const char *name)
{
	char copy[ORIGIN_HOST_BYTES];

	if (strcasecmp(name, draft->host) == 0) {
		draft->server_name[0] = '\0';
	} else {
		if (!origin_copy_host(copy, name, strlen(name)))
			return false;
		strcpy(draft->server_name, copy);
	}
	write_key(draft);
	return true;
}

bool
origin_rename(struct origin **origin, const char *name)
{
	struct origin_draft draft;

	if (strcasecmp(name, origin_server_name(*origin)) == 0)
		return true;
	origin_draft(&draft, *origin);
	if (!origin_set_server_name(&draft, name))
		return false;
	origin_unref(origin);
	*origin = origin_new(&draft.origin);
	return true;
}

const char *
origin_server_name(const struct origin *origin)
{
	return origin->server_name[0] == '\0' ? origin->host
					      : origin->server_name;
}

const char *
origin_route(const struct origin *origin, char route[ORIGIN_ROUTE_BYTES])
{
	if (origin->server_name[0] == '\0')
		return origin->key;
	snprintf(route, ORIGIN_ROUTE_BYTES, "%s@%s", origin->key, origin->host);
	return route;
}

void
origin_host_field(const struct origin *origin, char field[ORIGIN_KEY_BYTES])
{
	add_authority(field, origin->host,
	    origin->port == own_port(origin->is_tls) ? 0 : origin->port);
}

void
origin_url(const struct origin *origin, struct span path, struct text *url)
{
	text_clear(url);
	text_add_string(url, origin->key);
	if (path.length == 0 || path.at[0] == '?')
		text_add(url, "/", 1);
	text_add_span(url, path);
	text_add(url, "", 1);
}

bool
origin_is_same_authority(const struct origin *a, const struct origin *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}
