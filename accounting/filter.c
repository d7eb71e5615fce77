/* SPDX-License-Identifier: MIT */

/*
 * Filters as they are kept and asked.
 *
 * Leaks and connections are asked as the exchange that they would be: the
 * parser refuses the fields which that would not know.
 */

#include "accounting/filter.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/filter_parts.h"
#include "accounting/glob.h"
#include "accounting/memory.h"

struct filter *
filter_new(enum filter_subject subject)
{
	struct filter *filter = xcalloc(1, sizeof(*filter));

	filter->subject = subject;
	return filter;
}

void
filter_free(struct filter *filter)
{
	if (filter == NULL)
		return;
	for (size_t i = 0; i < filter->term_count; i++) {
		struct filter_term *term = &filter->terms[i];

		for (size_t j = 0; j < term->operand_count; j++)
			free(term->operands[j].pattern);
		free(term->operands);
		free(term->key);
	}
	free(filter);
}

struct filter *
filter_copy(const struct filter *filter)
{
	struct filter *copy;

	if (filter == NULL)
		return NULL;
	copy = xcalloc(1, sizeof(*copy));
	*copy = *filter;
	for (size_t i = 0; i < copy->term_count; i++) {
		struct filter_term *term = &copy->terms[i];
		const struct filter_operand *from = term->operands;

		term->key = xstrdup_or_null(term->key);
		term->operands =
		    xcalloc(term->operand_count + 1, sizeof(*term->operands));
		for (size_t j = 0; j < term->operand_count; j++) {
			term->operands[j] = from[j];
			term->operands[j].pattern = glob_copy(from[j].pattern);
		}
	}
	return copy;
}

bool
filter_asks_for(const struct filter *filter, enum filter_field field)
{
	for (size_t i = 0; filter != NULL && i < filter->term_count; i++) {
		if (filter->terms[i].field == field)
			return true;
	}
	return false;
}

/* ---- what a record has ---- */

/* A text that is NULL, and known, is not there. */
struct value {
	bool is_known;
	const char *text;
	int64_t number;
};

static struct value
text_value(const char *text)
{
	return (struct value){.is_known = true, .text = text};
}

static struct value
command_value(const struct owner *owner)
{
	const char *command = owner_view(owner).command;

	return (struct value){.is_known = command != NULL, .text = command};
}

/* One that is negative where it is not known. */
static struct value
number_value(int64_t number)
{
	return (struct value){.is_known = number >= 0, .number = number};
}

static struct value
value_of(const struct filter_term *term, const struct exchange_record *x)
{
	switch (term->field) {
	case FILTER_METHOD:
		return text_value(x->method);
	case FILTER_STATUS:
		return number_value(x->status == 0 ? -1 : x->status);
	case FILTER_ORIGIN:
		return text_value(x->origin);
	case FILTER_URL:
		return text_value(x->url);
	case FILTER_ROUTE:
		return text_value(x->route);
	case FILTER_TAG:
		return text_value(tags_get(&x->tags, term->key));
	case FILTER_VERDICT:
		return number_value(x->judgement.verdict);
	case FILTER_EVIDENCE:
		return number_value(x->judgement.evidence);
	case FILTER_HELD:
		return number_value(x->is_held);
	case FILTER_ERROR:
		return text_value(x->error);
	case FILTER_BODY_BYTES:
		return number_value(x->body_bytes);
	case FILTER_DURATION:
		return number_value(x->duration_us);
	case FILTER_AGE:
		return number_value(x->first_byte_us < 0 ? -1 : x->age_us);
	case FILTER_USER_AGENT:
		return text_value(x->user_agent);
	case FILTER_TRACEPARENT:
		return text_value(x->traceparent);
	case FILTER_PID:
		return number_value(owner_view(x->owner).pid);
	case FILTER_COMMAND:
		return command_value(x->owner);
	case FILTER_FIELD_COUNT:
		break;
	}
	abort();
}

/* ---- text ---- */

/* All of "https://registry.test:443", its authority, or its host. */
static bool
matches_origin(const struct glob *pattern, const char *origin)
{
	const char *authority = strstr(origin, "://");
	const char *port;

	authority = authority == NULL ? origin : authority + 3;
	port = strrchr(authority, ':');
	return glob_matches(pattern, origin, strlen(origin)) ||
	    glob_matches(pattern, authority, strlen(authority)) ||
	    (port != NULL &&
		glob_matches(pattern, authority, (size_t)(port - authority)));
}

static bool
is_one_of(const struct filter_term *term, const char *text)
{
	if (text == NULL)
		return false;
	for (size_t i = 0; i < term->operand_count; i++) {
		const struct glob *pattern = term->operands[i].pattern;

		if (term->field == FILTER_ORIGIN
			? matches_origin(pattern, text)
			: glob_matches(pattern, text, strlen(text)))
			return true;
	}
	return false;
}

/* ---- numbers ---- */

static bool
is_among(const struct filter_term *term, int64_t number)
{
	for (size_t i = 0; i < term->operand_count; i++) {
		if (term->operands[i].number == number)
			return true;
	}
	return false;
}

static bool
holds_for_number(const struct filter_term *term, int64_t number)
{
	switch (term->operation) {
	case OPERATION_HAS:
		return !filter_is_choice(term->field) || number != 0;
	case OPERATION_EQUAL:
		return is_among(term, number);
	case OPERATION_UNEQUAL:
		return !is_among(term, number);
	case OPERATION_LESS:
		return number < term->operands[0].number;
	case OPERATION_AT_MOST:
		return number <= term->operands[0].number;
	case OPERATION_MORE:
		return number > term->operands[0].number;
	case OPERATION_AT_LEAST:
		return number >= term->operands[0].number;
	}
	abort();
}

/* ---- asking ---- */

static bool
holds(const struct filter_term *term, const struct exchange_record *exchange)
{
	struct value value = value_of(term, exchange);

	if (!value.is_known)
		return false;
	if (!filter_is_text(term->field))
		return holds_for_number(term, value.number);
	if (term->operation == OPERATION_HAS)
		return value.text != NULL;
	return is_one_of(term, value.text) ==
	    (term->operation == OPERATION_EQUAL);
}

static bool
passes(const struct filter *filter, enum filter_subject subject,
    const struct exchange_record *exchange)
{
	if (filter == NULL || filter->subject != subject)
		return true;
	for (size_t i = 0; i < filter->term_count; i++) {
		if (!holds(&filter->terms[i], exchange))
			return false;
	}
	return true;
}

bool
filter_passes_exchange(
    const struct filter *filter, const struct exchange_record *exchange)
{
	return passes(filter, FILTER_EXCHANGES, exchange);
}

bool
filter_passes_leak(const struct filter *filter, const struct leak *leak)
{
	struct exchange_record like = {
	    .method = leak->method,
	    .status = leak->status,
	    .origin = leak->origin,
	    .route = leak->route,
	    .tags = leak->tags,
	};

	return passes(filter, FILTER_LEAKS, &like);
}

bool
filter_passes_conn(const struct filter *filter, const struct conn_record *conn)
{
	struct exchange_record like = {
	    .origin = conn->origin,
	    .user_agent = conn->user_agent,
	    .tags = conn->tags,
	    .owner = conn->owner,
	    .age_us = conn->age_us,
	};

	return passes(filter, FILTER_CONNS, &like);
}
