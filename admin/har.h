/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_HAR_H
#define ADMIN_HAR_H

/*
 * Exchanges with their captures as HTTP Archive 1.2.  Bodies are as they were
 * on the wire, unframed and not decoded; those that were not kept, or not
 * whole, give their size.  Our own fields begin with "_".  Each function
 * returns text that ends with a newline; free it with free().
 */

#include "accounting/snapshot.h"

char *har_of_one(const struct exchange_record *exchange);

/*
 * The entry alone, on one line.  `id` is its "_id": it tells the exchange from
 * those of other runs, and of two lines with the same the later one counts.
 */
char *har_line(const struct exchange_record *exchange, const char *id);

/* Oldest first, as they happened; says so where others were left out. */
char *har_of_many(const struct snapshot *snapshot);

#endif
