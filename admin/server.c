/* SPDX-License-Identifier: MIT */

/*
 * The admin server: evhttp on a thread and a loop of its own.
 *
 *      request --> refused ------------------------> reply
 *              --> rendered at once ---------------> reply
 *              --> GATHERING --> rendered --> REPLYING --> written
 *
 * A request that needs data becomes a call.  While it gathers, evhttp neither
 * reads nor frees it: should the connection fail meanwhile, evhttp lets go of
 * the request and it is ours to free; once we reply, it is evhttp's.  The
 * source answers exactly once, so a stop waits for what was asked, and then a
 * moment for the replies to leave.
 */

#include "admin/server.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "accounting/memory.h"
#include "admin/asked.h"
#include "admin/endpoint.h"
#include "admin/guard.h"
#include "admin/guests.h"
#include "admin/live.h"
#include "admin/pprof.h"
#include "proxy/base/log.h"
#include "proxy/base/token.h"

#define MAX_HEADER_BYTES (16 * 1024)
#define MAX_BODY_BYTES (64 * 1024)
#define TIMEOUT_S 30
#define DEFAULT_PATIENCE_US (TIMEOUT_S * US_PER_S)
#define DEFAULT_MAX_CONNECTIONS 256
#define MAX_CALLS 64
#define BACKLOG 128

/* After accept() failed for want of descriptors. */
#define ACCEPT_PAUSE_S 1

/* What a stop grants to replies on their way out. */
#define STOP_LINGER_S 1

enum call_state {
	CALL_GATHERING, /* the source has not answered yet */
	CALL_REPLYING,  /* the reply is being written */
};

struct call {
	struct admin_server *server;    /* borrowed, outlives the call */
	struct evhttp_request *request; /* ours or evhttp's, see above */
	struct visit visit;             /* owned */
	enum call_state state;
};

enum server_state {
	SERVER_BOUND, /* has no thread yet */
	SERVER_RUNNING,
	SERVER_STOPPING, /* waits for all calls */
	SERVER_ENDING,   /* waits for those that gather */
};

struct admin_server {
	/* owned */
	struct loop *loop;
	struct evhttp *http;
	struct guests *guests;
	struct live *live;
	struct pprof *pprof; /* NULL: none is asked */
	struct event *linger_over;
	pthread_t thread;

	/* borrowed */
	struct evconnlistener *listener; /* until evhttp_free() */
	struct admin_config config;      /* its sockaddr only at the start */

	enum server_state state;
	size_t call_count;
	size_t gathering_count;
};

/* ---- replies ---- */

static void
put_header(struct evhttp_request *request, const char *name, const char *value)
{
	evhttp_add_header(
	    evhttp_request_get_output_headers(request), name, value);
}

static void
put_headers(struct evhttp_request *request, const struct document *document)
{
	put_header(request, "Content-Type", document->content_type);
	put_header(request, "Cache-Control", "no-store");
	put_header(request, "X-Content-Type-Options", "nosniff");
	put_header(request, "Cross-Origin-Resource-Policy", "same-origin");
	put_header(request, "Content-Security-Policy",
	    document->policy != NULL
		? document->policy
		: "default-src 'none'; frame-ancestors 'none'");
	if (document->allow != NULL)
		put_header(request, "Allow", document->allow);
	if (document->challenge != NULL)
		put_header(request, "WWW-Authenticate", document->challenge);
	if (document->file_name != NULL) {
		char *value = xasprintf(
		    "attachment; filename=\"%s\"", document->file_name);

		put_header(request, "Content-Disposition", value);
		free(value);
	}
}

static void
free_text(const void *text, size_t length, void *arg)
{
	free(arg);
}

/* Sends the document, and ends it.  Its text goes as it is: there may be
 * megabytes of it. */
static void
reply(struct evhttp_request *request, struct document *document)
{
	struct evbuffer *body = evbuffer_new();
	size_t body_bytes = strlen(document->body);
	char length[32];

	if (body == NULL)
		abort();
	put_headers(request, document);
	/* evhttp gives no length to the answers of HEAD and CONNECT, and sends
	 * a body with both. */
	snprintf(length, sizeof(length), "%zu", body_bytes);
	if (!document->is_endless)
		put_header(request, "Content-Length", length);
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		free(document->body);
	else if (evbuffer_add_reference(body, document->body, body_bytes,
		     free_text, document->body) != 0)
		abort();
	document->body = NULL;
	evhttp_send_reply(request, document->status, NULL, body);
	evbuffer_free(body);
}

/* ---- calls ---- */

/* Ends the loop when a stop waits for nothing any more.  The source has the
 * calls' pointers until it has answered, so for that it always waits. */
static void
stop_if_done(struct admin_server *server)
{
	bool is_quiet = server->call_count == 0 && live_is_quiet(server->live);
	bool is_gathering =
	    server->gathering_count > 0 || live_is_gathering(server->live);

	if ((server->state == SERVER_STOPPING && is_quiet) ||
	    (server->state == SERVER_ENDING && !is_gathering))
		loop_stop(server->loop);
}

static void
end_call(struct call *call)
{
	struct admin_server *server = call->server;

	server->call_count--;
	endpoint_visit_fini(&call->visit);
	free(call);
	stop_if_done(server);
}

static struct bufferevent *
connection_of(struct evhttp_request *request)
{
	return evhttp_connection_get_bufferevent(
	    evhttp_request_get_connection(request));
}

static void
on_reply_written(struct evhttp_request *request, void *arg)
{
	struct call *call = arg;

	guests_answered(call->server->guests, connection_of(request));
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(request), NULL, NULL);
	end_call(call);
}

/* While the call gathers, its answer is still to come and ends it. */
static void
on_connection_closed(struct evhttp_connection *connection, void *arg)
{
	struct call *call = arg;

	if (call->state == CALL_REPLYING)
		end_call(call);
}

static void
answer_call(struct call *call)
{
	struct evhttp_request *request = call->request;
	struct document document = {0};

	if (evhttp_request_get_connection(request) == NULL) {
		evhttp_request_free(request);
		end_call(call);
		return;
	}
	endpoint_render(&call->visit, &document);
	call->state = CALL_REPLYING;
	evhttp_request_set_on_complete_cb(request, on_reply_written, call);
	reply(request, &document);
}

static void
on_gathered(struct snapshot *snapshot, void *arg)
{
	struct call *call = arg;
	struct admin_server *server = call->server;

	assert(call->state == CALL_GATHERING);
	server->gathering_count--;
	call->visit.snapshot = snapshot;
	if (server->pprof != NULL)
		call->visit.goroutines = pprof_last(server->pprof);
	answer_call(call);
	snapshot_free(snapshot);
	stop_if_done(server);
}

/* Takes what *visit owns. */
static void
begin_call(struct admin_server *server, struct evhttp_request *request,
    struct visit *visit)
{
	struct call *call = xcalloc(1, sizeof(*call));
	const struct admin_source *source = &server->config.source;

	call->server = server;
	call->request = request;
	call->visit = *visit;
	call->state = CALL_GATHERING;
	*visit = (struct visit){0};
	server->call_count++;
	server->gathering_count++;
	guests_asked(server->guests, connection_of(request));
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(request), on_connection_closed, call);
	source->gather(source->source_arg, server->loop,
	    &call->visit.view.query, on_gathered, call);
}

/* ---- requests ---- */

static const char *
refuse_site(const struct admin_server *server, struct evhttp_request *request)
{
	const char *host = asked_field(request, "Host");
	const char *refusal =
	    guard_refuse_host(host, server->config.token != NULL);

	if (refusal != NULL)
		return refusal;
	return guard_refuse_origin(asked_field(request, "Origin"), host);
}

static bool
is_authorized(const struct admin_server *server, struct evhttp_request *request,
    const char *path)
{
	const char *token = server->config.token;

	return token == NULL || endpoint_is_public(path) ||
	    token_matches(token, asked_field(request, "Authorization"));
}

/* Returns whether nothing at all is answered to this request, and the refusal
 * in *document. */
static bool
refuse_early(const struct admin_server *server, struct evhttp_request *request,
    struct document *document)
{
	const char *path =
	    evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	const char *mistake = asked_mistake(request);
	const char *site = refuse_site(server, request);

	if (mistake != NULL) {
		endpoint_refuse(document, 400, path, mistake);
	} else if (site != NULL) {
		endpoint_refuse(document, 403, path, site);
	} else if (!is_authorized(server, request, path)) {
		endpoint_refuse(document, 401, path,
		    "send Authorization: Bearer, with the token in "
		    "--admin-token-file");
		/* RFC 9110 §11.6.1, RFC 6750 §3 */
		document->challenge = "Bearer realm=\"leakproxy\"";
	}
	return document->body != NULL;
}

/* Takes the request: what it asks for goes on and on. */
static void
begin_stream(struct admin_server *server, struct evhttp_request *request,
    struct document *document)
{
	put_headers(request, document);
	live_listen(server->live, request);
	free(document->body);
	document->body = NULL;
}

static bool
is_full(const struct admin_server *server, const struct endpoint *endpoint)
{
	if (endpoint->is_endless)
		return live_is_full(server->live);
	if (!endpoint->gathers)
		return false;
	return server->call_count >= MAX_CALLS ||
	    server->state != SERVER_RUNNING;
}

/* Answers, or begins the call that will. */
static void
take_request(struct admin_server *server, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	const struct admin_config *config = &server->config;
	struct visit visit = {0};
	struct document document = {0};

	if (!endpoint_visit(&visit, asked_method(request), path,
		evhttp_uri_get_query(uri), &document)) {
		reply(request, &document);
	} else if (is_full(server, visit.endpoint)) {
		endpoint_refuse(&document, 503, path,
		    "too many requests are under way: try again");
		reply(request, &document);
	} else if (visit.endpoint->gathers) {
		visit.accept = xstrdup_or_null(asked_field(request, "Accept"));
		begin_call(server, request, &visit);
	} else {
		visit.ca_pem = config->ca_pem;
		visit.ca_pem_arg = config->ca_pem_arg;
		visit.marks = config->marks;
		visit.content_type = asked_field(request, "Content-Type");
		visit.body = asked_body(request);
		visit.is_ready =
		    config->source.is_ready(config->source.source_arg);
		endpoint_render(&visit, &document);
		if (document.is_endless && asked_method(request) == METHOD_GET)
			begin_stream(server, request, &document);
		else
			reply(request, &document);
	}
	endpoint_visit_fini(&visit);
}

static void
on_request(struct evhttp_request *request, void *arg)
{
	struct admin_server *server = arg;
	struct document document = {0};

	guests_answered(server->guests, connection_of(request));
	if (refuse_early(server, request, &document))
		reply(request, &document);
	else
		take_request(server, request);
}

static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	struct admin_server *server = arg;

	return guests_admit(server->guests, 2 * MAX_BODY_BYTES);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	evconnlistener_enable(arg);
}

/* `arg` is evhttp's, whose listener this is. */
static void
on_accept_failed(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = {ACCEPT_PAUSE_S, 0};

	log_warn("admin: cannot accept, pausing");
	evconnlistener_disable(listener);
	event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT,
	    on_accept_again, listener, &pause);
}

/* ---- start and stop ---- */

/* Writes "127.0.0.1:41235" or "[::1]:41235". */
static void
format_bound(struct evconnlistener *listener, char *text, size_t size)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST] = "?";
	char port[NI_MAXSERV] = "?";

	if (getsockname(evconnlistener_get_fd(listener),
		(struct sockaddr *)&address, &length) == 0)
		getnameinfo((struct sockaddr *)&address, length, host,
		    sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(text, size,
	    address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void
on_linger_over(evutil_socket_t fd, short what, void *arg)
{
	struct admin_server *server = arg;

	server->state = SERVER_ENDING;
	stop_if_done(server);
}

static void
on_stop(void *arg)
{
	static const struct timeval linger = {STOP_LINGER_S, 0};
	struct admin_server *server = arg;

	server->state = SERVER_STOPPING;
	evconnlistener_disable(server->listener);
	live_stop(server->live);
	event_add(server->linger_over, &linger);
	stop_if_done(server);
}

static void
on_live_quiet(void *arg)
{
	stop_if_done(arg);
}

static void
set_up_http(struct admin_server *server)
{
	struct event_base *base = loop_base(server->loop);
	const struct admin_config *config = &server->config;

	if (config->pprof_url != NULL)
		server->pprof = pprof_new(server->loop, config->pprof_url);
	server->guests = guests_new(base,
	    config->max_connections == 0 ? DEFAULT_MAX_CONNECTIONS
					 : config->max_connections,
	    config->patience_us == 0 ? DEFAULT_PATIENCE_US
				     : config->patience_us);
	server->live = live_new(server->loop, &server->config.source,
	    server->guests, on_live_quiet, server);
	server->http = evhttp_new(base);
	server->linger_over = evtimer_new(base, on_linger_over, server);
	if (server->http == NULL || server->linger_over == NULL)
		abort();
	evhttp_set_max_headers_size(server->http, MAX_HEADER_BYTES);
	evhttp_set_max_body_size(server->http, MAX_BODY_BYTES);
	evhttp_set_timeout(server->http, TIMEOUT_S);
	/* Every method, so that the table decides. */
	evhttp_set_allowed_methods(server->http, 0xffff);
	evhttp_set_bevcb(server->http, on_connection, server);
	evhttp_set_gencb(server->http, on_request, server);
}

/* Frees a server whose thread has ended, or was never there. */
static void
server_free(struct admin_server *server)
{
	evhttp_free(server->http); /* its close callbacks end the last calls */
	live_free(server->live);
	guests_free(server->guests);
	pprof_free(server->pprof);
	event_free(server->linger_over);
	loop_free(server->loop);
	free(server);
}

static bool
bind_listener(struct admin_server *server, const struct admin_config *config)
{
	server->listener = evconnlistener_new_bind(loop_base(server->loop),
	    NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
	    BACKLOG, config->sockaddr, (int)config->sockaddr_length);
	if (server->listener == NULL)
		return false;
	evconnlistener_set_error_cb(server->listener, on_accept_failed);
	if (evhttp_bind_listener(server->http, server->listener) == NULL)
		abort();
	return true;
}

static void *
run(void *arg)
{
	struct admin_server *server = arg;

	loop_run(server->loop);
	return NULL;
}

/* Signals are for the threads that expect them. */
static bool
start_thread(struct admin_server *server)
{
	sigset_t all;
	sigset_t before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&server->thread, NULL, run, server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_setname_np(server->thread, "admin");
	errno = error;
	return error == 0;
}

struct admin_server *
admin_server_open(
    const struct admin_config *config, char *bound, size_t bound_size)
{
	struct admin_server *server = xcalloc(1, sizeof(*server));
	int error;

	server->config = *config;
	server->config.sockaddr = NULL;
	server->loop = loop_new();
	set_up_http(server);
	if (bind_listener(server, config)) {
		format_bound(server->listener, bound, bound_size);
		return server;
	}
	error = errno;
	server_free(server);
	errno = error;
	return NULL;
}

bool
admin_server_start(struct admin_server *server)
{
	server->state = SERVER_RUNNING; /* the thread's from now on */
	if (start_thread(server))
		return true;
	server->state = SERVER_BOUND;
	return false;
}

void
admin_server_stop(struct admin_server *server)
{
	if (server->state != SERVER_BOUND) {
		loop_post(server->loop, on_stop, server);
		pthread_join(server->thread, NULL);
	}
	server_free(server);
}
