/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_EXPOSITION_H
#define ADMIN_EXPOSITION_H

/*
 * Writes metric families: the one place that knows where Prometheus text and
 * OpenMetrics differ.
 */

#include <stdint.h>
#include <stdio.h>

#include "admin/metrics.h"

struct exposition {
	FILE *out; /* borrowed */
	enum metrics_format format;
};

/*
 * Each begins a family, whose samples must follow.  A counter is named with
 * its "_total", the information with its "_info".
 */
void exposition_gauge(
    struct exposition *exposition, const char *name, const char *help);
void exposition_counter(
    struct exposition *exposition, const char *name, const char *help);
void exposition_info(
    struct exposition *exposition, const char *name, const char *help);

/* One sample.  `labels` is empty or "{...}", escaped. */
void exposition_count(struct exposition *exposition, const char *name,
    const char *labels, uint64_t value);
void exposition_real(
    struct exposition *exposition, const char *name, double value);

/* Ends the text. */
void exposition_end(struct exposition *exposition);

/* Writes `value` as the inside of a label's quotes: UTF-8, escaped, and cut to
 * EXPOSITION_LABEL_MAX_BYTES. */
#define EXPOSITION_LABEL_MAX_BYTES 256
void exposition_put_label_value(FILE *out, const char *value);

#endif
