/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_GROUPS_H
#define ACCOUNTING_GROUPS_H

/*
 * One shard's leaks: counts by (origin, method, route, status, tags), kept as
 * verdicts are set and revised, so that they stay exact when old exchanges
 * leave memory.  The worker's thread.
 */

#include <stddef.h>

#include "accounting/leak.h"
#include "accounting/record.h"
#include "accounting/verdict.h"

/* Beyond so many, responses are counted under one group, "other". */
#define GROUPS_MAX 16384

struct groups;

struct groups *groups_new(mono_us now);
void groups_free(struct groups *groups);

/* The exchange's judgement was `before` and is in its record now.  The record
 * has its route. */
void groups_judged(struct groups *groups,
    const struct exchange_record *exchange, const struct judgement *before);

/* Since `at` one more response of the exchange's leak is held (step 1), or one
 * less (-1): this one. */
void groups_held(struct groups *groups, const struct exchange_record *exchange,
    mono_us at, int step);

/* A held response's connection ended after `held_s` seconds. */
void groups_released(struct groups *groups,
    const struct exchange_record *exchange, double held_s);

/* Returns copies, as of `now`, of the groups that have an undrained or
 * suspected response, without callers, examples and what lies unread; *count
 * of them.  Free each with leak_fini() and the array with free(). */
struct leak *groups_copy(struct groups *groups, mono_us now, size_t *count);

/* Returns where in the last copy the leak is under which the exchange is
 * counted: undrained or suspected, since before that copy. */
size_t groups_place(
    struct groups *groups, const struct exchange_record *exchange);

/* Returns the groups that have changed since the last call, with what their
 * counts have changed by (batch.h); *count of them.  Free as above. */
struct leak *groups_take_changes(struct groups *groups, size_t *count);

#endif
