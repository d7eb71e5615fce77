/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_VIEW_H
#define ADMIN_VIEW_H

/*
 * What a request asks to see: the parameters of its query string.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/record.h"
#include "accounting/snapshot.h"

#define VIEW_DEFAULT_LIMIT 1000
#define VIEW_MAX_LIMIT 10000
#define VIEW_MAX_OFFSET 1000000

/* The parameters that an endpoint may take. */
enum view_param {
	VIEW_COLUMNS = 1 << 0,
	VIEW_LIMIT = 1 << 1,
	VIEW_ORIGIN = 1 << 2,
	VIEW_STATE = 1 << 3,
	VIEW_TAG = 1 << 4,
	VIEW_VERDICT = 1 << 5,
	VIEW_OFFSET = 1 << 6,
	VIEW_SORT_LEAKS = 1 << 7,
	VIEW_SORT_CONNS = 1 << 8,
	VIEW_SERIES = 1 << 9,
	VIEW_FILTER = 1 << 10,
};

struct view {
	struct snapshot_query query; /* its filter: of verdict, tag, origin */
	unsigned columns;
	bool wants_series; /* of each leak */
};

/*
 * Reads `query_string` (NULL: none) into *view, which must be all zero but for
 * query.filter: terms are added to that, where any are allowed.
 * Returns NULL, or why it is refused: free that with free().  *view is the
 * caller's either way; end it with view_fini().
 */
char *view_parse(
    struct view *view, const char *query_string, unsigned allowed) MUST_CHECK;
void view_fini(struct view *view);

#endif
