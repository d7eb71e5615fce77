/* SPDX-License-Identifier: MIT */

/*
 * CONNECT: what is inside is taken apart where it is TLS or plain HTTP, and
 * relayed as it is where it is neither, or where --passthrough says so.
 */

#include "proxy/client_parts.h"

#include <inttypes.h>
#include <stdlib.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"

static void
reply_established(struct client *client)
{
	static char reply[] = "HTTP/1.1 200 Connection established\r\n\r\n";

	client->has_replied = true;
	stream_write(
	    client->stream, &(struct iovec){reply, sizeof(reply) - 1}, 1);
}

static void
on_tunnel_ended(void *arg)
{
	struct client *client = client_of(arg);

	client->is_aborting = tunnel_is_reset(client->tunnel);
	client_close(client, CLOSE_TUNNEL_ENDED);
}

void
connect_relay(struct client *client, struct stream **upstream)
{
	client_set_state(client, CLIENT_RELAYING);
	client->tunnel = tunnel_new(
	    client->worker, client->stream, upstream, on_tunnel_ended, client);
	if (client->has_fin)
		tunnel_client_fin(client->tunnel);
}

static void
on_dialled(enum dial_result result, struct stream *stream, const char *detail,
    void *arg)
{
	struct client *client = client_of(arg);

	client->dial = NULL;
	if (result == DIAL_OK) {
		if (!client->has_replied)
			reply_established(client);
		connect_relay(client, &stream);
		return;
	}
	if (client->has_replied) {
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

/* What is not taken apart is relayed as it is. */
static void
dial_tunnel(struct client *client)
{
	origin_set_tls(client->target, false);
	ledger_conn_record(client->record)->transport = TRANSPORT_TUNNEL;
	client_set_state(client, CLIENT_DIALLING);
	stream_pause(client->stream);
	client->dial =
	    dial_start(client->worker, client->target, on_dialled, client);
}

void
connect_begin(struct client *client, const struct head *request)
{
	struct conn_record *record = ledger_conn_record(client->record);
	struct origin target;

	if (client->target != NULL ||
	    !origin_parse_authority(request->target, 0, &target)) {
		client_refuse_request(client, 400, "http_request_error",
		    "CONNECT needs host:port");
		return;
	}
	client->target = xcalloc(1, sizeof(*client->target));
	*client->target = target;
	record->target = head_span_copy(request->target);
	request_note_user_agent(client, request);
	request_read_tags(client, request, &record->tags);
	http_next(client->parser);
	if (options_pass_through(client->worker->house->options, target.host)) {
		dial_tunnel(client);
		return;
	}
	reply_established(client);
	client_set_state(client, CLIENT_SNIFFING);
}

static void
secure(struct client *client, const char *early, size_t early_length)
{
	struct tls *tls = tls_accept(client->worker->house->tls_server,
	    stream_fd(client->stream), client->target->host, early,
	    early_length);

	ledger_conn_record(client->record)->transport = TRANSPORT_INTERCEPTED;
	client_set_state(client, CLIENT_SECURING);
	stream_secure(client->stream, &tls);
}

/* The first byte inside CONNECT: a TLS handshake record, the first letter of
 * a method, or something that is none of our business. */
size_t
connect_sniff(struct client *client, const char *bytes, size_t length)
{
	if (bytes[0] == 0x16) {
		secure(client, bytes, length);
		return length;
	}
	if (bytes[0] >= 'A' && bytes[0] <= 'Z') {
		ledger_conn_record(client->record)->transport = TRANSPORT_CLEAR;
		client_set_state(client, CLIENT_READING);
		return request_take_bytes(client, bytes, length);
	}
	dial_tunnel(client);
	return 0;
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
	client_close(client,
	    how == STREAM_END_TLS       ? CLOSE_TLS_FAILED
		: how == STREAM_END_FIN ? CLOSE_CLIENT_FIN
					: CLOSE_CLIENT_RST);
}
