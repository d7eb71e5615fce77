/* SPDX-License-Identifier: MIT */
#ifndef PROXY_REPLAY_H
#define PROXY_REPLAY_H

/*
 * An origin that answers with recorded responses: plain HTTP/1.1, one thread.
 */

#include "accounting/tape.h"
#include "proxy/options.h"

/* Serves until a signal asks for the end.  Takes *tape.  Returns the exit
 * status; what could not be done was said on stderr. */
int replay_run(const struct options *options, struct tape **tape);

#endif
