/* SPDX-License-Identifier: MIT */

/*
 * Whom we believe an origin by: roots, and CRLs where the file has some.
 */

#include "proxy/tls_parts.h"

#include <stdlib.h>

#include "accounting/memory.h"
#include "certs/bundle.h"

static bool
has_crl(X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) ==
		    X509_LU_CRL)
			return true;
	}
	return false;
}

/* Without any roots nothing verifies, and each dial says so. */
static bool
load(X509_STORE *store, const char *path)
{
	if (path != NULL && X509_STORE_load_file(store, path) != 1)
		return false;
	if (has_crl(store))
		X509_STORE_set_flags(
		    store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return true;
}

struct tls_roots *
tls_roots_read(const char *ca_file, char error[TLS_ERROR_BYTES])
{
	struct tls_roots *roots = xcalloc(1, sizeof(*roots));

	roots->store = X509_STORE_new();
	if (roots->store != NULL &&
	    load(roots->store,
		ca_file != NULL ? ca_file : bundle_system_roots()))
		return roots;
	tls_explain(error, "cannot load the roots to verify origins by");
	tls_roots_free(roots);
	return NULL;
}

void
tls_roots_free(struct tls_roots *roots)
{
	if (roots == NULL)
		return;
	X509_STORE_free(roots->store);
	free(roots);
}
