/* SPDX-License-Identifier: MIT */

/*
 * Sessions to resume.
 *
 * OpenSSL keeps the origin's certificates with a session, parsed: 5 KiB and
 * more each, which no resumption looks at, for what they proved is kept beside
 * them (verify_result).  So a session is kept as OpenSSL writes it out, in a
 * few hundred bytes, without the certificate.
 */

#include "proxy/tls_sessions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <uthash.h>

#include "accounting/memory.h"

/* Its element of a session's (SSL_SESSION_ASN1 in OpenSSL's ssl_asn1.c). */
#define CERTIFICATE_TAG 3

struct entry {
	char *route;   /* owned */
	size_t length; /* of the session */
	UT_hash_handle hh;
	unsigned char session[];
};

struct tls_sessions {
	struct entry *entries; /* owned, oldest first */
};

struct tls_sessions *
tls_sessions_new(void)
{
	return xcalloc(1, sizeof(struct tls_sessions));
}

static void
forget(struct tls_sessions *sessions, struct entry *entry)
{
	HASH_DEL(sessions->entries, entry);
	free(entry->route);
	free(entry);
}

void
tls_sessions_clear(struct tls_sessions *sessions)
{
	struct entry *entry;
	struct entry *next;

	HASH_ITER (hh, sessions->entries, entry, next)
		forget(sessions, entry);
}

void
tls_sessions_free(struct tls_sessions *sessions)
{
	if (sessions == NULL)
		return;
	tls_sessions_clear(sessions);
	free(sessions);
}

/* ---- in few bytes ---- */

struct range {
	const unsigned char *start;
	const unsigned char *end;
};

/* Enters the value of the element that begins at range->start; *end is where
 * the element does.  Returns false where there is none. */
static bool
open_element(struct range *range, int *tag, const unsigned char **end)
{
	long length;
	int class;

	if (range->start == range->end ||
	    (ASN1_get_object(&range->start, &length, tag, &class,
		 range->end - range->start) &
		0x80) != 0)
		return false;
	if (class == V_ASN1_UNIVERSAL)
		*tag = -1; /* the others have a tag of the session's */
	*end = range->start + length;
	return true;
}

/* Returns the certificate's element among these, or none at their end. */
static struct range
find_certificate(struct range elements)
{
	const unsigned char *begin = elements.start;
	const unsigned char *end;
	int tag;

	while (open_element(&elements, &tag, &end)) {
		if (tag == CERTIFICATE_TAG)
			return (struct range){begin, end};
		begin = elements.start = end;
	}
	return (struct range){elements.end, elements.end};
}

/* Returns an entry for what was written out, without its route. */
static struct entry *
pack(struct range written)
{
	struct range body = written;
	struct range hole;
	struct entry *entry;
	unsigned char *to;
	size_t length;
	int tag;

	if (!open_element(&body, &tag, &body.end))
		return NULL;
	hole = find_certificate(body);
	length = (size_t)((hole.start - body.start) + (body.end - hole.end));
	entry = xcalloc(1,
	    sizeof(*entry) +
		(size_t)ASN1_object_size(1, (int)length, V_ASN1_SEQUENCE));
	to = entry->session;
	ASN1_put_object(&to, 1, (int)length, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	to = mempcpy(to, body.start, (size_t)(hole.start - body.start));
	to = mempcpy(to, hole.end, (size_t)(body.end - hole.end));
	entry->length = (size_t)(to - entry->session);
	return entry;
}

void
tls_sessions_keep(struct tls_sessions *sessions, const char *route,
    const SSL_SESSION *session)
{
	unsigned char *written = NULL;
	int length = i2d_SSL_SESSION(session, &written);
	struct entry *entry = length <= 0
	    ? NULL
	    : pack((struct range){written, written + length});
	struct entry *former;

	OPENSSL_free(written);
	HASH_FIND_STR(sessions->entries, route, former);
	if (former == NULL && HASH_COUNT(sessions->entries) >= TLS_SESSIONS_MAX)
		former = sessions->entries;
	if (former != NULL)
		forget(sessions, former);
	if (entry == NULL)
		return;
	entry->route = xstrdup(route);
	HASH_ADD_KEYPTR(
	    hh, sessions->entries, entry->route, strlen(entry->route), entry);
}

SSL_SESSION *
tls_sessions_find(const struct tls_sessions *sessions, const char *route)
{
	const unsigned char *session;
	struct entry *entry;

	HASH_FIND_STR(sessions->entries, route, entry);
	if (entry == NULL)
		return NULL;
	session = entry->session;
	return d2i_SSL_SESSION(NULL, &session, (long)entry->length);
}
