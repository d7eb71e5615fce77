/* SPDX-License-Identifier: MIT */

/*
 * TRACE and OPTIONS may be addressed to a proxy on the way: the request counts
 * down, and who gets it at 0 answers in the origin's place.
 */

#include "proxy/maxforwards.h"

#include <stdbool.h>

/* More digits than this and we send on the largest number that has them. */
#define MAX_DIGITS 18

static bool
read_number(struct span digits, int64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < digits.length; i++) {
		char c = digits.at[i];

		if (c < '0' || c > '9')
			return false;
		if (i < MAX_DIGITS)
			*number = *number * 10 + (c - '0');
	}
	return digits.length > 0;
}

enum max_forwards
maxforwards_read(const struct head *request, int64_t *left)
{
	const struct field *field = head_find(request, FIELD_MAX_FORWARDS);
	int64_t received;

	if (field == NULL ||
	    (!head_method_is(request, "TRACE") &&
		!head_method_is(request, "OPTIONS")))
		return MAX_FORWARDS_NONE;
	if (head_count(request, FIELD_MAX_FORWARDS) > 1 ||
	    !read_number(field->value, &received))
		return MAX_FORWARDS_BAD;
	if (received == 0)
		return MAX_FORWARDS_HERE;
	*left = received - 1;
	return MAX_FORWARDS_LEFT;
}

/* RFC 9110 §9.3.8: what a TRACE shows must not be a secret. */
static bool
is_secret(enum field_id id)
{
	return id == FIELD_AUTHORIZATION || id == FIELD_COOKIE ||
	    id == FIELD_PROXY_AUTHORIZATION;
}

static void
add_received(const struct head *request, struct text *out)
{
	text_add_span(out, request->method);
	text_add(out, " ", 1);
	text_add_span(out, request->target);
	text_addf(out, " HTTP/1.%u\r\n", request->http_minor);
	for (size_t i = 0; i < request->field_count; i++) {
		if (is_secret(request->fields[i].id))
			continue;
		text_add_span(out, request->fields[i].name);
		text_add(out, ": ", 2);
		text_add_span(out, request->fields[i].value);
		text_add(out, "\r\n", 2);
	}
	text_add(out, "\r\n", 2);
}

void
maxforwards_answer(const struct head *request, struct text *out)
{
	struct text body = {0};

	text_add_string(out, "HTTP/1.1 200 OK\r\n");
	if (head_method_is(request, "TRACE")) {
		text_add_field(out, "Content-Type", "message/http");
		add_received(request, &body);
	} else {
		text_add_field(out, "Allow",
		    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, "
		    "CONNECT");
	}
	text_addf(out, "Content-Length: %zu\r\n", body.length);
	text_add_field(out, "Connection", "close");
	text_add(out, "\r\n", 2);
	text_add(out, body.bytes, body.length);
	text_fini(&body);
}
