/* SPDX-License-Identifier: MIT */
#ifndef PROXY_VIEWER_H
#define PROXY_VIEWER_H

/*
 * A picture of a running proxy that is drawn again and again: in place on a
 * terminal, one below the other anywhere else.  Knows nothing of what is
 * drawn.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/frame.h"
#include "proxy/options.h"

/* Answers that make one picture. */
#define VIEWER_PATHS 2

/* Who draws. */
struct viewer_painter {
	const char *paths[VIEWER_PATHS]; /* asked for in this order */
	/* Returns false where the answers are not understood. */
	bool (*read)(void *arg, const char *const answers[VIEWER_PATHS]);
	/* Returns lines; free with free(). */
	char *(*draw)(void *arg, const struct frame *frame);
	/* How many items there are to scroll through. */
	size_t (*count)(void *arg);
	void *arg;
};

/*
 * Draws every --interval, --count times, or until `q`, SIGINT, SIGTERM or
 * SIGHUP; the terminal is then as it was.  A proxy that does not answer is
 * asked again.  Returns the exit status: 0, or 2 where the last picture had
 * no answer or could not be written.
 */
int viewer_run(
    const struct options *options, const struct viewer_painter *painter);

#endif
