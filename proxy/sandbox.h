/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SANDBOX_H
#define PROXY_SANDBOX_H

/*
 * What a proxy that faces strangers gives up before it serves them.
 */

#include <stdbool.h>

#include "accounting/units.h"

#define SANDBOX_ERROR_BYTES 320

/* Checks, before anything is opened, that we can become `user`.  Returns false
 * with one line in `error`. */
bool sandbox_check_user(
    const char *user, char error[SANDBOX_ERROR_BYTES]) MUST_CHECK;

/*
 * Becomes `user` (NULL: stays who we are), writes no core files and gains no
 * privileges any more, and with `wants_filter` refuses itself the system calls
 * that a proxy never needs (EPERM).  The main thread, before any other is
 * started; there is no way back.  Returns false, with one line in `error`,
 * where the user cannot be become.
 */
bool sandbox_enter(const char *user, bool wants_filter,
    char error[SANDBOX_ERROR_BYTES]) MUST_CHECK;

#endif
