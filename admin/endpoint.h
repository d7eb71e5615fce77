/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_ENDPOINT_H
#define ADMIN_ENDPOINT_H

/*
 * What the admin server has to offer: the table of paths, and the documents
 * that they render.  Knows nothing of sockets.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/snapshot.h"
#include "admin/goroutines.h"
#include "admin/view.h"

struct marks;

enum method {
	METHOD_GET = 1 << 0,
	METHOD_HEAD = 1 << 1,
	METHOD_POST = 1 << 2,
	METHOD_OTHER = 1 << 3,
};

/* What is answered. */
struct document {
	int status;
	const char *content_type;
	const char *file_name; /* to be saved as; NULL: to be shown */
	const char *allow;     /* of a 405; NULL otherwise */
	const char *challenge; /* of a 401; NULL otherwise */
	const char *policy;    /* Content-Security-Policy; NULL: nothing may */
	bool is_endless;       /* more follows the body */
	char *body;            /* owned */
};

/* One request, as far as rendering needs it. */
struct visit {
	const struct endpoint *endpoint;
	struct view view;
	char *accept; /* owned; NULL: none */
	char *body;   /* owned; NULL where it is no POST */

	/* borrowed for the call */
	const struct snapshot *snapshot; /* NULL unless the endpoint gathers */
	char *(*ca_pem)(void *arg);      /* NULL: there is none */
	void *ca_pem_arg;
	const char *content_type; /* of the body; NULL: none */
	struct marks *marks;
	const struct goroutines *goroutines; /* NULL: not asked for */
	bool is_ready;
};

/* What "*" in a path stands for. */
enum segment {
	SEGMENT_NONE,
	SEGMENT_EXCHANGE, /* its id */
	SEGMENT_LEAK,
};

struct endpoint {
	const char *path; /* "*" stands for one segment */
	enum segment segment;
	unsigned methods;            /* of enum method */
	unsigned params;             /* of enum view_param */
	enum filter_subject filters; /* what those filter, where any do */
	bool is_public;              /* asks for no token */
	bool gathers;       /* renders a snapshot, taken by view.query */
	bool is_brief;      /* see snapshot_query, also below */
	bool is_endless;    /* goes on with events */
	size_t usual_limit; /* of the list; 0: all of it */
	bool wants_conns;
	bool wants_refusals;
	bool wants_exchanges;
	bool wants_errors; /* of the exchanges, those alone */
	bool wants_captures;
	bool wants_rhythm;
	void (*render)(const struct visit *visit, struct document *document);
	const char *help;
};

/*
 * Makes of a request what is to be done: fills in *visit (all zero before)
 * and returns true; or returns false, with the refusal in *document.  `path`
 * and `query_string` are as they came.
 */
bool endpoint_visit(struct visit *visit, enum method method, const char *path,
    const char *query_string, struct document *document) MUST_CHECK;

/* Returns whether the path may be asked for without the token. */
bool endpoint_is_public(const char *path);

void endpoint_render(const struct visit *visit, struct document *document);

/* A refusal in the form that suits the path: JSON below /api/, else text. */
void endpoint_refuse(struct document *document, int status, const char *path,
    const char *reason);

void endpoint_visit_fini(struct visit *visit);

#endif
