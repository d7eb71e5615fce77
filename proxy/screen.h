/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SCREEN_H
#define PROXY_SCREEN_H

/*
 * stdout as a screen to draw on, if it is a terminal that can; ECMA-48, and
 * the alternate screen as xterm has it, so that what was there comes back.
 */

#include <stdbool.h>

#define SCREEN_DEFAULT_COLUMNS 80

/* Returns whether stdout is a terminal on which one can draw: TERM is set, and
 * is not "dumb". */
bool screen_is_there(void);

/* Returns whether the locale writes UTF-8. */
bool screen_is_utf8(void);

/* Writes how large the terminal is.  *rows is 0 and *columns
 * SCREEN_DEFAULT_COLUMNS where that is not known. */
void screen_size(unsigned *columns, unsigned *rows);

struct screen;

/* Takes the terminal; keys then come one by one, without an echo.  Give it
 * back with screen_leave(). */
struct screen *screen_enter(void);

/* Leaves the terminal as it was.  *screen is NULL then; it may be before. */
void screen_leave(struct screen **screen);

/* Draws lines over those that are there.  Returns false, with errno, where
 * they cannot be written. */
bool screen_draw(const char *lines);

#endif
