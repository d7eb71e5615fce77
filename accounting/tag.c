/* SPDX-License-Identifier: MIT */

/*
 * Tags, and the reading of Leakproxy-Tag.
 *
 * The field is an RFC 8941 dictionary, and the parser is as strict as the RFC
 * (§4.2: a field that fails to parse is ignored as a whole), because half of a
 * malformed tag would count a leak under a name nobody chose.  Any caller may
 * send anything here: the cursor never passes its end, and a field is parsed
 * into a copy that replaces the tags only when all of it was good.
 *
 * Numbers keep the digits that were sent; byte sequences are refused even as
 * parameters.  An empty string is a value, as in the RFC.
 */

#include "accounting/tag.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/pack.h"

/* The key of a member that is a bare word. */
#define BARE_KEY "tag"

/* RFC 8941 §3.3.1, §3.3.2 */
#define INTEGER_MAX_DIGITS 15
#define DECIMAL_MAX_WHOLE_DIGITS 12
#define DECIMAL_MAX_FRACTION_DIGITS 3

/* What is left of a field value. */
struct cursor {
	const char *at;
	const char *end;
};

/* One key or value being read; its text is no C string. */
struct word {
	char text[TAG_VALUE_MAX_BYTES];
	size_t length;
	size_t max_bytes;
};

/* The locale has no say in what a field means, hence no <ctype.h>. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_alpha(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
is_key_byte(char c)
{
	return is_lower(c) || is_digit(c) || is_one_of(c, "_-.*");
}

static bool
is_token_byte(char c)
{
	return is_alpha(c) || is_digit(c) || is_one_of(c, "!#$%&'*+-.^_`|~:/");
}

/* The byte at the cursor; NUL, which is never valid, at the end. */
static char
peek(const struct cursor *cursor)
{
	return cursor->at < cursor->end ? *cursor->at : '\0';
}

static bool
take(struct cursor *cursor, char c)
{
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

static void
skip(struct cursor *cursor, const char *set)
{
	while (is_one_of(peek(cursor), set))
		cursor->at++;
}

static bool
append(struct word *word, char c)
{
	if (word->length == word->max_bytes)
		return false;
	word->text[word->length++] = c;
	return true;
}

/* Moves the byte at the cursor, of which there must be one, to the word. */
static bool
move_byte(struct cursor *cursor, struct word *word)
{
	assert(cursor->at < cursor->end);
	return append(word, *cursor->at++);
}

static bool
parse_key(struct cursor *cursor, struct word *key)
{
	*key = (struct word){.max_bytes = TAG_KEY_MAX_BYTES};
	if (!is_lower(peek(cursor)) && peek(cursor) != '*')
		return false;
	while (is_key_byte(peek(cursor))) {
		if (!move_byte(cursor, key))
			return false;
	}
	return true;
}

static bool
parse_token(struct cursor *cursor, struct word *value)
{
	while (is_token_byte(peek(cursor))) {
		if (!move_byte(cursor, value))
			return false;
	}
	return true;
}

static bool
parse_string(struct cursor *cursor, struct word *value)
{
	cursor->at++;
	while (cursor->at < cursor->end) {
		if (take(cursor, '"'))
			return true;
		if (take(cursor, '\\') && !is_one_of(peek(cursor), "\"\\"))
			return false;
		if (peek(cursor) < 0x20 || peek(cursor) > 0x7e)
			return false;
		if (!move_byte(cursor, value))
			return false;
	}
	return false;
}

/* Returns how many digits there were, or 0 if the word is full. */
static size_t
parse_digits(struct cursor *cursor, struct word *value)
{
	size_t count = 0;

	while (is_digit(peek(cursor))) {
		if (!move_byte(cursor, value))
			return 0;
		count++;
	}
	return count;
}

static bool
parse_number(struct cursor *cursor, struct word *value)
{
	size_t whole;
	size_t fraction;

	if (peek(cursor) == '-' && !move_byte(cursor, value))
		return false;
	whole = parse_digits(cursor, value);
	if (peek(cursor) != '.')
		return whole >= 1 && whole <= INTEGER_MAX_DIGITS;
	if (!move_byte(cursor, value))
		return false;
	fraction = parse_digits(cursor, value);
	return whole >= 1 && whole <= DECIMAL_MAX_WHOLE_DIGITS &&
	    fraction >= 1 && fraction <= DECIMAL_MAX_FRACTION_DIGITS;
}

static bool
parse_boolean(struct cursor *cursor, struct word *value)
{
	const char *text;

	cursor->at++;
	if (take(cursor, '1'))
		text = "true";
	else if (take(cursor, '0'))
		text = "false";
	else
		return false;
	for (; *text != '\0'; text++) {
		if (!append(value, *text))
			return false;
	}
	return true;
}

static bool
parse_bare_item(struct cursor *cursor, struct word *value)
{
	char first = peek(cursor);

	*value = (struct word){.max_bytes = TAG_VALUE_MAX_BYTES};
	if (first == '"')
		return parse_string(cursor, value);
	if (first == '-' || is_digit(first))
		return parse_number(cursor, value);
	if (first == '?')
		return parse_boolean(cursor, value);
	if (first == '*' || is_alpha(first))
		return parse_token(cursor, value);
	return false;
}

static bool
skip_parameters(struct cursor *cursor)
{
	struct word ignored;

	while (take(cursor, ';')) {
		skip(cursor, " ");
		if (!parse_key(cursor, &ignored))
			return false;
		if (take(cursor, '=') && !parse_bare_item(cursor, &ignored))
			return false;
	}
	return true;
}

/* Where the key is or, if it is not there, belongs. */
static size_t
find_place(const struct tags *tags, const char *key)
{
	size_t at = 0;

	while (at < tags->count && strcmp(tags->items[at].key, key) < 0)
		at++;
	return at;
}

/* Sets a tag whose key and value are known to be good. */
static bool
put(struct tags *tags, const char *key, const char *value, size_t length)
{
	size_t at = find_place(tags, key);
	struct tag *item;

	if (at < tags->count && strcmp(tags->items[at].key, key) == 0) {
		/* The value may come from the tag that it replaces. */
		char *copy = xstrndup(value, length);

		free(tags->items[at].value);
		tags->items[at].value = copy;
		return true;
	}
	if (tags->count == TAG_MAX_COUNT)
		return false;
	tags->items =
	    xreallocarray(tags->items, tags->count + 1, sizeof(*tags->items));
	item = &tags->items[at];
	memmove(item + 1, item, (tags->count - at) * sizeof(*item));
	item->key = xstrdup(key);
	item->value = xstrndup(value, length);
	tags->count++;
	return true;
}

static bool
parse_member(struct cursor *cursor, struct tags *tags)
{
	struct word key;
	struct word value;
	char name[TAG_KEY_MAX_BYTES + 1];

	if (!parse_key(cursor, &key))
		return false;
	if (!take(cursor, '='))
		return skip_parameters(cursor) &&
		    put(tags, BARE_KEY, key.text, key.length);
	if (!parse_bare_item(cursor, &value) || !skip_parameters(cursor))
		return false;
	memcpy(name, key.text, key.length);
	name[key.length] = '\0';
	return put(tags, name, value.text, value.length);
}

static bool
parse_dictionary(struct cursor *cursor, struct tags *tags)
{
	skip(cursor, " ");
	if (cursor->at == cursor->end)
		return true;
	for (;;) {
		if (!parse_member(cursor, tags))
			return false;
		skip(cursor, " \t");
		if (cursor->at == cursor->end)
			return true;
		if (!take(cursor, ','))
			return false;
		skip(cursor, " \t");
	}
}

bool
tags_add_dictionary(struct tags *tags, const char *value, size_t length)
{
	struct cursor cursor = {value, value + length};
	struct tags result = {0};

	tags_copy(&result, tags);
	if (!parse_dictionary(&cursor, &result)) {
		tags_fini(&result);
		return false;
	}
	tags_fini(tags);
	*tags = result;
	return true;
}

static bool
is_printable(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (is_control(bytes[i]))
			return false;
	}
	return true;
}

bool
tags_set(
    struct tags *tags, const char *key, const char *value, size_t value_length)
{
	size_t key_length = strlen(key);
	char lower[TAG_KEY_MAX_BYTES + 1];

	if (key_length == 0 || key_length > TAG_KEY_MAX_BYTES ||
	    value_length == 0 || value_length > TAG_VALUE_MAX_BYTES ||
	    !is_printable(key, key_length) ||
	    !is_printable(value, value_length))
		return false;
	for (size_t i = 0; i <= key_length; i++)
		lower[i] = key[i] >= 'A' && key[i] <= 'Z'
		    ? (char)(key[i] - 'A' + 'a')
		    : key[i];
	return put(tags, lower, value, value_length);
}

void
tags_copy(struct tags *to, const struct tags *from)
{
	if (to == from)
		return;
	tags_fini(to);
	if (from->count == 0)
		return;
	to->items = xcalloc(from->count, sizeof(*to->items));
	to->count = from->count;
	for (size_t i = 0; i < from->count; i++) {
		to->items[i].key = xstrdup(from->items[i].key);
		to->items[i].value = xstrdup(from->items[i].value);
	}
}

void
tags_pack(struct tags *to, const struct tags *from, struct pack *pack)
{
	struct tag *items = NULL;

	if (from->count > 0)
		items = pack_room(pack, from->count * sizeof(*items));
	for (size_t i = 0; i < from->count; i++) {
		struct tag item = {
		    .key = pack_text(pack, from->items[i].key),
		    .value = pack_text(pack, from->items[i].value),
		};

		if (items != NULL)
			items[i] = item;
	}
	*to = (struct tags){.items = items, .count = from->count};
}

void
tags_fini(struct tags *tags)
{
	for (size_t i = 0; i < tags->count; i++) {
		free(tags->items[i].key);
		free(tags->items[i].value);
	}
	free(tags->items);
	*tags = (struct tags){0};
}

const char *
tags_get(const struct tags *tags, const char *key)
{
	size_t at = find_place(tags, key);

	if (at == tags->count || strcmp(tags->items[at].key, key) != 0)
		return NULL;
	return tags->items[at].value;
}

bool
tags_equal(const struct tags *a, const struct tags *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
		    strcmp(a->items[i].value, b->items[i].value) != 0)
			return false;
	}
	return true;
}

/*
 * A value that could be mistaken for two tags is quoted, so that nobody reads
 * run=2 out of a user who calls himself "x run=2".
 */
static void
print_value(FILE *out, const char *value)
{
	if (*value != '\0' && strpbrk(value, " \"\\") == NULL) {
		fputs(value, out);
		return;
	}
	putc('"', out);
	for (; *value != '\0'; value++) {
		if (is_one_of(*value, "\"\\"))
			putc('\\', out);
		putc(*value, out);
	}
	putc('"', out);
}

char *
tags_text(const struct tags *tags)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	for (size_t i = 0; i < tags->count; i++) {
		fprintf(out, "%s%s=", i == 0 ? "" : " ", tags->items[i].key);
		print_value(out, tags->items[i].value);
	}
	if (fclose(out) != 0)
		abort();
	return text;
}
