/* SPDX-License-Identifier: MIT */

/*
 * What the ledger learns of deliveries: what the caller's end of a connection
 * has taken, and what the proxy has to look at again.
 */

#include "accounting/ledger_parts.h"

/* What the caller has taken: acknowledged, and read where we can see it. */
static int64_t
taken_bytes(int64_t acked_bytes, int64_t unread_bytes)
{
	return acked_bytes - (unread_bytes > 0 ? unread_bytes : 0);
}

/*
 * Whether the caller took something since the last sample, or only now owes
 * a read.  A window that opens shows a remote caller reading what its kernel
 * had acknowledged long before.
 */
static bool
is_progress(const struct ledger_conn *conn, const struct delivery *delivery)
{
	bool owed = conn->waiting_bytes > 0 || conn->unread_bytes > 0;

	if (!owed &&
	    (delivery->waiting_bytes > 0 || delivery->unread_bytes > 0))
		return true;
	if (taken_bytes(delivery->acked_bytes, delivery->unread_bytes) !=
	    taken_bytes(conn->acked_bytes, conn->unread_bytes))
		return true;
	return delivery->unread_bytes < 0 &&
	    delivery->window_bytes > conn->window_bytes;
}

/* Before its head there is no response to be held: what waits or lies unread
 * then is an interim one (1xx), or the one before. */
static void
apply_delivery(struct ledger_exchange *x, const struct delivery *delivery)
{
	struct exchange_record *record = &x->record;
	int64_t delivered = record->body_bytes - delivery->waiting_bytes;

	if (record->first_byte_us < 0)
		return;
	record->facts.waiting_bytes = (int32_t)delivery->waiting_bytes;
	record->facts.unsent_bytes = (int32_t)delivery->unsent_bytes;
	record->facts.is_our_end_out = delivery->is_our_end_out;
	if (delivery->unread_bytes >= 0)
		record->facts.unread_bytes = (int32_t)delivery->unread_bytes;
	if (delivered > record->delivered_bytes)
		record->delivered_bytes = delivered;
}

void
ledger_delivery_seen(
    struct ledger_conn *conn, const struct delivery *delivery, mono_us now)
{
	bool has_progress = is_progress(conn, delivery);
	bool has_sent = delivery->received_bytes > conn->received_bytes;
	struct ledger_exchange *x;

	conn->acked_bytes = delivery->acked_bytes;
	conn->received_bytes = delivery->received_bytes;
	conn->unread_bytes = (int32_t)delivery->unread_bytes;
	conn->waiting_bytes = (int32_t)delivery->waiting_bytes;
	conn->window_bytes = (int32_t)delivery->window_bytes;
	conn->rtt_us = (uint32_t)delivery->rtt_us;
	TAILQ_FOREACH (x, &conn->unproven, link) {
		/* Who still sends its request has not come to reading. */
		if (has_progress || (has_sent && x->record.facts.is_early))
			x->record.facts.progress_at = now;
		apply_delivery(x, delivery);
	}
	ledger_rejudge_all(conn, now);
}

void
ledger_delivery_ended(struct ledger_conn *conn, const struct delivery *delivery)
{
	struct ledger_exchange *x;

	TAILQ_FOREACH (x, &conn->unproven, link)
		apply_delivery(x, delivery);
}

void
ledger_owner_exited(struct ledger_conn *conn)
{
	struct ledger_exchange *x;

	conn->owner_exited = true;
	TAILQ_FOREACH (x, &conn->unproven, link)
		x->record.facts.owner_exited = true;
}

void
ledger_conn_standing(
    const struct ledger_conn *conn, struct conn_standing *standing)
{
	const struct ledger_exchange *last =
	    TAILQ_LAST(&conn->unproven, exchange_list);

	*standing = (struct conn_standing){
	    .idle_since = conn->idle_since,
	    .progress_at = conn->idle_since,
	    .probed_at = conn->probed_at,
	};
	if (last == NULL)
		return;
	standing->is_unproven = true;
	standing->is_complete = last->record.facts.is_complete;
	standing->is_held = last->record.is_held;
	standing->is_taken = standing->is_complete &&
	    conn->waiting_bytes == 0 && conn->unread_bytes == 0;
	standing->progress_at = last->record.facts.progress_at;
}
