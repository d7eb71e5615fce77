/* SPDX-License-Identifier: MIT */

/*
 * Redaction of header fields.
 *
 * A field whose name is a secret's loses its value.  Where a value has parts,
 * those stay that a reader needs: the scheme of credentials, the names of
 * cookies, a challenge's realm and scope (which a registry's client must be
 * shown to ask for a token).  Any other value is looked through for
 * parameters, as a URL is.  Most fields are harmless, and that is seen without
 * copying them.
 */

#include "accounting/redact_field.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "accounting/redact.h"
#include "accounting/secrets.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* How a JSON object begins in base64: a token that says of itself what it is,
 * whatever the field's name (RFC 7519). */
static bool
holds_jwt(struct span value)
{
	const char *end = value.at + value.length;

	/* By the rarest letter of "eyJ". */
	for (const char *at = value.at;
	     (at = memchr(at, 'J', (size_t)(end - at))) != NULL; at++) {
		if (at - value.at >= 2 && memcmp(at - 2, "ey", 2) == 0)
			return true;
	}
	return false;
}

static const char *const schemes[] = {"AWS4-HMAC-SHA256", "Basic", "Bearer",
    "Digest", "DPoP", "Negotiate", "NTLM", "SharedKey", "Token"};

/* RFC 9110 §11.6.1, RFC 6750 §3, RFC 7616 §3.3, and what registries add. */
static const char *const public_challenge_parameters[] = {"algorithm",
    "charset", "error", "qop", "realm", "scope", "service", "stale"};

static const char *const cookie_attributes[] = {"Domain", "Expires", "HttpOnly",
    "Max-Age", "Partitioned", "Path", "SameSite", "Secure"};

/* Names that have a secret's word in them, and tell none. */
static const char *const public_names[] = {"Content-Security-Policy",
    "Content-Security-Policy-Report-Only", "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
    "Permissions-Policy", "Referrer-Policy"};

static bool
is_in(const char *const *list, size_t count, struct span text)
{
	for (size_t i = 0; i < count; i++) {
		if (strncasecmp(list[i], text.at, text.length) == 0 &&
		    list[i][text.length] == '\0')
			return true;
	}
	return false;
}

static bool
is_named(struct span name, const char *text)
{
	return is_in(&text, 1, name);
}

static bool
contains(struct span text, const char *word)
{
	return memmem(text.at, text.length, word, strlen(word)) != NULL;
}

static bool
has(struct span text, char c)
{
	return memchr(text.at, c, text.length) != NULL;
}

static char *
replacement(void)
{
	return xstrdup(SECRETS_REPLACEMENT);
}

/* Takes from the front of *rest what is before one of `ends`. */
static struct span
take(struct span *rest, const char *ends)
{
	struct span taken = {rest->at, 0};

	while (taken.length < rest->length &&
	    strchr(ends, rest->at[taken.length]) == NULL)
		taken.length++;
	rest->at += taken.length;
	rest->length -= taken.length;
	return taken;
}

static void
skip(struct span *rest, const char *bytes)
{
	while (rest->length > 0 && strchr(bytes, *rest->at) != NULL) {
		rest->at++;
		rest->length--;
	}
}

/* ---- credentials ---- */

static char *
redact_credentials(struct span value)
{
	struct span scheme = take(&value, " ");
	char *shown;

	if (value.length == 0 || !is_in(schemes, COUNT_OF(schemes), scheme))
		return replacement();
	shown = xcalloc(1, scheme.length + sizeof(" " SECRETS_REPLACEMENT));
	memcpy(shown, scheme.at, scheme.length);
	memcpy(shown + scheme.length, " " SECRETS_REPLACEMENT,
	    sizeof(" " SECRETS_REPLACEMENT));
	return shown;
}

/* ---- cookies ---- */

static void
write_cookie(FILE *out, struct span pair)
{
	struct span name = take(&pair, "=");

	if (pair.length > 0)
		fprintf(out, "%.*s=", (int)name.length, name.at);
	fputs(SECRETS_REPLACEMENT, out);
}

/* RFC 6265 §4.2.1 and §4.1.1: the first pair of Set-Cookie is the cookie, and
 * the others are its attributes. */
static void
write_cookies(FILE *out, struct span value, bool has_attributes)
{
	bool is_first = true;

	for (;;) {
		struct span pair;
		struct span name;
		struct span rest;

		skip(&value, "; \t");
		pair = rest = take(&value, ";");
		if (pair.length == 0)
			return;
		name = take(&rest, "=");
		if (!is_first)
			fputs("; ", out);
		if (is_first || !has_attributes)
			write_cookie(out, pair);
		else if (is_in(cookie_attributes, COUNT_OF(cookie_attributes),
			     name))
			fprintf(out, "%.*s", (int)pair.length, pair.at);
		else
			fputs(SECRETS_REPLACEMENT, out);
		is_first = false;
	}
}

/* ---- challenges ---- */

/* Takes a quoted string, quotes and all, or a token. */
static struct span
take_challenge_value(struct span *rest)
{
	struct span value = {rest->at, 0};

	if (rest->length == 0 || *rest->at != '"')
		return take(rest, ", ");
	do {
		/* A quoted pair (RFC 9110 §5.6.4) ends nothing. */
		value.length += value.at[value.length] == '\\' ? 2 : 1;
	} while (value.length < rest->length && value.at[value.length] != '"');
	if (++value.length > rest->length)
		value.length = rest->length;
	rest->at += value.length;
	rest->length -= value.length;
	return value;
}

static void
write_parameter(FILE *out, const struct secrets *secrets, struct span name,
    struct span value)
{
	bool is_public = is_in(public_challenge_parameters,
			     COUNT_OF(public_challenge_parameters), name) &&
	    !secrets_has(secrets, name.at, name.length);
	char *copy = xstrndup(value.at, value.length);
	char *shown = redact_url_of(secrets, copy);

	fprintf(out, "%.*s=%s", (int)name.length, name.at,
	    is_public ? shown : SECRETS_REPLACEMENT);
	free(shown);
	free(copy);
}

/* Schemes, each with parameters or one token68 (RFC 9110 §11.3). */
static void
write_challenges(FILE *out, const struct secrets *secrets, struct span value)
{
	const char *separator = "";

	while (skip(&value, ", \t"), value.length > 0) {
		struct span word = take(&value, "=, ");
		bool is_pair = value.length > 1 && value.at[0] == '=' &&
		    strchr("=, ", value.at[1]) == NULL;

		fputs(separator, out);
		separator = ", ";
		if (is_pair) {
			value.at++;
			value.length--;
			write_parameter(
			    out, secrets, word, take_challenge_value(&value));
		} else if (is_in(schemes, COUNT_OF(schemes), word)) {
			fprintf(out, "%.*s", (int)word.length, word.at);
			separator = " ";
		} else {
			(void)take(&value, ", ");
			fputs(SECRETS_REPLACEMENT, out);
		}
	}
}

/* ---- any other ---- */

/* Whether somebody who looks for parameters and user information in the value
 * would find something to hide. */
static bool
may_hide_something(const struct secrets *secrets, struct span value)
{
	if (has(value, '@') && contains(value, "//"))
		return true;
	if (!has(value, '='))
		return false;
	return secrets_has_patterns(secrets) || has(value, '%') ||
	    has(value, '#') || secrets_has(secrets, value.at, value.length);
}

/* A value in one piece is a URL, or parameters without one.  In any other,
 * nothing tells where a secret ends. */
static char *
redact_value(const struct secrets *secrets, struct span value)
{
	bool is_whole = true;
	bool is_url = contains(value, "://") || *value.at == '/';
	char *copy =
	    xasprintf("%s%.*s", is_url ? "" : "?", (int)value.length, value.at);
	char *redacted = redact_url_of(secrets, copy);
	bool is_same = strcmp(copy, redacted) == 0;

	for (size_t i = 0; i < value.length; i++)
		is_whole = is_whole && strchr(" \t\"'<>", value.at[i]) == NULL;
	/* Scheme-relative: redact_url() takes the authority for a path. */
	if (value.length > 1 && memcmp(value.at, "//", 2) == 0 &&
	    has(value, '@'))
		is_same = is_whole = false;
	free(copy);
	if (!is_same && is_whole && !is_url)
		memmove(redacted, redacted + 1, strlen(redacted));
	if (!is_same && is_whole)
		return redacted;
	free(redacted);
	return is_same ? NULL : replacement();
}

static char *
redact_by_parts(
    const struct secrets *secrets, struct span name, struct span value)
{
	char *text = NULL;
	size_t length;
	FILE *out;

	if (is_named(name, "Authorization") ||
	    is_named(name, "Proxy-Authorization"))
		return redact_credentials(value);
	out = open_memstream(&text, &length);
	if (out == NULL)
		abort();
	if (is_named(name, "Cookie"))
		write_cookies(out, value, false);
	else if (is_named(name, "Set-Cookie"))
		write_cookies(out, value, true);
	else if (is_named(name, "WWW-Authenticate") ||
	    is_named(name, "Proxy-Authenticate"))
		write_challenges(out, secrets, value);
	else
		fputs(SECRETS_REPLACEMENT, out);
	fclose(out);
	return text;
}

bool
redact_field_is_secret(const struct secrets *secrets, struct span name)
{
	return secrets_has(secrets, name.at, name.length) &&
	    !is_in(public_names, COUNT_OF(public_names), name);
}

bool
redact_field_is_plain(struct span text)
{
	/* Without these, may_hide_something() finds nothing either. */
	return !has(text, '=') && !has(text, '@') && !holds_jwt(text);
}

char *
redact_field_value(const struct secrets *secrets, struct span value)
{
	if (value.length == 0)
		return NULL;
	if (holds_jwt(value))
		return replacement();
	if (!may_hide_something(secrets, value))
		return NULL;
	return redact_value(secrets, value);
}

char *
redact_field(const struct secrets *secrets, struct span name, struct span value)
{
	if (!redact_field_is_secret(secrets, name))
		return redact_field_value(secrets, value);
	if (value.length == 0)
		return NULL;
	return redact_by_parts(secrets, name, value);
}
