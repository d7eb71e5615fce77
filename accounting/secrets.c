/* SPDX-License-Identifier: MIT */

/*
 * Names of secrets.
 *
 * A name decides, by substring: signed URLs of S3, GCS, Azure and CloudFront,
 * registries' tokens and API keys all carry one of these words, and a
 * redaction too many costs nothing.  This runs for every field of every head,
 * so words are looked for only where two letters begin one.
 */

#include "accounting/secrets.h"

#include <fnmatch.h>
#include <stdint.h>
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

/* A letter's place, 1 to 26, whatever its case.  Other characters fall on one
 * of these places too, or beside them: what seems to begin a word is looked at
 * again. */
#define PLACE(c) ((unsigned char)(c)&31u)
#define BIT(c) (1u << PLACE(c))

/* By their first letter, a bit for each second one. */
static const uint32_t seconds[32] = {
    [PLACE('a')] = BIT('s') | BIT('u'),
    [PLACE('b')] = BIT('e'),
    [PLACE('c')] = BIT('o') | BIT('r') | BIT('s'),
    [PLACE('h')] = BIT('m'),
    [PLACE('j')] = BIT('w'),
    [PLACE('k')] = BIT('e'),
    [PLACE('n')] = BIT('o'),
    [PLACE('o')] = BIT('t'),
    [PLACE('p')] = BIT('a') | BIT('o') | BIT('w'),
    [PLACE('s')] = BIT('a') | BIT('e') | BIT('i'),
    [PLACE('t')] = BIT('i') | BIT('o'),
    [PLACE('x')] = BIT('s'),
};

/* Likewise, NULL behind the last. */
static const char *const words[32][WORDS_A_LETTER] = {
    [PLACE('a')] = {"auth", "assertion"},
    [PLACE('b')] = {"bearer"},
    [PLACE('c')] = {"cookie", "cred", "code", "csrf"},
    [PLACE('h')] = {"hmac"},
    [PLACE('j')] = {"jwt"},
    [PLACE('k')] = {"key"},
    [PLACE('n')] = {"nonce"},
    [PLACE('o')] = {"otp"},
    [PLACE('p')] = {"pass", "pwd", "policy"},
    [PLACE('s')] = {"sig", "secret", "sess", "saml"},
    [PLACE('t')] = {"token", "ticket"},
    [PLACE('x')] = {"xsrf"},
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

static bool
is_word(const char *at, const char *end, const char *word)
{
	for (; *word != '\0'; word++, at++) {
		if (at == end || (*at | 0x20) != *word)
			return false;
	}
	return true;
}

static bool
begins_word(const char *at, const char *end)
{
	const char *const *word = words[PLACE(*at)];

	for (; *word != NULL; word++) {
		if (is_word(at, end, *word))
			return true;
	}
	return false;
}

static bool
has_word(const char *name, size_t length)
{
	const char *end = name + length;

	for (const char *at = name; at + 1 < end; at++) {
		if ((seconds[PLACE(at[0])] >> PLACE(at[1]) & 1) != 0 &&
		    begins_word(at, end))
			return true;
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
secrets_has_patterns(const struct secrets *secrets)
{
	return secrets != NULL && secrets->count > 0;
}

bool
secrets_has(const struct secrets *secrets, const char *name, size_t length)
{
	return has_word(name, length) ||
	    (secrets_has_patterns(secrets) &&
		matches_pattern(secrets, name, length));
}
