/* SPDX-License-Identifier: MIT */

/*
 * One connection to the origin that is replayed.
 *
 *      READING --> ANSWERING --> READING ...
 *                      |
 *                      +-------> ENDING      our FIN is out, or will be
 *
 * What was recorded is sent as it was, with its own framing: a wrong
 * Content-Length stays wrong, chunked stays chunked, and what broke off breaks
 * off.  Where the body was not kept it is made up, to the size that it had, a
 * block at a time, so that no size costs memory.
 */

#include "proxy/visitor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"
#include "proxy/http.h"
#include "proxy/stream.h"
#include "proxy/text.h"

#define MAX_HEAD_BYTES (64 * 1024)
#define BLOCK_BYTES 16384
#define FILLER '.'

enum visitor_state {
	VISITOR_READING,
	VISITOR_ANSWERING,
	VISITOR_ENDING,
};

struct visitor {
	enum visitor_state state;
	struct visitors *visitors;  /* borrowed */
	struct stream *stream;      /* owned */
	struct http_parser *parser; /* owned */
	/* the answer under way */
	const struct tape_answer *answer; /* borrowed */
	int64_t sent_bytes;               /* of its body */
	int64_t body_bytes;               /* to be sent */
	bool is_chunked;
	bool ends_after;
	TAILQ_ENTRY(visitor) link;
};

static void
set_state(struct visitor *visitor, enum visitor_state next)
{
	assert(visitor->state != VISITOR_ENDING);
	visitor->state = next;
}

/* ---- the end ---- */

static void
free_visitor(void *arg)
{
	struct visitor *visitor = arg;

	http_parser_free(visitor->parser);
	free(visitor);
}

static void
leave(struct visitor *visitor)
{
	struct visitors *visitors = visitor->visitors;

	visitor->state = VISITOR_ENDING;
	stream_close(&visitor->stream);
	TAILQ_REMOVE(&visitors->list, visitor, link);
	visitors->count--;
	loop_later(visitors->loop, free_visitor, visitor);
	visitors->on_left(visitors->arg);
}

void
visitor_close_all(struct visitors *visitors)
{
	struct visitor *visitor;

	while ((visitor = TAILQ_FIRST(&visitors->list)) != NULL)
		leave(visitor);
}

/* Our FIN, once everything is written; theirs ends it. */
static void
finish(struct visitor *visitor)
{
	set_state(visitor, VISITOR_ENDING);
	stream_finish(visitor->stream);
}

/* ---- writing ---- */

static void
write_text(struct visitor *visitor, struct text *text)
{
	struct iovec part = {text->bytes, text->length};

	stream_write(visitor->stream, &part, 1);
	text_fini(text);
}

static void
refuse(struct visitor *visitor, int status, const char *reason,
    const char *sentence)
{
	struct text out = {0};

	text_addf(&out,
	    "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %zu\r\n",
	    status, reason, strlen(sentence));
	if (visitor->ends_after)
		text_add_field(&out, "Connection", "close");
	text_addf(&out, "\r\n%s", sentence);
	write_text(visitor, &out);
}

static void
write_head(struct visitor *visitor)
{
	const struct tape_answer *answer = visitor->answer;
	struct text out = {0};

	text_addf(&out, "HTTP/1.1 %d %s\r\n", answer->status, answer->reason);
	for (size_t i = 0; i < answer->field_count; i++) {
		const struct tape_field *field = &answer->fields[i];

		/* Not to a 1.0 client (RFC 9112 §6.1). */
		if (!visitor->is_chunked &&
		    strcasecmp(field->name, "Transfer-Encoding") == 0)
			continue;
		text_add_field(&out, field->name, field->value);
	}
	if (visitor->ends_after && tape_find(answer, "Connection") == NULL)
		text_add_field(&out, "Connection", "close");
	text_add_string(&out, "\r\n");
	write_text(visitor, &out);
}

/* Writes a piece of the body: what was kept, then what is made up. */
static void
write_piece(struct visitor *visitor)
{
	const struct tape_answer *answer = visitor->answer;
	int64_t left_bytes = visitor->body_bytes - visitor->sent_bytes;
	int64_t kept_bytes = (int64_t)answer->body_bytes - visitor->sent_bytes;
	char block[BLOCK_BYTES];
	size_t length =
	    left_bytes < BLOCK_BYTES ? (size_t)left_bytes : BLOCK_BYTES;
	size_t kept = 0;
	struct text out = {0};

	if (kept_bytes > 0) {
		kept =
		    kept_bytes < (int64_t)length ? (size_t)kept_bytes : length;
		memcpy(block, answer->body + visitor->sent_bytes, kept);
	}
	memset(block + kept, FILLER, length - kept);
	if (visitor->is_chunked)
		text_addf(&out, "%zx\r\n", length);
	text_add(&out, block, length);
	if (visitor->is_chunked)
		text_add_string(&out, "\r\n");
	write_text(visitor, &out);
	visitor->sent_bytes += (int64_t)length;
}

static void
end_answer(struct visitor *visitor)
{
	const struct tape_answer *answer = visitor->answer;
	struct text out = {0};

	visitor->answer = NULL;
	if (visitor->is_chunked && !answer->is_broken) {
		text_add_string(&out, "0\r\n\r\n");
		write_text(visitor, &out);
	}
	if (visitor->ends_after) {
		finish(visitor);
		return;
	}
	http_next(visitor->parser);
	set_state(visitor, VISITOR_READING);
	stream_resume(visitor->stream);
}

/* Goes on with the body as far as the socket takes it. */
static void
go_on(struct visitor *visitor)
{
	while (visitor->sent_bytes < visitor->body_bytes &&
	    !stream_has_failed(visitor->stream)) {
		if (stream_is_full(visitor->stream))
			return;
		write_piece(visitor);
	}
	if (stream_has_failed(visitor->stream))
		leave(visitor);
	else
		end_answer(visitor);
}

/* ---- answering ---- */

/* Splits a target in absolute form, as a proxy's clients write it. */
static const char *
path_of(char *target, char **host)
{
	char *authority = strstr(target, "://");
	char *path;

	if (*target == '/' || authority == NULL)
		return target;
	authority += 3;
	path = authority + strcspn(authority, "/?");
	free(*host);
	*host = xstrndup(authority, (size_t)(path - authority));
	return *path == '\0' ? "/" : path;
}

static void
answer_nothing(struct visitor *visitor, const struct tape_request *request)
{
	char *list = tape_list(visitor->visitors->tape);
	char *sentence =
	    xasprintf("no response was recorded for %s %s; there are: %s\n",
		request->method, request->target, list);

	log_warnx("replay: no response was recorded for %s %s", request->method,
	    request->target);
	refuse(visitor, 404, "Not Found", sentence);
	free(sentence);
	free(list);
	if (visitor->ends_after)
		finish(visitor);
	else
		http_next(visitor->parser);
}

static void
answer_with(struct visitor *visitor, const struct tape_answer *answer,
    const struct head *request)
{
	const char *connection = tape_find(answer, "Connection");
	bool is_head = head_method_is(request, "HEAD");
	bool is_bodiless =
	    is_head || answer->status == 204 || answer->status == 304;

	visitor->answer = answer;
	visitor->sent_bytes = 0;
	visitor->body_bytes = is_bodiless ? 0 : answer->size_bytes;
	visitor->is_chunked = !is_bodiless && request->http_minor >= 1 &&
	    tape_find(answer, "Transfer-Encoding") != NULL;
	/* Without framing its end is that of the connection. */
	if ((!is_bodiless && !visitor->is_chunked &&
		tape_find(answer, "Content-Length") == NULL) ||
	    (connection != NULL && strcasecmp(connection, "close") == 0) ||
	    answer->is_broken)
		visitor->ends_after = true;
	set_state(visitor, VISITOR_ANSWERING);
	write_head(visitor);
	go_on(visitor);
}

static void
answer(struct visitor *visitor)
{
	const struct head *head = http_head(visitor->parser);
	char *method = head_span_copy(head->method);
	char *target = head_span_copy(head->target);
	char *host = head_copy(head, FIELD_HOST);
	struct tape_request request = {.method = method};
	const struct tape_answer *found;

	request.target = path_of(target, &host);
	request.host = host;
	visitor->ends_after = !head->keeps_alive;
	found = tape_play(visitor->visitors->tape, &request);
	if (found == NULL) {
		answer_nothing(visitor, &request);
	} else {
		log_info("replay: %s %s: %d, %" PRId64 " bytes", method,
		    request.target, found->status, found->size_bytes);
		answer_with(visitor, found, head);
	}
	free(method);
	free(target);
	free(host);
}

/* ---- the stream's events ---- */

static void
on_request_body(void *arg, const char *bytes, size_t length)
{
}

/* A client that asks before it sends its body waits for the answer (RFC 9110
 * §10.1.1). */
static void
welcome_body(struct visitor *visitor)
{
	const struct head *head = http_head(visitor->parser);
	struct text out = {0};

	if (!head_lists(head, FIELD_EXPECT, "100-continue"))
		return;
	text_add_string(&out, "HTTP/1.1 100 Continue\r\n\r\n");
	write_text(visitor, &out);
}

static size_t
on_bytes(void *arg, const char *bytes, size_t length)
{
	struct visitor *visitor = arg;
	size_t offset = 0;

	while (visitor->state == VISITOR_READING) {
		size_t taken;
		enum http_progress progress = http_feed(
		    visitor->parser, bytes + offset, length - offset, &taken);

		offset += taken;
		switch (progress) {
		case HTTP_NEEDS_MORE:
			return offset;
		case HTTP_HAS_HEAD:
			welcome_body(visitor);
			break;
		case HTTP_HAS_MESSAGE:
			answer(visitor);
			break;
		case HTTP_IS_BAD:
			visitor->ends_after = true;
			refuse(visitor, 400, "Bad Request",
			    "this is no request to an HTTP/1.1 origin\n");
			finish(visitor);
			break;
		}
	}
	return visitor->state == VISITOR_ENDING ? length : offset;
}

static void
on_drained(void *arg)
{
	struct visitor *visitor = arg;

	if (visitor->state == VISITOR_ANSWERING)
		go_on(visitor);
}

/* It is gone, or has all that it will get: what was written is the kernel's. */
static void
on_ended(void *arg, enum stream_end how)
{
	leave(arg);
}

static void
on_nothing(void *arg)
{
}

static const struct stream_callbacks stream_callbacks = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_ended = on_ended,
    .on_secured = on_nothing,
    .on_finished = on_nothing,
};

void
visitor_accept(struct visitors *visitors, int fd)
{
	struct visitor *visitor = xcalloc(1, sizeof(*visitor));

	visitor->visitors = visitors;
	visitor->parser = http_parser_new(
	    HTTP_KIND_REQUEST, MAX_HEAD_BYTES, on_request_body, visitor);
	visitor->stream =
	    stream_new(visitors->loop, fd, &stream_callbacks, visitor);
	TAILQ_INSERT_TAIL(&visitors->list, visitor, link);
	visitors->count++;
}
