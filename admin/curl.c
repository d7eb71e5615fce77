/* SPDX-License-Identifier: MIT */

/*
 * A request as a curl command.
 *
 * It is pasted into a shell, and a stranger has chosen its words: each stands
 * in single quotes, in which a shell sees nothing but the next quote; what a
 * terminal or an editor could stumble over is written as $'\x1b'.  There is no
 * comment in it, as not every shell takes one at its prompt.
 */

#include "admin/curl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"
#include "admin/base64.h"
#include "admin/text.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Beyond that it comes by a pipe: a kernel takes 128 KiB in one argument. */
#define MAX_ARGUMENT_BYTES (32 * 1024)

#define NEXT_LINE " \\\n  "

/* Those that curl writes itself, or that were meant for the proxy. */
static const char *const left_out[] = {"Connection", "Content-Length", "Expect",
    "Keep-Alive", "Proxy-Authorization", "Proxy-Connection"};

/* Those that curl writes where nobody says otherwise. */
static const char *const usual[] = {"Accept", "Content-Type", "User-Agent"};

static bool
is_left_out(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(left_out); i++) {
		if (strcasecmp(name, left_out[i]) == 0)
			return true;
	}
	return false;
}

/* Whether single quotes make it harmless: UTF-8 that a terminal shows. */
static bool
is_plain(const char *text)
{
	char *visible = text_visible(text);
	bool is_same = strcmp(visible, text) == 0;

	free(visible);
	return is_same;
}

static void
put_quoted(FILE *out, const char *text)
{
	bool plain = is_plain(text);

	fputs(plain ? "'" : "$'", out);
	for (const char *c = text; *c != '\0'; c++) {
		if (plain && *c == '\'')
			fputs("'\\''", out);
		else if (plain ||
		    (isprint((unsigned char)*c) && *c != '\'' && *c != '\\'))
			putc(*c, out);
		else
			fprintf(out, "\\x%02x", (unsigned char)*c);
	}
	putc('\'', out);
}

static void
put_field(FILE *out, const char *name, const char *value)
{
	/* curl's way to say that a field is there, and empty. */
	char *field = *value == '\0' ? xasprintf("%s;", name)
				     : xasprintf("%s: %s", name, value);

	fputs(NEXT_LINE "-H ", out);
	put_quoted(out, field);
	free(field);
}

static void
put_fields(FILE *out, const struct capture_message *request, bool has_body)
{
	struct capture_field field;
	size_t at = 0;

	while (capture_next_field(request, &at, &field)) {
		if (!is_left_out(field.name))
			put_field(out, field.name, field.value);
	}
	for (size_t i = 0; i < COUNT_OF(usual) && request->head != NULL; i++) {
		bool is_sent =
		    has_body || strcmp(usual[i], "Content-Type") != 0;

		if (is_sent && capture_find(request, usual[i]) == NULL)
			fprintf(out, NEXT_LINE "-H '%s:'", usual[i]);
	}
}

enum body_way {
	BODY_NOT_THERE,
	BODY_IN_ARGUMENT,
	BODY_BY_PIPE,
	BODY_LOST, /* not kept, or not whole */
};

static enum body_way
way_of(const struct exchange_record *exchange,
    const struct capture_message *request)
{
	char *text;
	enum body_way way = BODY_BY_PIPE;

	if (exchange->request_bytes == 0)
		return BODY_NOT_THERE;
	if ((int64_t)request->body_bytes < exchange->request_bytes)
		return BODY_LOST;
	if (request->body_bytes > MAX_ARGUMENT_BYTES)
		return BODY_BY_PIPE;
	text = xstrndup(request->body, request->body_bytes);
	if (strlen(text) == request->body_bytes && is_plain(text))
		way = BODY_IN_ARGUMENT;
	free(text);
	return way;
}

/* What stands before curl, so that it can read the body. */
static void
put_pipe(FILE *out, const struct exchange_record *exchange,
    const struct capture_message *request, enum body_way way)
{
	char *text;

	if (way == BODY_LOST) {
		fprintf(out, "head -c %" PRId64 " /dev/zero |" NEXT_LINE,
		    exchange->request_bytes);
	} else if (way == BODY_BY_PIPE) {
		text = base64_encode(request->body, request->body_bytes);
		fprintf(out,
		    "printf %%s '%s' |" NEXT_LINE "base64 -d |" NEXT_LINE,
		    text);
		free(text);
	}
}

static void
put_body(FILE *out, const struct capture_message *request, enum body_way way)
{
	char *text;

	if (way == BODY_IN_ARGUMENT) {
		text = xstrndup(request->body, request->body_bytes);
		fputs(NEXT_LINE "--data-raw ", out);
		put_quoted(out, text);
		free(text);
	} else if (way != BODY_NOT_THERE) {
		fputs(NEXT_LINE "--data-binary @-", out);
	}
}

static void
put_method(FILE *out, const char *method, bool has_body)
{
	if (strcmp(method, "HEAD") == 0) {
		fputs(" --head", out);
	} else if (strcmp(method, has_body ? "POST" : "GET") != 0) {
		fputs(" -X ", out);
		put_quoted(out, method);
	}
}

char *
curl_command(const struct exchange_record *exchange)
{
	static const struct capture_message nothing;
	const struct capture_message *request = exchange->capture == NULL
	    ? &nothing
	    : capture_message(exchange->capture, CAPTURE_REQUEST);
	enum body_way way = way_of(exchange, request);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	put_pipe(out, exchange, request, way);
	/* The URL as it is: no globbing, and dots stay. */
	fputs("curl -i --http1.1 -g --path-as-is", out);
	put_method(out, exchange->method, way != BODY_NOT_THERE);
	putc(' ', out);
	put_quoted(out, exchange->url);
	put_fields(out, request, way != BODY_NOT_THERE);
	put_body(out, request, way);
	putc('\n', out);
	fclose(out);
	return text;
}
