/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_TAPE_H
#define ACCOUNTING_TAPE_H

/*
 * Responses that were recorded, to be played again: which of them answers a
 * request.  Pure; one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/units.h"

struct tape_field {
	char *name;
	char *value;
};

/* Strings are owned. */
struct tape_answer {
	char *id; /* NULL: none; of those alike the last one counts */
	char *method;
	char *host;   /* with its port, lower case, as in the URL */
	char *target; /* path and query, "/v2/" */
	int status;
	char *reason;
	struct tape_field *fields; /* owned */
	size_t field_count;
	char *body; /* owned: the start of it that was kept */
	size_t body_bytes;
	int64_t size_bytes; /* of the whole body */
	bool is_broken;     /* the origin broke off */
	unsigned plays;     /* so far */
};

struct tape {
	struct tape_answer *answers; /* owned, in the order recorded */
	size_t count;
};

/* Free with tape_free(). */
struct tape *tape_new(void);
void tape_free(struct tape *tape);

/* Takes what *answer owns.  Those that have an id wait for
 * tape_drop_superseded(). */
void tape_add(struct tape *tape, const struct tape_answer *answer);
void tape_fini_answer(struct tape_answer *answer);

/* Drops all but the last of those with the same id. */
void tape_drop_superseded(struct tape *tape);

/* Returns the value of the answer's first field of that name, or NULL. */
const char *tape_find(const struct tape_answer *answer, const char *name);

struct tape_request {
	const char *method;
	const char *host; /* NULL: not known */
	const char *target;
};

/*
 * Returns what answers the request, NULL where nothing does.  The path must
 * be that of the recorded one; of several, the same query counts most, then
 * the same host; and those that are alike take turns.  A HEAD is answered by
 * what GET got, where there is none of its own.  Borrowed.
 */
struct tape_answer *tape_play(
    struct tape *tape, const struct tape_request *request);

/* Returns "GET /a, GET /b?c=1 and 3 others", each once.  Free with free(). */
char *tape_list(const struct tape *tape);

#endif
