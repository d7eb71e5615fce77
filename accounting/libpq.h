/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_LIBPQ_H
#define ACCOUNTING_LIBPQ_H

/*
 * PostgreSQL's client library, loaded where it is asked for: linked, it would
 * bring LDAP, Kerberos and GnuTLS, megabytes of them, into every sidecar that
 * keeps its evidence to itself.
 */

#include <stdbool.h>

#include <libpq-fe.h>

#include "accounting/units.h"

struct libpq {
#define PQ_FUNCTION(name) __typeof__(PQ##name) *name;
#include "accounting/libpq.def"
#undef PQ_FUNCTION
};

/* Complete once libpq_load() has returned true. */
extern struct libpq libpq;

/* Loads the library, once; main thread.  Returns false where there is none. */
bool libpq_load(void) MUST_CHECK;

#endif
