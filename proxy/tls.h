/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

/*
 * TLS on both legs; nobody else in proxy/ knows OpenSSL.  A session reads and
 * writes its socket itself, without blocking, and never owns it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/units.h"
#include "certs/leaf_cache.h"

struct tls_server; /* towards callers: one for the process */
struct tls_client; /* towards origins: one a worker */
struct tls;        /* one session */
struct tls_keylog; /* SSLKEYLOGFILE */
struct tls_roots;  /* whom to believe an origin by */
struct client_cert;

enum tls_result {
	TLS_DONE,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_CLOSED, /* close_notify came */
	TLS_EOF,    /* the socket ended without close_notify */
	TLS_RESET,  /* the socket was reset */
	TLS_FAILED, /* tls_error() tells */
};

#define TLS_ERROR_BYTES 256

/* Borrows the cache and the log of secrets (NULL: none).  Returns NULL with a
 * line in `error`.  Any thread may make sessions of it. */
struct tls_server *tls_server_new(struct leaf_cache *leaves,
    const struct tls_keylog *keylog, char error[TLS_ERROR_BYTES]);
void tls_server_free(struct tls_server *server);

/* Reads whom to believe an origin by, and CRLs, from a PEM file; NULL: the
 * system's roots.  Returns NULL with a line in `error`.  Any thread. */
struct tls_roots *tls_roots_read(
    const char *ca_file, char error[TLS_ERROR_BYTES]);
void tls_roots_free(struct tls_roots *roots);

/* Borrowed for the client's life, but for the roots. */
struct tls_client_settings {
	const struct tls_roots *roots;   /* borrowed for the call */
	const struct tls_keylog *keylog; /* NULL: none */
	const struct client_cert *client_certs;
	size_t client_cert_count;
};

/* Returns NULL with a line in `error`. */
struct tls_client *tls_client_new(
    const struct tls_client_settings *settings, char error[TLS_ERROR_BYTES]);
void tls_client_free(struct tls_client *client);

/* From now on origins are verified by these, handshakes under way too, and no
 * session of before is resumed.  Borrows them for the call.  In the thread
 * that has the client. */
void tls_client_set_roots(
    struct tls_client *client, const struct tls_roots *roots);

/* Whether no other roots have come since the session was begun; true towards a
 * caller. */
bool tls_has_current_roots(const struct tls *tls);

/*
 * A session with a caller.  The leaf is for the SNI, else for `host`.
 * `early` are bytes that were already read from the socket; copied.
 */
struct tls *tls_accept(struct tls_server *server, int fd, const char *host,
    const void *early, size_t early_length);

/* A session with the origin `host` (name or address), which is verified by
 * that name.  Resumes the last session on `route`, which must tell apart both
 * hosts and the places where they are reached. */
struct tls *tls_connect(
    struct tls_client *client, int fd, const char *host, const char *route);

void tls_free(struct tls *tls);

enum tls_result tls_handshake(struct tls *tls);
enum tls_result tls_read(
    struct tls *tls, void *bytes, size_t size, size_t *length);
enum tls_result tls_write(
    struct tls *tls, const void *bytes, size_t size, size_t *length);

/* Sends close_notify, unless the session failed or was never made. */
enum tls_result tls_shutdown(struct tls *tls);

/* Whether decrypted bytes wait inside the session, unseen by the socket. */
bool tls_has_pending(const struct tls *tls);

/* Whether another read might find something at once: decrypted bytes wait, or
 * the last read of the socket did not empty it. */
bool tls_may_have_more(const struct tls *tls);

/* Wire bytes so far. */
int64_t tls_received_bytes(const struct tls *tls);
int64_t tls_sent_bytes(const struct tls *tls);

/* Whether it took up a session of before. */
bool tls_is_resumed(const struct tls *tls);

/* "TLSv1.3"; static. */
const char *tls_version(const struct tls *tls);

/* Of the ClientHello, hex; "" before it came.  Borrowed. */
const char *tls_fingerprint(const struct tls *tls);

/* The name the caller asked for by SNI; NULL without.  Borrowed. */
const char *tls_server_name(const struct tls *tls);

/* The alert with which the caller refused our certificate ("unknown_ca"), or
 * NULL if it did not.  Static. */
const char *tls_trust_alert(const struct tls *tls);

/* Whether the failure was the origin's certificate. */
bool tls_is_certificate_error(const struct tls *tls);

/* Whether the failure was an alert from the other side. */
bool tls_is_alert(const struct tls *tls);

/* What failed, for people.  Borrowed. */
const char *tls_error(const struct tls *tls);

#endif
