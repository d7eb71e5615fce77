/* SPDX-License-Identifier: MIT */

/*
 * JSON, written as it goes (RFC 8259).
 */

#include "admin/emit.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/units.h"
#include "admin/text.h"

#define FIRST_BYTES 2048
#define NUMBER_BYTES 24

static void
grow(struct emit *emit, size_t wanted)
{
	if (emit->size == 0)
		emit->size = FIRST_BYTES;
	while (emit->size < wanted)
		emit->size *= 2;
	emit->text = xreallocarray(emit->text, emit->size, 1);
}

/* Makes room for so much more. */
static inline void
reserve(struct emit *emit, size_t length)
{
	if (emit->size - emit->length < length)
		grow(emit, emit->length + length);
}

static void
add(struct emit *emit, const char *bytes, size_t length)
{
	reserve(emit, length);
	memcpy(emit->text + emit->length, bytes, length);
	emit->length += length;
}

static inline void
add_char(struct emit *emit, char c)
{
	reserve(emit, 1);
	emit->text[emit->length++] = c;
}

/* ---- strings ---- */

/* What stands for itself in a string. */
static const bool is_plain[256] = {
    [' ' ... '!'] = true,
    ['#' ... '['] = true,
    [']' ... 0x7f] = true,
};

/* Adds what needs no escape at the start of `bytes`.  Returns how much that
 * is. */
static size_t
add_plain(struct emit *emit, const char *bytes, size_t length)
{
	size_t at = 0;
	char *to;

	reserve(emit, length);
	to = emit->text + emit->length;
	while (at < length && is_plain[(unsigned char)bytes[at]]) {
		to[at] = bytes[at];
		at++;
	}
	emit->length += at;
	return at;
}

static void
add_escape(struct emit *emit, char c)
{
	static const char digits[] = "0123456789abcdef";
	char code[] = {'\\', 'u', '0', '0', digits[(c >> 4) & 1],
	    digits[(unsigned char)c & 15]};

	if (c == '"' || c == '\\') {
		add_char(emit, '\\');
		add_char(emit, c);
	} else {
		add(emit, code, sizeof(code));
	}
}

/* What is beyond ASCII is taken as it is. */
static void
add_utf8(struct emit *emit, const char *utf8)
{
	for (; *utf8 != '\0'; utf8++) {
		if (is_plain[(unsigned char)*utf8] ||
		    (unsigned char)*utf8 >= 0x80)
			add_char(emit, *utf8);
		else
			add_escape(emit, *utf8);
	}
}

static void
add_repaired(struct emit *emit, const char *bytes, size_t length)
{
	char *copy = xstrndup(bytes, length);
	char *utf8 = text_utf8(copy);

	add_utf8(emit, utf8);
	free(utf8);
	free(copy);
}

/* Nearly everything is plain to its end. */
static void
add_string(struct emit *emit, const char *bytes, size_t length)
{
	size_t at = 0;

	add_char(emit, '"');
	for (;;) {
		at += add_plain(emit, bytes + at, length - at);
		if (at == length)
			break;
		if ((unsigned char)bytes[at] >= 0x80) {
			add_repaired(emit, bytes + at, length - at);
			break;
		}
		add_escape(emit, bytes[at++]);
	}
	add_char(emit, '"');
}

/* ---- values ---- */

static void
add_comma(struct emit *emit)
{
	if (emit->has_before)
		add_char(emit, ',');
	emit->has_before = true;
}

/* What comes before a value. */
static void
begin(struct emit *emit, const char *key)
{
	add_comma(emit);
	if (key == NULL)
		return;
	add_char(emit, '"');
	add(emit, key, strlen(key));
	add(emit, "\":", 2);
}

static void
open(struct emit *emit, const char *key, char bracket)
{
	begin(emit, key);
	add_char(emit, bracket);
	emit->has_before = false;
}

static void
close(struct emit *emit, char bracket)
{
	add_char(emit, bracket);
	emit->has_before = true;
}

void
emit_begin_object(struct emit *emit, const char *key)
{
	open(emit, key, '{');
}

void
emit_end_object(struct emit *emit)
{
	close(emit, '}');
}

void
emit_begin_array(struct emit *emit, const char *key)
{
	open(emit, key, '[');
}

void
emit_end_array(struct emit *emit)
{
	close(emit, ']');
}

void
emit_bytes(struct emit *emit, const char *key, const char *bytes, size_t length)
{
	begin(emit, key);
	add_string(emit, bytes, length);
}

void
emit_text(struct emit *emit, const char *key, const char *text)
{
	begin(emit, key);
	if (text == NULL)
		add(emit, "null", 4);
	else
		add_string(emit, text, strlen(text));
}

void
emit_pair(struct emit *emit, const char *key, const char *text)
{
	add_comma(emit);
	add_string(emit, key, strlen(key));
	add_char(emit, ':');
	add_string(emit, text, strlen(text));
}

/* Adds at least so many digits. */
static void
add_digits(struct emit *emit, uint64_t number, size_t count)
{
	char digits[NUMBER_BYTES];
	size_t at = sizeof(digits);

	for (; number > 0 || count > 0; number /= 10) {
		digits[--at] = (char)('0' + number % 10);
		count -= count > 0;
	}
	add(emit, digits + at, sizeof(digits) - at);
}

void
emit_number(struct emit *emit, const char *key, int64_t number)
{
	begin(emit, key);
	if (number < 0)
		add_char(emit, '-');
	add_digits(
	    emit, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 1);
}

void
emit_known(struct emit *emit, const char *key, int64_t number)
{
	if (number < 0)
		emit_text(emit, key, NULL);
	else
		emit_number(emit, key, number);
}

void
emit_bool(struct emit *emit, const char *key, bool value)
{
	begin(emit, key);
	add(emit, value ? "true" : "false", value ? 4 : 5);
}

void
emit_ms(struct emit *emit, const char *key, int64_t us)
{
	uint64_t number = us < 0 ? 0 : (uint64_t)us;

	begin(emit, key);
	add_digits(emit, number / (uint64_t)US_PER_MS, 1);
	add_char(emit, '.');
	add_digits(emit, number % (uint64_t)US_PER_MS, 3);
}

void
emit_newline(struct emit *emit)
{
	add_char(emit, '\n');
}

char *
emit_finish(struct emit *emit)
{
	char *text;

	add_char(emit, '\0');
	text = emit->text;
	*emit = (struct emit){0};
	return text;
}
