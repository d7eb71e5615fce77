/* SPDX-License-Identifier: MIT */

/*
 * One question to the admin server of a running proxy, with evhttp.
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
#define HTTP_UNAUTHORIZED 401

/* One request, from the asking to its end. */
struct question {
	struct event_base *base; /* borrowed */
	struct address address;
	char where[UNITS_ADDRESS_TEXT_BYTES];
	char host[UNITS_ADDRESS_TEXT_BYTES]; /* without brackets */
	uint16_t port;

	bool is_over;
	int status;            /* 0: no answer */
	const char *token;     /* borrowed; NULL: none */
	char *reason;          /* owned, or NULL */
	struct evbuffer *body; /* owned */
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
question_fini(struct question *question)
{
	evbuffer_free(question->body);
	free(question->reason);
}

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
	event_base_loopexit(question->base, NULL);
}

static void
add_token(struct evkeyvalq *fields, const char *token)
{
	char *value = xasprintf("Bearer %s", token);

	evhttp_add_header(fields, "Authorization", value);
	explicit_bzero(value, strlen(value));
	free(value);
}

/* Asks, and waits for the answer; false if it could not even be sent. */
static bool
put_question(struct question *question, const char *path)
{
	static const struct timeval patience = {ANSWER_SECONDS, 0};
	struct evhttp_connection *connection = evhttp_connection_base_new(
	    question->base, NULL, question->host, question->port);
	struct evhttp_request *request =
	    evhttp_request_new(on_answered, question);
	struct evkeyvalq *fields;
	bool is_sent;

	if (connection == NULL || request == NULL)
		return false;
	fields = evhttp_request_get_output_headers(request);
	evhttp_add_header(fields, "Host", question->where);
	evhttp_add_header(fields, "Connection", "close");
	if (question->token != NULL)
		add_token(fields, question->token);
	is_sent =
	    evhttp_make_request(connection, request, EVHTTP_REQ_GET, path) == 0;
	if (is_sent && !question->is_over) {
		event_base_loopexit(question->base, &patience);
		event_base_dispatch(question->base);
	}
	evhttp_connection_free(connection);
	return is_sent;
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

static void
explain_silence(const struct question *question)
{
	int error = connect_error(&question->address);

	if (error == 0)
		fprintf(stderr,
		    "leakproxy: --admin: what answers at %s speaks no HTTP: "
		    "is that the --admin address of a leakproxy?\n",
		    question->where);
	else
		fprintf(stderr,
		    "leakproxy: --admin: nothing answers at %s (%s): is "
		    "leakproxy serve running there?\n",
		    question->where, strerror(error));
}

static bool
explain(const struct question *question)
{
	if (question->status == HTTP_OK)
		return true;
	if (question->status == HTTP_UNAUTHORIZED)
		fprintf(stderr,
		    "leakproxy: --admin-token-file: %s asks for %s: name the "
		    "file that the proxy was started with\n",
		    question->where,
		    question->token == NULL ? "a token" : "another token");
	else if (question->status != 0)
		fprintf(stderr,
		    "leakproxy: --admin: %s answered %d %s: is that the "
		    "--admin address of a leakproxy?\n",
		    question->where, question->status,
		    question->reason == NULL ? "" : question->reason);
	else if (!question->is_over)
		fprintf(stderr,
		    "leakproxy: --admin: %s gave no answer in %d s: is "
		    "leakproxy serve running there?\n",
		    question->where, ANSWER_SECONDS);
	else
		explain_silence(question);
	return false;
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

char *
ask_admin(const struct options *options, const char *path)
{
	struct question question;
	char *body = NULL;
	bool is_put;

	question_init(&question, options);
	question.base = event_base_new();
	is_put = question.base != NULL && put_question(&question, path);
	if (!is_put)
		fprintf(stderr, "leakproxy: --admin: cannot ask %s: %s\n",
		    question.where, strerror(errno));
	else if (explain(&question))
		body = take_body(question.body);
	if (question.base != NULL)
		event_base_free(question.base);
	question_fini(&question);
	return body;
}
