/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_ANNOUNCE_H
#define ADMIN_ANNOUNCE_H

/*
 * Jobs that announce themselves over the admin port.
 */

#include "accounting/marks.h"

/*
 * Takes a mark, {"name":"imagecheck","phase":"start"}, out of the body of a
 * POST, stamps it and adds it to `marks`.  Returns the status: 200, and in
 * *text the mark as JSON, to be freed with free(); otherwise *refusal says what
 * to do.  The admin's thread.
 */
int announce_take(struct marks *marks, const char *content_type,
    const char *body, char **text, const char **refusal);

/* Returns {"marks":[...]}, newest last.  Free with free(). */
char *announce_list(struct marks *marks);

#endif
