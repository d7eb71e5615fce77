/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_PPROF_H
#define ADMIN_PPROF_H

/*
 * Reads a Go service's goroutine profile now and then (--pprof), for the
 * report to set beside its own counts.  In the admin's thread.
 */

#include <stdbool.h>

#include "admin/goroutines.h"
#include "proxy/base/loop.h"

struct pprof;

/*
 * Begins to read, soon after the loop runs, and again every few seconds.
 * `url` is http://host:port, with or without a path, and without user
 * information.  Borrows the loop.  Free with pprof_free() before the loop.
 */
struct pprof *pprof_new(struct loop *loop, const char *url);
void pprof_free(struct pprof *pprof);

/* What was read last.  Borrowed: until the loop goes on. */
const struct goroutines *pprof_last(const struct pprof *pprof);

#endif
