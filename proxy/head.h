/* SPDX-License-Identifier: MIT */
#ifndef PROXY_HEAD_H
#define PROXY_HEAD_H

/*
 * A message head: start line, an ordered list of fields, and what the framing
 * says.  All strings lie in one block that the head owns.  Filled by http.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/field.h"

enum body_framing {
	BODY_NONE,
	BODY_LENGTH, /* content_length bytes */
	BODY_CHUNKED,
	BODY_TO_EOF, /* a response until the connection closes */
};

struct head {
	struct span method; /* requests */
	struct span target;
	int status; /* responses */
	struct span reason;
	unsigned http_minor; /* of HTTP/1.x */
	bool keeps_alive;    /* by version and Connection (RFC 9112 §9.3) */
	enum body_framing framing;
	int64_t content_length; /* as the field says; -1 without */
	struct field *fields;
	size_t field_count;
	size_t field_max;
	uint64_t present;   /* a bit for each field_id that is there */
	bool has_nominated; /* Connection names fields (RFC 9110 §7.6.1) */
	char *block; /* owned: the head as received, empty line and all */
	size_t block_length;
};

void head_fini(struct head *head);

/* Empties it; room for as many fields as most have is kept. */
void head_clear(struct head *head);

/* Adds a field; the spans must lie in the block. */
void head_add(struct head *head, struct span name, struct span value);

/* Compares without case (RFC 9110 §5.1). */
bool head_span_is(struct span span, const char *text);
bool head_span_equals(struct span a, struct span b);

/* Whether it is a request with this method; by the letter (RFC 9110 §9.1). */
bool head_method_is(const struct head *head, const char *method);

/* Returns the first of these fields, or NULL. */
const struct field *head_find(const struct head *head, enum field_id id);

/* Returns its value; at NULL where there is no such field. */
struct span head_value(const struct head *head, enum field_id id);

/* How many of them there are. */
size_t head_count(const struct head *head, enum field_id id);

/* Whether there is one. */
static inline bool
head_has(const struct head *head, enum field_id id)
{
	return (head->present >> id & 1) != 0;
}

/* Whether a comma-separated list field has this member, over all its lines;
 * without case. */
bool head_lists(const struct head *head, enum field_id id, const char *member);

/* Returns a NUL-terminated copy, or NULL where there is no such field.  Free
 * with free(). */
char *head_copy(const struct head *head, enum field_id id);

char *head_span_copy(struct span span);

/*
 * Walks a comma-separated list (RFC 9110 §5.6.1): *member is the next member,
 * trimmed, empty ones skipped.  Returns false at the end.
 */
bool head_next_member(struct span *list, struct span *member);

#endif
