/* SPDX-License-Identifier: MIT */

/*
 * Redaction.  A parameter's name decides, by substring: signed URLs of S3,
 * GCS, Azure, CloudFront and registries' tokens all carry one of these words,
 * and a redaction too many costs nothing.
 */

#include "accounting/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"

#define REPLACEMENT "REDACTED"

static const char *const secret_words[] = {"sig", "token", "secret", "password",
    "passwd", "credential", "key", "auth", "policy", "jwt", "code"};

static bool
contains(const char *text, size_t length, const char *word)
{
	size_t word_length = strlen(word);

	for (size_t i = 0; i + word_length <= length; i++) {
		if (strncasecmp(text + i, word, word_length) == 0)
			return true;
	}
	return false;
}

static bool
is_secret(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(secret_words) / sizeof(*secret_words);
	     i++) {
		if (contains(name, length, secret_words[i]))
			return true;
	}
	return false;
}

static char *
append(char *end, const char *text, size_t length)
{
	memcpy(end, text, length);
	return end + length;
}

/* Appends one "name=value" with its value redacted if need be. */
static char *
append_parameter(char *end, const char *parameter, size_t length)
{
	const char *equals = memchr(parameter, '=', length);
	size_t name_length;

	if (equals == NULL)
		return append(end, parameter, length);
	name_length = (size_t)(equals - parameter);
	if (!is_secret(parameter, name_length))
		return append(end, parameter, length);
	end = append(end, parameter, name_length + 1);
	return append(end, REPLACEMENT, strlen(REPLACEMENT));
}

/* Appends scheme and authority without user information; *rest follows. */
static char *
append_origin(char *end, const char *url, const char **rest)
{
	const char *authority = strstr(url, "://");
	const char *path;
	const char *at;

	if (authority == NULL || authority > url + strcspn(url, "/?#")) {
		*rest = url;
		return end;
	}
	authority += 3;
	path = authority + strcspn(authority, "/?#");
	at = memrchr(authority, '@', (size_t)(path - authority));
	end = append(end, url, (size_t)(authority - url));
	if (at != NULL)
		authority = at + 1;
	*rest = path;
	return append(end, authority, (size_t)(path - authority));
}

char *
redact_url(const char *url)
{
	/* Each parameter may grow by the replacement, and takes a byte. */
	char *redacted = NULL;
	char *end;
	const char *rest;
	size_t parameters = 1;

	for (const char *p = url; *p != '\0'; p++)
		parameters += *p == '&' || *p == '?';
	redacted =
	    xcalloc(1, strlen(url) + parameters * strlen(REPLACEMENT) + 1);
	end = append_origin(redacted, url, &rest);
	end = append(end, rest, strcspn(rest, "?#"));
	rest += strcspn(rest, "?#");
	while (*rest == '?' || *rest == '&') {
		size_t length = strcspn(rest + 1, "&#");

		*end++ = *rest;
		end = append_parameter(end, rest + 1, length);
		rest += 1 + length;
	}
	return redacted; /* a fragment never belongs in a request: dropped */
}
