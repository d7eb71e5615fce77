/* SPDX-License-Identifier: MIT */

/*
 * Reads a Go service's goroutine profile now and then.
 */

#include "admin/pprof.h"

#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>

#include "accounting/memory.h"

#define READ_EVERY_S 5
#define PATIENCE_S 4
#define MAX_PROFILE_BYTES (32 * 1024 * 1024)
#define HTTP_PORT 80
#define INDEX "/debug/pprof/"

struct pprof {
	/* owned */
	struct evdns_base *dns;
	struct event *timer;
	struct evhttp_connection *connection; /* NULL between two readings */
	char *host;
	char *authority;
	char *path;

	struct loop *loop; /* borrowed */
	int port;
	struct goroutines last;
};

/* ---- the URL ---- */

/* "/", "/debug/pprof" and "/debug/pprof/goroutine" are all meant. */
static char *
profile_path(const char *path)
{
	if (path == NULL || strstr(path, "goroutine") == NULL)
		return xstrdup(INDEX "goroutine?debug=1");
	return xasprintf("%s?debug=1", path);
}

static void
take_url(struct pprof *pprof, const char *url)
{
	struct evhttp_uri *uri = evhttp_uri_parse(url);
	const char *host = evhttp_uri_get_host(uri);
	size_t length = strlen(host);

	pprof->port = evhttp_uri_get_port(uri);
	if (pprof->port < 0)
		pprof->port = HTTP_PORT;
	pprof->authority = xasprintf("%s:%d", host, pprof->port);
	/* evhttp wants an IPv6 address without its brackets. */
	pprof->host =
	    host[0] == '[' ? xstrndup(host + 1, length - 2) : xstrdup(host);
	pprof->path = profile_path(evhttp_uri_get_path(uri));
	evhttp_uri_free(uri);
}

/* ---- reading ---- */

static void
fail(struct pprof *pprof, const char *failure)
{
	pprof->last = (struct goroutines){.failure = failure};
}

static void
take_profile(struct pprof *pprof, struct evbuffer *body)
{
	size_t length = evbuffer_get_length(body);
	const char *text = (const char *)evbuffer_pullup(body, -1);

	if (!goroutines_parse(text == NULL ? "" : text, length, &pprof->last))
		fail(pprof, "what --pprof names is no goroutine profile");
}

static void
on_answered(struct evhttp_request *request, void *arg)
{
	struct pprof *pprof = arg;

	if (request == NULL || evhttp_request_get_response_code(request) == 0)
		fail(pprof, "nothing answers at --pprof");
	else if (evhttp_request_get_response_code(request) != HTTP_OK)
		fail(pprof, "what --pprof names answers with an error");
	else
		take_profile(pprof, evhttp_request_get_input_buffer(request));
}

static void
end_reading(struct pprof *pprof)
{
	if (pprof->connection != NULL)
		evhttp_connection_free(pprof->connection);
	pprof->connection = NULL;
}

static void
ask(struct pprof *pprof)
{
	struct evhttp_request *request = evhttp_request_new(on_answered, pprof);

	pprof->connection = evhttp_connection_base_new(loop_base(pprof->loop),
	    pprof->dns, pprof->host, (unsigned short)pprof->port);
	if (request == NULL || pprof->connection == NULL)
		abort();
	evhttp_connection_set_timeout(pprof->connection, PATIENCE_S);
	evhttp_connection_set_max_body_size(
	    pprof->connection, MAX_PROFILE_BYTES);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Host",
	    pprof->authority);
	evhttp_add_header(
	    evhttp_request_get_output_headers(request), "Connection", "close");
	if (evhttp_make_request(
		pprof->connection, request, EVHTTP_REQ_GET, pprof->path) != 0)
		fail(pprof, "nothing answers at --pprof");
}

/* The last reading is over by now, or has not come within its patience. */
static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	end_reading(arg);
	ask(arg);
}

/* ---- life ---- */

struct pprof *
pprof_new(struct loop *loop, const char *url)
{
	static const struct timeval every = {READ_EVERY_S, 0};
	struct pprof *pprof = xcalloc(1, sizeof(*pprof));

	pprof->loop = loop;
	take_url(pprof, url);
	pprof->dns = evdns_base_new(loop_base(loop),
	    EVDNS_BASE_INITIALIZE_NAMESERVERS |
		EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	pprof->timer =
	    event_new(loop_base(loop), -1, EV_PERSIST, on_due, pprof);
	if (pprof->timer == NULL)
		abort();
	event_add(pprof->timer, &every);
	event_active(pprof->timer, EV_TIMEOUT, 0);
	return pprof;
}

void
pprof_free(struct pprof *pprof)
{
	if (pprof == NULL)
		return;
	end_reading(pprof);
	event_free(pprof->timer);
	if (pprof->dns != NULL)
		evdns_base_free(pprof->dns, 0);
	free(pprof->host);
	free(pprof->authority);
	free(pprof->path);
	free(pprof);
}

const struct goroutines *
pprof_last(const struct pprof *pprof)
{
	return &pprof->last;
}
