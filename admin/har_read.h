/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_HAR_READ_H
#define ADMIN_HAR_READ_H

/*
 * The responses in an HTTP Archive, ours or a browser's.
 */

#include "accounting/tape.h"

#define HAR_READ_ERROR_BYTES 512

/*
 * Reads the file.  Returns what it holds, or NULL with one line in `error`
 * that says what is wrong with it.  Entries without a response, and those that
 * are none of a request (101), are passed over.  Free with tape_free().
 */
struct tape *har_read(
    const char *path, char error[HAR_READ_ERROR_BYTES]) MUST_CHECK;

#endif
