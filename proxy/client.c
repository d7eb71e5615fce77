/* SPDX-License-Identifier: MIT */

/*
 * One accepted connection.
 *
 *                    +-----------------------------+
 *                    v                             |
 *      accept --> READING --> EXCHANGING --> (READING or FINISHING)
 *                    |             |
 *                 CONNECT         101
 *                    v             v
 *      SNIFFING --> SECURING    RELAYING        FINISHING --> WATCHED
 *         |            |           |                |            |
 *         +--> READING +--> READING|                |            |
 *         +--> DIALLING --> RELAYING                |            |
 *                                  +----------------+------------+--> CLOSED
 *
 * READING waits for a request head.  SNIFFING waits for the first byte inside
 * a CONNECT, to tell TLS from plain HTTP from anything else, and after a while
 * for the origin's too; a redirected connection begins there.  FINISHING has
 * announced its end and sends what is queued; WATCHED has sent our FIN and
 * listens for the caller's, which is how an undrained response shows.
 */

#include "proxy/client_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/evidence.h"
#include "accounting/memory.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/parsers.h"
#include "proxy/units.h"

/* What the kernel may hold unsent for one caller: a thousand leaks must not
 * hold gigabytes (DESIGN §1: 54 kB with this against 4 MB without). */
#define NOTSENT_LOWAT_BYTES (16 * 1024)

struct client *
client_of(void *arg)
{
	struct client *client = arg;

	assert(client->magic == CLIENT_MAGIC);
	return client;
}

void
client_set_state(struct client *client, enum client_state next)
{
	assert(client->state != CLIENT_CLOSED);
	client->state = next;
	client->state_since = clock_mono();
	client->seen_at = 0;
}

void
client_rest(struct client *client)
{
	parsers_give_back(client->worker->parsers, &client->parser);
}

bool
client_has_begun(const struct client *client)
{
	return client->parser != NULL && http_has_begun(client->parser);
}

/* ---- small answers ---- */

struct stream *
client_stream(struct client *client)
{
	return client->stream;
}

struct ledger_conn *
client_record(struct client *client)
{
	return client->record;
}

struct worker *
client_worker(struct client *client)
{
	return client->worker;
}

const struct head *
client_request(struct client *client)
{
	return http_head(client->parser);
}

bool
client_is_ending(const struct client *client)
{
	return client->is_ending;
}

struct client *
client_first(struct worker *worker)
{
	return TAILQ_FIRST(&worker->clients);
}

struct client *
client_next(struct client *client)
{
	return TAILQ_NEXT(client, link);
}

uint64_t
client_id(const struct client *client)
{
	return ledger_conn_record(client->record)->id;
}

/* ---- the end ---- */

static void
free_client(void *arg)
{
	struct client *client = client_of(arg);

	client_rest(client);
	origin_unref(&client->target);
	free(client->destination);
	connect_free(client);
	client->magic = 0;
	free(client);
}

/* What was seen last: it decides whether the body had been delivered. */
static void
note_delivery(struct client *client)
{
	struct conn_standing standing;
	struct delivery delivery;

	ledger_conn_standing(client->record, &standing);
	if (standing.is_unproven && client_sample(client, &delivery))
		ledger_delivery_ended(client->record, &delivery);
}

/* Whether the process that held the caller's socket was ending with it: then
 * its close says nothing about the response. */
static void
note_exit(struct client *client)
{
	const struct owner *owner = ledger_conn_record(client->record)->owner;

	if (owner->pid > 0 && owner_is_exiting(owner->pid))
		ledger_owner_exited(client->record);
}

void
client_note_bytes(struct client *client)
{
	struct conn_record *record = ledger_conn_record(client->record);
	struct counters *counters = ledger_counters(client->worker->ledger);
	int64_t received_bytes = stream_received_bytes(client->stream);
	int64_t sent_bytes = stream_sent_bytes(client->stream);

	counters->client_received_bytes +=
	    (uint64_t)(received_bytes - record->received_bytes);
	counters->client_sent_bytes +=
	    (uint64_t)(sent_bytes - record->sent_bytes);
	record->received_bytes = received_bytes;
	record->sent_bytes = sent_bytes;
	if (client->exchange != NULL)
		exchange_count_bytes(client->exchange);
	if (client->opaque != NULL && client->opaque->tunnel != NULL)
		tunnel_count_bytes(client->opaque->tunnel);
}

void
client_close(struct client *client, enum close_reason reason)
{
	mono_us now = clock_mono();

	if (client->state == CLIENT_CLOSED)
		return;
	log_debug("c%" PRIu64 ": closed: %s", client_id(client),
	    record_close_word(reason));
	/* Our FIN may be out, and the loop has not told us yet. */
	if (client->state == CLIENT_FINISHING && !client->has_fin &&
	    stream_fin_bytes(client->stream) > 0)
		ledger_conn_probed(client->record, now);
	client_set_state(client, CLIENT_CLOSED);
	client_note_bytes(client);
	note_delivery(client);
	note_exit(client);
	if (client->exchange != NULL && exchange_is_sending(client->exchange))
		client->is_half_sent = true;
	if (client->is_half_sent && stream_bytes_after_fin(client->stream) == 0)
		ledger_conn_half_sent(client->record);
	if (client->exchange != NULL) {
		client->is_aborting |= exchange_is_unframed(client->exchange);
		exchange_abort(&client->exchange);
	}
	connect_close(client);
	ledger_conn_closed(&client->record, reason, clock_wall(), now);
	if (client->is_aborting)
		stream_abort(&client->stream);
	else
		stream_close(&client->stream);
	if (client->worker->swept_next == client)
		client->worker->swept_next = client_next(client);
	TAILQ_REMOVE(&client->worker->clients, client, link);
	client->worker->client_count--;
	atomic_fetch_sub(client->worker->house->connection_count, 1);
	loop_later(client->worker->loop, free_client, client);
}

void
client_finish(struct client *client, enum close_reason reason)
{
	client->reason = reason;
	client_set_state(client, CLIENT_FINISHING);
	/* A caller may read only when it has sent all: what it still sends is
	 * taken, and of no use. */
	stream_resume(client->stream);
	stream_finish(client->stream);
}

void
client_refuse(struct client *client, const struct refusal *refusal,
    enum close_reason reason)
{
	struct text *out = &client->worker->scratch;
	struct refusal answer = *refusal;

	answer.says_close = true;
	answer.has_body = !request_is_head(client);
	text_clear(out);
	(void)refusal_write(&answer, out);
	stream_write(
	    client->stream, &(struct iovec){out->bytes, out->length}, 1);
	ledger_counters(client->worker->ledger)->refused_requests++;
	log_debug("c%" PRIu64 ": refused: %d %s (%s)", client_id(client),
	    refusal->status, refusal->text, refusal->detail);
	client_finish(client, reason);
}

void
client_refuse_request(
    struct client *client, int status, const char *token, const char *text)
{
	client_refuse(client,
	    &(struct refusal){
		.status = status, .token = token, .text = text, .detail = ""},
	    CLOSE_BAD_REQUEST);
}

/* Not before it asks: a client takes an answer that comes first for a stray
 * one, and tells its user something else. */
void
client_turn_away(struct client *client)
{
	client_refuse(client,
	    &(struct refusal){.status = 503,
		.token = "connection_limit_reached",
		.text = "leakproxy serves as many connections as "
			"--max-connections allows: close some, or raise it",
		.detail = ""},
	    CLOSE_LIMIT);
}

/* ---- the stream's events ---- */

static size_t
on_bytes(void *arg, const char *bytes, size_t length)
{
	struct client *client = client_of(arg);
	size_t taken = request_take_bytes(client, bytes, length);

	if (client->state == CLIENT_FINISHING)
		return length;
	if (client->state == CLIENT_EXCHANGING && !client->is_request_read &&
	    exchange_is_full(client->exchange))
		stream_pause(client->stream);
	return taken;
}

/* Only through a tunnel. */
static void
on_passed(void *arg, size_t length)
{
	tunnel_client_passed(client_of(arg)->opaque->tunnel);
}

static void
on_drained(void *arg)
{
	struct client *client = client_of(arg);

	if (client->state == CLIENT_EXCHANGING)
		exchange_client_drained(client->exchange);
	else if (client->state == CLIENT_RELAYING)
		tunnel_client_drained(client->opaque->tunnel);
}

static void
on_secured(void *arg)
{
	connect_secured(client_of(arg));
}

static void
on_fin(struct client *client)
{
	client->has_fin = true;
	if (client_is_reset(client)) {
		client_close(client, CLOSE_CLIENT_RST);
		return;
	}
	switch (client->state) {
	case CLIENT_EXCHANGING:
		/* A half-close is legal; a caller that is gone is not served
		 * to the end. */
		client->is_ending = true;
		if (exchange_is_over(client->exchange))
			return;
		if (!client->is_request_read || client_is_orphan(client))
			client_close(client, CLOSE_CLIENT_FIN);
		return;
	case CLIENT_RELAYING:
		tunnel_client_fin(client->opaque->tunnel);
		return;
	case CLIENT_DIALLING:
		if (client_is_orphan(client))
			client_close(client, CLOSE_CLIENT_FIN);
		return;
	case CLIENT_READING:
		/* The rest of the last response may still be wanted.  Where
		 * the caller is gone, its kernel acknowledges or resets. */
		if (client_owes_bytes(client))
			client_finish(client, CLOSE_CLIENT_FIN);
		else if (!client_owes_reading(client) &&
		    !client_is_being_reset(client))
			client_close(client, CLOSE_CLIENT_FIN);
		return;
	case CLIENT_FINISHING:
		if (!client_owes_bytes(client))
			client_close(client, client_reason_of_fin(client));
		return;
	case CLIENT_WATCHED:
		client_close(client, client_reason_of_answer(client));
		return;
	case CLIENT_SNIFFING:
	case CLIENT_SECURING:
	case CLIENT_CLOSED:
		client_close(client, CLOSE_CLIENT_FIN);
		return;
	}
}

static void
on_ended(void *arg, enum stream_end how)
{
	struct client *client = client_of(arg);

	if (client->state == CLIENT_SECURING)
		connect_handshake_ended(client, how);
	else if (how == STREAM_END_FIN)
		on_fin(client);
	else if (how == STREAM_END_TLS)
		client_close(client, CLOSE_TLS_FAILED);
	else if (client->state == CLIENT_WATCHED && client_has_crossed(client))
		client_close(client, CLOSE_REQUEST_CROSSED);
	else
		client_close(client, CLOSE_CLIENT_RST);
}

static void
on_finished(void *arg)
{
	struct client *client = client_of(arg);

	if (client->state == CLIENT_RELAYING) {
		tunnel_client_finished(client->opaque->tunnel);
		return;
	}
	if (client->state != CLIENT_FINISHING)
		return;
	/* After the caller's own FIN ours asks nothing. */
	if (!client->has_fin)
		ledger_conn_probed(client->record, clock_mono());
	client_set_state(client, CLIENT_WATCHED);
	client_rest(client);
	if (client->has_fin && !client_owes_bytes(client))
		client_close(client, client_reason_of_fin(client));
}

static const struct stream_callbacks callbacks = {
    .on_bytes = on_bytes,
    .on_passed = on_passed,
    .on_drained = on_drained,
    .on_ended = on_ended,
    .on_secured = on_secured,
    .on_finished = on_finished,
};

/* ---- the exchange's events ---- */

void
client_read_on(struct client *client)
{
	if (!client->is_request_read)
		stream_resume(client->stream);
}

void
client_exchange_ended(struct client *client, enum exchange_outcome outcome)
{
	client->exchange = NULL;
	switch (outcome) {
	case EXCHANGE_KEEP:
		request_read_next(client);
		if (client->has_fin)
			on_fin(client);
		return;
	case EXCHANGE_CLOSE:
		client->is_half_sent = !client->is_request_read;
		client_finish(client, CLOSE_RESPONSE_SAID);
		return;
	case EXCHANGE_TRUNCATED:
		client_finish(client, CLOSE_UPSTREAM_FAILED);
		return;
	case EXCHANGE_ABORT:
		client->is_aborting = true;
		client_close(client, CLOSE_UPSTREAM_FAILED);
		return;
	}
}

void
client_become_relay(struct client *client, struct stream **upstream)
{
	client->exchange = NULL;
	client_rest(client);
	connect_relay(client, upstream);
}

/* ---- the beginning ---- */

static void
set_socket_options(int fd)
{
	int on = 1;
	int lowat = NOTSENT_LOWAT_BYTES;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
}

struct client *
client_new(struct worker *worker, int fd, const struct address *address)
{
	struct client *client = xcalloc(1, sizeof(*client));
	char text[UNITS_ADDRESS_TEXT_BYTES];

	set_socket_options(fd);
	units_address_text(address, text);
	client->magic = CLIENT_MAGIC;
	client->worker = worker;
	client->record = ledger_conn_opened(
	    worker->ledger, text, clock_wall(), clock_mono());
	client->stream = stream_new(worker->loop, fd, &callbacks, client);
	TAILQ_INSERT_TAIL(&worker->clients, client, link);
	worker->client_count++;
	client->is_too_many = atomic_fetch_add(worker->house->connection_count,
				  1) >= worker->house->max_connections;
	client_set_state(client, CLIENT_READING);
	return client;
}

void
client_accept(struct worker *worker, int fd, const struct address *address)
{
	struct client *client = client_new(worker, fd, address);
	struct conn_record *record = ledger_conn_record(client->record);

	record->is_local = evidence_is_local(fd);
	if (!policy_allows(
		worker->policy, (const struct sockaddr *)&address->sockaddr))
		client_refuse(client,
		    &(struct refusal){.status = 403,
			.token = "http_request_denied",
			.text = "your address is not allowed to use this "
				"proxy: add it with --allow",
			.detail = record->client_address},
		    CLOSE_NOT_ALLOWED);
}

void
client_drain(struct client *client)
{
	switch (client->state) {
	case CLIENT_READING:
		if (client_has_begun(client))
			client->is_ending = true;
		else if (client_owes_bytes(client))
			client_finish(client, CLOSE_SHUTDOWN);
		else
			client_close(client, CLOSE_SHUTDOWN);
		return;
	case CLIENT_EXCHANGING:
		client->is_ending = true;
		return;
	case CLIENT_RELAYING:
	case CLIENT_FINISHING:
		return; /* as long as --drain-timeout allows */
	case CLIENT_SNIFFING:
	case CLIENT_SECURING:
	case CLIENT_DIALLING:
	case CLIENT_WATCHED:
	case CLIENT_CLOSED:
		client_close(client, CLOSE_SHUTDOWN);
		return;
	}
}
