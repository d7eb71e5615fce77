/* SPDX-License-Identifier: MIT */
#ifndef CERTS_TRUSTSTORE_H
#define CERTS_TRUSTSTORE_H

/*
 * The trust bundle in the form that Java reads.
 */

#include <stdbool.h>

#include "certs/authority.h"

/* Everybody's password for a file without secrets. */
#define TRUSTSTORE_PASSWORD "changeit"

/*
 * Writes the certificates of the PEM file `bundle` to `path` as a PKCS #12
 * trust store, atomically (0644).  Returns false with one line in `error`.
 */
bool truststore_write(const char *bundle, const char *path,
    char error[AUTHORITY_ERROR_BYTES]) __attribute__((warn_unused_result));

/* Returns the options by which a JVM takes the trust store at `path`, as they
 * stand in JAVA_TOOL_OPTIONS.  Free with free(). */
char *truststore_java_options(const char *path);

#endif
