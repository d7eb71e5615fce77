/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_MARKS_H
#define ACCOUNTING_MARKS_H

/*
 * Marks: jobs announce when they start and stop, so that a leak's rhythm can
 * be held against theirs.  The newest MARKS_MAX are kept.  Shared by the
 * workers and the admin, with a lock inside; a request without a mark never
 * comes here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/units.h"

#define MARKS_MAX 4096 /* some 400 KiB */
#define MARK_NAME_BYTES 65

enum mark_phase {
	MARK_START,
	MARK_STOP,
};

struct mark {
	char name[MARK_NAME_BYTES];
	enum mark_phase phase;
	wall_us at;
	mono_us mono_at;
};

/* Fills in name and phase ("start", "stop").  Returns what is wrong with
 * them, and what to write instead; NULL where nothing is. */
const char *mark_name(
    struct mark *mark, const char *name, const char *phase) MUST_CHECK;

/* The same from a field's value, "imagecheck;start"; not NUL-terminated. */
const char *mark_parse(
    struct mark *mark, const char *text, size_t length) MUST_CHECK;

/* "start" or "stop" */
const char *mark_phase_word(enum mark_phase phase);

struct marks;

struct marks *marks_new(void);
void marks_free(struct marks *marks);

/* Any thread. */
void marks_add(struct marks *marks, const struct mark *mark);

/* Returns a copy of all that are kept, oldest first, *count of them.  Free with
 * free().  Any thread. */
struct mark *marks_copy(struct marks *marks, size_t *count);

/* The same of those that were added since *seen in all, which is 0 at first,
 * and brought up to date: each is returned once, unless so many came that the
 * oldest are kept no more. */
struct mark *marks_since(struct marks *marks, uint64_t *seen, size_t *count);

#endif
