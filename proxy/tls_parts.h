/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TLS_PARTS_H
#define PROXY_TLS_PARTS_H

/*
 * What the files about TLS share, and nobody else sees: tls.c (sessions),
 * tls_server.c (towards callers), tls_client.c (towards origins) and
 * tls_roots.c.
 */

#include <openssl/ssl.h>

#include "proxy/tls.h"
#include "proxy/tls_bio.h"

#define TLS_FINGERPRINT_BYTES 33

struct tls_roots {
	X509_STORE *store; /* owned, and counted: clients hold it too */
};

struct tls {
	SSL *ssl; /* owned */
	struct tls_bio bio;
	struct tls_client *client;       /* borrowed; NULL towards a caller */
	uint64_t roots_age;              /* the client's, when it began */
	const struct tls_keylog *keylog; /* borrowed; NULL: none */
	char *host;          /* owned: CONNECT's host, or the origin's */
	char *route;         /* owned; NULL towards a caller */
	bool has_new_ticket; /* since the last read */
	bool has_failed;     /* OpenSSL wants no more of the session */
	bool is_alert;       /* what failed it came from the other side */
	const char *trust_alert;
	char *server_name; /* owned: the caller's; NULL without */
	char fingerprint[TLS_FINGERPRINT_BYTES];
	char *error; /* owned; NULL: nothing failed */
};

/* Returns what both kinds of context have in common, or NULL for want of
 * memory.  Borrows the log of secrets (NULL: none). */
SSL_CTX *tls_context_new(
    const SSL_METHOD *method, const struct tls_keylog *keylog);

/* Returns a session on `fd`, which is borrowed. */
struct tls *tls_session_new(SSL_CTX *context, int fd, const char *host);

/* Writes "what: why" by OpenSSL's last error, and clears it. */
void tls_explain(char error[TLS_ERROR_BYTES], const char *what);

#endif
