/* SPDX-License-Identifier: MIT */
#ifndef PROXY_RUN_H
#define PROXY_RUN_H

/*
 * serve and exec are the same proxy: one runs until it is told to stop, the
 * other until its child ends, and then reports.  Both borrow the options, say
 * on stderr what goes wrong, and return the status to exit with.
 */

#include "proxy/options.h"

int run_serve(const struct options *options);
int run_exec(const struct options *options);

#endif
