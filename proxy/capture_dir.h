/* SPDX-License-Identifier: MIT */
#ifndef PROXY_CAPTURE_DIR_H
#define PROXY_CAPTURE_DIR_H

/*
 * Lines in the files of a directory that together stay within a bound:
 *
 *      leakproxy-20261126T130221Z-000001.ndjson
 *
 * A file is written by one leakproxy, which holds a lock on it, and never
 * opened again; when it is full, or somebody has deleted it, the next is begun,
 * and the oldest make room.  A directory that was taken away is made anew.
 * Nothing else in the directory is touched.  One thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "accounting/units.h"

/* Of the bound, a file's part. */
#define CAPTURE_DIR_FILES 16

struct capture_dir;

/* Opens the directory, which is made (0700) where it is missing; the parent
 * must be there.  Returns NULL with errno.  Free with capture_dir_close(). */
struct capture_dir *capture_dir_open(const char *path, size_t max_bytes);
void capture_dir_close(struct capture_dir *dir);

/* Returns whether this process, as who it is now, can make files there; else
 * errno says why not. */
bool capture_dir_is_writable(const struct capture_dir *dir);

/*
 * Appends whole lines by one write(): all of them or nothing.  `now` names the
 * file where one is begun.  Returns false with errno.
 */
bool capture_dir_write(struct capture_dir *dir, const char *lines,
    size_t length, wall_us now) MUST_CHECK;

#endif
