/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_GROUPS_H
#define ACCOUNTING_GROUPS_H

/*
 * One shard's leaks: counts by (origin, method, route, status, tags), kept as
 * verdicts are set and revised, so that they stay exact when old exchanges
 * leave memory.  The worker's thread.
 */

#include <stdbool.h>
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

/* Returns how many groups there are.  Each keeps its number, from 0 on, and
 * none ever goes. */
size_t groups_count(const struct groups *groups);

/* Copies the group of that number, as of `now`, without callers, example and
 * what lies unread.  Returns false, and copies nothing, where none of its
 * responses is undrained or suspected any more.  Free with leak_fini(). */
bool groups_copy(
    struct groups *groups, size_t number, mono_us now, struct leak *leak);

/* Returns the number of the group under which the exchange, which is undrained
 * or suspected, is counted. */
size_t groups_number(
    struct groups *groups, const struct exchange_record *exchange);

/* Returns the groups that have changed since the last call, with what their
 * counts have changed by (batch.h); *count of them.  Free each with
 * leak_fini() and the array with free(). */
struct leak *groups_take_changes(struct groups *groups, size_t *count);

#endif
