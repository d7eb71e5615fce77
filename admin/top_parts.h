/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_TOP_PARTS_H
#define ADMIN_TOP_PARTS_H

/*
 * What top.c and top_read.c share.
 */

#include "accounting/snapshot.h"
#include "admin/top.h"

struct top {
	struct snapshot *snapshot; /* owned; NULL: nothing read yet */
	char *
	    *notes; /* owned: of each leak, why nobody is suspected, or NULL */
};

/* Frees what was read. */
void top_forget(struct top *top);

#endif
