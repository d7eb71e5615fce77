/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SHIP_PARTS_H
#define ACCOUNTING_SHIP_PARTS_H

/*
 * What ship.c (runs, and how far each was sent) and ship_rows.c (their rows)
 * share.
 */

#include "accounting/ship.h"
#include "accounting/store_parts.h"

struct known_kind;

/* A part of a run. */
struct part {
	int64_t run; /* its number in `from` */
	int64_t to_run;
	int64_t after; /* rev: what is there */
	int64_t last;  /* rev: what shall be */
};

struct ship {
	/* borrowed */
	struct store *from;
	struct store *to;
	const struct store *failed;
	struct known_kind *kinds; /* owned: those that are there */
	bool is_checked;          /* what was noted as sent is there */
	uint64_t rows;            /* of this part */
};

/* Notes that `store` is the one whose error counts.  Returns false. */
bool ship_blame(struct ship *ship, const struct store *store);

/* Sends the part's rows, and the kinds that they are of. */
bool ship_rows(struct ship *ship, const struct part *part) MUST_CHECK;

/* Believes no more that it knows which kinds are there. */
void ship_forget_kinds(struct ship *ship);

#endif
