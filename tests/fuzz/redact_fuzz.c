/* SPDX-License-Identifier: MIT */

/*
 * URLs with secrets in them: no user information, no fragment and no value of
 * a secret parameter is left, however parameters are separated; what is left
 * is bounded, and redacting it again changes nothing.
 */

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "accounting/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLACEMENT "REDACTED"

static size_t
count_any(const char *text, const char *bytes)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += strchr(bytes, *text) != NULL;
	return count;
}

/* Takes the percent-encoding off, in place. */
static void
decode(char *text)
{
	char *to = text;
	unsigned byte;

	while (*text != '\0') {
		if (text[0] == '%' && isxdigit((unsigned char)text[1]) &&
		    isxdigit((unsigned char)text[2]) &&
		    sscanf(text + 1, "%2x", &byte) == 1 && byte != 0) {
			*to++ = (char)byte;
			text += 3;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static bool
names_secret(const char *name, size_t length)
{
	static const char *const words[] = {
	    "sig", "token", "secret", "password", "credential", "key", "auth"};
	char *copy = xstrndup(name, length);
	bool does = false;

	decode(copy);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		does = does || strcasestr(copy, words[i]) != NULL;
	free(copy);
	return does;
}

static bool
is_equals(const char *p)
{
	return *p == '=' || strncasecmp(p, "%3d", 3) == 0;
}

/* Each "name=value" of the query, whatever is taken for a separator; in a
 * value there may be names too. */
static void
check_parameters(const char *query, const char *separators)
{
	while (*query != '\0') {
		size_t length = strcspn(query, separators);
		const char *value = memchr(query, '=', length);

		for (const char *p = query; value != NULL && p < query + length;
		     p++) {
			if (!is_equals(p) ||
			    !names_secret(query, (size_t)(p - query)))
				continue;
			assert(query + length - value - 1 ==
				(ptrdiff_t)strlen(REPLACEMENT) &&
			    strncmp(value + 1, REPLACEMENT,
				strlen(REPLACEMENT)) == 0);
		}
		query += length + (query[length] != '\0');
	}
}

static void
check_authority(const char *url)
{
	const char *authority = strstr(url, "://");

	if (authority == NULL || authority > url + strcspn(url, "/?#"))
		return;
	authority += strlen("://");
	assert(memchr(authority, '@', strcspn(authority, "/?#")) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = xstrndup((const char *)data, size);
	char *redacted = redact_url(url);
	char *again = redact_url(redacted);
	const char *query = strchr(redacted, '?');

	assert(strlen(redacted) <=
	    strlen(url) + (count_any(url, "?&;") + 1) * strlen(REPLACEMENT));
	assert(strcmp(redacted, again) == 0);
	assert(strchr(redacted, '#') == NULL);
	check_authority(redacted);
	if (query != NULL) {
		check_parameters(query + 1, "&;");
		check_parameters(query + 1, "&;?");
	}
	free(url);
	free(redacted);
	free(again);
	return 0;
}
