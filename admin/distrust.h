/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_DISTRUST_H
#define ADMIN_DISTRUST_H

/*
 * The section of the text report about callers that refused our certificate,
 * whose responses we cannot see into.
 */

#include "accounting/snapshot.h"
#include "admin/page.h"

/* Puts the section, if there is anything to say. */
void distrust_put(struct page *page, const struct snapshot *snapshot);

#endif
