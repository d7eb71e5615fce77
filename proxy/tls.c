/* SPDX-License-Identifier: MIT */

/*
 * TLS sessions, of either leg: bytes in and out through a BIO of our own
 * (tls_bio), and how they end.
 */

#include "proxy/tls_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "accounting/memory.h"
#include "proxy/tls_keylog.h"

/* One read gets several whole records, of 16 KiB each with what they add. */
#define READ_AHEAD_BYTES (34 * 1024)
#define RECORD_EXTRA_BYTES 1024

/* A read of so much is a piece of a body that goes on. */
#define BULK_BYTES (8 * 1024)

void
tls_explain(char error[TLS_ERROR_BYTES], const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	snprintf(error, TLS_ERROR_BYTES, "%s: %s", what,
	    reason == NULL ? "unknown TLS error" : reason);
	ERR_clear_error();
}

static void
on_secret(const SSL *ssl, const char *line)
{
	const struct tls *tls = SSL_get_app_data(ssl);

	tls_keylog_write(tls->keylog, line);
}

SSL_CTX *
tls_context_new(const SSL_METHOD *method, const struct tls_keylog *keylog)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (context == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* An end without close_notify is ours to see: OpenSSL would answer it
	 * with an alert, whose bytes then seem to wait for the caller. */
	SSL_CTX_set_options(context,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
	if (keylog != NULL)
		SSL_CTX_set_keylog_callback(context, on_secret);
	return context;
}

struct tls *
tls_session_new(SSL_CTX *context, int fd, const char *host)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));
	BIO *bio = tls_bio_new(&tls->bio, fd);

	tls->ssl = SSL_new(context);
	if (tls->ssl == NULL)
		abort(); /* only for want of memory */
	tls->host = xstrdup(host);
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_app_data(tls->ssl, tls);
	tls->bio.read_max_bytes = READ_AHEAD_BYTES;
	return tls;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	/* A session that was not shut down by the book could not be resumed,
	 * as TLS 1.0 had it; RFC 8446 has dropped that. */
	if (!tls->has_failed)
		SSL_set_shutdown(
		    tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(tls->ssl);
	tls_bio_fini(&tls->bio);
	free(tls->host);
	free(tls->server_name);
	free(tls->error);
	free(tls->route);
	free(tls);
}

/*
 * The alert by which callers say that they do not trust our certificate.
 * OpenSSL, Go, Node and Java differ in which of them they send.
 */
static const char *
trust_alert_of(unsigned long code)
{
	switch (ERR_GET_REASON(code)) {
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "unknown_ca";
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
		return "bad_certificate";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
		return "certificate_unknown";
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		return "unsupported_certificate";
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
		return "access_denied";
	default:
		return NULL;
	}
}

static bool
is_alert(unsigned long code)
{
	return ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
}

static void
note_failure(struct tls *tls)
{
	unsigned long code = ERR_peek_error();
	char error[TLS_ERROR_BYTES];
	long verified = SSL_get_verify_result(tls->ssl);

	tls->has_failed = true;
	tls->is_alert = is_alert(code);
	if (tls->client == NULL)
		tls->trust_alert = trust_alert_of(code);
	if (tls->client != NULL && verified != X509_V_OK)
		snprintf(error, sizeof(error), "%s",
		    X509_verify_cert_error_string(verified));
	else
		tls_explain(error, "TLS");
	free(tls->error);
	tls->error = xstrdup(error);
	ERR_clear_error();
}

/* SSL_get_error() goes by the thread's errors, so there must be none before.
 * There hardly ever are, and to clear them costs some 800 instructions. */
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

static enum tls_result
result_of(struct tls *tls, int returned)
{
	switch (SSL_get_error(tls->ssl, returned)) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return tls->bio.saw_eof ? TLS_EOF : TLS_CLOSED;
	default:
		break;
	}
	/* An alert is the reason, even where the socket has ended behind it. */
	if (is_alert(ERR_peek_error()) ||
	    (ERR_peek_error() != 0 && !tls->bio.saw_eof &&
		!tls->bio.was_reset)) {
		note_failure(tls);
		return TLS_FAILED;
	}
	ERR_clear_error();
	return tls->bio.was_reset ? TLS_RESET : TLS_EOF;
}

enum tls_result
tls_handshake(struct tls *tls)
{
	forget_errors();
	return result_of(tls, SSL_do_handshake(tls->ssl));
}

enum tls_result
tls_read(struct tls *tls, void *bytes, size_t size, size_t *length)
{
	int returned;

	forget_errors();
	/* What is read ahead of its use would only wait here. */
	tls->bio.read_max_bytes = size + RECORD_EXTRA_BYTES;
	returned = SSL_read_ex(tls->ssl, bytes, size, length);
	/* A session ticket that came along has made a buffer to write from, and
	 * one that held full records is not always released. */
	if (tls->has_new_ticket || (returned > 0 && *length >= BULK_BYTES))
		(void)SSL_free_buffers(tls->ssl);
	tls->has_new_ticket = false;
	return result_of(tls, returned);
}

enum tls_result
tls_write(struct tls *tls, const void *bytes, size_t size, size_t *length)
{
	forget_errors();
	tls->bio.has_more = size > SSL3_RT_MAX_PLAIN_LENGTH;
	return result_of(tls, SSL_write_ex(tls->ssl, bytes, size, length));
}

enum tls_result
tls_shutdown(struct tls *tls)
{
	int returned;

	if (tls->has_failed || SSL_in_init(tls->ssl))
		return TLS_DONE; /* an alert has gone instead, or nothing */
	forget_errors();
	returned = SSL_shutdown(tls->ssl);
	/* Many may be closed in one turn, and freed only after it. */
	(void)SSL_free_buffers(tls->ssl);
	return returned >= 0 ? TLS_DONE : result_of(tls, returned);
}

bool
tls_has_pending(const struct tls *tls)
{
	return SSL_has_pending(tls->ssl) == 1;
}

bool
tls_may_have_more(const struct tls *tls)
{
	return !tls->bio.is_dry || tls_has_pending(tls);
}

int64_t
tls_received_bytes(const struct tls *tls)
{
	return tls->bio.received_bytes;
}

int64_t
tls_sent_bytes(const struct tls *tls)
{
	return tls->bio.sent_bytes;
}

bool
tls_is_resumed(const struct tls *tls)
{
	return SSL_session_reused(tls->ssl) == 1;
}

const char *
tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *
tls_fingerprint(const struct tls *tls)
{
	return tls->fingerprint;
}

const char *
tls_server_name(const struct tls *tls)
{
	return tls->server_name;
}

const char *
tls_trust_alert(const struct tls *tls)
{
	return tls->trust_alert;
}

bool
tls_is_certificate_error(const struct tls *tls)
{
	return tls->client != NULL &&
	    SSL_get_verify_result(tls->ssl) != X509_V_OK;
}

bool
tls_is_alert(const struct tls *tls)
{
	return tls->is_alert;
}

const char *
tls_error(const struct tls *tls)
{
	return tls->error == NULL ? "" : tls->error;
}
