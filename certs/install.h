/* SPDX-License-Identifier: MIT */
#ifndef CERTS_INSTALL_H
#define CERTS_INSTALL_H

/*
 * Files that appear complete or not at all: written under a temporary name
 * beside the real one, synced, and only then given it.  Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum install {
	INSTALL_NEW,  /* by link(), which replaces nothing: EEXIST */
	INSTALL_OVER, /* by rename(), and the new name outlives a power cut */
};

/* Installs a file with this content and mode; nobody else could read it before
 * it has that.  Returns false with errno. */
bool install_file(const char *path, mode_t mode, const void *bytes,
    size_t length, enum install how) __attribute__((warn_unused_result));

#endif
