/* SPDX-License-Identifier: MIT */

/*
 * Tags out of a whole head.  Whatever its fields say, tags keep their bounds
 * and hold nothing that could end a line; a password is never among them.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "accounting/memory.h"
#include "proxy/http.h"
#include "proxy/tagging.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_HEAD_BYTES 4096

static void
drop_body(void *arg, const char *bytes, size_t length)
{
}

static void
check_tags(const struct tags *tags)
{
	assert(tags->count <= TAG_MAX_COUNT);
	for (size_t i = 0; i < tags->count; i++) {
		const struct tag *tag = &tags->items[i];

		assert(strlen(tag->key) >= 1);
		assert(strlen(tag->key) <= TAG_KEY_MAX_BYTES);
		assert(strlen(tag->value) <= TAG_VALUE_MAX_BYTES);
		for (const char *p = tag->key; *p != '\0'; p++)
			assert(*p > ' ' && *p <= '~' && (*p < 'A' || *p > 'Z'));
		for (const char *p = tag->value; *p != '\0'; p++)
			assert((unsigned char)*p >= ' ' && *p != 127);
		if (i > 0)
			assert(strcmp(tags->items[i - 1].key, tag->key) < 0);
	}
}

/* OpenSSL's reading of user:password, where it has one.  Returns the user, to
 * be freed, or NULL. */
static char *
user_of(const struct field *field)
{
	static const char scheme[] = "Basic ";
	struct span value = field->value;
	unsigned char *decoded;
	char *user = NULL;
	int length;

	if (value.length <= strlen(scheme) ||
	    strncasecmp(value.at, scheme, strlen(scheme)) != 0)
		return NULL;
	value.at += strlen(scheme);
	value.length -= strlen(scheme);
	if (memchr(value.at, ' ', value.length) != NULL ||
	    memchr(value.at, '\t', value.length) != NULL ||
	    memchr(value.at, '-', value.length) != NULL ||
	    (value.length > 2 &&
		memchr(value.at, '=', value.length - 2) != NULL))
		return NULL; /* which OpenSSL takes */
	decoded = xcalloc(1, value.length + 1);
	length = EVP_DecodeBlock(
	    decoded, (const unsigned char *)value.at, (int)value.length);
	if (length > 0 && memchr(decoded, ':', (size_t)length) != NULL)
		user = xstrndup(
		    (const char *)decoded, strcspn((const char *)decoded, ":"));
	/* A NUL inside is malformed to us. */
	if (user != NULL && decoded[strlen(user)] != ':') {
		free(user);
		user = NULL;
	}
	free(decoded);
	return user;
}

static bool
has_user_field(const struct head *head)
{
	for (size_t i = 0; i < head->field_count; i++) {
		if (head_span_is(head->fields[i].name, "User"))
			return true;
	}
	return false;
}

/* The user alone: no other field may have set it. */
static void
check_user(const struct head *head, const struct tags *tags)
{
	const struct field *field = head_find(head, FIELD_PROXY_AUTHORIZATION);
	const char *tag = tags_get(tags, "user");
	char *user;

	if (field == NULL || head_count(head, FIELD_PROXY_AUTHORIZATION) != 1 ||
	    head_has(head, FIELD_LEAKPROXY_TAG) || has_user_field(head))
		return;
	assert(tag == NULL || strchr(tag, ':') == NULL);
	user = user_of(field);
	if (user != NULL && tag != NULL)
		assert(strcmp(user, tag) == 0);
	free(user);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char team[] = "x-team";
	static char user[] = "user";
	static char *names[] = {team, user};
	const struct options options = {.tag_headers = {names, 2}};
	struct http_parser *parser =
	    http_parser_new(HTTP_KIND_REQUEST, MAX_HEAD_BYTES, drop_body, NULL);
	struct tags tags = {0};
	size_t taken;

	if (!tags_set(&tags, "before", "1", 1))
		abort();
	if (http_feed(parser, (const char *)data, size, &taken) ==
	    HTTP_HAS_HEAD) {
		const struct head *head = http_head(parser);

		assert(
		    tagging_read(head, &options, &tags) <= head->field_count);
		check_tags(&tags);
		check_user(head, &tags);
	}
	tags_fini(&tags);
	http_parser_free(parser);
	return 0;
}
