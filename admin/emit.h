/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_EMIT_H
#define ADMIN_EMIT_H

/*
 * JSON, written as it goes.  For what is rendered by the thousand a second:
 * Jansson's trees cost ten times as much as the text that is made of them.
 * Strings are a stranger's, and become UTF-8 here.
 *
 * A key is a literal of ours, which needs no escape; NULL in an array.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/tag.h"
#include "accounting/units.h"

/* Embedded by value; all zero is empty. */
struct emit {
	char *text; /* owned until emit_finish(); not terminated */
	size_t length;
	size_t size;
	bool has_before; /* a comma is due */
};

void emit_begin_object(struct emit *emit, const char *key);
void emit_end_object(struct emit *emit);
void emit_begin_array(struct emit *emit, const char *key);
void emit_end_array(struct emit *emit);

/* Null where `text` is NULL. */
void emit_text(struct emit *emit, const char *key, const char *text);

/* Text of that length, in which there is no NUL. */
void emit_bytes(
    struct emit *emit, const char *key, const char *bytes, size_t length);

/* The same with a stranger's key. */
void emit_pair(struct emit *emit, const char *key, const char *text);

void emit_number(struct emit *emit, const char *key, int64_t number);

/* Null where it is negative. */
void emit_known(struct emit *emit, const char *key, int64_t number);
void emit_bool(struct emit *emit, const char *key, bool value);

/* Milliseconds, with three digits behind the point; 0 where it is negative. */
void emit_ms(struct emit *emit, const char *key, int64_t us);

/* Nine significant digits of it at least; null where it is no number (NAN). */
void emit_real(struct emit *emit, const char *key, double number);

/* A moment, as text_timestamp() has it; null where it is 0. */
void emit_time(struct emit *emit, const char *key, wall_us at);

/* An object: of each key its value. */
void emit_tags(struct emit *emit, const char *key, const struct tags *tags);

/* A value that is JSON already. */
void emit_json(struct emit *emit, const char *key, const char *json);

/* A line's end, for people, between two values or at the end. */
void emit_newline(struct emit *emit);

/* Returns the text, terminated, and leaves it empty.  Free with free(). */
char *emit_finish(struct emit *emit);

#endif
