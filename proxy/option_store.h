/* SPDX-License-Identifier: MIT */
#ifndef PROXY_OPTION_STORE_H
#define PROXY_OPTION_STORE_H

/*
 * Readers (option_table.h) of the options that are about stored runs.
 */

#include <stdbool.h>

#include "proxy/options.h"

/* serve, exec: a name for a run; report: what a run is called. */
bool option_read_run(
    struct options *options, void *field, const char *text, char *why);

bool option_read_store_size(
    struct options *options, void *field, const char *text, char *why);

/* A list of changes, such as "new,worse". */
bool option_read_fail_on(
    struct options *options, void *field, const char *text, char *why);

#endif
