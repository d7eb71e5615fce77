/* SPDX-License-Identifier: MIT */

/*
 * Who does not trust our certificate: counted by caller, target and alert.
 */

#include "admin/distrust.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/same.h"
#include "admin/member.h"
#include "admin/text.h"

#define REFUSALS_SHOWN 6

/* ---- who does not trust us ---- */

struct refusal {
	const struct conn_record *conn; /* borrowed: the first of its kind */
	uint64_t count;
};

/* The length of the host in "host:port". */
static int
host_length(const char *address)
{
	const char *colon = strrchr(address, ':');

	return colon == NULL ? (int)strlen(address) : (int)(colon - address);
}

static bool
is_same_refusal(const struct conn_record *a, const struct conn_record *b)
{
	int length = host_length(a->client_address);

	return owner_view(a->owner).pid == owner_view(b->owner).pid &&
	    same_text(a->target, b->target) &&
	    same_text(a->trust_refused, b->trust_refused) &&
	    length == host_length(b->client_address) &&
	    memcmp(a->client_address, b->client_address, (size_t)length) == 0;
}

/* Groups the connections that refused our certificate: returns an array and
 * its *count; free with free(). */
static struct refusal *
collect_refusals(const struct snapshot *snapshot, size_t *count)
{
	struct refusal *list = xcalloc(snapshot->conn_count + 1, sizeof(*list));

	*count = 0;
	for (size_t i = 0; i < snapshot->conn_count; i++) {
		const struct conn_record *conn = &snapshot->conns[i];
		size_t at = 0;

		if (conn->trust_refused == NULL)
			continue;
		while (at < *count && !is_same_refusal(list[at].conn, conn))
			at++;
		if (at == *count)
			list[(*count)++].conn = conn;
		list[at].count++;
	}
	return list;
}

static void
put_refusal(struct page *page, const struct refusal *refusal)
{
	const struct conn_record *conn = refusal->conn;
	struct owner_view owner = owner_view(conn->owner);
	char *host = xstrndup(
	    conn->client_address, (size_t)host_length(conn->client_address));
	char *who = text_caller(owner.command, owner.pid, host);

	page_begin(page, "  ", 2);
	page_item(page, "", who);
	if (conn->target != NULL)
		page_printf(page, "   ", "to %s", conn->target);
	page_printf(page, "   ", "%" PRIu64 " connection%s", refusal->count,
	    text_plural(refusal->count));
	page_printf(page, "   ", "(TLS alert: %s)", conn->trust_refused);
	page_end(page);
	free(who);
	free(host);
}

static void
put_head(struct page *page, uint64_t handshakes)
{
	page_blank(page);
	page_begin(page, "", 0);
	page_words(page, "", "NOT INTERCEPTED:");
	page_printf(page, " ", "%" PRIu64, handshakes);
	page_words(page, " ",
	    handshakes == 1
		? "TLS handshake refused; the caller does not trust the CA."
		: "TLS handshakes refused; the caller does not trust the CA.");
	page_words(page, " ",
	    "Set SSL_CERT_FILE=... for it, or do what `leakproxy ca "
	    "install-hints` says for its kind; or use --passthrough HOST for "
	    "pinned hosts.");
	page_end(page);
}

void
distrust_put(struct page *page, const struct snapshot *snapshot)
{
	uint64_t handshakes = snapshot->counters.client_handshakes_refused;
	uint64_t shown = 0;
	size_t count;
	struct refusal *list = collect_refusals(snapshot, &count);

	for (size_t i = 0; i < count; i++)
		shown += list[i].count;
	/* The counter remembers more connections than memory does. */
	if (handshakes < shown)
		handshakes = shown;
	if (handshakes > 0)
		put_head(page, handshakes);
	shown = 0;
	for (size_t i = 0; i < count && i < REFUSALS_SHOWN; i++) {
		put_refusal(page, &list[i]);
		shown += list[i].count;
	}
	if (handshakes > shown) {
		page_begin(page, "  ", 2);
		page_printf(
		    page, "", "and %" PRIu64 " more", handshakes - shown);
		page_end(page);
	}
	free(list);
}

json_t *
distrust_json(const struct snapshot *snapshot)
{
	size_t count;
	struct refusal *list = collect_refusals(snapshot, &count);
	json_t *json = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct conn_record *conn = list[i].conn;
		struct owner_view owner = owner_view(conn->owner);
		json_t *item = json_object();
		char *peer = xstrndup(conn->client_address,
		    (size_t)host_length(conn->client_address));

		member_text(item, "peer", peer);
		member_known(item, "pid", owner.pid);
		member_text(item, "command", owner.command);
		member_text(item, "target", conn->target);
		member_text(item, "alert", conn->trust_refused);
		member_number(item, "connections", list[i].count);
		json_array_append_new(json, item);
		free(peer);
	}
	free(list);
	return json;
}
