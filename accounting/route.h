/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_ROUTE_H
#define ACCOUNTING_ROUTE_H

/*
 * Routes: the template under which URLs are counted together, so that a
 * thousand digests are one leak.  /v2/library/nginx/manifests/sha256:1f… is
 * /v2/{}/manifests/{}.  Pure; any thread once the set is built.
 */

#include <stddef.h>

#include "accounting/units.h"

#define ROUTE_MAX_BYTES 256
#define ROUTE_MAX_PATTERNS 256

struct route_set;

/* Returns an empty set.  Free with route_set_free(). */
struct route_set *route_set_new(void);
void route_set_free(struct route_set *set);

/*
 * Adds one --route pattern, tried before the built-in templates, first match
 * wins: "/v2/" + "*" + "/manifests/" + "*", where "*" stands for one segment
 * or part of one and "**" for one or more segments.  Returns NULL, or why the
 * pattern is refused (static text).
 */
const char *route_set_add(
    struct route_set *set, const char *pattern) MUST_CHECK;

/*
 * Writes the template of `path` (query and fragment ignored) into `route`,
 * cut at ROUTE_MAX_BYTES.  `set` may be NULL: built-in templates alone, which
 * collapse registry names, references and digests, upload ids, UUIDs,
 * numbers and hex of 8 and more digits into {}.
 */
void route_of(
    const struct route_set *set, const char *path, char route[ROUTE_MAX_BYTES]);

/* The same of an absolute URL. */
void route_of_url(
    const struct route_set *set, const char *url, char route[ROUTE_MAX_BYTES]);

#endif
