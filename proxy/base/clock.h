/* SPDX-License-Identifier: MIT */
#ifndef PROXY_BASE_CLOCK_H
#define PROXY_BASE_CLOCK_H

/* The two clocks of accounting/units.h, read.  Any thread. */

#include "accounting/units.h"

mono_us clock_mono(void);
wall_us clock_wall(void);

#endif
