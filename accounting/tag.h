/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_TAG_H
#define ACCOUNTING_TAG_H

/*
 * Tags: what a caller says about itself.  `Leakproxy-Tag: job=imagecheck,
 * run=42` is an RFC 8941 dictionary; a member without "=" and value ("x") is
 * `tag=x`.  Any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/units.h"

#define TAG_MAX_COUNT 16
#define TAG_KEY_MAX_BYTES 64
#define TAG_VALUE_MAX_BYTES 256

struct pack;

struct tag {
	char *key;
	char *value;
};

/* Sorted by key, each key once; embedded by value.  All zero is empty. */
struct tags {
	struct tag *items; /* owned */
	size_t count;
};

/*
 * Adds the members of one Leakproxy-Tag field value.  A later key replaces an
 * earlier one.  Returns false, and adds nothing at all, when the value is
 * malformed or a bound above would be passed.  RFC 8941 §3.2, §4.2.2: values
 * may be tokens, strings, integers, decimals, booleans; parameters are
 * allowed and ignored; inner lists and byte sequences are refused.
 */
bool tags_add_dictionary(
    struct tags *tags, const char *value, size_t length) MUST_CHECK;

/*
 * Sets one tag to literal text (a header named by --tag-header, the user name
 * of Proxy-Authorization).  The key is lower-cased.  Returns false, changing
 * nothing, when key or value is empty, too long, holds control bytes or the
 * count is at its bound.
 */
bool tags_set(struct tags *tags, const char *key, const char *value,
    size_t value_length) MUST_CHECK;

/* Replaces *to by a deep copy of `from`. */
void tags_copy(struct tags *to, const struct tags *from);

/* Makes *to a copy of `from` in the pack's room. */
void tags_pack(struct tags *to, const struct tags *from, struct pack *pack);

void tags_fini(struct tags *tags);

/* Returns the value of `key`, borrowed, or NULL. */
const char *tags_get(const struct tags *tags, const char *key);

bool tags_equal(const struct tags *a, const struct tags *b);

/* Returns "job=imagecheck run=42" ("" for none).  Free with free(). */
char *tags_text(const struct tags *tags);

#endif
