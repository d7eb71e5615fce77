/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_MEMBER_H
#define ADMIN_MEMBER_H

/*
 * Members of JSON objects, as the API names and writes them.  Every string of
 * a stranger's passes member_text(), which makes it UTF-8: Jansson refuses to
 * encode what is not, and would drop the member.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "accounting/record.h"
#include "accounting/tag.h"
#include "accounting/units.h"
#include "admin/emit.h"

/* NULL is null. */
void member_text(json_t *object, const char *key, const char *text);
void member_number(json_t *object, const char *key, uint64_t number);

/* A number that is negative where it is not known. */
void member_known(json_t *object, const char *key, int64_t number);
void member_seconds(json_t *object, const char *key, int64_t us);
void member_bool(json_t *object, const char *key, bool value);

/* A time that is 0 where the thing has not happened. */
void member_time(json_t *object, const char *key, wall_us at);

/* "tags": {...} */
void member_tags(json_t *object, const struct tags *tags);

/* "c17", "c17x3" */
void member_conn_id(json_t *object, const char *key, uint64_t id);
void member_exchange_id(
    json_t *object, const char *key, const struct exchange_record *exchange);

/* pid, command, command_line, container, fd and uid. */
void member_owner(json_t *object, const struct owner *owner);

/* Takes `json`.  Returns its text, which ends with a newline; or, compact, is
 * one line without one.  Free with free(). */
char *member_finish(json_t *json);
char *member_finish_compact(json_t *json);

/* Takes `json`: writes it where others are written as they go. */
void member_emit(struct emit *emit, const char *key, json_t *json);

#endif
