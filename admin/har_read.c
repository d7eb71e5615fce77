/* SPDX-License-Identifier: MIT */

/*
 * Reads HTTP Archive 1.2.
 *
 * In ours a body is as it was on the wire.  Anybody else's is decoded, as the
 * specification says, and may come from HTTP/2: there the fields that speak
 * of coding and length are made to suit it.  What is read will be sent, so a
 * field that is none is refused here, with the entry it stands in.
 */

#include "admin/har_read.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "admin/base64.h"

#define SHOWN_BYTES 60
#define LINES_NAME_END ".ndjson"

/* A reading: what is read, and where a mistake is told. */
struct reading {
	struct tape *tape; /* owned */
	bool is_lines;     /* an entry each */
	bool is_ours;
	const char *path; /* borrowed */
	size_t entry;     /* from 1, in the file */
	size_t seen;      /* entries, in all files */
	char *error;      /* HAR_READ_ERROR_BYTES */
};

/* Says why, for the whole file or the entry, and returns false. */
static bool PRINTF_LIKE(2, 3)
    refuse(struct reading *reading, const char *format, ...)
{
	char why[HAR_READ_ERROR_BYTES / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	for (char *c = why; *c != '\0'; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
	if (reading->entry == 0)
		snprintf(reading->error, HAR_READ_ERROR_BYTES, "%s: %s",
		    reading->path, why);
	else
		snprintf(reading->error, HAR_READ_ERROR_BYTES,
		    "%s: entry %zu: %s", reading->path, reading->entry, why);
	return false;
}

/* ---- the request ---- */

/* Splits "https://host:port/path?query#fragment". */
static bool
read_url(struct reading *reading, const char *url, struct tape_answer *answer)
{
	const char *host = strstr(url, "://");
	const char *path;

	if (host == NULL)
		return refuse(
		    reading, "\"%.*s\" is no absolute URL", SHOWN_BYTES, url);
	host += 3;
	path = host + strcspn(host, "/?#");
	answer->host = xstrndup(host, (size_t)(path - host));
	answer->target = xasprintf(
	    "%s%.*s", *path == '/' ? "" : "/", (int)strcspn(path, "#"), path);
	for (const char *c = answer->target; *c != '\0'; c++) {
		if (*c <= ' ' || *c == 0x7f)
			return refuse(reading,
			    "its URL has a space or a "
			    "control character");
	}
	return true;
}

static bool
read_request(
    struct reading *reading, json_t *request, struct tape_answer *answer)
{
	const char *method = NULL;
	const char *url = NULL;

	if (json_unpack(
		request, "{s:s, s:s}", "method", &method, "url", &url) != 0)
		return refuse(reading, "its request has no method and url");
	answer->method = xstrdup(method);
	return read_url(reading, url, answer);
}

/* ---- the response's head ---- */

/* RFC 9110 §5.6.2 */
static bool
is_token(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c) &&
		    strchr("!#$%&'*+-.^_`|~", *c) == NULL)
			return false;
	}
	return *text != '\0';
}

/* In a browser's archive the body is decoded and unframed. */
static bool
is_left_out(const struct reading *reading, const char *name)
{
	if (reading->is_ours)
		return false;
	return *name == ':' || strcasecmp(name, "Content-Encoding") == 0 ||
	    strcasecmp(name, "Content-Length") == 0;
}

/* Takes `value`. */
static void
add_field(struct tape_answer *answer, const char *name, char *value)
{
	answer->fields = xreallocarray(
	    answer->fields, answer->field_count + 1, sizeof(*answer->fields));
	answer->fields[answer->field_count++] =
	    (struct tape_field){xstrdup(name), value};
}

static bool
read_fields(struct reading *reading, json_t *fields, struct tape_answer *answer)
{
	size_t i;
	json_t *field;

	json_array_foreach(fields, i, field)
	{
		const char *name = NULL;
		const char *value = NULL;

		if (json_unpack(field, "{s:s, s:s}", "name", &name, "value",
			&value) != 0)
			return refuse(reading,
			    "header %zu of its response has "
			    "no name and value",
			    i + 1);
		if (is_left_out(reading, name))
			continue;
		if (!is_token(name) || strpbrk(value, "\r\n") != NULL)
			return refuse(reading,
			    "\"%.*s\" is no header field of "
			    "a response",
			    SHOWN_BYTES, name);
		add_field(answer, name, xstrdup(value));
	}
	return true;
}

/* ---- the response's body ---- */

/* Reads what was kept of it, as text or in base64. */
static bool
read_kept(struct reading *reading, json_t *content, struct tape_answer *answer)
{
	json_t *text = json_object_get(content, "text");
	json_t *encoding = json_object_get(content, "encoding");

	if (text == NULL) {
		text = json_object_get(content, "_start");
		encoding = json_object_get(content, "_start_encoding");
	}
	if (!json_is_string(text))
		return true;
	if (encoding == NULL) {
		answer->body_bytes = json_string_length(text);
		answer->body = xcalloc(1, answer->body_bytes + 1);
		memcpy(
		    answer->body, json_string_value(text), answer->body_bytes);
		return true;
	}
	if (json_is_string(encoding) &&
	    strcmp(json_string_value(encoding), "base64") == 0)
		answer->body =
		    base64_decode(json_string_value(text), &answer->body_bytes);
	return answer->body != NULL ||
	    refuse(reading, "the text of its content is not in base64");
}

/*
 * The whole body's size.  A response that its caller held up was still on its
 * way when it was captured, and has the length that its origin announced.
 */
static void
set_size(
    const struct reading *reading, json_t *content, struct tape_answer *answer)
{
	json_t *size = json_object_get(content, "size");
	const char *length = tape_find(answer, "Content-Length");

	answer->size_bytes = (int64_t)answer->body_bytes;
	if (!json_is_integer(size))
		return;
	/* A browser's size may be that of another coding than its text. */
	if ((reading->is_ours || answer->body == NULL) &&
	    json_integer_value(size) > answer->size_bytes)
		answer->size_bytes = json_integer_value(size);
	if (length != NULL && !answer->is_broken &&
	    strtoll(length, NULL, 10) > answer->size_bytes)
		answer->size_bytes = strtoll(length, NULL, 10);
}

static bool
has_body(const struct tape_answer *answer)
{
	return answer->status != 204 && answer->status != 304 &&
	    strcmp(answer->method, "HEAD") != 0;
}

static void
suit_framing(const struct reading *reading, struct tape_answer *answer)
{
	if (!reading->is_ours && has_body(answer) &&
	    tape_find(answer, "Transfer-Encoding") == NULL)
		add_field(answer, "Content-Length",
		    xasprintf("%lld", (long long)answer->size_bytes));
}

static bool
read_response(
    struct reading *reading, json_t *response, struct tape_answer *answer)
{
	json_t *content = json_object_get(response, "content");
	const char *reason =
	    json_string_value(json_object_get(response, "statusText"));

	answer->reason = xstrdup(reason == NULL ? "" : reason);
	for (const char *c = answer->reason; *c != '\0'; c++) {
		if (iscntrl((unsigned char)*c))
			return refuse(reading,
			    "its statusText has a control "
			    "character");
	}
	if (!read_fields(
		reading, json_object_get(response, "headers"), answer) ||
	    !read_kept(reading, content, answer))
		return false;
	set_size(reading, content, answer);
	suit_framing(reading, answer);
	return true;
}

/* ---- the file ---- */

/* Whether there is a response that can be sent. */
static bool
is_answered(const struct tape_answer *answer)
{
	return answer->status >= 200 && answer->status <= 999;
}

/* Lines of ours have one, and nothing around them that says whose they are. */
static void
put_id(const struct reading *reading, json_t *entry, struct tape_answer *answer)
{
	const char *id = json_string_value(json_object_get(entry, "_id"));

	if (reading->is_lines && id != NULL)
		answer->id = xstrdup(id);
}

static bool
read_entry(struct reading *reading, json_t *entry)
{
	json_t *response = json_object_get(entry, "response");
	struct tape_answer answer = {0};
	bool is_good;

	put_id(reading, entry, &answer);
	answer.status =
	    (int)json_integer_value(json_object_get(response, "status"));
	answer.is_broken = json_is_true(json_object_get(entry, "_truncated"));
	if (!is_answered(&answer)) {
		tape_fini_answer(&answer);
		return true;
	}
	is_good =
	    read_request(reading, json_object_get(entry, "request"), &answer) &&
	    read_response(reading, response, &answer);
	if (is_good)
		tape_add(reading->tape, &answer);
	else
		tape_fini_answer(&answer);
	return is_good;
}

static bool
read_log(struct reading *reading, json_t *root)
{
	const char *creator = NULL;
	json_t *entries = NULL;
	json_t *entry;
	size_t i;

	(void)json_unpack(
	    root, "{s:{s:{s:s}}}", "log", "creator", "name", &creator);
	reading->is_ours = creator != NULL && strcmp(creator, "leakproxy") == 0;
	if (json_unpack(root, "{s:{s:o}}", "log", "entries", &entries) != 0 ||
	    !json_is_array(entries))
		return refuse(reading,
		    "it is no HAR file: it has no log.entries; /api/har of a "
		    "running proxy makes one");
	json_array_foreach(entries, i, entry)
	{
		reading->entry = i + 1;
		if (!read_entry(reading, entry))
			return false;
	}
	reading->entry = 0;
	reading->seen += json_array_size(entries);
	return true;
}

static bool
read_archive(struct reading *reading, FILE *file)
{
	json_error_t where;
	json_t *root = json_loadf(file, JSON_ALLOW_NUL, &where);
	bool is_good;

	if (root == NULL && where.line < 0)
		return refuse(reading, "%s", where.text);
	if (root == NULL)
		return refuse(reading, "it is no JSON: line %d: %s", where.line,
		    where.text);
	is_good = read_log(reading, root);
	json_decref(root);
	return is_good;
}

/* ---- lines ---- */

static bool
read_line(struct reading *reading, const char *line, size_t length)
{
	json_error_t where;
	json_t *entry = json_loadb(line, length, JSON_ALLOW_NUL, &where);
	bool is_good;

	/* Whoever wrote it was killed. */
	if (entry == NULL && line[length - 1] != '\n')
		return true;
	if (entry == NULL)
		return refuse(reading, "it is no JSON: %s", where.text);
	reading->seen++;
	reading->is_ours = json_is_string(json_object_get(entry, "_id"));
	is_good = read_entry(reading, entry);
	json_decref(entry);
	return is_good;
}

static bool
read_lines(struct reading *reading, FILE *file)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	bool is_good = true;

	while (is_good && (length = getline(&line, &size, file)) > 0) {
		reading->entry++;
		is_good = read_line(reading, line, (size_t)length);
	}
	free(line);
	return is_good;
}

/* ---- files ---- */

static bool
is_of_lines(const char *path)
{
	size_t length = strlen(path);
	size_t end = strlen(LINES_NAME_END);

	return length > end && strcmp(path + length - end, LINES_NAME_END) == 0;
}

static bool
read_file(struct reading *reading, const char *path)
{
	FILE *file = fopen(path, "re");
	bool is_good;

	reading->path = path;
	reading->entry = 0;
	reading->is_lines = is_of_lines(path);
	if (file == NULL)
		return refuse(reading, "%s", strerror(errno));
	is_good = reading->is_lines ? read_lines(reading, file)
				    : read_archive(reading, file);
	fclose(file);
	return is_good;
}

/* What was read last is named where all of them together have nothing. */
static bool
finish(struct reading *reading)
{
	tape_drop_superseded(reading->tape);
	reading->entry = 0;
	return reading->tape->count > 0 ||
	    refuse(reading,
		"it has no response to serve, in %zu entries: capture some "
		"first",
		reading->seen);
}

struct tape *
har_read(
    const char *const *paths, size_t count, char error[HAR_READ_ERROR_BYTES])
{
	struct reading reading = {.tape = tape_new(), .error = error};
	bool is_good = true;

	for (size_t i = 0; i < count && is_good; i++)
		is_good = read_file(&reading, paths[i]);
	if (is_good && finish(&reading))
		return reading.tape;
	tape_free(reading.tape);
	return NULL;
}
