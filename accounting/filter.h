/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_FILTER_H
#define ACCOUNTING_FILTER_H

/*
 * The one language in which people say which exchanges, leaks or connections
 * they mean:
 *
 *      status>=400 origin=*.registry.test tag.job=imagecheck,gc held
 *
 * Terms stand between spaces, and all of them must hold.  A term is a field
 * (filter_fields.def), one of = != < <= > >= and a value, or a field alone:
 * that there is one.  In text, * stands for anything; of alternatives between
 * commas one must hold, of those behind != none.  "Quotes" take spaces and
 * commas; a backslash takes the next character as it is.  What the record does
 * not know holds for no term, not even for one with !=.  Pure; one that is not
 * changed any more may be read by any thread.
 */

#include <stdbool.h>

#include "accounting/leak.h"
#include "accounting/record.h"
#include "accounting/units.h"

#define FILTER_MAX_BYTES 1024 /* of one text */
#define FILTER_MAX_TERMS 32
#define FILTER_MAX_VALUES 64 /* of one term */

/* What a filter is about. */
enum filter_subject {
	FILTER_EXCHANGES = 1 << 0,
	FILTER_LEAKS = 1 << 1,
	FILTER_CONNS = 1 << 2,
};

enum filter_field {
#define FIELD(name, word, type, subjects, help) FILTER_##name,
#include "accounting/filter_fields.def"
#undef FIELD
	FILTER_FIELD_COUNT
};

struct filter;

/* Returns one without terms, which everything passes.  Free with
 * filter_free(). */
struct filter *filter_new(enum filter_subject subject);
void filter_free(struct filter *filter);

/* Returns a copy, or NULL of NULL.  Free with filter_free(). */
struct filter *filter_copy(const struct filter *filter);

/* Adds the terms of `text`.  Returns NULL; or one line that says what would be
 * understood, to be freed with free(): the filter is of no use then. */
char *filter_add(struct filter *filter, const char *text) MUST_CHECK;

/*
 * Adds the term that the field is `value` to the letter, or, where that is
 * NULL, that there is one.  `key` is a tag's in any case, NULL for other
 * fields.  Returns as filter_add() does.
 */
char *filter_require(struct filter *filter, enum filter_field field,
    const char *key, const char *value) MUST_CHECK;

/* Returns whether a term is about the field; false of NULL. */
bool filter_asks_for(const struct filter *filter, enum filter_field field);

/* Return whether it passes: NULL, and a filter that is about another subject,
 * let everything pass.  A record's route must be known where the filter asks
 * for it. */
bool filter_passes_exchange(
    const struct filter *filter, const struct exchange_record *exchange);
bool filter_passes_leak(const struct filter *filter, const struct leak *leak);
bool filter_passes_conn(
    const struct filter *filter, const struct conn_record *conn);

#endif
