/* SPDX-License-Identifier: MIT */

/*
 * What to look for in the code of a caller that leaks.
 *
 * The libraries' own documentation says how a response is let go of: Go's
 * net/http ("The client must close the response body when finished with it"),
 * requests ("Body Content Workflow"), HttpURLConnection and HttpClient of the
 * JDK, Apache HttpClient ("Ensuring release of low level resources"), OkHttp,
 * undici ("Garbage Collection"), HttpClient of .NET.
 */

#include "admin/advice.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *agent; /* found anywhere in the User-Agent */
	const char *sentence;
} advices[] = {
    {"Go-http-client",
	"Go: resp.Body.Close() is missing on a path; write \"defer "
	"resp.Body.Close()\" right behind the check of err, before anything "
	"looks at the status."},
    {"containers/",
	"Go (containers/image): resp.Body.Close() is missing on a "
	"path."},
    {"docker/", "Go: resp.Body.Close() is missing on a path."},
    {"python-requests",
	"Python requests: a response of stream=True is neither read nor "
	"closed; write \"with requests.get(..., stream=True) as response\"."},
    {"python-urllib3",
	"Python urllib3: with preload_content=False call "
	"response.release_conn() or drain_conn() on every path."},
    {"aiohttp",
	"Python aiohttp: use \"async with session.get(...) as response\"; a "
	"response outside of it is not released."},
    {"python-httpx",
	"Python httpx: use \"with client.stream(...) as response\", or call "
	"response.close()."},
    {"Python-urllib",
	"Python urllib: use \"with urlopen(...) as response\"; HTTPError holds "
	"a response too, and wants close()."},
    {"Apache-HttpClient",
	"Java Apache HttpClient: close the CloseableHttpResponse (try with "
	"resources), or EntityUtils.consume(entity) on every path."},
    {"okhttp",
	"Java OkHttp: close the Response (try with resources, use {} in "
	"Kotlin), also when its code is not looked at."},
    {"Java-http-client",
	"Java HttpClient: a BodyHandlers.ofInputStream() body is neither read "
	"to its end nor closed."},
    {"Java/",
	"Java HttpURLConnection: read and close getInputStream(), and "
	"getErrorStream() when the status is 400 or more."},
    {"node-fetch",
	"Node: read the body (await response.text()) or cancel it "
	"(response.body.destroy())."},
    {"undici",
	"Node: read the body (await response.text()) or cancel it "
	"(await response.body.cancel())."},
    {"axios",
	"Node axios: a responseType \"stream\" is neither read nor "
	"destroyed (response.data.destroy())."},
    {"node",
	"Node: a response is neither read (response.resume()) nor "
	"destroyed."},
    {".NET",
	".NET: dispose the HttpResponseMessage (using), above all with "
	"HttpCompletionOption.ResponseHeadersRead."},
    {"curl/", "curl: the program that reads its output has stopped reading."},
};

const char *
advice_of(const char *user_agent)
{
	for (size_t i = 0;
	     user_agent != NULL && i < sizeof(advices) / sizeof(*advices);
	     i++) {
		if (strstr(user_agent, advices[i].agent) != NULL)
			return advices[i].sentence;
	}
	return "The response is neither read to its end nor closed on some "
	       "path.";
}

const char *
advice_of_status(int status)
{
	if (status == 401 || status == 407)
		return "A challenge: look where the request is sent again with "
		       "credentials, and the first answer is forgotten.";
	if (status / 100 == 3)
		return "A redirect: look where Location is followed by hand, "
		       "and the answer that had it is forgotten.";
	if (status == 429 || status == 503)
		return "A try later: look where the request is tried again, "
		       "and the answer that said so is forgotten.";
	if (status >= 400)
		return "An error: look for a return between the check of the "
		       "status and the Close.";
	return NULL;
}
