/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_HABITS_H
#define ADMIN_HABITS_H

/*
 * How connections are reused, in JSON and in the report.  Pure.
 */

#include <stdbool.h>

#include "accounting/snapshot.h"
#include "admin/page.h"

/* What usually causes what is seen; never NULL. */
const char *habits_sentence(const struct reuse *reuse);

/* Whether an engineer should look at it: few reuse, and it is not for want of
 * trying. */
bool habits_are_poor(const struct reuse *reuse);

/* Puts a paragraph for each origin and tags with poor reuse; nothing where
 * there is none. */
void habits_put(struct page *page, const struct snapshot *snapshot);

#endif
