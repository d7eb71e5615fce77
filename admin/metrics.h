/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

/*
 * Snapshots for Prometheus, in its two formats.
 */

#include "accounting/snapshot.h"

enum metrics_format {
	METRICS_TEXT,        /* Prometheus text 0.0.4 */
	METRICS_OPENMETRICS, /* OpenMetrics 1.0 */
};

/* Returns the format that an Accept field (NULL: none) prefers. */
enum metrics_format metrics_negotiate(const char *accept);

const char *metrics_content_type(enum metrics_format format);

/* Returns all metrics, those of this process included.  Free with free(). */
char *metrics_text(const struct snapshot *snapshot, enum metrics_format format);

#endif
