/* SPDX-License-Identifier: MIT */

/*
 * Readers for the options about redirected connections.
 */

#include <arpa/inet.h>
#include <stdio.h>

#include "accounting/memory.h"
#include "proxy/option_read.h"

/* The largest but one: the last stands for none. */
#define MAX_UID (UINT32_MAX - 1)

static void
add(struct options *options, const struct address *address)
{
	options->redirect = xreallocarray(options->redirect,
	    options->redirect_count + 1, sizeof(*options->redirect));
	options->redirect[options->redirect_count++] = *address;
}

/* The kernel puts loopback in place of where a connection of this machine was
 * to go. */
static bool
read_port(struct options *options, const char *text)
{
	static const char *const loopback[] = {"127.0.0.1", "[::1]"};
	uint64_t port;
	struct address address;

	if (!units_parse_number(text, UINT16_MAX, &port) || port == 0)
		return false;
	for (int i = 0; i < 2; i++) {
		if (!units_parse_host_address(loopback[i], &address))
			return false;
		units_set_port(&address, (uint16_t)port);
		add(options, &address);
	}
	return true;
}

bool
option_read_redirect(
    struct options *options, void *field, const char *text, char *why)
{
	struct address address;

	if (read_port(options, text))
		return true;
	if (!units_parse_address(text, &address)) {
		snprintf(why, OPTION_WHY_BYTES,
		    "\"%.*s\" is no place to listen: write 15001, "
		    "127.0.0.1:15001 or [::1]:15001",
		    OPTION_SHOWN_BYTES, text);
		return false;
	}
	add(options, &address);
	return true;
}

bool
option_read_uid(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t uid;

	if (!units_parse_number(text, MAX_UID, &uid)) {
		snprintf(why, OPTION_WHY_BYTES,
		    "\"%.*s\" is no user's number: write what id -u prints, "
		    "or --user and the name",
		    OPTION_SHOWN_BYTES, text);
		return false;
	}
	*(int64_t *)field = (int64_t)uid;
	return true;
}
