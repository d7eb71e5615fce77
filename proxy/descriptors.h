/* SPDX-License-Identifier: MIT */
#ifndef PROXY_DESCRIPTORS_H
#define PROXY_DESCRIPTORS_H

/*
 * How many files we may have open, and how many callers that is.  The main
 * thread, before the workers start.
 */

#include <sys/resource.h>

/* Raises the limit as far as it may go.  Returns what it was, for a child that
 * expects it so. */
struct rlimit descriptors_raise(void);

/* Sets the soft limit: around the start of a child. */
void descriptors_limit(rlim_t soft);

/* Returns how many callers there can be at once, each with an upstream of its
 * own, beside what `workers` threads need for themselves. */
unsigned descriptors_connections(unsigned workers);

#endif
