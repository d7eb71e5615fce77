/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_LEAK_H
#define ACCOUNTING_LEAK_H

/*
 * A leak: the undrained and suspected responses that have the same origin,
 * method, route, status and tags, counted together (DESIGN §2).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/arrivals.h"
#include "accounting/record.h"
#include "accounting/rhythm.h"
#include "accounting/levels.h"
#include "accounting/suspect.h"
#include "accounting/tag.h"
#include "accounting/units.h"
#include "accounting/verdict.h"

#define LEAK_ID_BYTES 17
#define LEAK_MAX_CALLERS 16
#define LEAK_MAX_FDS 64

/* One program that leaks: pid, or address where the pid is not known. */
struct leak_caller {
	char *client_host;                       /* "127.0.0.1" */
	char *user_agent;                        /* NULL unknown */
	char *command;                           /* NULL unknown */
	char *command_line;                      /* NULL unknown */
	char container[PROCESS_CONTAINER_BYTES]; /* "" none, or unknown */
	pid_t pid;                               /* -1 unknown */
	int fds[LEAK_MAX_FDS]; /* of responses held now, where known */
	size_t fd_count;
};

/* How long held responses were held, for those whose connection ended before
 * its process did. */
struct leak_releases {
	uint64_t count;
	double sum_s;
	double sum_squares_s;
};

/* What names a leak, for its copies in other threads: they cost no allocation
 * then. */
struct leak_name;

struct leak {
	char
	    id[LEAK_ID_BYTES]; /* hex; the same in every run for the same key */
	/* owned, or by `name` where there is one */
	char *origin;
	char *method;
	char *route;
	struct tags tags;
	struct leak_name *name; /* shared; NULL: none */
	int status;
	uint64_t undrained;
	uint64_t suspected;
	uint64_t held_now;
	uint64_t held_to_exit; /* held until their process ended */
	int64_t held_bytes;    /* body bytes of the responses held now that the
	                       caller has not read: unread or not delivered */
	uint64_t by_evidence[EVIDENCE_COUNT]; /* of the undrained */
	wall_us first_seen;                   /* responses, by their arrival */
	wall_us last_seen;
	struct leak_releases releases;
	struct arrivals arrivals; /* of the undrained and the suspected */
	struct levels held;       /* now and before; not begun if not known */
	struct rhythm rhythm;     /* set by snapshot_seal(), as is suspect */
	struct suspect suspect;
	struct leak_caller *callers; /* owned */
	size_t caller_count;
	struct exchange_record *example; /* owned; NULL if none is in memory.
	                                    Of its texts method and URL, and the
	                                    capture: the leak has the others */
};

/* Returns the number behind the id of the exchange's key, with this route. */
uint64_t leak_hash(const struct exchange_record *exchange, const char *route);

/* Writes the id of the key into `id`. */
void leak_id(char id[LEAK_ID_BYTES], const struct exchange_record *exchange);

/* Names the leak as the exchange's kind, which has its route. */
void leak_set_name(struct leak *leak, const struct exchange_record *exchange);

/* Makes *to a copy of `from`, which has been named so, without its callers and
 * its example. */
void leak_copy(struct leak *to, const struct leak *from);

/* Adds what `from` counted to `into` (same id).  `from` keeps nothing. */
void leak_absorb(struct leak *into, struct leak *from);

/* Returns an entry for one more caller, all zero, for its owner to fill in;
 * NULL where there are LEAK_MAX_CALLERS.  Borrowed: until the next one. */
struct leak_caller *leak_new_caller(struct leak *leak);

/* Adds the caller of one held response to the leak's callers and fds. */
void leak_add_caller(struct leak *leak, const struct exchange_record *exchange);

/*
 * Returns whether the releases come at a constant age (a client timeout hides
 * the leak): at least LEAK_DEADLINE_MIN of them, with a standard deviation
 * within a twentieth of the mean or 50 ms.  Writes the mean age then.
 */
#define LEAK_DEADLINE_MIN 3
bool leak_has_deadline(const struct leak *leak, double *age_s);

/* For qsort(): most undrained first, then most suspected, then by id. */
int leak_rank(const void *a, const void *b);

void leak_fini(struct leak *leak);

#endif
