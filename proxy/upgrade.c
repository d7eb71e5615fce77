/* SPDX-License-Identifier: MIT */

/*
 * Upgrade is hop-by-hop, so we issue it again, for all protocols but one:
 * behind "h2c" there would be HTTP that we cannot read, and a proxy may leave
 * out what it does not want (RFC 9110 §7.8).  The origin then answers in
 * HTTP/1.1, which every caller that offers an upgrade understands.
 */

#include "proxy/upgrade.h"

/* Walks the members of all Upgrade fields that may pass. */
struct walk {
	const struct head *head;
	size_t at; /* the next field */
	struct span list;
};

static bool
next_protocol(struct walk *walk, struct span *protocol)
{
	for (;;) {
		if (head_next_member(&walk->list, protocol)) {
			if (head_span_is(*protocol, "h2c"))
				continue;
			return true;
		}
		while (walk->at < walk->head->field_count &&
		    walk->head->fields[walk->at].id != FIELD_UPGRADE)
			walk->at++;
		if (walk->at == walk->head->field_count)
			return false;
		walk->list = walk->head->fields[walk->at++].value;
	}
}

bool
upgrade_is_asked(const struct head *request)
{
	struct walk walk = {.head = request};
	struct span protocol;

	/* In HTTP/1.0 it means nothing (RFC 9110 §7.8). */
	return request->http_minor >= 1 &&
	    head_lists(request, FIELD_CONNECTION, "upgrade") &&
	    next_protocol(&walk, &protocol);
}

static bool
offers(const struct head *request, struct span wanted)
{
	struct walk walk = {.head = request};
	struct span protocol;

	while (next_protocol(&walk, &protocol)) {
		if (head_span_equals(protocol, wanted))
			return true;
	}
	return false;
}

bool
upgrade_is_granted(const struct head *request, const struct head *response)
{
	struct walk walk = {.head = response};
	struct span protocol;
	bool is_named = false;

	if (!upgrade_is_asked(request) ||
	    head_lists(response, FIELD_UPGRADE, "h2c"))
		return false;
	/* RFC 9110 §15.2.2: a 101 names what is in effect from now on. */
	while (next_protocol(&walk, &protocol)) {
		if (!offers(request, protocol))
			return false;
		is_named = true;
	}
	return is_named;
}

void
upgrade_write(const struct head *head, struct text *out)
{
	struct walk walk = {.head = head};
	struct span protocol;
	const char *before = "Connection: Upgrade\r\nUpgrade: ";

	while (next_protocol(&walk, &protocol)) {
		text_add_string(out, before);
		text_add_span(out, protocol);
		before = ", ";
	}
	if (before[0] == ',')
		text_add(out, "\r\n", 2);
}
