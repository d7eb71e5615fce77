/* SPDX-License-Identifier: MIT */

/*
 * Reaching an origin.
 *
 *      RESOLVING --> CONNECTING --> (TUNNELLING -->) SECURING --> over
 *          |           |    ^            |              |           ^
 *          |           +----+ next       |              |           |
 *          +-----------+----address------+--------------+-----------+
 *
 * Where --upstream-proxy leads to the origin, its name is resolved and not the
 * origin's, and TUNNELLING asks it for a CONNECT.  One timeout covers the
 * whole way.
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
#include "proxy/chain.h"
#include "proxy/destination.h"
#include "proxy/http.h"
#include "proxy/resolve.h"

/* A proxy's answer to CONNECT is short. */
#define MAX_TUNNEL_HEAD_BYTES (16 * 1024)

enum dial_state {
	DIAL_RESOLVING,
	DIAL_CONNECTING,
	DIAL_TUNNELLING,
	DIAL_SECURING,
	DIAL_OVER,
};

struct dial {
	enum dial_state state;
	enum dial_purpose purpose;
	struct worker *worker;     /* borrowed */
	const struct chain *chain; /* borrowed; NULL: straight to the origin */
	struct origin *origin;     /* owned, shared */
	struct resolve_query *query; /* owned while resolving */
	struct address addresses[RESOLVE_MAX_ADDRESSES];
	size_t address_count;
	size_t next_address;
	int fd;                     /* owned while connecting; -1 */
	struct event *event;        /* owned while connecting */
	struct event *timer;        /* owned */
	struct stream *stream;      /* owned from then on */
	struct http_parser *parser; /* owned while tunnelling */
	dial_cb on_dialled;
	void *arg; /* borrowed */
};

static void connect_next(struct dial *dial, enum dial_result reason);

static void
set_state(struct dial *dial, enum dial_state next)
{
	static const unsigned may_follow[] = {
	    [DIAL_RESOLVING] = 1u << DIAL_CONNECTING | 1u << DIAL_OVER,
	    [DIAL_CONNECTING] =
		1u << DIAL_TUNNELLING | 1u << DIAL_SECURING | 1u << DIAL_OVER,
	    [DIAL_TUNNELLING] = 1u << DIAL_SECURING | 1u << DIAL_OVER,
	    [DIAL_SECURING] = 1u << DIAL_OVER,
	    [DIAL_OVER] = 0,
	};

	assert(may_follow[dial->state] & (1u << next));
	dial->state = next;
}

/* The parser may be what called us. */
static void
free_dial(void *arg)
{
	struct dial *dial = arg;

	http_parser_free(dial->parser);
	origin_unref(&dial->origin);
	free(dial);
}

static void
release(struct dial *dial)
{
	set_state(dial, DIAL_OVER);
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
	loop_later(dial->worker->loop, free_dial, dial);
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

/* Ends without a stream.  A detail of "" names the way, if there is one. */
static void
fail(struct dial *dial, enum dial_result result, const char *detail)
{
	char way[ORIGIN_KEY_BYTES + 32] = "";

	if (dial->chain != NULL && detail[0] == '\0') {
		snprintf(way, sizeof(way), "by the upstream proxy %s",
		    dial->chain->proxy->key);
		detail = way;
	}
	finish(dial, result, detail);
}

/* ---- securing ---- */

static size_t
on_early_bytes(void *arg, const char *bytes, size_t length)
{
	return 0; /* kept for whoever takes the stream */
}

static void
on_nothing(void *arg)
{
}

static void
on_no_body(void *arg, const char *bytes, size_t length)
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
	fail(dial, result, detail);
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
    .on_drained = on_nothing,
    .on_ended = on_handshake_ended,
    .on_secured = on_secured,
    .on_finished = on_nothing,
};

/* The way to the origin is open. */
static void
secure(struct dial *dial)
{
	char route[ORIGIN_ROUTE_BYTES];
	struct tls *tls;

	if (!dial->origin->is_tls) {
		finish(dial, DIAL_OK, "");
		return;
	}
	set_state(dial, DIAL_SECURING);
	stream_set_owner(dial->stream, &handshake_callbacks, dial);
	tls = tls_connect(dial->worker->tls_client, stream_fd(dial->stream),
	    origin_server_name(dial->origin),
	    origin_route(dial->origin, route));
	stream_secure(dial->stream, &tls);
}

/* ---- tunnelling ---- */

static void
take_tunnel_answer(struct dial *dial)
{
	const struct head *head = http_head(dial->parser);
	char detail[2 * ORIGIN_KEY_BYTES];

	if (head->status / 100 == 1) {
		http_next(dial->parser);
		return;
	}
	if (head->status / 100 == 2) {
		secure(dial);
		return;
	}
	snprintf(detail, sizeof(detail), "%s answered %d %.*s",
	    dial->chain->proxy->key, head->status,
	    (int)(head->reason.length < 100 ? head->reason.length : 100),
	    head->reason.at);
	fail(dial,
	    head->status == 407 ? DIAL_CHAIN_CREDENTIALS : DIAL_CHAIN_REFUSED,
	    detail);
}

/* What follows the head is the tunnel's, and kept for its owner. */
static size_t
on_tunnel_bytes(void *arg, const char *bytes, size_t length)
{
	struct dial *dial = arg;
	enum http_progress progress = HTTP_HAS_HEAD;
	size_t offset = 0;

	while (progress == HTTP_HAS_HEAD && offset < length &&
	    dial->state == DIAL_TUNNELLING) {
		size_t taken;

		progress = http_feed(
		    dial->parser, bytes + offset, length - offset, &taken);
		offset += taken;
		if (progress == HTTP_HAS_HEAD)
			take_tunnel_answer(dial);
		else if (progress == HTTP_IS_BAD)
			fail(dial, DIAL_CHAIN_REFUSED,
			    http_error_text(http_error(dial->parser)));
	}
	return offset;
}

static void
on_tunnel_ended(void *arg, enum stream_end how)
{
	fail(arg, DIAL_CHAIN_REFUSED, "it closed the connection");
}

static const struct stream_callbacks tunnel_callbacks = {
    .on_bytes = on_tunnel_bytes,
    .on_drained = on_nothing,
    .on_ended = on_tunnel_ended,
    .on_secured = on_nothing,
    .on_finished = on_nothing,
};

/* RFC 9110 §9.3.6; Via, so that a loop of proxies shows (§7.6.3). */
static void
ask_for_tunnel(struct dial *dial)
{
	const struct origin *origin = dial->origin;
	const char *authorization = dial->chain->authorization;
	const char *bracket = strchr(origin->host, ':') != NULL ? "[" : "";
	char *authority = xasprintf("%s%s%s:%u", bracket, origin->host,
	    *bracket == '[' ? "]" : "", origin->port);
	char *request = xasprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n"
				  "Via: 1.1 %s\r\n%s%s%s\r\n",
	    authority, authority, dial->worker->house->via_name,
	    authorization == NULL ? "" : "Proxy-Authorization: ",
	    authorization == NULL ? "" : authorization,
	    authorization == NULL ? "" : "\r\n");

	free(authority);
	set_state(dial, DIAL_TUNNELLING);
	dial->parser = http_parser_new(
	    HTTP_KIND_RESPONSE, MAX_TUNNEL_HEAD_BYTES, on_no_body, dial);
	http_expect_no_body(dial->parser);
	stream_set_owner(dial->stream, &tunnel_callbacks, dial);
	stream_write(
	    dial->stream, &(struct iovec){request, strlen(request)}, 1);
	free(request);
}

static void
on_connected(struct dial *dial)
{
	int fd = dial->fd;
	int on = 1;

	event_free(dial->event);
	dial->event = NULL;
	dial->fd = -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	ledger_counters(dial->worker->ledger)->upstream_connections++;
	dial->stream =
	    stream_new(dial->worker->loop, fd, &handshake_callbacks, dial);
	stream_start_modestly(dial->stream);
	if (dial->chain != NULL &&
	    (dial->origin->is_tls || dial->purpose == DIAL_FOR_TUNNEL))
		ask_for_tunnel(dial);
	else
		secure(dial);
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

static enum dial_result
start_connect(struct dial *dial, const struct address *address)
{
	const struct sockaddr *sockaddr =
	    (const struct sockaddr *)&address->sockaddr;

	/* By address, not by name: that may change between two look-ups. */
	if (destination_is_prohibited(
		&dial->worker->house->destinations, sockaddr))
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
	fail(dial, reason, "");
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
		fail(dial,
		    result == RESOLVE_OK ? DIAL_NO_NAME
					 : result_of_resolve(result),
		    "");
		return;
	}
	set_state(dial, DIAL_CONNECTING);
	memcpy(dial->addresses, addresses, count * sizeof(*addresses));
	dial->address_count = count;
	connect_next(dial, DIAL_UNREACHABLE);
}

static void
on_dial_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	fail(dial,
	    dial->state == DIAL_RESOLVING ? DIAL_DNS_TIMEOUT : DIAL_TIMEOUT,
	    "");
}

/* Another proxy would look the host up, and may be on this machine. */
static void
on_prohibited(evutil_socket_t fd, short what, void *arg)
{
	fail(arg, DIAL_PROHIBITED, "");
}

static void
start_timer(struct dial *dial, event_callback_fn on_due, mono_us after_us)
{
	struct timeval after = {
	    .tv_sec = after_us / US_PER_S, .tv_usec = after_us % US_PER_S};

	dial->timer = evtimer_new(loop_base(dial->worker->loop), on_due, dial);
	if (dial->timer == NULL)
		abort();
	event_add(dial->timer, &after);
}

struct dial *
dial_start(struct worker *worker, struct origin *origin,
    enum dial_purpose purpose, dial_cb on_dialled, void *arg)
{
	const struct options *options = worker->house->options;
	struct dial *dial = xcalloc(1, sizeof(*dial));

	dial->worker = worker;
	dial->origin = origin_ref(origin);
	dial->purpose = purpose;
	dial->fd = -1;
	dial->on_dialled = on_dialled;
	dial->arg = arg;
	if (chain_leads_to(&options->chain, origin)) {
		dial->chain = &options->chain;
		if (destination_is_prohibited_host(&worker->house->destinations,
			origin->host, origin->port)) {
			start_timer(dial, on_prohibited, 0);
			return dial;
		}
		origin = dial->chain->proxy;
	}
	start_timer(dial, on_dial_timeout, options->connect_timeout_us);
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
