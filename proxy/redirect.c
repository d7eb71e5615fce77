/* SPDX-License-Identifier: MIT */

/*
 * A redirected connection goes on as if a CONNECT to where it was to go had
 * been answered, once it is known that it was redirected, by whom, and that it
 * does not lead back to us.
 *
 * Where it was to go, conntrack tells.  A caller on this machine is found by
 * sock_diag under that address, for its own socket knows no other.  If that
 * socket is ours, the rules do not spare us: each connection to an origin
 * would come back as the next one to be made.
 */

#include "proxy/redirect.h"

#include <inttypes.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accounting/evidence.h"
#include "accounting/memory.h"
#include "proxy/base/log.h"
#include "proxy/client_parts.h"

static bool
read_own(int fd, struct address *own)
{
	own->length = sizeof(own->sockaddr);
	return getsockname(
		   fd, (struct sockaddr *)&own->sockaddr, &own->length) == 0;
}

/* Where the connection was to go: to our own end, where conntrack knows of no
 * redirection.  Returns false where the socket is gone. */
static bool
read_destination(int fd, int family, struct address *destination)
{
	bool is_v6 = family == AF_INET6;

	destination->length = sizeof(destination->sockaddr);
	return getsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		   is_v6 ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST,
		   &destination->sockaddr, &destination->length) == 0 ||
	    read_own(fd, destination);
}

/* Whether nothing was redirected. */
static bool
is_direct(int fd, const struct address *destination)
{
	struct address own = {0};
	char texts[2][UNITS_ADDRESS_TEXT_BYTES];

	if (!read_own(fd, &own))
		return true;
	units_address_text(&own, texts[0]);
	units_address_text(destination, texts[1]);
	return strcmp(texts[0], texts[1]) == 0;
}

/* Whether the socket is one of our own, by which we reach origins.  Another
 * user's is not, and /proc is not looked through for it. */
static bool
is_our_socket(const struct peer_socket *peer)
{
	struct owner owner = OWNER_UNKNOWN;
	bool is_ours = peer->uid == (int64_t)geteuid() && peer->inode != 0 &&
	    owner_find_in(&owner, getpid(), peer->inode);

	owner_fini(&owner);
	return is_ours;
}

/* Nothing that we could say would be understood: it gets an RST. */
static void
refuse(struct client *client, enum close_reason reason, const char *why)
{
	ledger_counters(client->worker->ledger)->refused_connections++;
	log_warnx("c%" PRIu64 ": refused: from %s to %s: %s", client_id(client),
	    ledger_conn_record(client->record)->client_address,
	    ledger_conn_record(client->record)->target, why);
	client->is_aborting = true;
	client_close(client, reason);
}

/* Returns whether it may go on. */
static bool
check(struct client *client, const struct address *caller,
    const struct peer_socket *peer)
{
	const struct house *house = client->worker->house;
	const struct sockaddr *from =
	    (const struct sockaddr *)&caller->sockaddr;
	const struct sockaddr *to =
	    (const struct sockaddr *)&client->destination->sockaddr;

	if (is_direct(stream_fd(client->stream), client->destination))
		refuse(client, CLOSE_NOT_REDIRECTED,
		    "no rule redirected it: --redirect takes what leakproxy "
		    "redirect-rules sends there; a proxy's address is "
		    "--listen's");
	else if (client_is_local(client) && is_our_socket(peer))
		refuse(client, CLOSE_LOOP,
		    "a loop: it is our own, and the rules redirected it: have "
		    "them spare our user, leakproxy redirect-rules --uid");
	else if (destination_is_own(&house->destinations, to))
		refuse(client, CLOSE_LOOP,
		    "a loop: leakproxy listens there itself");
	else if (destination_is_prohibited(&house->destinations, to))
		refuse(client, CLOSE_NOT_ALLOWED,
		    "link-local addresses are not proxied to: spare them in "
		    "the rules, or see --allow-destination");
	else if (!client_is_local(client) &&
	    !policy_allows(client->worker->policy, from) &&
	    !destination_is_here(from))
		refuse(client, CLOSE_NOT_ALLOWED,
		    "its address is not allowed to use this proxy: add it "
		    "with --allow");
	else
		return true;
	return false;
}

void
redirect_accept(struct worker *worker, int fd, const struct address *address)
{
	struct client *client = client_new(worker, fd, address);
	struct conn_record *record = ledger_conn_record(client->record);
	char text[UNITS_ADDRESS_TEXT_BYTES];
	struct peer_socket peer = {0};

	record->is_redirected = true;
	client->destination = xcalloc(1, sizeof(*client->destination));
	if (!read_destination(
		fd, address->sockaddr.ss_family, client->destination)) {
		client_close(client, CLOSE_CLIENT_RST);
		return;
	}
	units_address_text(client->destination, text);
	record->target = xstrdup(text);
	record->is_local = client_ask_peer(client, &peer);
	if (check(client, address, &peer))
		connect_redirected(client);
}
