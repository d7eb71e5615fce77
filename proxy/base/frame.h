/* SPDX-License-Identifier: MIT */
#ifndef PROXY_BASE_FRAME_H
#define PROXY_BASE_FRAME_H

/*
 * How and where a picture of a running proxy is drawn.
 */

#include <stdbool.h>
#include <stddef.h>

struct frame {
	const char *where;   /* the admin address that is asked */
	const char *trouble; /* why there is nothing newer; NULL: there is */
	const char *hint;    /* what can be done; NULL: nothing */
	unsigned columns;
	unsigned rows;  /* 0: as many as it takes */
	size_t skipped; /* items that are scrolled past */
	bool is_ascii;  /* the terminal knows no UTF-8 */
};

#endif
