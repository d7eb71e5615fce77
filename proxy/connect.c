/* SPDX-License-Identifier: MIT */

/*
 * CONNECT, and a redirected connection, which goes on as if a CONNECT had been
 * answered: what is inside is taken apart where it is TLS or plain HTTP, and
 * relayed as it is where it is neither, or where --passthrough says so.
 *
 * The first bytes tell (sniff.c).  Where the caller sends none, the origin may
 * be the one to speak first (SMTP, MySQL): after a short wait it is connected
 * to and listened to, while the caller, who may only be slow, is still waited
 * for.
 */

#include "proxy/client_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"

/* A caller that speaks first has done so by then. */
#define SNIFF_ALONE_US US_PER_S

/* The same on this machine, or near it: nobody waits for a database's greeting
 * any longer.  For a slower caller one connection to the origin is in vain. */
#define REDIRECTED_ALONE_MS 100

/* The port where the caller always speaks first. */
#define HTTPS_PORT 443

/* ---- what it needs until it is HTTP ---- */

static void
begin_opaque(struct client *client)
{
	assert(client->opaque == NULL);
	client->opaque = xcalloc(1, sizeof(*client->opaque));
}

void
connect_close(struct client *client)
{
	struct opaque *opaque = client->opaque;

	if (opaque == NULL)
		return;
	if (opaque->tunnel != NULL) {
		client->is_aborting |= !tunnel_is_done(opaque->tunnel);
		tunnel_free(&opaque->tunnel);
	}
	if (opaque->dial != NULL)
		dial_cancel(&opaque->dial);
	if (opaque->listened != NULL)
		stream_close(&opaque->listened);
	if (opaque->patience != NULL)
		event_free(opaque->patience);
	opaque->patience = NULL;
}

void
connect_free(struct client *client)
{
	if (client->opaque == NULL)
		return;
	text_fini(&client->opaque->hello);
	free(client->opaque);
	client->opaque = NULL;
}

/* The caller spoke first after all, and HTTP. */
static void
end_opaque(struct client *client)
{
	connect_close(client);
	connect_free(client);
}

static void
reply_established(struct client *client)
{
	static char reply[] = "HTTP/1.1 200 Connection established\r\n\r\n";

	client->has_replied = true;
	stream_write(
	    client->stream, &(struct iovec){reply, sizeof(reply) - 1}, 1);
}

static void
on_tunnel_ended(void *arg, bool was_reset)
{
	struct client *client = client_of(arg);

	/* What was cut short is not to look whole. */
	client->is_aborting = was_reset;
	client_close(
	    client, was_reset ? CLOSE_UPSTREAM_FAILED : CLOSE_TUNNEL_ENDED);
}

void
connect_relay(struct client *client, struct stream **upstream)
{
	struct opaque *opaque;

	if (client->opaque == NULL)
		begin_opaque(client);
	opaque = client->opaque;
	client_set_state(client, CLIENT_RELAYING);
	opaque->tunnel = tunnel_new(
	    client->worker, client->stream, upstream, on_tunnel_ended, client);
	if (opaque->hello.length > 0)
		(void)tunnel_client_bytes(
		    opaque->tunnel, opaque->hello.bytes, opaque->hello.length);
	text_fini(&opaque->hello);
	if (client->has_fin)
		tunnel_client_fin(opaque->tunnel);
}

/* ---- the origin may speak first ---- */

static void
relay_listened(struct client *client)
{
	ledger_conn_record(client->record)->transport = TRANSPORT_TUNNEL;
	connect_relay(client, &client->opaque->listened);
}

static size_t
on_listened_bytes(void *arg, const char *bytes, size_t length)
{
	relay_listened(client_of(arg));
	return 0; /* kept for the tunnel */
}

static void
on_listened_ended(void *arg, enum stream_end how)
{
	client_close(client_of(arg), CLOSE_TUNNEL_ENDED);
}

static void
on_nothing(void *arg)
{
}

static const struct stream_callbacks listened_callbacks = {
    .on_bytes = on_listened_bytes,
    .on_drained = on_nothing,
    .on_ended = on_listened_ended,
    .on_secured = on_nothing,
    .on_finished = on_nothing,
};

static void
listen_to(struct client *client, struct stream *stream)
{
	client->opaque->listened = stream;
	stream_set_owner(stream, &listened_callbacks, client);
	stream_resume(stream);
}

/* ---- reaching it ---- */

static void
on_dialled(enum dial_result result, struct stream *stream, const char *detail,
    void *arg)
{
	struct client *client = client_of(arg);

	client->opaque->dial = NULL;
	if (result == DIAL_OK && client->state == CLIENT_SNIFFING) {
		listen_to(client, stream);
		return;
	}
	if (result == DIAL_OK) {
		if (!client->has_replied)
			reply_established(client);
		connect_relay(client, &stream);
		return;
	}
	if (client->has_replied) {
		client->is_aborting |= client->destination != NULL;
		client_close(client, CLOSE_UPSTREAM_FAILED);
		return;
	}
	client_refuse(client,
	    &(struct refusal){.status = dial_status(result),
		.token = dial_token(result),
		.text = dial_text(result),
		.detail = detail},
	    CLOSE_UPSTREAM_FAILED);
}

static void
dial(struct client *client)
{
	assert(client->opaque->dial == NULL);
	client->opaque->dial = dial_start(client->worker, client->target,
	    DIAL_FOR_TUNNEL, on_dialled, client);
}

/* What is not taken apart is relayed as it is. */
static void
dial_tunnel(struct client *client)
{
	ledger_conn_record(client->record)->transport = TRANSPORT_TUNNEL;
	client_set_state(client, CLIENT_DIALLING);
	if (client->opaque->dial == NULL)
		dial(client);
}

void
connect_pass_on(struct client *client)
{
	if (client->is_too_many) {
		client->is_aborting = true;
		client_close(client, CLOSE_LIMIT);
	} else if (client->opaque->listened != NULL) {
		relay_listened(client);
	} else {
		dial_tunnel(client);
	}
}

/*
 * Host is an authority.  It need not be the target's: it goes no further, and
 * Node's http.request() puts the proxy's own there.
 */
static bool
is_host_an_authority(const struct head *request, uint16_t port)
{
	const struct field *host = head_find(request, FIELD_HOST);
	struct origin_draft named;

	return host == NULL ||
	    origin_parse_authority(host->value, port, &named);
}

/* Reads the target.  Returns what is wrong with the request, or NULL.  That it
 * has no body was checked by the parser (RFC 9110 §9.3.6). */
static const char *
read_target(const struct client *client, const struct head *request,
    struct origin_draft *target)
{
	if (client->target != NULL)
		return "a CONNECT inside a CONNECT";
	if (!origin_parse_authority(request->target, 0, target))
		return "CONNECT needs host:port";
	if (!request_has_valid_host(request))
		return "exactly one Host field is needed";
	if (!is_host_an_authority(request, target->origin.port))
		return "Host is neither a host nor host:port";
	return NULL;
}

void
connect_sniff_on(struct client *client, mono_us now)
{
	mono_us waited = now - client->state_since;

	if (waited >= client->worker->house->options->header_timeout_us) {
		if (client->opaque->listened != NULL)
			relay_listened(client); /* two silent sides */
		else
			client_close(client, CLOSE_TIMEOUT);
	} else if (waited >= SNIFF_ALONE_US && client->opaque->dial == NULL &&
	    client->opaque->listened == NULL &&
	    client->target->port != HTTPS_PORT) {
		dial(client);
	}
}

/* ---- CONNECT, and what comes without ---- */

void
connect_begin(struct client *client, const struct head *request)
{
	struct conn_record *record = ledger_conn_record(client->record);
	struct origin_draft target;
	const char *mistake = read_target(client, request, &target);

	if (mistake != NULL) {
		client_refuse_request(
		    client, 400, "http_request_error", mistake);
		return;
	}
	client->target = origin_new(&target.origin);
	begin_opaque(client);
	record->target = head_span_copy(request->target);
	ledger_user_agent_seen(
	    client->record, head_value(request, FIELD_USER_AGENT));
	request_read_tags(client, request, &record->tags);
	client_rest(client);
	if (policy_passes_through(client->worker->policy, target.host)) {
		dial_tunnel(client);
		return;
	}
	reply_established(client);
	client_set_state(client, CLIENT_SNIFFING);
}

static void
on_silent(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = client_of(arg);

	if (client->state != CLIENT_SNIFFING || client->opaque->dial != NULL ||
	    client->opaque->listened != NULL ||
	    client->opaque->hello.length > 0)
		return;
	if (client->is_too_many)
		connect_pass_on(client);
	else
		dial(client);
}

static void
start_patience(struct client *client)
{
	static const struct timeval after = {
	    .tv_usec = REDIRECTED_ALONE_MS * 1000};

	client->opaque->patience =
	    evtimer_new(loop_base(client->worker->loop), on_silent, client);
	if (client->opaque->patience == NULL)
		abort();
	event_add(client->opaque->patience, &after);
}

void
connect_redirected(struct client *client)
{
	const char *text = ledger_conn_record(client->record)->target;
	struct origin_draft target;

	client->has_replied = true; /* there is nothing to be answered */
	if (!origin_parse_authority(
		(struct span){text, strlen(text)}, 0, &target)) {
		client_close(client, CLOSE_BAD_REQUEST); /* port 0 */
		return;
	}
	client->target = origin_new(&target.origin);
	begin_opaque(client);
	if (policy_passes_through(
		client->worker->policy, client->target->host)) {
		connect_pass_on(client);
		return;
	}
	client_set_state(client, CLIENT_SNIFFING);
	if (client->target->port != HTTPS_PORT)
		start_patience(client);
}

void
connect_secure(struct client *client, const char *early, size_t early_length)
{
	struct tls *tls = tls_accept(client->worker->house->tls_server,
	    stream_fd(client->stream), client->target->host, early,
	    early_length);

	end_opaque(client);
	ledger_conn_record(client->record)->transport = TRANSPORT_INTERCEPTED;
	client_set_state(client, CLIENT_SECURING);
	stream_secure(client->stream, &tls);
}

void
connect_clear(struct client *client)
{
	end_opaque(client);
	ledger_conn_record(client->record)->transport = TRANSPORT_CLEAR;
	client_set_state(client, CLIENT_READING);
}

void
connect_secured(struct client *client)
{
	struct conn_record *record = ledger_conn_record(client->record);
	const struct tls *tls = stream_tls(client->stream);

	ledger_counters(client->worker->ledger)->client_handshakes_ok++;
	record->tls_version = xstrdup(tls_version(tls));
	record->tls_fingerprint = xstrdup(tls_fingerprint(tls));
	client_set_state(client, CLIENT_READING);
	/* Whom the caller asked for inside a tunnel, it shall get: CONNECT says
	 * where, the SNI says who. */
	if (tls_server_name(tls) != NULL &&
	    !origin_rename(&client->target, tls_server_name(tls)))
		client_refuse_request(client, 400, "http_request_error",
		    "the name in the TLS handshake (SNI) is no host name");
}

void
connect_handshake_ended(struct client *client, enum stream_end how)
{
	struct conn_record *record = ledger_conn_record(client->record);
	struct counters *counters = ledger_counters(client->worker->ledger);
	const struct tls *tls = stream_tls(client->stream);
	const char *alert = tls_trust_alert(tls);

	if (how == STREAM_END_TLS && alert != NULL) {
		counters->client_handshakes_refused++;
		record->trust_refused = xstrdup(alert);
		log_info("c%" PRIu64 ": the caller does not trust the CA (%s)",
		    client_id(client), alert);
		client_close(client, CLOSE_TLS_REFUSED);
		return;
	}
	counters->client_handshakes_failed++;
	if (how == STREAM_END_TLS)
		log_info("c%" PRIu64 ": the handshake with the caller failed "
			 "(%s): --passthrough tunnels what is no HTTP/1",
		    client_id(client), tls_error(tls));
	client_close(client,
	    how == STREAM_END_TLS       ? CLOSE_TLS_FAILED
		: how == STREAM_END_FIN ? CLOSE_CLIENT_FIN
					: CLOSE_CLIENT_RST);
}
