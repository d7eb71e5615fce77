/* SPDX-License-Identifier: MIT */

/*
 * The rules are one table of the family inet, for IPv4 and IPv6, which nobody
 * else touches: nft applies a file as a whole or not at all, and to delete the
 * table is to be rid of everything.  A table that is declared before it is
 * deleted need not have been there.
 */

#include "proxy/rules.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>

#include "proxy/units.h"

#define STATUS_MISTAKE 2

void
rules_add_removal(struct text *out)
{
	text_add_string(out,
	    "table inet leakproxy\n"
	    "delete table inet leakproxy\n");
}

static void
add_redirection(struct text *out, const char *family, uint16_t port)
{
	if (port != 0)
		text_addf(out,
		    "\t\tmeta nfproto %s meta l4proto tcp redirect to :%u\n",
		    family, port);
}

/* Link-local addresses, and where clouds keep credentials over IPv6, are not
 * proxied to (destination.c): a service that may reach them shall go on to. */
void
rules_add(const struct rules *rules, struct text *out)
{
	rules_add_removal(out);
	text_addf(out,
	    "table inet leakproxy {\n"
	    "\tchain output {\n"
	    "\t\ttype nat hook output priority -100; policy accept;\n"
	    "\t\toifname \"lo\" return\n"
	    "\t\tmeta skuid %lld return\n"
	    "\t\tip daddr 169.254.0.0/16 return\n"
	    "\t\tip6 daddr { fe80::/10, fd00:ec2::254, fd20:ce::254 } "
	    "return\n",
	    (long long)rules->uid);
	add_redirection(out, "ipv4", rules->v4_port);
	add_redirection(out, "ipv6", rules->v6_port);
	text_add_string(out, "\t}\n}\n");
}

/* ---- the command ---- */

static bool
complain(const char *what)
{
	fprintf(stderr, "leakproxy: redirect-rules: %s\n", what);
	return false;
}

static bool
read_uid(const struct options *options, struct rules *rules)
{
	const struct passwd *entry;

	rules->uid = options->uid;
	if (options->uid >= 0)
		return true;
	if (options->user == NULL)
		return complain("whom to spare is missing: name the user that "
				"leakproxy runs as by --user or --uid, or its "
				"own connections would come back to it");
	entry = getpwnam(options->user);
	if (entry == NULL)
		return complain("--user: there is no such user here: choose "
				"one that getent passwd lists, or give --uid");
	rules->uid = entry->pw_uid;
	return true;
}

static bool
read_ports(const struct options *options, struct rules *rules)
{
	for (size_t i = 0; i < options->redirect_count; i++) {
		const struct address *address = &options->redirect[i];
		uint16_t *port = address->sockaddr.ss_family == AF_INET
		    ? &rules->v4_port
		    : &rules->v6_port;

		if (units_port(address) == 0)
			return complain("--redirect: the rules need the port: "
					"choose one other than 0");
		if (*port != 0 && *port != units_port(address))
			return complain("--redirect: there are two ports: the "
					"rules can send to one");
		*port = units_port(address);
	}
	if (options->redirect_count == 0)
		return complain("--redirect is missing: give it the port that "
				"leakproxy serve --redirect has");
	return true;
}

int
rules_print(const struct options *options)
{
	struct rules rules = {0};
	struct text out = {0};
	bool is_printed;

	if (options->wants_removal)
		rules_add_removal(&out);
	else if (read_uid(options, &rules) && read_ports(options, &rules))
		rules_add(&rules, &out);
	else
		return STATUS_MISTAKE;
	is_printed = fwrite(out.bytes, 1, out.length, stdout) == out.length &&
	    fflush(stdout) == 0;
	text_fini(&out);
	return is_printed || complain("cannot write to stdout")
	    ? 0
	    : STATUS_MISTAKE;
}
