/* SPDX-License-Identifier: MIT */

/*
 * What a request to the admin port says.
 */

#include "admin/asked.h"

#include <strings.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "accounting/memory.h"

enum method
asked_method(struct evhttp_request *request)
{
	enum evhttp_cmd_type command = evhttp_request_get_command(request);

	if (command == EVHTTP_REQ_GET)
		return METHOD_GET;
	if (command == EVHTTP_REQ_POST)
		return METHOD_POST;
	return command == EVHTTP_REQ_HEAD ? METHOD_HEAD : METHOD_OTHER;
}

const char *
asked_field(struct evhttp_request *request, const char *name)
{
	return evhttp_find_header(
	    evhttp_request_get_input_headers(request), name);
}

static size_t
count_fields(struct evhttp_request *request, const char *name)
{
	const struct evkeyvalq *fields =
	    evhttp_request_get_input_headers(request);
	size_t count = 0;

	for (const struct evkeyval *field = fields->tqh_first; field != NULL;
	     field = field->next.tqe_next)
		count += strcasecmp(field->key, name) == 0;
	return count;
}

const char *
asked_mistake(struct evhttp_request *request)
{
	static const char *const singles[] = {
	    "Host", "Origin", "Authorization"};
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);

	if (evhttp_uri_get_scheme(uri) != NULL ||
	    evhttp_request_get_command(request) == EVHTTP_REQ_CONNECT)
		return "this is leakproxy's admin address, not the proxy: "
		       "give callers the --listen address";
	/* What we decide by must not be said twice (RFC 9112 §3.2). */
	for (size_t i = 0; i < sizeof(singles) / sizeof(*singles); i++) {
		if (count_fields(request, singles[i]) > 1)
			return "Host, Origin and Authorization may be given "
			       "once each";
	}
	return NULL;
}

char *
asked_body(struct evhttp_request *request)
{
	struct evbuffer *buffer = evhttp_request_get_input_buffer(request);
	size_t length = evbuffer_get_length(buffer);
	char *body;

	if (asked_method(request) != METHOD_POST)
		return NULL;
	body = xcalloc(length + 1, 1);
	evbuffer_copyout(buffer, body, length);
	return body;
}
