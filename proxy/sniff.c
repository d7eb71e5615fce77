/* SPDX-License-Identifier: MIT */

/*
 * What is inside a CONNECT or a redirected connection: TLS, plain HTTP, or
 * something that is none of our business.
 *
 * Who sends a CONNECT knows of us, and is told where it goes wrong.  Who was
 * redirected does not: there, whatever we would not understand passes as it
 * is.
 */

#include "proxy/client_parts.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "proxy/client_hello.h"
#include "proxy/opening.h"

/* The first byte of a TLS connection: a handshake record. */
#define TLS_HANDSHAKE 0x16

/* ---- TLS, and whether to take it apart ---- */

static bool
wants_hello(const struct client *client)
{
	return client->destination != NULL ||
	    client->worker->policy->passthrough.count > 0;
}

/* Whether a name by which the caller calls it is to be passed through; and of
 * what was redirected, whether it is no HTTP/1: no caller has asked us for
 * that, and so it is not refused. */
static bool
is_opaque(const struct client *client, const struct client_hello *hello)
{
	if (client->destination != NULL && !hello->speaks_http1)
		return true;
	return hello->server_name[0] != '\0' &&
	    policy_passes_through(client->worker->policy, hello->server_name);
}

/* What is not taken apart has no other name than this. */
static void
name_by_hello(struct client *client, const struct client_hello *hello)
{
	struct conn_record *record = ledger_conn_record(client->record);

	if (client->destination == NULL || hello->server_name[0] == '\0' ||
	    !origin_rename(&client->target, hello->server_name))
		return;
	free(record->target);
	record->target =
	    xasprintf("%s:%u", hello->server_name, client->target->port);
}

/*
 * Looks into the ClientHello, of which `bytes` are all that has come, before
 * anybody answers it.  Of them the last `fresh` are still the stream's.
 * Returns how many of these were taken.
 */
static size_t
take_hello(
    struct client *client, const char *bytes, size_t length, size_t fresh)
{
	struct client_hello hello;
	bool is_passed_on = false;

	switch (client_hello_read(bytes, length, &hello)) {
	case CLIENT_HELLO_NEEDS_MORE:
		if (client->opaque->hello.length == 0)
			text_add(&client->opaque->hello, bytes, length);
		return fresh;
	case CLIENT_HELLO_WHOLE:
		name_by_hello(client, &hello);
		is_passed_on = is_opaque(client, &hello);
		break;
	case CLIENT_HELLO_NONE:
		/* Inside a CONNECT it shall be told that this is no TLS. */
		is_passed_on = client->destination != NULL;
		break;
	}
	if (is_passed_on) {
		connect_pass_on(client);
		/* What was gathered is ours; else the stream keeps it. */
		return length == fresh ? 0 : fresh;
	}
	connect_secure(client, bytes, length);
	return fresh;
}

static size_t
take_more_hello(struct client *client, const char *bytes, size_t length)
{
	text_add(&client->opaque->hello, bytes, length);
	return take_hello(client, client->opaque->hello.bytes,
	    client->opaque->hello.length, length);
}

/* ---- plain HTTP ---- */

/* RFC 4253 §4.2: both sides of SSH begin so, which is no HTTP method. */
static bool
is_ssh(const char *bytes, size_t length)
{
	return length >= strlen("SSH-") && memcmp(bytes, "SSH-", 4) == 0;
}

static bool
is_http(const struct client *client, const char *bytes, size_t length)
{
	if (client->destination != NULL)
		return opening_is_request(bytes, length);
	return bytes[0] >= 'A' && bytes[0] <= 'Z' && !is_ssh(bytes, length);
}

size_t
sniff_take(struct client *client, const char *bytes, size_t length)
{
	if (client->opaque->hello.length > 0)
		return take_more_hello(client, bytes, length);
	if (bytes[0] == TLS_HANDSHAKE && wants_hello(client))
		return take_hello(client, bytes, length, length);
	if (bytes[0] == TLS_HANDSHAKE) {
		connect_secure(client, bytes, length);
		return length;
	}
	if (is_http(client, bytes, length)) {
		connect_clear(client);
		return request_take_bytes(client, bytes, length);
	}
	connect_pass_on(client);
	return 0;
}
