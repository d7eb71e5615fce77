/* SPDX-License-Identifier: MIT */

/*
 * Heads as they leave.
 */

#include "proxy/rewrite.h"

#include <string.h>

#include "proxy/upgrade.h"

#define NEVER_PASS \
	(FIELD_IS_HOP_BY_HOP | FIELD_IS_FOR_US | FIELD_IS_WRITTEN_ANEW)
#define NEVER_IN_TRAILER \
	(FIELD_IS_HOP_BY_HOP | FIELD_IS_FOR_US | FIELD_IS_FOR_HEADS)

/* Whether Connection names this field (RFC 9110 §7.6.1). */
static bool
is_nominated(const struct head *head, struct span name)
{
	for (size_t i = 0; i < head->field_count; i++) {
		struct span list = head->fields[i].value;
		struct span member;

		if (head->fields[i].id != FIELD_CONNECTION)
			continue;
		while (head_next_member(&list, &member)) {
			if (head_span_equals(member, name))
				return true;
		}
	}
	return false;
}

static void
add_field(struct text *out, const struct field *field)
{
	char *at = text_grow(
	    out, field->name.length + field->value.length + strlen(": \r\n"));

	at = mempcpy(at, field->name.at, field->name.length);
	at = mempcpy(at, ": ", 2);
	at = mempcpy(at, field->value.at, field->value.length);
	memcpy(at, "\r\n", 2);
}

/* RFC 9110 §10.1.1: an HTTP/1.0 caller does not wait for a 100, and we could
 * not show it one. */
static bool
is_vain_expectation(const struct head *head, enum field_id id)
{
	return id == FIELD_EXPECT && head->method.length > 0 &&
	    head->http_minor == 0;
}

/* All that may pass, but `replaced` (FIELD_COUNT: none). */
static void
add_end_to_end(
    const struct head *head, enum field_id replaced, struct text *out)
{
	for (size_t i = 0; i < head->field_count; i++) {
		const struct field *field = &head->fields[i];

		if (field_traits(field->id) & NEVER_PASS ||
		    field->id == replaced ||
		    is_vain_expectation(head, field->id))
			continue;
		if (head->has_nominated && is_nominated(head, field->name))
			continue;
		add_field(out, field);
	}
}

static void
add_number(struct text *out, const char *before, uint64_t number)
{
	text_add_string(out, before);
	text_add_number(out, number);
	text_add(out, "\r\n", 2);
}

static void
add_via(const struct head *head, const char *via_name, struct text *out)
{
	text_add_string(out, "Via: 1.");
	text_add_number(out, head->http_minor);
	text_add(out, " ", 1);
	text_add_string(out, via_name);
	text_add(out, "\r\n", 2);
}

static void
add_framing(
    const struct head *head, enum body_framing framing, struct text *out)
{
	/* RFC 9112 §6.1, RFC 9110 §8.6: neither in 1xx and 204. */
	if (head->status / 100 == 1 || head->status == 204)
		return;
	if (framing == BODY_CHUNKED)
		text_add_field(out, "Transfer-Encoding", "chunked");
	else if (head->content_length >= 0 && framing != BODY_TO_EOF)
		add_number(
		    out, "Content-Length: ", (uint64_t)head->content_length);
}

/* A signature may cover Host, so what agrees passes as it came. */
static void
add_host(const struct request_rewrite *rewrite, struct text *out)
{
	char host[ORIGIN_KEY_BYTES];

	if (rewrite->host.length > 0) {
		text_add_string(out, "Host: ");
		text_add_span(out, rewrite->host);
		text_add(out, "\r\n", 2);
		return;
	}
	origin_host_field(rewrite->origin, host);
	text_add_field(out, "Host", host);
}

/* An absolute-form OPTIONS with an empty path is "*" to the last proxy only
 * (RFC 9112 §3.2.4). */
static void
add_target(const struct request_rewrite *rewrite, struct text *out)
{
	const struct span *path = &rewrite->path;
	char host[ORIGIN_KEY_BYTES];

	if (rewrite->is_absolute) {
		origin_host_field(rewrite->origin, host);
		text_addf(out, "http://%s", host);
		if (head_span_is(*path, "*"))
			return;
	}
	if (path->length == 0 || path->at[0] == '?')
		text_add(out, "/", 1);
	text_add_span(out, *path);
}

void
rewrite_request(const struct head *head, const struct request_rewrite *rewrite,
    struct text *out)
{
	text_add_span(out, head->method);
	text_add(out, " ", 1);
	add_target(rewrite, out);
	text_add_string(out, " HTTP/1.1\r\n");
	add_host(rewrite, out);
	add_end_to_end(head,
	    rewrite->has_max_forwards ? FIELD_MAX_FORWARDS : FIELD_COUNT, out);
	add_framing(head, head->framing, out);
	add_via(head, rewrite->via_name, out);
	if (rewrite->authorization != NULL)
		text_add_field(
		    out, "Proxy-Authorization", rewrite->authorization);
	if (rewrite->has_max_forwards)
		text_addf(out, "Max-Forwards: %lld\r\n",
		    (long long)rewrite->max_forwards);
	if (rewrite->is_upgrade) {
		upgrade_write(head, out);
	} else if (head_lists(head, FIELD_TE, "trailers")) {
		text_add_field(out, "TE", "trailers");
		text_add_field(out, "Connection", "TE");
	}
	text_add(out, "\r\n", 2);
}

static void
add_persistence(const struct response_rewrite *rewrite, struct text *out)
{
	if (rewrite->says_close) {
		text_add_field(out, "Connection", "close");
		return;
	}
	if (rewrite->says_keep_alive)
		text_add_field(out, "Connection", "keep-alive");
	if (rewrite->keep_alive_s > 0)
		add_number(out, "Keep-Alive: timeout=", rewrite->keep_alive_s);
}

void
rewrite_response(const struct head *head,
    const struct response_rewrite *rewrite, struct text *out)
{
	text_add_string(out, "HTTP/1.1 ");
	text_add_number(out, (uint64_t)head->status);
	text_add(out, " ", 1);
	text_add_span(out, head->reason);
	text_add(out, "\r\n", 2);
	add_end_to_end(head, FIELD_COUNT, out);
	add_framing(head, rewrite->framing, out);
	add_via(head, rewrite->via_name, out);
	if (rewrite->is_upgrade)
		upgrade_write(head, out);
	else
		add_persistence(rewrite, out);
	text_add(out, "\r\n", 2);
}

void
rewrite_trailer(const struct field *fields, size_t count, struct text *out)
{
	for (size_t i = 0; i < count; i++) {
		if ((field_traits(fields[i].id) & NEVER_IN_TRAILER) == 0)
			add_field(out, &fields[i]);
	}
	text_add(out, "\r\n", 2);
}

bool
rewrite_is_loop(const struct head *head, const char *via_name)
{
	size_t length = strlen(via_name);

	for (size_t i = 0; head_has(head, FIELD_VIA) && i < head->field_count;
	     i++) {
		struct span list = head->fields[i].value;
		struct span member;

		if (head->fields[i].id != FIELD_VIA)
			continue;
		while (head_next_member(&list, &member)) {
			if (memmem(member.at, member.length, via_name, length))
				return true;
		}
	}
	return false;
}
