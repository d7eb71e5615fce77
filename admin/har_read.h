/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_HAR_READ_H
#define ADMIN_HAR_READ_H

/*
 * The responses in HTTP Archives, ours or a browser's, and in the lines of
 * --capture-dir: files whose name ends with ".ndjson".
 */

#include "accounting/tape.h"

#define HAR_READ_ERROR_BYTES 512

/*
 * Reads the files.  Returns what they hold, or NULL with one line in `error`
 * that says what is wrong with one.  Entries without a response, and those
 * that are none of a request (101), are passed over; so is a last line that
 * was cut off.  Free with tape_free().
 */
struct tape *har_read(const char *const *paths, size_t count,
    char error[HAR_READ_ERROR_BYTES]) MUST_CHECK;

#endif
