/* SPDX-License-Identifier: MIT */

/*
 * Names of secrets.
 *
 * A name decides, by substring: signed URLs of S3, GCS, Azure and CloudFront,
 * registries' tokens and API keys all carry one of these words, and a
 * redaction too many costs nothing.  This runs for every field of every head,
 * so at each letter only the words that begin with it are looked for.
 */

#include "accounting/secrets.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

/* Patterns are for names, and no name is longer. */
#define NAME_MAX_BYTES 256

#define WORDS_A_LETTER 6

struct secrets {
	char **patterns; /* owned, and each */
	size_t count;
};

/* By their first letter, each list ended by NULL. */
static const char *const words[26][WORDS_A_LETTER] = {
    ['a' - 'a'] = {"auth", "assertion"},
    ['b' - 'a'] = {"bearer"},
    ['c' - 'a'] = {"cookie", "cred", "code", "csrf"},
    ['h' - 'a'] = {"hmac"},
    ['j' - 'a'] = {"jwt"},
    ['k' - 'a'] = {"key"},
    ['n' - 'a'] = {"nonce"},
    ['o' - 'a'] = {"otp"},
    ['p' - 'a'] = {"pass", "pwd", "policy"},
    ['s' - 'a'] = {"sig", "secret", "sess", "saml"},
    ['t' - 'a'] = {"token", "ticket"},
    ['x' - 'a'] = {"xsrf"},
};

struct secrets *
secrets_new(void)
{
	return xcalloc(1, sizeof(struct secrets));
}

void
secrets_free(struct secrets *secrets)
{
	if (secrets == NULL)
		return;
	for (size_t i = 0; i < secrets->count; i++)
		free(secrets->patterns[i]);
	free(secrets->patterns);
	free(secrets);
}

void
secrets_add(struct secrets *secrets, const char *pattern)
{
	secrets->patterns = xreallocarray(
	    secrets->patterns, secrets->count + 1, sizeof(*secrets->patterns));
	secrets->patterns[secrets->count++] = xstrdup(pattern);
}

static char
lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool
is_word(const char *at, const char *end, const char *word)
{
	for (; *word != '\0'; word++, at++) {
		if (at == end || lower(*at) != *word)
			return false;
	}
	return true;
}

static bool
has_word(const char *name, size_t length)
{
	const char *end = name + length;

	for (const char *at = name; at < end; at++) {
		char first = lower(*at);
		const char *const *word;

		if (first < 'a' || first > 'z')
			continue;
		for (word = words[first - 'a']; *word != NULL; word++) {
			if (is_word(at, end, *word))
				return true;
		}
	}
	return false;
}

static bool
matches_pattern(const struct secrets *secrets, const char *name, size_t length)
{
	char terminated[NAME_MAX_BYTES];

	if (length >= sizeof(terminated))
		return false;
	memcpy(terminated, name, length);
	terminated[length] = '\0';
	for (size_t i = 0; i < secrets->count; i++) {
		if (fnmatch(secrets->patterns[i], terminated,
			FNM_CASEFOLD | FNM_NOESCAPE) == 0)
			return true;
	}
	return false;
}

bool
secrets_has(const struct secrets *secrets, const char *name, size_t length)
{
	return has_word(name, length) ||
	    (secrets != NULL && secrets->count > 0 &&
		matches_pattern(secrets, name, length));
}
