/* SPDX-License-Identifier: MIT */

/*
 * Copies, ends and words of the plain records.
 */

#include "accounting/record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"
#include "accounting/pack.h"

void
record_exchange_id(
    const struct exchange_record *exchange, char id[EXCHANGE_ID_BYTES])
{
	snprintf(id, EXCHANGE_ID_BYTES, "c%" PRIu64 "x%" PRIu32,
	    exchange->conn_id, exchange->ordinal);
}

/* Reads `letter` and a decimal number.  Returns NULL where they are not. */
static const char *
parse_part(const char *text, char letter, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;

	if (*text++ != letter || *text < '1' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (value > (max - digit) / 10)
			return NULL;
		value = value * 10 + digit;
	}
	*number = value;
	return text;
}

bool
record_parse_exchange_id(const char *text, uint64_t *conn_id, uint32_t *ordinal)
{
	uint64_t number;

	text = parse_part(text, 'c', UINT64_MAX, conn_id);
	if (text == NULL)
		return false;
	text = parse_part(text, 'x', UINT32_MAX, &number);
	if (text == NULL || *text != '\0')
		return false;
	*ordinal = (uint32_t)number;
	return true;
}

void
record_copy_conn(struct conn_record *to, const struct conn_record *from)
{
	*to = *from;
	to->client_address = xstrdup_or_null(from->client_address);
	to->target = xstrdup_or_null(from->target);
	to->origin = xstrdup_or_null(from->origin);
	to->user_agent = xstrdup_or_null(from->user_agent);
	to->tls_version = xstrdup_or_null(from->tls_version);
	to->tls_fingerprint = xstrdup_or_null(from->tls_fingerprint);
	to->trust_refused = xstrdup_or_null(from->trust_refused);
	to->tags = (struct tags){0};
	tags_copy(&to->tags, &from->tags);
	to->owner = owner_copy(from->owner);
}

void
record_copy_exchange(
    struct exchange_record *to, const struct exchange_record *from)
{
	*to = *from;
	to->method = xstrdup_or_null(from->method);
	to->url = xstrdup_or_null(from->url);
	to->origin = xstrdup_or_null(from->origin);
	to->route = xstrdup_or_null(from->route);
	to->user_agent = xstrdup_or_null(from->user_agent);
	to->traceparent = xstrdup_or_null(from->traceparent);
	to->client_address = xstrdup_or_null(from->client_address);
	to->error = xstrdup_or_null(from->error);
	to->capture = NULL;
	to->tags = (struct tags){0};
	tags_copy(&to->tags, &from->tags);
	to->owner = owner_copy(from->owner);
}

void
record_pack_exchange(struct exchange_record *to,
    const struct exchange_record *from, struct pack *pack)
{
	*to = *from;
	to->method = pack_text(pack, from->method);
	to->url = pack_text(pack, from->url);
	to->origin = pack_text(pack, from->origin);
	to->route = pack_text(pack, from->route);
	to->user_agent = pack_text(pack, from->user_agent);
	to->traceparent = pack_text(pack, from->traceparent);
	to->client_address = pack_text(pack, from->client_address);
	to->error = pack_text(pack, from->error);
	to->capture = capture_pack(from->capture, pack);
	tags_pack(&to->tags, &from->tags, pack);
	to->owner = owner_pack(from->owner, pack);
}

void
record_fini_conn(struct conn_record *conn)
{
	free(conn->client_address);
	free(conn->target);
	free(conn->origin);
	free(conn->user_agent);
	free(conn->tls_version);
	free(conn->tls_fingerprint);
	free(conn->trust_refused);
	owner_unref(&conn->owner);
	tags_fini(&conn->tags);
}

void
record_fini_exchange(struct exchange_record *exchange)
{
	free(exchange->method);
	free(exchange->url);
	free(exchange->origin);
	free(exchange->route);
	free(exchange->user_agent);
	free(exchange->traceparent);
	free(exchange->client_address);
	free(exchange->error);
	capture_free(exchange->capture);
	owner_unref(&exchange->owner);
	tags_fini(&exchange->tags);
}

static const struct {
	const char *word;
	enum ending ending;
} closes[] = {
#define CLOSE(name, word, ending, meaning) \
	[CLOSE_##name] = {word, ENDING_##ending},
#include "accounting/closes.def"
#undef CLOSE
};

const char *
record_close_word(enum close_reason reason)
{
	assert(reason < CLOSE_COUNT);
	return closes[reason].word;
}

enum ending
record_close_ending(enum close_reason reason)
{
	assert(reason < CLOSE_COUNT);
	return closes[reason].ending;
}

const char *
record_transport_word(enum transport transport)
{
	switch (transport) {
	case TRANSPORT_PLAIN:
		return "plain";
	case TRANSPORT_TUNNEL:
		return "tunnel";
	case TRANSPORT_INTERCEPTED:
		return "intercepted";
	case TRANSPORT_CLEAR:
		return "clear";
	}
	abort();
}

const char *
record_conn_state_word(enum conn_state state)
{
	switch (state) {
	case CONN_ACTIVE:
		return "active";
	case CONN_IDLE:
		return "idle";
	case CONN_WATCHED:
		return "watched";
	case CONN_CLOSED:
		return "closed";
	}
	abort();
}
