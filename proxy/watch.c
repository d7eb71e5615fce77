/* SPDX-License-Identifier: MIT */

/*
 * The sweep over one connection: the only place where callers are looked at.
 *
 * A connection with an unproven response is sampled: what its kernel has
 * acknowledged, and, where the caller is local, what lies unread in its
 * socket.  One that is quiet is sampled ever less often, and not at all when
 * nothing can change.  A connection that
 * has been idle for --probe-after gets the close probe.
 */

#include "proxy/client_parts.h"

#include <inttypes.h>

#include "accounting/evidence.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

/* A caller quiet for so long is looked at after an eighth of it more. */
#define SAMPLE_BACKOFF 8
#define MAX_SAMPLE_INTERVAL_US (10 * US_PER_S)

/* A search through all processes for nothing may take as long as it likes: the
 * next one waits ten times as long, and after a few there is none. */
#define SEARCH_REST 10
#define MAX_VAIN_SEARCHES 4

static void
find_owner(struct client *client, uint64_t inode, struct sweep_budget *budget)
{
	struct owner *owner = ledger_conn_record(client->record)->owner;
	struct worker *worker = client->worker;
	unsigned searches = budget->searches;
	mono_us began;

	if (owner->pid > 0 || inode == 0 || budget->owners == 0 ||
	    client->vain_searches == MAX_VAIN_SEARCHES)
		return;
	began = clock_mono();
	evidence_owner(worker->evidence, inode, owner, &budget->searches);
	/* Not to be found uses nothing up that others need. */
	if (owner->pid > 0)
		budget->owners--;
	ledger_owner_found(client->record);
	if (budget->searches < searches && owner->pid <= 0) {
		mono_us now = clock_mono();

		client->vain_searches++;
		budget->searches = 0;
		worker->search_after = now + SEARCH_REST * (now - began);
	}
}

/* Asks the local caller's kernel side, which is ours. */
static void
ask_peer(struct client *client, struct delivery *delivery,
    struct sweep_budget *budget)
{
	struct peer_socket peer;

	if (!client_is_local(client) || !client_ask_peer(client, &peer))
		return;
	delivery->unread_bytes =
	    peer.unread_bytes - stream_fin_bytes(client->stream);
	if (delivery->unread_bytes < 0)
		delivery->unread_bytes = 0;
	ledger_conn_record(client->record)->owner->uid = (uid_t)peer.uid;
	find_owner(client, peer.inode, budget);
}

/* Whether only our next step can change anything: a local caller has read all
 * that was sent to it, and who it is is known. */
static bool
is_at_rest(const struct client *client, const struct conn_standing *standing)
{
	return client->state == CLIENT_READING && standing->is_taken &&
	    client->sampled_at >= standing->idle_since &&
	    ledger_conn_record(client->record)->owner->pid > 0;
}

static bool
is_sample_due(const struct client *client, const struct conn_standing *standing,
    mono_us now)
{
	mono_us interval = (now - standing->progress_at) / SAMPLE_BACKOFF;

	if (is_at_rest(client, standing))
		return false;
	if (interval > MAX_SAMPLE_INTERVAL_US)
		interval = MAX_SAMPLE_INTERVAL_US;
	return now - client->sampled_at >= interval;
}

/*
 * The kernel has done with the socket.  Whether by FIN or by RST, the next
 * read tells, which the loop is about to do, unless it has read the FIN: then
 * only ours could end it well.
 */
static void
end_dead(struct client *client, const struct delivery *delivery)
{
	if (!client->has_fin)
		stream_resume(client->stream);
	else if (delivery->waiting_bytes > 0 ||
	    stream_fin_bytes(client->stream) == 0)
		client_close(client, CLOSE_CLIENT_RST);
	else
		client_close(client, client_reason_of_fin(client));
}

/* Looks at the caller's end.  Returns whether there is more to look at. */
static bool
sample(struct client *client, mono_us now, struct sweep_budget *budget)
{
	struct delivery delivery;

	client->sampled_at = now;
	if (!client_sample(client, &delivery))
		return false;
	if (delivery.is_dead) {
		end_dead(client, &delivery);
		return false;
	}
	ask_peer(client, &delivery, budget);
	ledger_delivery_seen(client->record, &delivery, now);
	return true;
}

static bool
may_probe(const struct client *client, const struct conn_standing *standing,
    mono_us now)
{
	mono_us after = client->worker->house->options->probe_after_us;

	return after > 0 && client->state == CLIENT_READING &&
	    !client->has_fin && !client_has_begun(client) &&
	    now - standing->idle_since >= after &&
	    now - standing->progress_at >= after;
}

/*
 * The close probe: we half-close, and a caller that watches its idle
 * connections closes too (RFC 9112 §9.6, DESIGN §1).
 */
static void
probe(struct client *client, const struct conn_standing *standing, mono_us now,
    struct sweep_budget *budget)
{
	if (budget->probes == 0)
		return;
	/* Whose manners will show, and what lies unread, is noted first. */
	if (!sample(client, now, budget) || client_owes_bytes(client))
		return;
	budget->probes--;
	ledger_counters(client->worker->ledger)->probes_sent++;
	log_debug("c%" PRIu64 ": probed after %.1f s idle", client_id(client),
	    (double)(now - standing->idle_since) / (double)US_PER_S);
	client_finish(client, CLOSE_NOT_YET);
}

/*
 * The caller's FIN came early: it is done when it has taken the rest, or when
 * nobody is there who waits for it.  What is on its way to nobody its kernel
 * acknowledges or resets, and which one, decides a verdict.
 */
static bool
is_half_closed_and_done(struct client *client)
{
	if (!client->has_fin)
		return false;
	if (client->state == CLIENT_EXCHANGING)
		return !exchange_is_over(client->exchange) &&
		    client_is_orphan(client);
	return !client_owes_reading(client);
}

static void
look(struct client *client, mono_us now, struct sweep_budget *budget)
{
	const struct options *options = client->worker->house->options;
	struct conn_standing standing;
	struct delivery delivery;

	if (stream_has_failed(client->stream)) {
		client_close(client, CLOSE_CLIENT_RST);
		return;
	}
	if (client->has_fin && client_sample(client, &delivery) &&
	    delivery.is_dead) {
		end_dead(client, &delivery);
		return;
	}
	if (is_half_closed_and_done(client)) {
		client_close(client, client_reason_of_fin(client));
		return;
	}
	ledger_conn_standing(client->record, &standing);
	if (standing.is_unproven && is_sample_due(client, &standing, now) &&
	    !sample(client, now, budget))
		return;
	if (may_probe(client, &standing, now))
		probe(client, &standing, now, budget);
	else if (client->state == CLIENT_WATCHED && !standing.is_unproven &&
	    now - client->state_since >= options->probe_grace_us)
		client_close(client, CLOSE_IDLE);
}

/* ---- patience ---- */

static const struct refusal head_took_too_long = {
    .status = 408,
    .token = "http_request_error",
    .text = "the request head did not come within --header-timeout",
    .detail = "",
};

static const struct refusal body_took_too_long = {
    .status = 408,
    .token = "http_request_error",
    .text = "no byte of the request came for --idle-timeout",
    .detail = "",
};

static const struct refusal origin_took_too_long = {
    .status = 504,
    .token = "connection_read_timeout",
    .text = "no byte came from the origin for --idle-timeout",
    .detail = "",
};

static const struct refusal exchange_took_too_long = {
    .status = 504,
    .token = "http_response_timeout",
    .text = "the exchange took longer than --total-timeout",
    .detail = "",
};

/*
 * Whether no byte has moved for --idle-timeout, on either leg.  Seen by sweep
 * from the counters, so that bytes which move pay nothing for it.
 */
static bool
is_still(struct client *client, int64_t upstream_bytes, mono_us now)
{
	mono_us timeout = client->worker->house->options->idle_timeout_us;
	int64_t moved = stream_received_bytes(client->stream) +
	    stream_sent_bytes(client->stream) + upstream_bytes;

	if (moved != client->moved_bytes || client->seen_at == 0) {
		client->moved_bytes = moved;
		client->seen_at = now;
	}
	return timeout > 0 && now - client->seen_at >= timeout;
}

/* A head that dribbles in holds a connection for as long as it likes
 * (slowloris): its time is counted from its first byte. */
static bool
is_head_late(struct client *client, mono_us now)
{
	if (!client_has_begun(client))
		return false;
	if (client->seen_at == 0)
		client->seen_at = now;
	return now - client->seen_at >=
	    client->worker->house->options->header_timeout_us;
}

/* Nothing is under way, and nothing is owed or held. */
static bool
is_idle_too_long(struct client *client, mono_us now)
{
	mono_us timeout = client->worker->house->options->idle_timeout_us;
	struct conn_standing standing;

	ledger_conn_standing(client->record, &standing);
	return timeout > 0 && !standing.is_held &&
	    now - standing.idle_since >= timeout &&
	    now - standing.progress_at >= timeout && !client_owes_bytes(client);
}

/* Returns whether the connection's patience was at its end. */
static bool
end_late_request(struct client *client, mono_us now)
{
	if (is_head_late(client, now))
		client_refuse(client, &head_took_too_long, CLOSE_TIMEOUT);
	else if (!client_has_begun(client) && is_idle_too_long(client, now))
		client_finish(client, CLOSE_NOT_YET); /* as good as a probe */
	else
		return false;
	return true;
}

static bool
end_late_exchange(struct client *client, mono_us now)
{
	mono_us total = client->worker->house->options->total_timeout_us;
	bool is_quiet =
	    is_still(client, exchange_upstream_bytes(client->exchange), now);
	const struct refusal *reason = NULL;

	if (total > 0 && now - client->state_since >= total)
		reason = &exchange_took_too_long;
	/* A caller that does not read is watched, not cut off. */
	else if (is_quiet && !client_owes_bytes(client))
		reason = exchange_awaits_origin(client->exchange)
		    ? &origin_took_too_long
		    : &body_took_too_long;
	if (reason == NULL)
		return false;
	exchange_cut(client->exchange, reason);
	return true;
}

static bool
is_setup_late(const struct client *client, mono_us now)
{
	return now - client->state_since >=
	    client->worker->house->options->header_timeout_us;
}

/* ---- the sweep ---- */

void
client_sweep(struct client *client, mono_us now, struct sweep_budget *budget)
{
	switch (client->state) {
	case CLIENT_READING:
		if (!end_late_request(client, now))
			look(client, now, budget);
		return;
	case CLIENT_EXCHANGING:
		if (!end_late_exchange(client, now))
			look(client, now, budget);
		return;
	case CLIENT_FINISHING:
	case CLIENT_WATCHED:
		look(client, now, budget);
		return;
	case CLIENT_SNIFFING:
		connect_sniff_on(client, now);
		return;
	case CLIENT_SECURING:
		if (is_setup_late(client, now))
			client_close(client, CLOSE_TIMEOUT);
		return;
	case CLIENT_RELAYING:
		if (tunnel_is_broken(client->opaque->tunnel))
			client_close(client, CLOSE_TUNNEL_ENDED);
		else if (is_still(client,
			     tunnel_upstream_bytes(client->opaque->tunnel),
			     now))
			client_close(client, CLOSE_TIMEOUT);
		return;
	case CLIENT_DIALLING:
	case CLIENT_CLOSED:
		return;
	}
}
