/* SPDX-License-Identifier: MIT */

/*
 * What a request asks to see.
 *
 * A parameter that is misspelt must not quietly show everything, so whatever
 * is not understood is refused, with a sentence that says what would be.
 */

#include "admin/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/report.h"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes in place: %XX, and "+" for a space as forms write it.  Returns
 * false for a broken escape, and for a NUL. */
static bool
decode(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		int high;
		int low;

		if (*text != '%') {
			*to++ = (char)(*text == '+' ? ' ' : *text);
			continue;
		}
		high = hex_digit(text[1]);
		low = high < 0 ? -1 : hex_digit(text[2]);
		if (low < 0 || high + low == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		text += 2;
	}
	*to = '\0';
	return true;
}

static bool
parse_number(const char *text, unsigned long min, unsigned long max,
    unsigned long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoul(text, &end, 10);
	return errno == 0 && *end == '\0' && *number >= min && *number <= max;
}

static char *
set_columns(struct view *view, const char *value)
{
	unsigned long columns;

	if (!parse_number(
		value, REPORT_MIN_COLUMNS, REPORT_MAX_COLUMNS, &columns))
		return xasprintf("columns must be a number from %d to %d",
		    REPORT_MIN_COLUMNS, REPORT_MAX_COLUMNS);
	view->columns = (unsigned)columns;
	return NULL;
}

static char *
set_limit(struct view *view, const char *value)
{
	unsigned long limit;

	if (!parse_number(value, 1, VIEW_MAX_LIMIT, &limit))
		return xasprintf(
		    "limit must be a number from 1 to %d", VIEW_MAX_LIMIT);
	view->query.page.limit = limit;
	return NULL;
}

static char *
set_offset(struct view *view, const char *value)
{
	unsigned long offset;

	if (!parse_number(value, 0, VIEW_MAX_OFFSET, &offset))
		return xasprintf(
		    "offset must be a number from 0 to %d", VIEW_MAX_OFFSET);
	view->query.page.offset = offset;
	return NULL;
}

struct sort_word {
	enum snapshot_sort sort;
	enum view_param list;
	const char *word;
};

/* Finds the word among the orders of its list.  Returns false for another. */
static bool
find_sort(struct view *view, const char *value, enum view_param list)
{
	static const struct sort_word words[] = {
#define SORT(name, word, list) {SORT_##name, VIEW_SORT_##list, word},
#include "accounting/sorts.def"
#undef SORT
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (words[i].list == list &&
		    strcmp(words[i].word, value) == 0) {
			view->query.page.sort = words[i].sort;
			return true;
		}
	}
	return false;
}

static char *
set_sort_leaks(struct view *view, const char *value)
{
	if (find_sort(view, value, VIEW_SORT_LEAKS))
		return NULL;
	return xstrdup("sort must be undrained, held, last_seen or route");
}

static char *
set_sort_conns(struct view *view, const char *value)
{
	if (find_sort(view, value, VIEW_SORT_CONNS))
		return NULL;
	return xstrdup("sort must be newest, oldest, exchanges or sent_bytes");
}

static char *
set_series(struct view *view, const char *value)
{
	view->wants_series = strcmp(value, "held") == 0;
	return view->wants_series ? NULL : xstrdup("series must be held");
}

static char *
set_origin(struct view *view, const char *value)
{
	if (*value == '\0')
		return xstrdup("origin must be as in /api/leaks: "
			       "https://registry.test:443");
	return filter_require(view->query.filter, FILTER_ORIGIN, NULL, value);
}

static char *
set_state(struct view *view, const char *value)
{
	static const enum conn_state states[] = {
	    CONN_ACTIVE, CONN_IDLE, CONN_WATCHED, CONN_CLOSED};

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		if (strcmp(value, record_conn_state_word(states[i])) == 0) {
			view->query.has_state = true;
			view->query.state = states[i];
			return NULL;
		}
	}
	return xstrdup("state must be active, idle, watched or closed");
}

/* "key", "key=value" or "key:value". */
static char *
set_tag(struct view *view, const char *value)
{
	size_t length = strcspn(value, "=:");
	bool has_value = value[length] != '\0';
	char *key;
	char *refusal;

	if (length == 0)
		return xstrdup("tag must be key or key=value");
	key = xstrndup(value, length);
	refusal = filter_require(view->query.filter, FILTER_TAG, key,
	    has_value ? value + length + 1 : NULL);
	free(key);
	return refusal;
}

static char *
set_verdict(struct view *view, const char *value)
{
	return filter_require(view->query.filter, FILTER_VERDICT, NULL, value);
}

static char *
set_filter(struct view *view, const char *value)
{
	char *reason = filter_add(view->query.filter, value);
	char *refusal = reason == NULL ? NULL : xasprintf("filter: %s", reason);

	free(reason);
	return refusal;
}

static const struct {
	const char *name;
	enum view_param param;
	char *(*set)(struct view *view, const char *value);
} params[] = {
    {"columns", VIEW_COLUMNS, set_columns},
    {"filter", VIEW_FILTER, set_filter},
    {"limit", VIEW_LIMIT, set_limit},
    {"offset", VIEW_OFFSET, set_offset},
    {"origin", VIEW_ORIGIN, set_origin},
    {"series", VIEW_SERIES, set_series},
    {"sort", VIEW_SORT_LEAKS, set_sort_leaks},
    {"sort", VIEW_SORT_CONNS, set_sort_conns},
    {"state", VIEW_STATE, set_state},
    {"tag", VIEW_TAG, set_tag},
    {"verdict", VIEW_VERDICT, set_verdict},
};

#define PARAM_COUNT (sizeof(params) / sizeof(*params))

/* Says which parameters would have been taken. */
static char *
refuse_unknown(unsigned allowed)
{
	char *text = xstrdup("unknown parameter: this path takes");
	const char *separator = " ";

	if (allowed == 0) {
		free(text);
		return xstrdup("this path takes no parameters");
	}
	for (size_t i = 0; i < PARAM_COUNT; i++) {
		char *longer;

		if ((allowed & params[i].param) == 0)
			continue;
		longer = xasprintf("%s%s%s", text, separator, params[i].name);
		free(text);
		text = longer;
		separator = ", ";
	}
	return text;
}

/* Takes one "name=value", which it may overwrite. */
static char *
set_param(struct view *view, char *pair, unsigned allowed, unsigned *seen)
{
	char *value = pair + strcspn(pair, "=");
	size_t i;

	if (*value != '\0')
		*value++ = '\0';
	if (!decode(pair) || !decode(value))
		return xstrdup("broken percent-encoding in the query string");
	for (i = 0; i < PARAM_COUNT; i++) {
		if ((allowed & params[i].param) != 0 &&
		    strcmp(pair, params[i].name) == 0)
			break;
	}
	if (i == PARAM_COUNT)
		return refuse_unknown(allowed);
	if ((*seen & params[i].param) != 0)
		return xasprintf("%s is given twice", params[i].name);
	*seen |= params[i].param;
	return params[i].set(view, value);
}

char *
view_parse(struct view *view, const char *query_string, unsigned allowed)
{
	char *copy = xstrdup(query_string == NULL ? "" : query_string);
	char *rest = copy;
	char *refusal = NULL;
	unsigned seen = 0;

	view->columns = REPORT_DEFAULT_COLUMNS;
	while (rest != NULL && refusal == NULL) {
		char *pair = strsep(&rest, "&");

		if (*pair != '\0')
			refusal = set_param(view, pair, allowed, &seen);
	}
	free(copy);
	return refusal;
}

void
view_fini(struct view *view)
{
	snapshot_query_fini(&view->query);
}
