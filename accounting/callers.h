/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_CALLERS_H
#define ACCOUNTING_CALLERS_H

/*
 * What is known of each caller's manners: whether it watches its idle
 * connections, learned from its answers to close probes (DESIGN §2).  One
 * table for the whole process, behind a lock, because the caller of two
 * workers is one caller; it is touched when a probe is sent, answered or
 * overdue, never for an ordinary exchange.  Any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/units.h"

#define CALLERS_MAX 4096

/* Prompt answers that make a caller a watcher. */
#define CALLERS_PROMPT_ANSWERS 2

/* An answer within this and a round trip is prompt. */
#define CALLERS_PROMPT_US (100 * US_PER_MS)

struct callers;

struct callers *callers_new(void);
void callers_free(struct callers *callers);

/* A probe of this caller was answered.  `key` names the caller. */
void callers_probe_answered(
    struct callers *callers, const char *key, bool is_prompt);

/* Returns whether the caller answered CALLERS_PROMPT_ANSWERS probes promptly
 * and none late.  Unknown callers do not watch. */
bool callers_watch(struct callers *callers, const char *key);

#endif
