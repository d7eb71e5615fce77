/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_PROCESS_H
#define ADMIN_PROCESS_H

/*
 * The process_* metrics that every Prometheus client has.
 */

#include "admin/exposition.h"

/* Puts those that the kernel tells; any thread. */
void process_put(struct exposition *exposition);

#endif
