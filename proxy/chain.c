/* SPDX-License-Identifier: MIT */

/*
 * Another proxy between us and the origins.
 */

#include "proxy/chain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>

#include "accounting/memory.h"
#include "proxy/units.h"

#define DEFAULT_PORT 80

/* ---- the URL ---- */

/* "Basic base64(user:password)" (RFC 7617 §2).  Free with free(). */
static char *
make_authorization(const char *user_information)
{
	size_t length;
	char *decoded = evhttp_uridecode(user_information, 0, &length);
	bool has_colon = memchr(decoded, ':', length) != NULL;
	char *credentials = xasprintf("%s%s", decoded, has_colon ? "" : ":");
	size_t size = 4 * (strlen(credentials) / 3 + 1) + 1;
	char *encoded = xcalloc(1, size);
	char *authorization;

	if (b64_ntop((const unsigned char *)credentials, strlen(credentials),
		encoded, size) < 0)
		abort();
	authorization = xasprintf("Basic %s", encoded);
	free(encoded);
	free(credentials);
	free(decoded);
	return authorization;
}

/* Host and port as an origin has them: IPv6 without its brackets. */
static bool
read_proxy(const struct evhttp_uri *uri, struct origin_draft *proxy)
{
	const char *host = evhttp_uri_get_host(uri);
	int port = evhttp_uri_get_port(uri);
	char *authority;
	bool is_good;

	if (host == NULL || *host == '\0')
		return false;
	authority = port < 0 ? xstrdup(host) : xasprintf("%s:%d", host, port);
	is_good = origin_parse_authority(
	    (struct span){authority, strlen(authority)}, DEFAULT_PORT, proxy);
	free(authority);
	return is_good;
}

static bool
is_plain_proxy(const struct evhttp_uri *uri)
{
	const char *scheme = evhttp_uri_get_scheme(uri);
	const char *path = evhttp_uri_get_path(uri);

	return scheme != NULL && strcasecmp(scheme, "http") == 0 &&
	    (path == NULL || *path == '\0' || strcmp(path, "/") == 0) &&
	    evhttp_uri_get_query(uri) == NULL &&
	    evhttp_uri_get_fragment(uri) == NULL;
}

bool
chain_parse(const char *url, struct chain *chain)
{
	struct evhttp_uri *uri = evhttp_uri_parse(url);
	struct origin_draft proxy;
	const char *user_information;
	bool is_good;

	if (uri == NULL)
		return false;
	is_good = is_plain_proxy(uri) && read_proxy(uri, &proxy);
	user_information = evhttp_uri_get_userinfo(uri);
	if (is_good) {
		free(chain->authorization);
		chain->is_set = true;
		origin_unref(&chain->proxy);
		chain->proxy = origin_new(&proxy.origin);
		chain->authorization = user_information == NULL
		    ? NULL
		    : make_authorization(user_information);
	}
	evhttp_uri_free(uri);
	return is_good;
}

void
chain_fini(struct chain *chain)
{
	origin_unref(&chain->proxy);
	free(chain->authorization);
	free(chain->no_proxy);
	*chain = (struct chain){0};
}

/* ---- NO_PROXY ---- */

static bool
is_same_domain(struct span entry, const char *host)
{
	size_t length = strlen(host);

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (entry.length > 0 && entry.at[0] == '.') {
		entry.at++;
		entry.length--;
	}
	if (entry.length == 0 || entry.length > length ||
	    strncasecmp(host + length - entry.length, entry.at, entry.length) !=
		0)
		return false;
	return entry.length == length || host[length - entry.length - 1] == '.';
}

static bool
contains_address(struct span entry, const char *host)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	char *text = xstrndup(entry.at, entry.length);
	struct cidr cidr;
	bool is_cidr = units_parse_cidr(text, &cidr);

	free(text);
	if (!is_cidr)
		return false;
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		return units_cidr_contains(&cidr, (struct sockaddr *)&v4);
	return inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 &&
	    units_cidr_contains(&cidr, (struct sockaddr *)&v6);
}

/* Takes ":port" off the entry.  Returns false where it is another port than
 * the origin's. */
static bool
fits_port(struct span *entry, const struct origin *origin)
{
	const char *colon = memrchr(entry->at, ':', entry->length);
	const char *bracket = memrchr(entry->at, ']', entry->length);
	char *digits;
	uint64_t port;
	bool is_port;

	/* Several colons without brackets are an IPv6 address. */
	if (colon == NULL || (bracket != NULL && bracket > colon) ||
	    (bracket == NULL && memchr(entry->at, ':', entry->length) != colon))
		return true;
	digits = xstrndup(
	    colon + 1, (size_t)(entry->at + entry->length - colon) - 1);
	is_port = units_parse_number(digits, UINT16_MAX, &port);
	free(digits);
	if (!is_port)
		return true;
	entry->length = (size_t)(colon - entry->at);
	return port == origin->port;
}

static bool
is_named(struct span entry, const struct origin *origin)
{
	if (entry.length == 1 && *entry.at == '*')
		return true;
	if (!fits_port(&entry, origin))
		return false;
	if (entry.length > 2 && entry.at[0] == '[' &&
	    entry.at[entry.length - 1] == ']') {
		entry.at++;
		entry.length -= 2;
	}
	return is_same_domain(entry, origin->host) ||
	    contains_address(entry, origin->host);
}

bool
chain_leads_to(const struct chain *chain, const struct origin *origin)
{
	static const char separators[] = ", \t";
	const char *at = chain->no_proxy;

	if (!chain->is_set)
		return false;
	while (at != NULL && *(at += strspn(at, separators)) != '\0') {
		struct span entry = {at, strcspn(at, separators)};

		if (is_named(entry, origin))
			return false;
		at += entry.length;
	}
	return true;
}
