/* SPDX-License-Identifier: MIT */

/*
 * URLs of shared stores.  They may hold a password, also in places where who
 * wrote them did not mean it to be: "/" and "@" in a password have to be
 * written as %2F and %40, else a part of it is read as the host, the port or
 * the database, which errors name.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/libpq.h"
#include "accounting/memory.h"
#include "accounting/store_parts.h"

/* What is shown of a URL. */
struct shown {
	const char *user;
	const char *host;
	const char *port;
	const char *database;
};

/* Borrows from the options; what is not there is "". */
static struct shown
find_shown(const PQconninfoOption *options)
{
	struct shown shown = {"", "", "", ""};
	const struct {
		const char *name;
		const char **value;
	} fields[] = {
	    {"user", &shown.user},
	    {"host", &shown.host},
	    {"port", &shown.port},
	    {"dbname", &shown.database},
	};

	for (; options != NULL && options->keyword != NULL; options++) {
		for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
			if (options->val != NULL &&
			    strcmp(options->keyword, fields[i].name) == 0)
				*fields[i].value = options->val;
		}
	}
	return shown;
}

char *
store_describe_url(const char *url)
{
	PQconninfoOption *options = libpq.conninfoParse(url, NULL);
	struct shown shown = find_shown(options);
	char *text = xasprintf("postgresql://%.64s%s%.256s%s%.64s/%.64s",
	    shown.user, *shown.user == '\0' ? "" : "@", shown.host,
	    *shown.port == '\0' ? "" : ":", shown.port, shown.database);

	libpq.conninfoFree(options);
	return text;
}

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if (iscntrl((unsigned char)*text))
			return true;
	}
	return false;
}

/* Several hosts have several ports. */
static bool
is_meant(const struct shown *shown)
{
	return strchr(shown->host, '@') == NULL &&
	    strchr(shown->database, '@') == NULL &&
	    shown->port[strspn(shown->port, "0123456789,")] == '\0' &&
	    !has_control(shown->user) && !has_control(shown->host) &&
	    !has_control(shown->database);
}

bool
store_check_shared(const char *url, char error[STORE_ERROR_BYTES])
{
	PQconninfoOption *options;
	struct shown shown;
	char *why = NULL;
	bool is_good;

	if (!libpq_load()) {
		snprintf(error, STORE_ERROR_BYTES,
		    "libpq.so.5 is not there: install libpq5, or take --store "
		    "on");
		return false;
	}
	options = libpq.conninfoParse(url, &why);
	shown = find_shown(options);
	is_good = options != NULL && is_meant(&shown);
	if (!is_good)
		/* Not libpq's own words: they quote the URL. */
		snprintf(error, STORE_ERROR_BYTES,
		    "it is no URL of PostgreSQL's: write "
		    "postgresql://USER@HOST:5432/DATABASE, and what is no "
		    "letter or digit in them as %%40");
	libpq.conninfoFree(options);
	libpq.freemem(why);
	return is_good;
}
