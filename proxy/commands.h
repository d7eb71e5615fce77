/* SPDX-License-Identifier: MIT */
#ifndef PROXY_COMMANDS_H
#define PROXY_COMMANDS_H

/*
 * The commands that run no proxy.  Each returns the exit status: 0, or 2 with
 * one line on stderr.
 */

#include "proxy/options.h"

/* Opens the authority, making it where there is none, and shows where it is
 * and how long it is valid, or prints what --export names, or how clients come
 * to trust it (install-hints). */
int commands_ca(const struct options *options);

/* Asks the proxy at --admin for its report and prints it. */
int commands_report(const struct options *options);

/* Returns how wide a text report to `fd` is: --columns, else $COLUMNS, else
 * the terminal that fd is, else 80. */
unsigned commands_columns(const struct options *options, int fd);

#endif
