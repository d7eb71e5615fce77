/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SUSPICION_H
#define ACCOUNTING_SUSPICION_H

/*
 * Which groups are under suspicion, so that their next responses say
 * Connection: close and are judged by that (DESIGN §2, escalation).  One set
 * for the process, behind a lock; while it is empty, asking costs one atomic
 * load.  Any thread.
 */

#include <stdbool.h>

#include "accounting/units.h"

#define SUSPICION_MAX_GROUPS 1024

/* A group that answers this many closes in a row properly is cleared ... */
#define SUSPICION_CLEARED_BY 5

/* ... and not suspected again for as long. */
#define SUSPICION_REST_US (600 * US_PER_S)

struct suspicion;

struct suspicion *suspicion_new(void);
void suspicion_free(struct suspicion *suspicion);

/* A response of the group was suspected. */
void suspicion_raised(
    struct suspicion *suspicion, const char *group, mono_us now);

/* A response of the group that said Connection: close was drained. */
void suspicion_answered(
    struct suspicion *suspicion, const char *group, mono_us now);

/* A response of the group that said Connection: close was held: the count of
 * proper answers starts again. */
void suspicion_confirmed(struct suspicion *suspicion, const char *group);

/* Returns false at once while no group at all is under suspicion. */
bool suspicion_is_anyone(struct suspicion *suspicion);

/* Returns whether the group's next response should say Connection: close. */
bool suspicion_holds(struct suspicion *suspicion, const char *group);

#endif
