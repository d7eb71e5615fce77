/* SPDX-License-Identifier: MIT */
#ifndef PROXY_TLS_KEYLOG_H
#define PROXY_TLS_KEYLOG_H

/*
 * SSLKEYLOGFILE: the secrets of both legs, in the format that NSS began and
 * Wireshark reads.  Written to from any thread.
 */

struct tls_keylog;

#define TLS_KEYLOG_ERROR_BYTES 256

/* Opens `path` for appending, 0600 where it is new.  Returns NULL with a line
 * in `error`.  Free with tls_keylog_free(). */
struct tls_keylog *tls_keylog_open(
    const char *path, char error[TLS_KEYLOG_ERROR_BYTES]);
void tls_keylog_free(struct tls_keylog *keylog);

/* Appends one line; a line is whole or, on a full disk, missing. */
void tls_keylog_write(const struct tls_keylog *keylog, const char *line);

#endif
