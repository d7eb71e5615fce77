/* SPDX-License-Identifier: MIT */

/*
 * Heads are kept to be shown and sent to colleagues.  A password among them is
 * a password told; a challenge or a cookie's name taken out with it is a leak
 * that nobody can reproduce.  So each kind of field loses what is secret, and
 * nothing else.
 */

#include "accounting/redact_field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/secrets.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define HAMMER_ROUNDS 100000
#define HAMMER_MAX_BYTES 40

struct row {
	const char *name;
	const char *value;
	const char *wanted; /* NULL: as it is */
};

static void
check(const struct secrets *secrets, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span name = {rows[i].name, strlen(rows[i].name)};
		struct span value = {rows[i].value, strlen(rows[i].value)};
		char *shown = redact_field(secrets, name, value);
		const char *wanted = rows[i].wanted;

		if ((shown == NULL) != (wanted == NULL) ||
		    (shown != NULL && strcmp(shown, wanted) != 0))
			fail_msg("%s: %s: %s, wanted %s", rows[i].name,
			    rows[i].value, shown == NULL ? "kept" : shown,
			    wanted == NULL ? "kept" : wanted);
		free(shown);
	}
}

static void
test_credentials(void **state)
{
	static const struct row rows[] = {
	    {"Authorization", "Bearer abc", "Bearer REDACTED"},
	    {"authorization", "basic dTpw", "basic REDACTED"},
	    {"Proxy-Authorization", "Basic dTpw", "Basic REDACTED"},
	    {"Authorization",
		"AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=ab",
		"AWS4-HMAC-SHA256 REDACTED"},
	    /* a token in the scheme's place */
	    {"Authorization", "abc123", "REDACTED"},
	    {"Authorization", "abc 123", "REDACTED"},
	    {"Authorization", "Bearer", "REDACTED"},
	    {"Authorization", "", NULL},
	};

	check(NULL, rows, COUNT_OF(rows));
}

static void
test_secrets_by_name(void **state)
{
	static const struct row rows[] = {
	    {"X-Api-Key", "abc", "REDACTED"},
	    {"X-API-KEY", "abc", "REDACTED"},
	    {"apikey", "abc", "REDACTED"},
	    {"X-Amz-Security-Token", "abc", "REDACTED"},
	    {"Private-Token", "abc", "REDACTED"},
	    {"X-Vault-Token", "abc", "REDACTED"},
	    {"X-CSRF-Token", "abc", "REDACTED"},
	    {"X-Goog-Iap-Jwt-Assertion", "abc", "REDACTED"},
	    {"Authentication-Info", "abc", "REDACTED"},
	    {"X-Session-Id", "abc", "REDACTED"},
	    /* a token that says so itself, under any name */
	    {"X-Forwarded-Access", "eyJhbGciOiJIUzI1NiJ9.e30.x", "REDACTED"},
	    {"DPoP", "eyJhbGciOiJIUzI1NiJ9.e30.x", "REDACTED"},
	    /* and those that only look like it */
	    {"Referrer-Policy", "no-referrer", NULL},
	    {"Content-Security-Policy", "default-src 'none'", NULL},
	};

	check(NULL, rows, COUNT_OF(rows));
}

static void
test_harmless(void **state)
{
	static const struct row rows[] = {
	    {"Host", "registry.test:5000", NULL},
	    {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64)", NULL},
	    {"Accept", "text/html;q=0.9, */*; q=0.1", NULL},
	    {"Cache-Control", "max-age=3600, public", NULL},
	    {"Content-Type", "text/plain; charset=utf-8", NULL},
	    {"Content-Disposition", "attachment; filename=\"a b.tar\"", NULL},
	    {"Docker-Content-Digest", "sha256:abcd", NULL},
	    {"ETag", "\"ab=cd\"", NULL},
	    {"From", "me@example.test", NULL},
	    {"Keep-Alive", "timeout=5, max=100", NULL},
	    {"Link", "</v2/_catalog?n=5&last=x>; rel=\"next\"", NULL},
	    {"Date", "Tue, 24 Nov 2026 02:03:04 GMT", NULL},
	};

	check(NULL, rows, COUNT_OF(rows));
}

static void
test_cookies(void **state)
{
	static const struct row rows[] = {
	    {"Cookie", "a=1; b=2", "a=REDACTED; b=REDACTED"},
	    {"Cookie", "a=1;b=x=y;; c", "a=REDACTED; b=REDACTED; REDACTED"},
	    {"Cookie", "bare", "REDACTED"},
	    {"Set-Cookie", "id=7; Path=/; Max-Age=5; HttpOnly; Secure",
		"id=REDACTED; Path=/; Max-Age=5; HttpOnly; Secure"},
	    {"set-cookie", "id=7; samesite=Lax; Odd=thing; odder",
		"id=REDACTED; samesite=Lax; REDACTED; REDACTED"},
	    {"Set-Cookie", "bare", "REDACTED"},
	    {"Set-Cookie", ";", ""},
	    {"Set-Cookie", ";\tid=7;\tPath=/", "id=REDACTED; Path=/"},
	};

	check(NULL, rows, COUNT_OF(rows));
}

/* What a registry's client must read, to know where it gets a token. */
static void
test_challenges(void **state)
{
	static const struct row rows[] = {
	    {"WWW-Authenticate",
		"Bearer realm=\"https://auth.test/token\",service=\"r.test\","
		"scope=\"repository:a/b:pull,push\"",
		"Bearer realm=\"https://auth.test/token\", service=\"r.test\", "
		"scope=\"repository:a/b:pull,push\""},
	    {"WWW-Authenticate", "Basic realm=\"a \\\" b\", charset=\"UTF-8\"",
		"Basic realm=\"a \\\" b\", charset=\"UTF-8\""},
	    {"WWW-Authenticate", "Digest realm=x, nonce=\"a,b\", opaque=c",
		"Digest realm=x, nonce=REDACTED, opaque=REDACTED"},
	    {"WWW-Authenticate", "Digest nonce=hush", "Digest nonce=REDACTED"},
	    {"WWW-Authenticate", ",\tDigest nonce=hush",
		"Digest nonce=REDACTED"},
	    {"WWW-Authenticate", "Negotiate YIIabc==", "Negotiate REDACTED"},
	    {"Proxy-Authenticate", "Basic realm=p", "Basic realm=p"},
	    {"WWW-Authenticate", "Bearer realm=\"https://u:p@auth.test/\"",
		"Bearer realm=\"https://auth.test/\""},
	    {"WWW-Authenticate", "hush", "REDACTED"},
	    {"WWW-Authenticate", "Basic realm=\"open", "Basic realm=\"open"},
	    {"WWW-Authenticate", "Basic realm=\"\\", "Basic realm=\"\\"},
	};

	check(NULL, rows, COUNT_OF(rows));
}

static void
test_urls(void **state)
{
	static const struct row rows[] = {
	    {"Location", "https://b.test/k?X-Amz-Signature=ab&x=1",
		"https://b.test/k?X-Amz-Signature=REDACTED&x=1"},
	    {"Location", "/k?sig=ab,cd", "/k?sig=REDACTED"},
	    {"Location", "/cb#access_token=ab", "/cb"},
	    {"Location", "https://u:p@b.test/", "https://b.test/"},
	    {"Location", "//u:p@b.test/", "REDACTED"},
	    {"Referer", "https://b.test/?%74oken=ab",
		"https://b.test/?%74oken=REDACTED"},
	    {"X-Anything", "a=1&token=2", "a=1&token=REDACTED"},
	    {"X-Anything", "a=1,token=2", "a=REDACTED"},
	    /* where nothing says how far it goes */
	    {"Link", "<https://b.test/?sig=ab>; rel=next", "REDACTED"},
	    {"X-Anything", "token=\"a b\"", "REDACTED"},
	    {"Refresh", "0; url=https://b.test/?token=a", "REDACTED"},
	};

	check(NULL, rows, COUNT_OF(rows));
}

static void
test_patterns(void **state)
{
	static const struct row rows[] = {
	    {"X-House-Id", "a", "REDACTED"},
	    {"x-house-", "a", "REDACTED"},
	    {"X-Housing", "a", NULL},
	    {"Ref", "a", "REDACTED"},
	    {"Location", "/?ref=a&b=c", "/?ref=REDACTED&b=c"},
	    {"X-Api-Key", "a", "REDACTED"},
	    {"Accept", "a;q=1", NULL},
	    {"[", "a", NULL},
	};
	struct secrets *secrets = secrets_new();

	secrets_add(secrets, "x-house-*");
	secrets_add(secrets, "REF");
	check(secrets, rows, COUNT_OF(rows));
	secrets_free(secrets);
}

/* A value lies in a head without an end of its own: none is read beyond it. */
static void
test_hammer(void **state)
{
	static const char letters[] = "a=;,\"\\ &?#/:@%7token<>'eyJ\xff";
	static const char *const names[] = {"Cookie", "Set-Cookie",
	    "WWW-Authenticate", "Authorization", "Location", "X", "Token"};

	srandom(1);
	for (int round = 0; round < HAMMER_ROUNDS; round++) {
		size_t length = (size_t)random() % HAMMER_MAX_BYTES;
		char *value = malloc(length + 1);
		const char *name = names[(size_t)random() % COUNT_OF(names)];
		char *exact;

		assert_non_null(value);
		for (size_t i = 0; i < length; i++)
			value[i] =
			    letters[(size_t)random() % (sizeof(letters) - 1)];
		exact = malloc(length == 0 ? 1 : length);
		assert_non_null(exact);
		memcpy(exact, value, length);
		free(redact_field(NULL, (struct span){name, strlen(name)},
		    (struct span){exact, length}));
		free(exact);
		free(value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_credentials),
	    cmocka_unit_test(test_secrets_by_name),
	    cmocka_unit_test(test_harmless),
	    cmocka_unit_test(test_cookies),
	    cmocka_unit_test(test_challenges),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_patterns),
	    cmocka_unit_test(test_hammer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
