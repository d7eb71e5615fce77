/* SPDX-License-Identifier: MIT */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

/*
 * Asks a running proxy, for the commands that run none.  Any thread that has
 * no event loop of its own running.
 */

#include "proxy/options.h"

/* Asks for `path` at --admin, with the token of --admin-token-file.  Returns
 * the answer's body, or NULL after one line on stderr that says why.  Free
 * with free(). */
char *ask_admin(const struct options *options, const char *path);

#endif
