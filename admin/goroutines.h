/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_GOROUTINES_H
#define ADMIN_GOROUTINES_H

/*
 * The other end's own account: a Go service's goroutine profile, as
 * net/http/pprof serves it, set beside what the proxy sees.  Each connection
 * of net/http's Transport has one persistConn.readLoop.  Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/snapshot.h"
#include "accounting/units.h"

struct goroutines {
	bool is_known;       /* false: not read yet, or it could not be */
	const char *failure; /* static; why it could not be; NULL: it could */
	uint64_t total;
	uint64_t read_loops;  /* in persistConn.readLoop */
	uint64_t write_loops; /* in persistConn.writeLoop */
};

/* Reads the text of /debug/pprof/goroutine?debug=1.  Returns false where it is
 * no goroutine profile. */
bool goroutines_parse(
    const char *text, size_t length, struct goroutines *goroutines) MUST_CHECK;

/*
 * Returns a sentence that sets the counts side by side: what of the read loops
 * is held here, what else is ours, and what does not come through the proxy.
 * Free with free().
 */
char *goroutines_sentence(
    const struct goroutines *goroutines, const struct snapshot *snapshot);

#endif
