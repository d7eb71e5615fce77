/* SPDX-License-Identifier: MIT */

/*
 * Host, Origin and Authorization of requests to the admin server, a line each:
 * a name other than localhost never passes without a token, whatever it is
 * dressed as; an Origin that passes is the Host's own; and no field has the
 * token but one that says it whole.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "admin/guard.h"
#include "proxy/base/token.h"

#define TOKEN "0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A port, or nothing. */
static bool
is_rest(const char *text)
{
	return *text == '\0' ||
	    (*text == ':' && text[1] != '\0' &&
		text[1 + strspn(text + 1, "0123456789")] == '\0');
}

/* Four numbers and three dots between them. */
static bool
is_v4(const char *host)
{
	for (unsigned numbers = 1;; numbers++) {
		char *end;
		unsigned long number = strtoul(host, &end, 10);

		if (*host < '0' || *host > '9' || number > 255)
			return false;
		if (*end != '.')
			return numbers == 4 && is_rest(end);
		host = end + 1;
	}
}

static bool
is_v6(const char *host)
{
	size_t length;

	if (*host++ != '[')
		return false;
	length = strspn(host, "0123456789abcdefABCDEF:.");
	return memchr(host, ':', length) != NULL && host[length] == ']' &&
	    is_rest(host + length + 1);
}

static bool
is_localhost(const char *host)
{
	static const char name[] = "localhost";

	return strncasecmp(host, name, strlen(name)) == 0 &&
	    is_rest(host + strlen(name));
}

static void
check(const char *host, const char *origin)
{
	bool is_welcome = guard_refuse_host(host, false) == NULL;

	if (is_welcome)
		assert(is_v4(host) || is_v6(host) || is_localhost(host));
	/* A token lets names in, and no more than that. */
	if (is_welcome)
		assert(guard_refuse_host(host, true) == NULL);
	/* Nor may so much be refused that nobody gets in. */
	if (strcasecmp(host, "localhost") == 0 ||
	    strcmp(host, "127.0.0.1:9901") == 0)
		assert(is_welcome);
	if (origin == NULL || guard_refuse_origin(origin, host) != NULL)
		return;
	assert(strncasecmp(origin, "http", strlen("http")) == 0);
	origin += strlen("http");
	origin += *origin == 's' || *origin == 'S';
	assert(strncmp(origin, "://", strlen("://")) == 0);
	assert(strcasecmp(origin + strlen("://"), host) == 0);
}

static void
check_authorization(const char *field)
{
	static const char scheme[] = "Bearer";

	assert(token_matches(TOKEN, "Bearer " TOKEN));
	if (!token_matches(TOKEN, field))
		return;
	assert(strncasecmp(field, scheme, strlen(scheme)) == 0);
	field += strlen(scheme);
	assert(*field == ' ' || *field == '\t');
	field += strspn(field, " \t");
	assert(strncmp(field, TOKEN, strlen(TOKEN)) == 0);
	field += strlen(TOKEN);
	assert(field[strspn(field, " \t")] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	char *rest = text;
	const char *host = strsep(&rest, "\n");
	const char *origin = strsep(&rest, "\n");

	check(host, origin);
	check_authorization(rest);
	assert(guard_refuse_host(NULL, false) != NULL);
	assert(origin == NULL || guard_refuse_origin(origin, NULL) != NULL);
	free(text);
	return 0;
}
