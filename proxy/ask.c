/* SPDX-License-Identifier: MIT */

/*
 * Questions to the admin server of a running proxy, with evhttp.
 */

#include "proxy/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "accounting/memory.h"

#define ANSWER_SECONDS 10

/* Beyond what 10 000 leaks take, ten times. */
#define MAX_ANSWER_BYTES (256 * 1024 * 1024)

#define HTTP_UNAUTHORIZED 401

/* One request, from the asking to its end. */
struct question {
	struct event_base *base; /* borrowed */
	ask_cb done;
	void *arg;

	struct address address;
	char where[UNITS_ADDRESS_TEXT_BYTES];
	char host[UNITS_ADDRESS_TEXT_BYTES]; /* without brackets */
	uint16_t port;

	bool is_over;
	int status;        /* 0: no answer */
	const char *token; /* borrowed; NULL: none */

	/* owned */
	struct evhttp_connection *connection; /* or NULL */
	struct event *ending; /* when patience ends, or it is over */
	char *reason;         /* or NULL */
	struct evbuffer *body;
};

/* What was bound to every address answers on loopback too. */
static struct address
reachable(const struct address *admin)
{
	struct address address = *admin;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	memcpy(&v4, &address.sockaddr, sizeof(v4));
	memcpy(&v6, &address.sockaddr, sizeof(v6));
	if (v4.sin_family == AF_INET && v4.sin_addr.s_addr == INADDR_ANY) {
		v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(&address.sockaddr, &v4, sizeof(v4));
	} else if (v6.sin6_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) {
		v6.sin6_addr = in6addr_loopback;
		memcpy(&address.sockaddr, &v6, sizeof(v6));
	}
	return address;
}

static void
question_init(struct question *question, const struct options *options)
{
	const char *start;
	size_t length;

	*question = (struct question){.address = reachable(&options->admin),
	    .token = options->admin_token};
	question->port = units_port(&question->address);
	units_address_text(&question->address, question->where);
	start = question->where;
	length = (size_t)(strrchr(start, ':') - start);
	if (*start == '[') {
		start++;
		length -= 2;
	}
	memcpy(question->host, start, length);
	question->body = evbuffer_new();
}

static void
question_free(struct question *question)
{
	if (question->connection != NULL)
		evhttp_connection_free(question->connection);
	event_free(question->ending);
	evbuffer_free(question->body);
	free(question->reason);
	free(question);
}

/* evhttp goes on with its connection when we return, so the end waits. */
static void
on_answered(struct evhttp_request *request, void *arg)
{
	struct question *question = arg;

	question->is_over = true;
	if (request != NULL)
		question->status = evhttp_request_get_response_code(request);
	if (question->status != 0) {
		question->reason = xstrdup_or_null(
		    evhttp_request_get_response_code_line(request));
		evbuffer_add_buffer(
		    question->body, evhttp_request_get_input_buffer(request));
	}
	event_active(question->ending, EV_TIMEOUT, 0);
}

static void
add_token(struct evkeyvalq *fields, const char *token)
{
	char *value = xasprintf("Bearer %s", token);

	evhttp_add_header(fields, "Authorization", value);
	explicit_bzero(value, strlen(value));
	free(value);
}

/* Sends the request; its answer, or its failure, is over some time later. */
static void
put_question(struct question *question, const char *path)
{
	struct evhttp_request *request =
	    evhttp_request_new(on_answered, question);
	struct evkeyvalq *fields;

	question->connection = evhttp_connection_base_new(
	    question->base, NULL, question->host, question->port);
	if (question->connection == NULL || request == NULL)
		abort();
	evhttp_connection_set_max_body_size(
	    question->connection, MAX_ANSWER_BYTES);
	fields = evhttp_request_get_output_headers(request);
	evhttp_add_header(fields, "Host", question->where);
	evhttp_add_header(fields, "Connection", "close");
	if (question->token != NULL)
		add_token(fields, question->token);
	if (evhttp_make_request(
		question->connection, request, EVHTTP_REQ_GET, path) == 0)
		return;
	question->is_over = true;
	event_active(question->ending, EV_TIMEOUT, 0);
}

/* evhttp keeps to itself why it could not connect: try again, to know.
 * Returns 0 where that works, so that the answer was no HTTP. */
static int
connect_error(const struct address *address)
{
	static const struct timeval patience = {ANSWER_SECONDS, 0};
	int fd =
	    socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = 0;

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address->sockaddr,
		address->length) < 0)
		error = errno;
	close(fd);
	return error;
}

static char *
explain_silence(const struct question *question)
{
	int error = connect_error(&question->address);

	if (error == 0)
		return xasprintf("--admin: what answers at %s speaks no HTTP, "
				 "or without end: is that the --admin address "
				 "of a leakproxy?",
		    question->where);
	return xasprintf("--admin: nothing answers at %s (%s): is leakproxy "
			 "serve running there?",
	    question->where, strerror(error));
}

/* Returns why there is no body, or NULL where there is. */
static char *
explain(const struct question *question)
{
	if (question->status == HTTP_OK)
		return NULL;
	if (question->status == HTTP_UNAUTHORIZED)
		return xasprintf("--admin-token-file: %s asks for %s: name the "
				 "file that the proxy was started with",
		    question->where,
		    question->token == NULL ? "a token" : "another token");
	if (question->status != 0)
		return xasprintf("--admin: %s answered %d %s: is that the "
				 "--admin address of a leakproxy?",
		    question->where, question->status,
		    question->reason == NULL ? "" : question->reason);
	if (!question->is_over)
		return xasprintf("--admin: %s gave no answer in %d s: is "
				 "leakproxy serve running there?",
		    question->where, ANSWER_SECONDS);
	return explain_silence(question);
}

static char *
take_body(struct evbuffer *body)
{
	size_t length = evbuffer_get_length(body);
	char *text = xcalloc(1, length + 1);

	if (length > 0)
		evbuffer_remove(body, text, length);
	return text;
}

static void
on_ending(evutil_socket_t fd, short what, void *arg)
{
	struct question *question = arg;
	ask_cb done = question->done;
	void *done_arg = question->arg;
	char *why = explain(question);
	char *body = why == NULL ? take_body(question->body) : NULL;

	question_free(question);
	done(body, why, done_arg);
}

struct question *
ask_begin(struct event_base *base, const struct options *options,
    const char *path, ask_cb done, void *arg)
{
	static const struct timeval patience = {ANSWER_SECONDS, 0};
	struct question *question = xcalloc(1, sizeof(*question));

	question_init(question, options);
	question->base = base;
	question->done = done;
	question->arg = arg;
	question->ending = evtimer_new(base, on_ending, question);
	if (question->ending == NULL ||
	    evtimer_add(question->ending, &patience) != 0)
		abort();
	put_question(question, path);
	return question;
}

void
ask_cancel(struct question **question)
{
	if (*question != NULL)
		question_free(*question);
	*question = NULL;
}

/* ---- waiting ---- */

static void
on_done(char *body, char *why, void *arg)
{
	char **answer = arg;

	if (why != NULL)
		fprintf(stderr, "leakproxy: %s\n", why);
	free(why);
	*answer = body;
}

char *
ask_admin(const struct options *options, const char *path)
{
	struct event_base *base = event_base_new();
	char *body = NULL;

	if (base == NULL)
		abort();
	/* Nothing is left in the loop when it is done. */
	ask_begin(base, options, path, on_done, &body);
	event_base_dispatch(base);
	event_base_free(base);
	return body;
}
