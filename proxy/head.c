/* SPDX-License-Identifier: MIT */

/*
 * Message heads: what can be asked of one.
 */

#include "proxy/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"

#define FIRST_FIELDS 16

void
head_fini(struct head *head)
{
	free(head->fields);
	free(head->block);
	*head = (struct head){0};
}

void
head_clear(struct head *head)
{
	struct field *fields = head->fields;
	bool is_kept = head->field_max == FIRST_FIELDS;

	if (is_kept)
		head->fields = NULL;
	head_fini(head);
	if (is_kept) {
		head->fields = fields;
		head->field_max = FIRST_FIELDS;
	}
}

void
head_add(struct head *head, struct span name, struct span value)
{
	enum field_id id;

	if (head->field_count == head->field_max) {
		head->field_max =
		    head->field_max == 0 ? FIRST_FIELDS : 2 * head->field_max;
		head->fields = xreallocarray(
		    head->fields, head->field_max, sizeof(*head->fields));
	}
	id = field_identify(name);
	head->fields[head->field_count++] = (struct field){id, name, value};
	head->present |= UINT64_C(1) << id;
}

bool
head_span_is(struct span span, const char *text)
{
	return strlen(text) == span.length &&
	    strncasecmp(span.at, text, span.length) == 0;
}

bool
head_span_equals(struct span a, struct span b)
{
	return a.length == b.length && strncasecmp(a.at, b.at, a.length) == 0;
}

bool
head_method_is(const struct head *head, const char *method)
{
	return strlen(method) == head->method.length &&
	    memcmp(head->method.at, method, head->method.length) == 0;
}

const struct field *
head_find(const struct head *head, enum field_id id)
{
	for (size_t i = 0; head_has(head, id); i++) {
		if (head->fields[i].id == id)
			return &head->fields[i];
	}
	return NULL;
}

struct span
head_value(const struct head *head, enum field_id id)
{
	const struct field *field = head_find(head, id);

	return field == NULL ? (struct span){NULL, 0} : field->value;
}

size_t
head_count(const struct head *head, enum field_id id)
{
	size_t count = 0;

	for (size_t i = 0; head_has(head, id) && i < head->field_count; i++)
		count += head->fields[i].id == id;
	return count;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span
trim(const char *start, const char *end)
{
	while (start < end && is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	return (struct span){start, (size_t)(end - start)};
}

bool
head_next_member(struct span *list, struct span *member)
{
	while (list->length > 0) {
		const char *end = list->at + list->length;
		const char *comma = memchr(list->at, ',', list->length);
		const char *stop = comma == NULL ? end : comma;

		*member = trim(list->at, stop);
		list->at = comma == NULL ? end : comma + 1;
		list->length = (size_t)(end - list->at);
		if (member->length > 0)
			return true;
	}
	return false;
}

bool
head_lists(const struct head *head, enum field_id id, const char *member)
{
	for (size_t i = 0; head_has(head, id) && i < head->field_count; i++) {
		struct span list = head->fields[i].value;
		struct span one;

		if (head->fields[i].id != id)
			continue;
		while (head_next_member(&list, &one)) {
			if (head_span_is(one, member))
				return true;
		}
	}
	return false;
}

char *
head_span_copy(struct span span)
{
	return xstrndup(span.at, span.length);
}

char *
head_copy(const struct head *head, enum field_id id)
{
	const struct field *field = head_find(head, id);

	return field == NULL ? NULL : head_span_copy(field->value);
}
