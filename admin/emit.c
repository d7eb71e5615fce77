/* SPDX-License-Identifier: MIT */

/*
 * JSON, written as it goes (RFC 8259).
 */

#include "admin/emit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/units.h"
#include "accounting/utf8.h"
#include "admin/text.h"

#define FIRST_BYTES 2048
#define NUMBER_BYTES 32

/* Reals between these are written here, the others as printf() has them. */
#define FIXED_MIN 1e-3
#define FIXED_MAX 1e6

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
	char *utf8 = utf8_copy(copy);

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

/* Digits behind the point, without the zeros at the end but for the first. */
static void
add_fraction(struct emit *emit, uint64_t fraction, size_t digits)
{
	add_digits(emit, fraction, digits);
	while (digits-- > 1 && emit->text[emit->length - 1] == '0')
		emit->length--;
}

/* Fifteen digits at most, which a double holds. */
static void
add_fixed(struct emit *emit, double size)
{
	size_t digits = size < 1 ? 12 : 9;
	uint64_t scale =
	    size < 1 ? UINT64_C(1000000000000) : UINT64_C(1000000000);
	uint64_t scaled = (uint64_t)(size * (double)scale + 0.5);

	add_digits(emit, scaled / scale, 1);
	add_char(emit, '.');
	add_fraction(emit, scaled % scale, digits);
}

/* What is small or large: as printf() has it, and a real to its reader. */
static void
add_printed(struct emit *emit, double number)
{
	char text[NUMBER_BYTES];
	int length = snprintf(text, sizeof(text), "%.15g", number);

	add(emit, text, (size_t)length);
	if (strpbrk(text, ".e") == NULL)
		add(emit, ".0", 2);
}

void
emit_real(struct emit *emit, const char *key, double number)
{
	double size = fabs(number);

	if (!isfinite(number)) {
		emit_text(emit, key, NULL);
		return;
	}
	begin(emit, key);
	if (size >= FIXED_MAX || (size > 0 && size < FIXED_MIN)) {
		add_printed(emit, number);
		return;
	}
	if (number < 0)
		add_char(emit, '-');
	add_fixed(emit, size);
}

void
emit_time(struct emit *emit, const char *key, wall_us at)
{
	char text[TEXT_NUMBER_BYTES];

	text_timestamp(at, text);
	emit_text(emit, key, at == 0 ? NULL : text);
}

void
emit_tags(struct emit *emit, const char *key, const struct tags *tags)
{
	emit_begin_object(emit, key);
	for (size_t i = 0; i < tags->count; i++)
		emit_pair(emit, tags->items[i].key, tags->items[i].value);
	emit_end_object(emit);
}

void
emit_json(struct emit *emit, const char *key, const char *json)
{
	begin(emit, key);
	add(emit, json, strlen(json));
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
