/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_DISTRUST_H
#define ADMIN_DISTRUST_H

/*
 * Callers that refused our certificate, whose responses we cannot see into:
 * a section of the text report, and JSON.
 */

#include <jansson.h>

#include "accounting/snapshot.h"
#include "admin/page.h"

/* Puts the section, if there is anything to say. */
void distrust_put(struct page *page, const struct snapshot *snapshot);

/* Returns a new reference: a list with an object for each kind of refusal. */
json_t *distrust_json(const struct snapshot *snapshot);

#endif
