/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_BOARD_BOARD_H
#define ADMIN_BOARD_BOARD_H

/*
 * The dashboard, as the Makefile puts it together and board.S embeds it.
 */

/* The page: HTML with its style and its script. */
extern const char board_page[];

/* Its Content-Security-Policy: what it may do is run this very script, wear
 * this very style, and ask its own server. */
extern const char board_policy[];

#endif
