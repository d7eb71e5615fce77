/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_HEADLINE_H
#define ADMIN_HEADLINE_H

/*
 * The report in one line, for a terminal.  Pure.
 */

#include "accounting/snapshot.h"

/* Returns it in at most `columns`; free with free(). */
char *headline_text(const struct snapshot *snapshot, unsigned columns);

#endif
