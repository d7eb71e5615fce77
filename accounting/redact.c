/* SPDX-License-Identifier: MIT */

/*
 * Redaction.  A parameter's name decides (secrets.c).  Names are read as an
 * origin would, percent-encoded or not, and parameters may be parted by ";"
 * and stand in a path (RFC 3986 §3.3) or, as a whole URL, in another
 * parameter's value.
 */

#include "accounting/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/secrets.h"

#define REPLACEMENT SECRETS_REPLACEMENT

/* A URL in a URL in a URL is as deep as a redirect to a login goes. */
#define MAX_ENCODINGS 3

static bool
contains(const char *text, size_t length, const char *word)
{
	return memmem(text, length, word, strlen(word)) != NULL;
}

static char *
append(char *end, const char *text, size_t length)
{
	memcpy(end, text, length);
	return end + length;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one percent-encoding off, in place.  Returns the length. */
static size_t
decode(char *text, size_t length)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

		if (text[i] != '%' || low < 0) {
			text[used++] = text[i];
			continue;
		}
		text[used++] = (char)(high << 4 | low);
		i += 2;
	}
	return used;
}

/* Whether it has parameters with secret names, or user information. */
static bool
holds_secret(const struct secrets *secrets, const char *value, size_t length)
{
	const char *equals = memrchr(value, '=', length);

	if (equals != NULL &&
	    secrets_has(secrets, value, (size_t)(equals - value)))
		return true;
	return contains(value, length, "://") &&
	    memchr(value, '@', length) != NULL;
}

/* Whether the value of "name=value", whose name ends at `name_length`, is to
 * be kept from everybody. */
static bool
must_hide(const struct secrets *secrets, const char *parameter, size_t length,
    size_t name_length)
{
	char *copy = xstrndup(parameter, length);
	const char *value = parameter + name_length + 1;
	bool is_found = secrets_has(secrets, copy, decode(copy, name_length));

	length -= name_length + 1;
	if (!is_found)
		memcpy(copy, value, length);
	for (int i = 0; i < MAX_ENCODINGS && !is_found; i++) {
		is_found = holds_secret(secrets, copy, length);
		length = decode(copy, length);
	}
	free(copy);
	return is_found;
}

/* Appends one "name=value" with its value redacted if need be. */
static char *
append_parameter(char *end, const struct secrets *secrets,
    const char *parameter, size_t length)
{
	const char *equals = memchr(parameter, '=', length);
	size_t name_length;

	if (equals == NULL)
		return append(end, parameter, length);
	name_length = (size_t)(equals - parameter);
	if (!must_hide(secrets, parameter, length, name_length))
		return append(end, parameter, length);
	end = append(end, parameter, name_length + 1);
	return append(end, REPLACEMENT, strlen(REPLACEMENT));
}

/* Appends the parameters up to one of `ends`, each behind one of `marks`. */
static char *
append_parameters(char *end, const struct secrets *secrets, const char **rest,
    const char *marks, const char *ends)
{
	while (**rest != '\0' && strchr(marks, **rest) != NULL) {
		size_t length = strcspn(*rest + 1, ends);

		*end++ = **rest;
		end = append_parameter(end, secrets, *rest + 1, length);
		*rest += 1 + length;
	}
	return end;
}

/* Appends the path, which may have parameters in each segment. */
static char *
append_path(char *end, const struct secrets *secrets, const char **rest)
{
	while (**rest != '\0' && strchr("?#", **rest) == NULL) {
		size_t length = strcspn(*rest, ";?#");

		end = append(end, *rest, length);
		*rest += length;
		end = append_parameters(end, secrets, rest, ";", ";/?#");
	}
	return end;
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

/* Adds one argument; returns whether the next one is its secret value. */
static bool
add_argument(char **line, const char *argument, bool is_value_secret)
{
	const char *equals = strchr(argument, '=');
	size_t name_length =
	    equals == NULL ? strlen(argument) : (size_t)(equals - argument);
	bool is_url = memmem(argument, name_length, "://", 3) != NULL;
	bool is_named = !is_url && secrets_has(NULL, argument, name_length);
	char *shown;
	char *longer;

	if (is_value_secret && argument[0] != '-')
		shown = xstrdup(REPLACEMENT);
	else if (is_named && equals != NULL)
		shown = xasprintf(
		    "%.*s=%s", (int)name_length, argument, REPLACEMENT);
	else
		shown = redact_url(argument);
	longer = xasprintf("%s%s%s", *line, **line == '\0' ? "" : " ", shown);
	free(shown);
	free(*line);
	*line = longer;
	return is_named && equals == NULL && argument[0] == '-';
}

char *
redact_command_line(const char *arguments, size_t length)
{
	const char *end = arguments + length;
	char *line = xstrdup("");
	bool is_value_secret = false;

	while (arguments < end) {
		char *argument = xstrndup(arguments, (size_t)(end - arguments));

		is_value_secret =
		    add_argument(&line, argument, is_value_secret);
		arguments += strlen(argument) + 1;
		free(argument);
	}
	return line;
}

bool
redact_url_is_plain(const char *url)
{
	return url[strcspn(url, "@?;#")] == '\0';
}

char *
redact_url_of(const struct secrets *secrets, const char *url)
{
	/* Each parameter may grow by the replacement, and takes a byte. */
	char *redacted = NULL;
	char *end;
	const char *rest;
	size_t parameters = 1;

	if (redact_url_is_plain(url))
		return xstrdup(url);
	for (const char *p = url; (p = strpbrk(p, "&?;")) != NULL; p++)
		parameters++;
	redacted =
	    xcalloc(1, strlen(url) + parameters * strlen(REPLACEMENT) + 1);
	end = append_origin(redacted, url, &rest);
	end = append_path(end, secrets, &rest);
	(void)append_parameters(end, secrets, &rest, "?&;", "&;#");
	return redacted; /* a fragment never belongs in a request: dropped */
}

char *
redact_url(const char *url)
{
	return redact_url_of(NULL, url);
}
