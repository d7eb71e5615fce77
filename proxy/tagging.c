/* SPDX-License-Identifier: MIT */

/*
 * Tags out of a request head.
 */

#include "proxy/tagging.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"

static int
base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *digit = c == '\0' ? NULL : strchr(digits, c);

	return digit == NULL ? -1 : (int)(digit - digits);
}

/* Decodes what is valid of `text`, up to its padding.  Returns the length;
 * `bytes` has room for 3/4 of the text. */
static size_t
decode_base64(struct span text, char *bytes)
{
	uint32_t bits = 0;
	unsigned bit_count = 0;
	size_t length = 0;

	for (size_t i = 0; i < text.length; i++) {
		int digit = base64_digit(text.at[i]);

		if (digit < 0)
			break;
		bits = bits << 6 | (uint32_t)digit;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			bytes[length++] = (char)(bits >> bit_count & 0xff);
		}
	}
	return length;
}

/* `Basic base64(user:password)`: the user is a tag, the password nobody's
 * business (RFC 7617 §2). */
static bool
read_user(struct span value, struct tags *tags)
{
	static const char scheme[] = "Basic ";
	const char *colon;
	char *decoded;
	size_t length;
	bool is_set = true;

	if (value.length <= strlen(scheme) ||
	    strncasecmp(value.at, scheme, strlen(scheme)) != 0)
		return false;
	value.at += strlen(scheme);
	value.length -= strlen(scheme);
	decoded = xcalloc(1, value.length);
	length = decode_base64(value, decoded);
	colon = memchr(decoded, ':', length);
	if (colon != NULL)
		length = (size_t)(colon - decoded);
	/* An empty user is how some clients say "no user". */
	if (length > 0)
		is_set = tags_set(tags, "user", decoded, length);
	explicit_bzero(decoded, value.length);
	free(decoded);
	return is_set;
}

/* Returns the --tag-header entry for this field, or NULL. */
static const char *
find_tag_header(const struct options *options, struct span name)
{
	for (size_t i = 0; i < options->tag_headers.count; i++) {
		if (head_span_is(name, options->tag_headers.items[i]))
			return options->tag_headers.items[i];
	}
	return NULL;
}

static bool
read_field(
    const struct field *field, const struct options *options, struct tags *tags)
{
	const char *tag_header;

	if (field->id == FIELD_LEAKPROXY_TAG)
		return tags_add_dictionary(
		    tags, field->value.at, field->value.length);
	if (field->id == FIELD_PROXY_AUTHORIZATION)
		return read_user(field->value, tags);
	tag_header = find_tag_header(options, field->name);
	if (tag_header == NULL)
		return true;
	return tags_set(tags, tag_header, field->value.at, field->value.length);
}

size_t
tagging_read(
    const struct head *head, const struct options *options, struct tags *tags)
{
	size_t malformed = 0;

	for (size_t i = 0; i < head->field_count; i++) {
		if (!read_field(&head->fields[i], options, tags))
			malformed++;
	}
	return malformed;
}
