/* SPDX-License-Identifier: MIT */
#ifndef PROXY_REDIRECT_H
#define PROXY_REDIRECT_H

/*
 * Connections that a rule of the kernel's (REDIRECT of nftables or iptables)
 * sends to --redirect: the caller knows of no proxy.  The worker's thread.
 */

#include "proxy/client.h"

/* Takes `fd`, which came to a --redirect.  Puts itself into the worker's list
 * as client_accept() does, or is refused, with one line in the log. */
void redirect_accept(
    struct worker *worker, int fd, const struct address *address);

#endif
