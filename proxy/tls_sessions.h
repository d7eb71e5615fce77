/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TLS_SESSIONS_H
#define PROXY_TLS_SESSIONS_H

/*
 * The last session with each origin, by route, to be resumed.  The worker's
 * thread.
 */

#include <openssl/ssl.h>

#define TLS_SESSIONS_MAX 1024

struct tls_sessions;

struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *sessions);

/* Forgets all. */
void tls_sessions_clear(struct tls_sessions *sessions);

/* Keeps a copy of what resumes the session, instead of the one before on this
 * route; of too many, the one that was kept for longest goes. */
void tls_sessions_keep(struct tls_sessions *sessions, const char *route,
    const SSL_SESSION *session);

/* Returns the session of the route, or NULL.  It has no certificate.  Free
 * with SSL_SESSION_free(). */
SSL_SESSION *tls_sessions_find(
    const struct tls_sessions *sessions, const char *route);

#endif
