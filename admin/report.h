/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_REPORT_H
#define ADMIN_REPORT_H

/*
 * The text report: what a person on call reads first.
 */

#include <stdbool.h>

#include "accounting/snapshot.h"
#include "admin/goroutines.h"

#define REPORT_MIN_COLUMNS 60
#define REPORT_MAX_COLUMNS 240
#define REPORT_DEFAULT_COLUMNS 80

/* Leaks that are told of, and as many suspects; others are counted. */
#define REPORT_MAX_STORIES 100

/*
 * Returns the report of a sealed snapshot (taken with wants_refusals), no line
 * longer than `columns` where words allow.  UTF-8 is passed through, control
 * bytes are escaped: a URL or a tag cannot draw on the reader's terminal.
 * Free with free().
 */
char *report_text(const struct snapshot *snapshot, unsigned columns);

/* The same with what the service says of its goroutines; NULL: not asked. */
char *report_text_beside(const struct snapshot *snapshot,
    const struct goroutines *goroutines, unsigned columns);

#endif
