/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SELFTEST_H
#define PROXY_SELFTEST_H

/*
 * A test with known answers: plants responses that are drained, leaked and
 * dropped, each in its way, through a running proxy, and holds its verdicts
 * against what was really done.  The main thread.
 */

#include "proxy/options.h"

/* Returns 0 when all verdicts are right, 1 when one is not, 2 with one line on
 * stderr when the test cannot be done. */
int selftest_run(const struct options *options);

#endif
