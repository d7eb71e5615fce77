/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_ASKED_H
#define ADMIN_ASKED_H

/*
 * What a request to the admin port says, out of evhttp's hands.
 */

#include "admin/endpoint.h"

struct evhttp_request;

enum method asked_method(struct evhttp_request *request);

/* Returns a field's value, the first where there are several; NULL where
 * there is none.  Borrows: while the request lives. */
const char *asked_field(struct evhttp_request *request, const char *name);

/* Returns what makes of this no request to an origin server, or NULL. */
const char *asked_mistake(struct evhttp_request *request);

/* Returns the body of a POST; NULL where it is none.  Free with free(). */
char *asked_body(struct evhttp_request *request);

#endif
