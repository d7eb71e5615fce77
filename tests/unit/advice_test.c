/* SPDX-License-Identifier: MIT */

/*
 * At three in the morning "a response is not drained" is not yet a place in
 * the code.  The library is known from its User-Agent, and a status from
 * whose path the Close is missing.
 */

#include "admin/advice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* As the libraries of Debian 12 say it, and others. */
static void
test_libraries(void **state)
{
	static const struct {
		const char *user_agent;
		const char *begins;
	} rows[] = {
	    {"Go-http-client/1.1", "Go: resp.Body.Close()"},
	    {"containers/5.23.1 (github.com/containers/image)", "Go (contai"},
	    {"python-requests/2.28.1", "Python requests"},
	    {"python-urllib3/1.26.12", "Python urllib3"},
	    {"Python/3.11 aiohttp/3.8.4", "Python aiohttp"},
	    {"python-httpx/0.23.3", "Python httpx"},
	    {"Python-urllib/3.11", "Python urllib:"},
	    {"Apache-HttpClient/4.5.14 (Java/17.0.15)", "Java Apache"},
	    {"okhttp/4.9.0", "Java OkHttp"},
	    {"Java-http-client/17.0.15", "Java HttpClient"},
	    {"Java/17.0.15", "Java HttpURLConnection"},
	    {"node-fetch/1.0", "Node: read the body"},
	    {"undici", "Node: read the body"},
	    {"axios/1.2.1", "Node axios"},
	    {"node", "Node: a response"},
	    {"curl/7.88.1", "curl:"},
	    {"", "The response is neither"},
	    {"unheard-of", "The response is neither"},
	    {NULL, "The response is neither"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *advice = advice_of(rows[i].user_agent);

		if (strncmp(advice, rows[i].begins, strlen(rows[i].begins)) !=
		    0)
			fail_msg("%s: %s", rows[i].user_agent, advice);
	}
}

static void
test_paths(void **state)
{
	assert_null(advice_of_status(200));
	assert_null(advice_of_status(206));
	assert_non_null(strstr(advice_of_status(401), "credentials"));
	assert_non_null(strstr(advice_of_status(307), "Location"));
	assert_non_null(strstr(advice_of_status(429), "tried again"));
	assert_non_null(strstr(advice_of_status(404), "return"));
	assert_non_null(strstr(advice_of_status(500), "return"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_libraries),
	    cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
