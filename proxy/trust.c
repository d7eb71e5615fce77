/* SPDX-License-Identifier: MIT */

/*
 * What callers are to trust.
 *
 * The authority is behind a lock for those threads that want its certificate;
 * workers know it by the leaves alone.
 */

#include "proxy/trust.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "certs/authority.h"
#include "certs/bundle.h"
#include "certs/identity.h"
#include "certs/leaf_cache.h"
#include "certs/truststore.h"
#include "proxy/base/log.h"
#include "proxy/tls_keylog.h"

struct trust {
	const struct options *options; /* borrowed */
	pthread_mutex_t lock;
	/* owned */
	struct authority *authority; /* written under the lock */
	char *bundle_path;
	char *truststore_path;
	struct leaf_cache *leaves;
	struct tls_keylog *keylog; /* NULL: none */
	struct tls_server *server;
};

/* As with curl and browsers: who can set our environment can ask for it. */
static bool
open_keylog(struct trust *trust, char error[TRUST_ERROR_BYTES])
{
	const char *path = getenv("SSLKEYLOGFILE");
	char reason[TLS_KEYLOG_ERROR_BYTES];

	if (path == NULL || *path == '\0')
		return true;
	trust->keylog = tls_keylog_open(path, reason);
	if (trust->keylog == NULL) {
		snprintf(error, TRUST_ERROR_BYTES, "SSLKEYLOGFILE: %s", reason);
		return false;
	}
	log_warnx("SSLKEYLOGFILE is set: whoever reads %s can decrypt this "
		  "proxy's TLS traffic",
	    path);
	return true;
}

/* It may be on purpose, to see what the origin makes of it. */
static void
warn_of_expired(const struct options *options)
{
	for (size_t i = 0; i < options->client_cert_count; i++) {
		const struct client_cert *cert = &options->client_certs[i];

		if (!identity_is_current(cert->identity))
			log_warnx("--client-cert: the certificate for %s has "
				  "expired, or is not valid yet",
			    cert->pattern);
	}
}

/* Returns the authority, with its files written; NULL with a line. */
static struct authority *
read_authority(const struct trust *trust, char error[TRUST_ERROR_BYTES])
{
	const struct options *options = trust->options;
	char reason[AUTHORITY_ERROR_BYTES];
	struct authority *authority =
	    authority_open(options->state_dir, reason);

	if (authority != NULL &&
	    bundle_write(
		authority, options->upstream_ca, trust->bundle_path, reason) &&
	    truststore_write(
		trust->bundle_path, trust->truststore_path, reason))
		return authority;
	snprintf(error, TRUST_ERROR_BYTES, "--state-dir: %s", reason);
	authority_free(authority);
	return NULL;
}

static bool
open_server(struct trust *trust, char error[TRUST_ERROR_BYTES])
{
	char reason[TLS_ERROR_BYTES];

	trust->leaves =
	    leaf_cache_new(trust->authority, LEAF_CACHE_DEFAULT_MAX);
	if (trust->leaves == NULL) {
		snprintf(error, TRUST_ERROR_BYTES,
		    "OpenSSL cannot make a key for certificates");
		return false;
	}
	trust->server = tls_server_new(trust->leaves, trust->keylog, reason);
	if (trust->server == NULL)
		snprintf(error, TRUST_ERROR_BYTES, "%s", reason);
	return trust->server != NULL;
}

struct trust *
trust_open(const struct options *options, char error[TRUST_ERROR_BYTES])
{
	struct trust *trust = xcalloc(1, sizeof(*trust));

	trust->options = options;
	pthread_mutex_init(&trust->lock, NULL);
	trust->bundle_path = xasprintf("%s/bundle.pem", options->state_dir);
	trust->truststore_path =
	    xasprintf("%s/truststore.p12", options->state_dir);
	warn_of_expired(options);
	if (open_keylog(trust, error)) {
		trust->authority = read_authority(trust, error);
		if (trust->authority != NULL && open_server(trust, error))
			return trust;
	}
	trust_free(trust);
	return NULL;
}

void
trust_free(struct trust *trust)
{
	if (trust == NULL)
		return;
	tls_server_free(trust->server);
	leaf_cache_free(trust->leaves);
	tls_keylog_free(trust->keylog);
	authority_free(trust->authority);
	free(trust->bundle_path);
	free(trust->truststore_path);
	pthread_mutex_destroy(&trust->lock);
	free(trust);
}

bool
trust_reload(struct trust *trust, char error[TRUST_ERROR_BYTES])
{
	struct authority *fresh = read_authority(trust, error);
	struct authority *old = trust->authority;

	if (fresh == NULL)
		return false;
	/* Leaves of the same one are as good as before. */
	if (strcmp(authority_pem(fresh), authority_pem(old)) == 0) {
		authority_free(fresh);
		return true;
	}
	leaf_cache_set_authority(trust->leaves, fresh);
	pthread_mutex_lock(&trust->lock);
	trust->authority = fresh;
	pthread_mutex_unlock(&trust->lock);
	authority_free(old);
	log_info("another CA: callers must trust %s",
	    authority_certificate_path(fresh));
	return true;
}

struct tls_server *
trust_server(const struct trust *trust)
{
	return trust->server;
}

const struct tls_keylog *
trust_keylog(const struct trust *trust)
{
	return trust->keylog;
}

char *
trust_ca_pem(struct trust *trust)
{
	char *pem;

	pthread_mutex_lock(&trust->lock);
	pem = xstrdup(authority_pem(trust->authority));
	pthread_mutex_unlock(&trust->lock);
	return pem;
}

const char *
trust_ca_path(const struct trust *trust)
{
	return authority_certificate_path(trust->authority);
}

const char *
trust_bundle_path(const struct trust *trust)
{
	return trust->bundle_path;
}

const char *
trust_truststore_path(const struct trust *trust)
{
	return trust->truststore_path;
}
