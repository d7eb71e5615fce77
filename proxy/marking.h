/* SPDX-License-Identifier: MIT */
#ifndef PROXY_MARKING_H
#define PROXY_MARKING_H

/*
 * Marks out of a request head: Leakproxy-Mark, "imagecheck;start".
 */

#include <stddef.h>

#include "accounting/marks.h"
#include "proxy/head.h"

/* Adds the head's marks, as of now.  Returns how many fields were malformed,
 * and left out. */
size_t marking_read(const struct head *head, struct marks *marks);

#endif
