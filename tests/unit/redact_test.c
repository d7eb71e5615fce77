/* SPDX-License-Identifier: MIT */

/*
 * The records are shown, exported, and pasted into tickets.  A signed URL is a
 * key to the blob behind it, a token in a query is a password, and one of them
 * in a report would cost more than all that leakproxy ever finds.  So what the
 * great stores sign with must vanish, and what tells which blob it was must
 * stay.  URLs come from strangers: none, however odd, may break the bounds.
 */

#include "accounting/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

#define HAMMER_ROUNDS 200000
#define HAMMER_MAX_BYTES 40
#define LONG_BYTES 100000

struct row {
	const char *url;
	const char *wanted;
};

static void
check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *redacted = redact_url(rows[i].url);

		if (strcmp(redacted, rows[i].wanted) != 0)
			fail_msg("%s: %s, wanted %s", rows[i].url, redacted,
			    rows[i].wanted);
		free(redacted);
	}
}

static void
test_signed_urls(void **state)
{
	static const struct row rows[] = {
	    /* S3, signature version 4 */
	    {"https://b.s3.amazonaws.com/k/data?X-Amz-Algorithm="
	     "AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20261124%2Fs3"
	     "&X-Amz-Date=20261124T020304Z&X-Amz-Expires=1200"
	     "&X-Amz-Security-Token=FwoG&X-Amz-SignedHeaders=host"
	     "&X-Amz-Signature=0123abcd",
		"https://b.s3.amazonaws.com/k/data?X-Amz-Algorithm="
		"AWS4-HMAC-SHA256&X-Amz-Credential=REDACTED"
		"&X-Amz-Date=20261124T020304Z&X-Amz-Expires=1200"
		"&X-Amz-Security-Token=REDACTED&X-Amz-SignedHeaders=REDACTED"
		"&X-Amz-Signature=REDACTED"},
	    /* S3, version 2 */
	    {"https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIA&Expires=1795"
	     "&Signature=abc%3D",
		"https://b.s3.amazonaws.com/k?AWSAccessKeyId=REDACTED"
		"&Expires=1795&Signature=REDACTED"},
	    /* Google Cloud Storage */
	    {"https://storage.googleapis.com/b/o?X-Goog-Algorithm="
	     "GOOG4-RSA-SHA256&X-Goog-Credential=a%40b&X-Goog-Signature=ff",
		"https://storage.googleapis.com/b/o?X-Goog-Algorithm="
		"GOOG4-RSA-SHA256&X-Goog-Credential=REDACTED"
		"&X-Goog-Signature=REDACTED"},
	    /* Azure: a shared access signature */
	    {"https://a.blob.core.windows.net/c/b?se=2026-11-24&sp=r"
	     "&spr=https&sv=2022-11-02&sr=b&sig=abc%2B%3D",
		"https://a.blob.core.windows.net/c/b?se=2026-11-24&sp=r"
		"&spr=https&sv=2022-11-02&sr=b&sig=REDACTED"},
	    /* CloudFront */
	    {"https://d1.cloudfront.net/f?Policy=eyJ&Signature=x~y"
	     "&Key-Pair-Id=APKA",
		"https://d1.cloudfront.net/f?Policy=REDACTED"
		"&Signature=REDACTED&Key-Pair-Id=REDACTED"},
	};

	check(rows, COUNT_OF(rows));
}

static void
test_secrets_by_name(void **state)
{
	static const struct row rows[] = {
	    {"/?token=a", "/?token=REDACTED"},
	    {"/?TOKEN=a", "/?TOKEN=REDACTED"},
	    {"/?access_token=a", "/?access_token=REDACTED"},
	    {"/?client_secret=a&x=1", "/?client_secret=REDACTED&x=1"},
	    {"/?x=1&password=a", "/?x=1&password=REDACTED"},
	    {"/?passwd=a", "/?passwd=REDACTED"},
	    {"/?apikey=a", "/?apikey=REDACTED"},
	    {"/?api_key=a", "/?api_key=REDACTED"},
	    {"/?api-key=a", "/?api-key=REDACTED"},
	    {"/?apiKey=a", "/?apiKey=REDACTED"},
	    {"/?accessKey=a", "/?accessKey=REDACTED"},
	    {"/?access-key=a", "/?access-key=REDACTED"},
	    {"/?subscription-key=a", "/?subscription-key=REDACTED"},
	    {"/?key=a", "/?key=REDACTED"},
	    {"/?auth=a", "/?auth=REDACTED"},
	    {"/?jwt=a", "/?jwt=REDACTED"},
	    {"/?code=a&state=b", "/?code=REDACTED&state=b"},
	    {"/?token=", "/?token=REDACTED"},
	    {"/?token=a=b==", "/?token=REDACTED"},
	    {"/?token=a?b", "/?token=REDACTED"},
	    {"/?token=a&token=b", "/?token=REDACTED&token=REDACTED"},
	    /* no value, nothing to hide; a registry's own parameters */
	    {"/?token", "/?token"},
	    {"/token?service=registry&scope=repository%3Aa%3Apull",
		"/token?service=registry&scope=repository%3Aa%3Apull"},
	    {"/v2/_catalog?n=100&last=x", "/v2/_catalog?n=100&last=x"},
	    {"/v2/token/blobs/sig?digest=sha256%3Aab",
		"/v2/token/blobs/sig?digest=sha256%3Aab"},
	    {"/?x=token", "/?x=token"},
	};

	check(rows, COUNT_OF(rows));
}

/* What an origin reads as a name is one, however it is written. */
static void
test_secrets_in_disguise(void **state)
{
	static const struct row rows[] = {
	    {"/?%74oken=a", "/?%74oken=REDACTED"},
	    {"/?%54%4f%4B%45%4e=a", "/?%54%4f%4B%45%4e=REDACTED"},
	    {"/?x%2Dsig=a", "/?x%2Dsig=REDACTED"},
	    {"/?to%ken=a", "/?to%ken=a"},
	    {"/?to%6=a", "/?to%6=a"},
	    {"/?tok%65=a", "/?tok%65=a"},
	    {"/?tok%65n%3Da=b", "/?tok%65n%3Da=REDACTED"},
	    {"/?a=1;token=b", "/?a=1;token=REDACTED"},
	    {"/?token=a;b=c", "/?token=REDACTED;b=c"},
	    {"/?f[password]=a", "/?f[password]=REDACTED"},
	    {"/?PHPSESSID=a&sessionid=b",
		"/?PHPSESSID=REDACTED"
		"&sessionid=REDACTED"},
	    {"/?pwd=a&SAMLResponse=b&ticket=c",
		"/?pwd=REDACTED"
		"&SAMLResponse=REDACTED"
		"&ticket=REDACTED"},
	    /* in a path */
	    {"/a;jsessionid=b/c;d=e?f=g", "/a;jsessionid=REDACTED/c;d=e?f=g"},
	    {"/a;x=1;token=b;y=2", "/a;x=1;token=REDACTED;y=2"},
	    {"http://h/a;token=b", "http://h/a;token=REDACTED"},
	    {"/a;token=b#c", "/a;token=REDACTED"},
	    {"/a;b", "/a;b"},
	    {"/token=a/b", "/token=a/b"},
	    /* in another parameter's value */
	    {"/?to=http://u:p@h/", "/?to=REDACTED"},
	    {"/?to=http%3A%2F%2Fu%3Ap%40h%2F", "/?to=REDACTED"},
	    {"/?to=http%253A%252F%252Fu%253Ap%2540h", "/?to=REDACTED"},
	    {"/?to=%2Fa%3Ftoken%3Db", "/?to=REDACTED"},
	    {"/?to=%252Fa%253Ftoken%253Db", "/?to=REDACTED"},
	    {"/?to=/a?token=b&x=1", "/?to=REDACTED&x=1"},
	    {"/?to=%2Fa%3Fpage%3D1", "/?to=%2Fa%3Fpage%3D1"},
	    {"/?to=http://h/?page=1", "/?to=http://h/?page=1"},
	};

	check(rows, COUNT_OF(rows));
}

static void
test_user_information(void **state)
{
	static const struct row rows[] = {
	    {"http://user:hunter2@h/x", "http://h/x"},
	    {"http://user@h:8080/x", "http://h:8080/x"},
	    {"http://a:b@c@h/x", "http://h/x"},
	    {"http://user:hunter2@h", "http://h"},
	    {"http://user:hunter2@h?x=1", "http://h?x=1"},
	    {"http://user:hunter2@h#f", "http://h"},
	    {"http://u:p@[::1]:80/", "http://[::1]:80/"},
	    {"http://@h/", "http://h/"},
	    {"HTTPS://u:p@h/", "HTTPS://h/"},
	    /* an "@" after the authority belongs to nobody's name */
	    {"http://h/a@b", "http://h/a@b"},
	    {"http://h?x=a@b", "http://h?x=a@b"},
	    {"http://h/@/x?y=@", "http://h/@/x?y=@"},
	    {"/x?to=a@b", "/x?to=a@b"},
	    {"/x://u:p@h", "/x://u:p@h"},
	};

	check(rows, COUNT_OF(rows));
}

static void
test_odd_urls(void **state)
{
	static const struct row rows[] = {
	    {"", ""},
	    {"/", "/"},
	    {"*", "*"},
	    {"?", "?"},
	    {"#", ""},
	    {"&", "&"},
	    {"://", "://"},
	    {"http://", "http://"},
	    {"http://h", "http://h"},
	    {"h:443", "h:443"},
	    {"/?&&&", "/?&&&"},
	    {"/?=", "/?="},
	    {"/?=a", "/?=a"},
	    {"/??sig=a", "/??sig=REDACTED"},
	    {"/?a&sig=b&c", "/?a&sig=REDACTED&c"},
	    {"/?a=b#sig=c", "/?a=b"},
	    {"/a#b?sig=c", "/a"},
	    {"/?sig=a#b&sig=c", "/?sig=REDACTED"},
	    {"/a&sig=b", "/a&sig=b"},
	    {"http://h/\xc3\xa9?sig=\xff", "http://h/\xc3\xa9?sig=REDACTED"},
	};

	check(rows, COUNT_OF(rows));
}

/* Every parameter grows: the room must have been reckoned for all. */
static void
test_a_long_url_of_short_secrets(void **state)
{
	static const char secret[] = "&key=";
	size_t length = LONG_BYTES / 5 * 5;
	char *url = malloc(length + 3);
	char *redacted;

	assert_non_null(url);
	memcpy(url, "/?", 2);
	for (size_t i = 0; i < length; i++)
		url[2 + i] = secret[i % 5];
	url[2 + length] = '\0';
	redacted = redact_url(url);
	assert_int_equal(
	    strlen(redacted), 2 + length + length / 5 * strlen("REDACTED"));
	free(redacted);
	free(url);
}

/* Whatever comes in: no more than its bound goes out, what goes out once does
 * not change when it comes again, and no value of a secret gets through. */
static void
test_hammer(void **state)
{
	static const char alphabet[] = "sig=&?#/:@ak%;2";
	uint64_t random = 1;

	for (int i = 0; i < HAMMER_ROUNDS; i++) {
		char url[HAMMER_MAX_BYTES + 1];
		char *redacted;
		char *again;
		const char *secret;
		size_t length = 0;

		do {
			random = random * 6364136223846793005u +
			    1442695040888963407u;
			url[length++] =
			    alphabet[(random >> 40) % (sizeof(alphabet) - 1)];
		} while (length < HAMMER_MAX_BYTES && (random >> 33) % 20 != 0);
		url[length] = '\0';
		redacted = redact_url(url);
		again = redact_url(redacted);
		assert_string_equal(again, redacted);
		assert_null(strchr(redacted, '#'));
		secret = strstr(redacted, "?sig=");
		if (secret != NULL && secret == strchr(redacted, '?'))
			assert_memory_equal(secret, "?sig=REDACTED", 13);
		free(again);
		free(redacted);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_signed_urls),
	    cmocka_unit_test(test_secrets_by_name),
	    cmocka_unit_test(test_secrets_in_disguise),
	    cmocka_unit_test(test_user_information),
	    cmocka_unit_test(test_odd_urls),
	    cmocka_unit_test(test_a_long_url_of_short_secrets),
	    cmocka_unit_test(test_hammer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
