/* SPDX-License-Identifier: MIT */
#ifndef CERTS_BUNDLE_H
#define CERTS_BUNDLE_H

/*
 * The trust bundle: the system's roots and our certificate in one PEM file,
 * for clients that take one file instead of adding to their own.
 */

#include <stdbool.h>

#include "certs/authority.h"

/* Returns the path of the system's roots ($SSL_CERT_FILE where set and
 * readable, else the usual places of Debian, RHEL, Alpine), or NULL.  Static
 * storage or the environment's. */
const char *bundle_system_roots(void);

/*
 * Writes `path` anew, atomically (0644).  `extra_roots` (--upstream-ca) is a
 * PEM file to include too, or NULL.  Without system roots the bundle holds
 * the rest.  Returns false with one line in `error` when a file cannot be
 * read or written.
 */
bool bundle_write(const struct authority *authority, const char *extra_roots,
    const char *path, char error[AUTHORITY_ERROR_BYTES]);

#endif
