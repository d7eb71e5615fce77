/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TRUST_H
#define PROXY_TRUST_H

/*
 * What callers are to trust: our authority in the state directory, the leaves
 * of it, and the files that are made of it for them.  The main thread, unless
 * said otherwise.
 */

#include "accounting/units.h"
#include "proxy/options.h"
#include "proxy/tls.h"

#define TRUST_ERROR_BYTES 600

struct trust;

/* Borrows the options for its life.  Returns NULL with one line in `error`
 * that names the option and the remedy. */
struct trust *trust_open(
    const struct options *options, char error[TRUST_ERROR_BYTES]);
void trust_free(struct trust *trust);

/*
 * Reads the authority anew and writes the files anew.  Where it is another
 * one, leaves are of it from the next handshake on.  Returns false, with one
 * line in `error`, where that cannot be; then all is as it was.
 */
bool trust_reload(
    struct trust *trust, char error[TRUST_ERROR_BYTES]) MUST_CHECK;

/* Borrowed; any thread may make sessions of it. */
struct tls_server *trust_server(const struct trust *trust);
const struct tls_keylog *trust_keylog(const struct trust *trust);

/* Returns the CA's certificate in PEM; free with free().  Any thread. */
char *trust_ca_pem(struct trust *trust);

/* Borrowed, until trust_reload(). */
const char *trust_ca_path(const struct trust *trust);
const char *trust_bundle_path(const struct trust *trust);
const char *trust_truststore_path(const struct trust *trust);

#endif
