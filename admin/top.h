/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_TOP_H
#define ADMIN_TOP_H

/*
 * The report that is drawn again and again: what `leakproxy top` shows, from
 * the API's JSON.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/units.h"
#include "proxy/base/frame.h"

#define TOP_MIN_COLUMNS 40

struct top;

/* Returns one that has read nothing.  Free with top_free(). */
struct top *top_new(void);
void top_free(struct top *top);

/* Reads the answers of /api/leaks and /api/timeline.  Returns false, and keeps
 * what it had, where they are not a leakproxy's.  For viewer_painter, as the
 * next two. */
bool top_read(void *top, const char *const answers[]) MUST_CHECK;

/* Returns how many leaks and suspects there are to scroll through. */
size_t top_count(void *top);

/*
 * Returns the picture: lines that end with a newline, none wider than the
 * frame, as many as fit.  Strings of strangers are made visible.  Free with
 * free().
 */
char *top_draw(void *top, const struct frame *frame);

#endif
