/* SPDX-License-Identifier: MIT */

/*
 * Reaching an origin.
 *
 *      RESOLVING --> CONNECTING --> SECURING --> over
 *          |           |    ^          |           ^
 *          |           +----+ next     |           |
 *          +-----------+----address----+-----------+
 *
 * One timeout covers the whole way.
 */

#include "proxy/dial.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/resolve.h"

struct dial {
	struct worker *worker; /* borrowed */
	struct origin origin;
	struct resolve_query *query; /* owned while resolving */
	struct address addresses[RESOLVE_MAX_ADDRESSES];
	size_t address_count;
	size_t next_address;
	int fd;                /* owned while connecting; -1 */
	struct event *event;   /* owned while connecting */
	struct event *timer;   /* owned */
	struct stream *stream; /* owned while securing */
	dial_cb on_dialled;
	void *arg; /* borrowed */
};

static void connect_next(struct dial *dial, enum dial_result reason);

static void
release(struct dial *dial)
{
	if (dial->query != NULL)
		resolver_cancel(&dial->query);
	if (dial->event != NULL)
		event_free(dial->event);
	if (dial->timer != NULL)
		event_free(dial->timer);
	if (dial->fd >= 0)
		close(dial->fd);
	if (dial->stream != NULL)
		stream_close(&dial->stream);
	loop_later(dial->worker->loop, free, dial);
}

static void
finish(struct dial *dial, enum dial_result result, const char *detail)
{
	struct stream *stream = NULL;

	if (result == DIAL_OK) {
		stream = dial->stream;
		dial->stream = NULL;
	}
	dial->on_dialled(result, stream, detail, dial->arg);
	release(dial);
}

/* ---- securing ---- */

static size_t
on_early_bytes(void *arg, const char *bytes, size_t length)
{
	return 0; /* kept for whoever takes the stream */
}

static void
on_drained(void *arg)
{
}

static void
on_handshake_ended(void *arg, enum stream_end how)
{
	struct dial *dial = arg;
	struct counters *counters = ledger_counters(dial->worker->ledger);
	char detail[TLS_ERROR_BYTES] = "the origin closed during the handshake";
	enum dial_result result = DIAL_TLS_FAILED;

	counters->upstream_handshakes_failed++;
	if (how == STREAM_END_TLS) {
		const struct tls *tls = stream_tls(dial->stream);

		if (tls_is_certificate_error(tls))
			result = DIAL_TLS_CERTIFICATE;
		else if (tls_is_alert(tls))
			result = DIAL_TLS_ALERT;
		snprintf(detail, sizeof(detail), "%s", tls_error(tls));
	}
	finish(dial, result, detail);
}

static void
on_secured(void *arg)
{
	struct dial *dial = arg;

	ledger_counters(dial->worker->ledger)->upstream_handshakes_ok++;
	finish(dial, DIAL_OK, "");
}

static const struct stream_callbacks handshake_callbacks = {
    .on_bytes = on_early_bytes,
    .on_drained = on_drained,
    .on_ended = on_handshake_ended,
    .on_secured = on_secured,
    .on_finished = on_drained,
};

static void
on_connected(struct dial *dial)
{
	struct worker *worker = dial->worker;
	int fd = dial->fd;
	int on = 1;
	char route[ORIGIN_ROUTE_BYTES];
	struct tls *tls;

	event_free(dial->event);
	dial->event = NULL;
	dial->fd = -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	ledger_counters(worker->ledger)->upstream_connections++;
	dial->stream = stream_new(worker->loop, fd, &handshake_callbacks, dial);
	if (!dial->origin.is_tls) {
		finish(dial, DIAL_OK, "");
		return;
	}
	tls = tls_connect(worker->tls_client, fd,
	    origin_server_name(&dial->origin),
	    origin_route(&dial->origin, route));
	stream_secure(dial->stream, &tls);
}

/* ---- connecting ---- */

static enum dial_result
result_of_errno(int error)
{
	switch (error) {
	case 0:
		return DIAL_OK;
	case ECONNREFUSED:
	case ECONNRESET:
		return DIAL_REFUSED;
	case ETIMEDOUT:
		return DIAL_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
		return DIAL_NO_RESOURCES;
	default:
		return DIAL_UNREACHABLE;
	}
}

static void
on_connect_event(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		error = errno;
	if (error == 0) {
		on_connected(dial);
		return;
	}
	event_free(dial->event);
	dial->event = NULL;
	close(dial->fd);
	dial->fd = -1;
	connect_next(dial, result_of_errno(error));
}

static bool
is_same_endpoint(const struct sockaddr *a, const struct address *own)
{
	struct sockaddr_in v4;
	struct sockaddr_in own_v4;
	struct sockaddr_in6 v6;
	struct sockaddr_in6 own_v6;

	if (a->sa_family != own->sockaddr.ss_family)
		return false;
	if (a->sa_family == AF_INET) {
		memcpy(&v4, a, sizeof(v4));
		memcpy(&own_v4, &own->sockaddr, sizeof(own_v4));
		return v4.sin_port == own_v4.sin_port &&
		    (v4.sin_addr.s_addr == own_v4.sin_addr.s_addr ||
			own_v4.sin_addr.s_addr == htonl(INADDR_ANY));
	}
	memcpy(&v6, a, sizeof(v6));
	memcpy(&own_v6, &own->sockaddr, sizeof(own_v6));
	return v6.sin6_port == own_v6.sin6_port &&
	    (memcmp(&v6.sin6_addr, &own_v6.sin6_addr, 16) == 0 ||
		IN6_IS_ADDR_UNSPECIFIED(&own_v6.sin6_addr));
}

static bool
is_link_local(const struct sockaddr *sockaddr)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sockaddr->sa_family == AF_INET) {
		memcpy(&v4, sockaddr, sizeof(v4));
		return (ntohl(v4.sin_addr.s_addr) >> 16) == 0xa9fe;
	}
	memcpy(&v6, sockaddr, sizeof(v6));
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
		return v6.sin6_addr.s6_addr[12] == 0xa9 &&
		    v6.sin6_addr.s6_addr[13] == 0xfe;
	return IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr);
}

/* Checked on the address that is connected to, not on the name: what a name
 * resolves to may change between two look-ups. */
static bool
is_prohibited(const struct house *house, const struct sockaddr *sockaddr)
{
	for (size_t i = 0; i < house->own_count; i++) {
		if (is_same_endpoint(sockaddr, &house->own[i]))
			return true;
	}
	return is_link_local(sockaddr);
}

static enum dial_result
start_connect(struct dial *dial, const struct address *address)
{
	const struct sockaddr *sockaddr =
	    (const struct sockaddr *)&address->sockaddr;

	if (is_prohibited(dial->worker->house, sockaddr))
		return DIAL_PROHIBITED;
	dial->fd = socket(
	    sockaddr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dial->fd < 0)
		return result_of_errno(errno);
	if (connect(dial->fd, sockaddr, address->length) != 0 &&
	    errno != EINPROGRESS) {
		enum dial_result result = result_of_errno(errno);

		close(dial->fd);
		dial->fd = -1;
		return result;
	}
	dial->event = event_new(loop_base(dial->worker->loop), dial->fd,
	    EV_WRITE, on_connect_event, dial);
	if (dial->event == NULL)
		abort();
	event_add(dial->event, NULL);
	return DIAL_OK;
}

/* Tries the addresses that are left; `reason` is why the last one failed. */
static void
connect_next(struct dial *dial, enum dial_result reason)
{
	while (dial->next_address < dial->address_count) {
		reason =
		    start_connect(dial, &dial->addresses[dial->next_address++]);
		if (reason == DIAL_OK)
			return;
	}
	finish(dial, reason, "");
}

/* ---- resolving ---- */

static enum dial_result
result_of_resolve(enum resolve_result result)
{
	switch (result) {
	case RESOLVE_OK:
		return DIAL_OK;
	case RESOLVE_NO_NAME:
		return DIAL_NO_NAME;
	case RESOLVE_FAILED:
		return DIAL_DNS_FAILED;
	case RESOLVE_TIMEOUT:
		return DIAL_DNS_TIMEOUT;
	}
	abort();
}

static void
on_resolved(enum resolve_result result, const struct address *addresses,
    size_t count, void *arg)
{
	struct dial *dial = arg;

	dial->query = NULL;
	if (result != RESOLVE_OK || count == 0) {
		finish(dial,
		    result == RESOLVE_OK ? DIAL_NO_NAME
					 : result_of_resolve(result),
		    "");
		return;
	}
	memcpy(dial->addresses, addresses, count * sizeof(*addresses));
	dial->address_count = count;
	connect_next(dial, DIAL_UNREACHABLE);
}

static void
on_dial_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	finish(dial, dial->query != NULL ? DIAL_DNS_TIMEOUT : DIAL_TIMEOUT, "");
}

struct dial *
dial_start(struct worker *worker, const struct origin *origin,
    dial_cb on_dialled, void *arg)
{
	mono_us timeout_us = worker->house->options->connect_timeout_us;
	struct timeval timeout = {
	    .tv_sec = timeout_us / US_PER_S, .tv_usec = timeout_us % US_PER_S};
	struct dial *dial = xcalloc(1, sizeof(*dial));

	dial->worker = worker;
	dial->origin = *origin;
	dial->fd = -1;
	dial->on_dialled = on_dialled;
	dial->arg = arg;
	dial->timer =
	    evtimer_new(loop_base(worker->loop), on_dial_timeout, dial);
	if (dial->timer == NULL)
		abort();
	event_add(dial->timer, &timeout);
	dial->query = resolver_ask(worker->resolver, origin, on_resolved, dial);
	return dial;
}

void
dial_cancel(struct dial **dialp)
{
	struct dial *dial = *dialp;

	*dialp = NULL;
	release(dial);
}

static const struct {
	int status;
	const char *token;
	const char *text;
} results[] = {
#define DIAL(name, status, token, text) [DIAL_##name] = {status, token, text},
#include "proxy/dial_results.def"
#undef DIAL
};

int
dial_status(enum dial_result result)
{
	return results[result].status;
}

const char *
dial_token(enum dial_result result)
{
	return results[result].token;
}

const char *
dial_text(enum dial_result result)
{
	return results[result].text;
}
