/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_STORED_H
#define ADMIN_STORED_H

/*
 * What is asked of the store from a command line, answered in text or JSON.
 * Each returns what to print, free with free(); or NULL, and store_error()
 * says why.
 */

#include <stdbool.h>

#include "accounting/store.h"

struct stored_form {
	bool is_json;
	unsigned columns;            /* of text */
	const struct filter *filter; /* of leaks, for a report; NULL: all */
};

char *stored_runs(struct store *store, const struct stored_form *form);

/* The report of one run (store_find_run()). */
char *stored_report(
    struct store *store, const char *reference, const struct stored_form *form);

/* Two runs; each change that was found is set in *found, 1 << enum change. */
char *stored_comparison(struct store *store, const char *const references[2],
    const struct stored_form *form, unsigned *found);

#endif
