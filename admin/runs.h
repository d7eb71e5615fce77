/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_RUNS_H
#define ADMIN_RUNS_H

/*
 * Stored runs, as text and JSON: their list, and what a comparison of two has
 * found.  What is returned ends with a newline; free it with free().
 */

#include <stddef.h>

#include "accounting/compare.h"
#include "accounting/store.h"

/* The list, for a terminal. */
char *runs_text(const struct store_run *runs, size_t count);
char *runs_json(const struct store_run *runs, size_t count);

/* What stands above the report of a stored run. */
char *runs_heading(
    const struct store_run *run, const char *version, unsigned columns);

/* Two runs, with the version of each that was picked (NULL: all), and what
 * compare_runs() says of them. */
struct runs_comparison {
	const struct store_run *before;
	const struct store_run *after;
	const char *before_version;
	const char *after_version;
	const struct compared *leaks;
	size_t count;
};

char *runs_compared_text(
    const struct runs_comparison *comparison, unsigned columns);
char *runs_compared_json(const struct runs_comparison *comparison);

#endif
