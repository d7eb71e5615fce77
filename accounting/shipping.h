/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_SHIPPING_H
#define ACCOUNTING_SHIPPING_H

/*
 * How the shared store is reached, for who looks at a snapshot.
 */

#include <stdbool.h>
#include <stdint.h>

#include "accounting/units.h"

#define SHIPPING_ERROR_BYTES 512

enum shipping_state {
	SHIPPING_OFF,       /* there is no shared store */
	SHIPPING_BEGINNING, /* it was not tried yet */
	SHIPPING_WELL,
	SHIPPING_AWAY, /* the last attempt failed */
};

struct shipping {
	enum shipping_state state;
	wall_us last_at;  /* when all was there that was here; 0: never */
	uint64_t waiting; /* rows of evidence in the spool */
	uint64_t rows;    /* that were sent */
	uint64_t errors;
	uint64_t lost; /* rows that the spool had no room for */
	char error[SHIPPING_ERROR_BYTES]; /* while away */
};

#endif
