/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_API_PARTS_H
#define ADMIN_API_PARTS_H

/*
 * What the API's files share: api.c, api_leaks.c, api_timeline.c and
 * api_health.c.  Each function returns a new reference.
 */

#include <jansson.h>

#include "accounting/levels.h"
#include "accounting/snapshot.h"

/* What every list begins with: the time that it is about. */
json_t *api_frame(const struct snapshot *snapshot);

json_t *api_totals(const struct totals *totals);

/* A number over time, {"bin_s", "values"}; null where it is not known. */
json_t *api_series(const struct levels *series);

/* Connections that are there now. */
json_t *api_gauges(const struct gauges *gauges);

#endif
