/* SPDX-License-Identifier: MIT */

/*
 * Members of JSON objects.
 */

#include "admin/member.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"
#include "accounting/utf8.h"
#include "admin/text.h"

/* A double holds 15 decimal digits; more would print 0.1 as 0.1000...01. */
#define DUMP_PRECISION JSON_REAL_PRECISION(15)

char *
member_finish(json_t *json)
{
	char *text = json_dumps(json, JSON_INDENT(1) | DUMP_PRECISION);
	char *line = xasprintf("%s\n", text);

	free(text);
	json_decref(json);
	return line;
}

char *
member_finish_compact(json_t *json)
{
	char *text =
	    json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | DUMP_PRECISION);

	json_decref(json);
	return text;
}

void
member_emit(struct emit *emit, const char *key, json_t *json)
{
	char *text = member_finish_compact(json);

	emit_json(emit, key, text);
	free(text);
}

void
member_text(json_t *object, const char *key, const char *text)
{
	char *utf8;

	if (text == NULL) {
		json_object_set_new(object, key, json_null());
		return;
	}
	utf8 = utf8_copy(text);
	json_object_set_new(object, key, json_string(utf8));
	free(utf8);
}

void
member_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

/* A number that is negative where it is not known. */
void
member_known(json_t *object, const char *key, int64_t number)
{
	json_object_set_new(
	    object, key, number < 0 ? json_null() : json_integer(number));
}

void
member_seconds(json_t *object, const char *key, int64_t us)
{
	json_object_set_new(object, key,
	    us < 0 ? json_null() : json_real((double)us / (double)US_PER_S));
}

void
member_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new(object, key, json_boolean(value));
}

/* A time that is 0 where the thing has not happened. */
void
member_time(json_t *object, const char *key, wall_us at)
{
	char text[TEXT_NUMBER_BYTES];

	text_timestamp(at, text);
	member_text(object, key, at == 0 ? NULL : text);
}

void
member_tags(json_t *object, const struct tags *tags)
{
	json_t *json = json_object();

	for (size_t i = 0; i < tags->count; i++) {
		char *key = utf8_copy(tags->items[i].key);

		member_text(json, key, tags->items[i].value);
		free(key);
	}
	json_object_set_new(object, "tags", json);
}

void
member_conn_id(json_t *object, const char *key, uint64_t id)
{
	char text[TEXT_NUMBER_BYTES];

	snprintf(text, sizeof(text), "c%" PRIu64, id);
	member_text(object, key, text);
}

void
member_exchange_id(
    json_t *object, const char *key, const struct exchange_record *exchange)
{
	char id[EXCHANGE_ID_BYTES];

	record_exchange_id(exchange, id);
	member_text(object, key, id);
}

void
member_owner(json_t *object, const struct owner *owner)
{
	struct owner_view view = owner_view(owner);

	member_known(object, "pid", view.pid);
	member_text(object, "command", view.command);
	member_text(object, "command_line", view.command_line);
	member_text(object, "container", view.container);
	member_known(object, "fd", view.fd);
	member_known(object, "uid", view.uid);
}
