/* SPDX-License-Identifier: MIT */

/*
 * What can be seen of the caller's end of a connection: what its kernel has
 * acknowledged, what lies unread in a local caller's socket, whether anybody
 * holds that, and what its FIN or RST means.
 */

#include "proxy/client_parts.h"

#include "accounting/evidence.h"

/* More than a close_notify after our FIN is a request. */
#define CLOSE_NOTIFY_BYTES 64

/* `bytes` in the kernel, with what the stream queues and without our end. */
static int64_t
with_stream(const struct stream *stream, int64_t bytes)
{
	bytes +=
	    (int64_t)stream_queued_bytes(stream) - stream_fin_bytes(stream);
	return bytes > 0 ? bytes : 0;
}

bool
client_sample(struct client *client, struct delivery *delivery)
{
	const struct stream *stream = client->stream;
	int64_t fin_bytes = stream_fin_bytes(stream);

	if (!evidence_sample(stream_fd(stream), delivery))
		return false;
	delivery->received_bytes = stream_received_bytes(stream);
	delivery->is_our_end_out = fin_bytes > 0;
	/* The caller takes nothing by acknowledging our end. */
	if (delivery->waiting_bytes < fin_bytes)
		delivery->acked_bytes -= fin_bytes - delivery->waiting_bytes;
	delivery->waiting_bytes = with_stream(stream, delivery->waiting_bytes);
	delivery->unsent_bytes = with_stream(stream, delivery->unsent_bytes);
	return true;
}

bool
client_owes_bytes(struct client *client)
{
	struct delivery delivery;

	return client_sample(client, &delivery) && delivery.waiting_bytes > 0;
}

bool
client_is_local(const struct client *client)
{
	return ledger_conn_record(client->record)->is_local;
}

bool
client_ask_peer(struct client *client, struct peer_socket *peer)
{
	struct evidence_source *source = client->worker->evidence;
	int fd = stream_fd(client->stream);

	if (client->destination == NULL)
		return evidence_peer(source, fd, peer);
	return evidence_redirected_peer(
	    source, fd, &client->destination->sockaddr, peer);
}

/*
 * Bytes that lie unread in a local caller's socket.  Only before our FIN: once
 * both ways are closed the kernel shows them no more.
 */
static bool
is_unread(struct client *client)
{
	struct peer_socket peer;

	return client_is_local(client) &&
	    stream_fin_bytes(client->stream) == 0 &&
	    client_ask_peer(client, &peer) && peer.inode != 0 &&
	    peer.unread_bytes > 0;
}

bool
client_owes_reading(struct client *client)
{
	struct conn_standing standing;

	if (client_owes_bytes(client))
		return true;
	ledger_conn_standing(client->record, &standing);
	return standing.is_unproven && is_unread(client);
}

/*
 * Of a caller whose FIN we have, and ours is not out, the kernel keeps the
 * socket, whoever has closed it.  Only a reset takes it away, and does so a
 * moment before its RST is with us.
 */
bool
client_is_being_reset(struct client *client)
{
	struct peer_socket peer;

	return client_is_local(client) &&
	    stream_fin_bytes(client->stream) == 0 &&
	    !client_ask_peer(client, &peer);
}

bool
client_is_orphan(struct client *client)
{
	struct peer_socket peer;

	return client_is_local(client) &&
	    (!client_ask_peer(client, &peer) || peer.inode == 0);
}

enum close_reason
client_reason_of_fin(const struct client *client)
{
	if (client->reason == CLOSE_NOT_YET ||
	    client->reason == CLOSE_RESPONSE_SAID ||
	    client->reason == CLOSE_SHUTDOWN)
		return CLOSE_CLIENT_FIN;
	return client->reason;
}

bool
client_has_crossed(const struct client *client)
{
	return client->reason == CLOSE_NOT_YET &&
	    stream_bytes_after_fin(client->stream) > CLOSE_NOTIFY_BYTES;
}

enum close_reason
client_reason_of_answer(const struct client *client)
{
	if (client_has_crossed(client))
		return CLOSE_REQUEST_CROSSED;
	return client->reason == CLOSE_NOT_YET ? CLOSE_PROBE_ANSWERED
					       : client_reason_of_fin(client);
}

/* Behind a FIN that has been read the kernel does not show an RST.  Before
 * our own FIN nothing else ends a socket. */
bool
client_is_reset(struct client *client)
{
	struct delivery delivery;

	return stream_fin_bytes(client->stream) == 0 &&
	    client_sample(client, &delivery) && delivery.is_dead;
}
