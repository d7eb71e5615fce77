/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_API_H
#define ADMIN_API_H

/*
 * Snapshots as JSON (DESIGN §4).  A field that is not known is null.  Each
 * function returns text that ends with a newline; free it with free().
 */

#include <jansson.h>

#include "accounting/snapshot.h"
#include "admin/goroutines.h"
#include "admin/view.h"

/* One item of /api/leaks, of a leak observed for so long, and of
 * /api/connections.  Return new references. */
json_t *api_leak_json(const struct leak *leak, int64_t observed_us);
json_t *api_connection_json(const struct conn_record *conn);

char *api_leaks(const struct snapshot *snapshot);

/* The page that the view wants, with what the service says of its goroutines;
 * NULL: not asked. */
char *api_leaks_beside(const struct snapshot *snapshot,
    const struct goroutines *goroutines, const struct view *view);

/* The snapshot's first leak whole: its timeline and intervals too. */
char *api_leak(const struct snapshot *snapshot);

/* The page that the view wants: the snapshot holds no other.  "more" says
 * whether others follow, "total" how many passed the filters. */
char *api_connections(const struct snapshot *snapshot, const struct view *view);
char *api_exchanges(const struct snapshot *snapshot, const struct view *view);

char *api_exchange(const struct exchange_record *exchange);

/* By origin and tags: how many connections for how many exchanges, and what
 * usually causes what is seen. */
char *api_reuse(const struct snapshot *snapshot);

/* Requests, undrained and held ones over time, and the held ones of the leaks
 * that held most. */
#define API_TIMELINE_LEAKS 7
char *api_timeline(const struct snapshot *snapshot);

/* What the proxy counts of itself, who does not trust its CA, and which
 * origins failed. */
char *api_health(const struct snapshot *snapshot);

/* The state in a few numbers, in one line: for events. */
char *api_summary(const struct snapshot *snapshot);

/* {"error":"..."} */
char *api_error(const char *reason);

#endif
