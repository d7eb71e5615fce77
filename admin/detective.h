/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_DETECTIVE_H
#define ADMIN_DETECTIVE_H

/*
 * A leak's rhythm and suspect, as JSON and in plain words.
 */

#include "accounting/leak.h"
#include "admin/emit.h"

/* Null where nothing is known. */
void detective_emit_rhythm(struct emit *emit, const struct leak *leak);
void detective_emit_suspect(struct emit *emit, const struct leak *leak);

/* Returns the rhythm in one sentence.  Free with free(). */
char *detective_rhythm_text(const struct leak *leak);

/* Returns "72 per hour, between 37 and 126 (95 % sure)", or NULL where that is
 * not known.  Free with free(). */
char *detective_slope_text(const struct leak *leak);

/* Returns who it is, or why nobody is named; NULL where no job announces
 * itself.  Free with free(). */
char *detective_suspect_text(const struct leak *leak);

/* The same, but NULL too where a suspect is named. */
char *detective_suspect_note(const struct leak *leak);

#endif
