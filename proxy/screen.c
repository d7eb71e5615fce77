/* SPDX-License-Identifier: MIT */

/*
 * stdout as a screen to draw on.
 */

#include "proxy/screen.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "accounting/memory.h"

/* ECMA-48 and DEC private modes: the alternate screen, the cursor, and lines
 * that are cut at the edge rather than continued below. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"
#define HOME "\033[H"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

struct screen {
	bool has_keys; /* stdin is a terminal, and was this: */
	struct termios before;
};

bool
screen_is_there(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term != NULL && *term != '\0' &&
	    strcmp(term, "dumb") != 0;
}

bool
screen_is_utf8(void)
{
	return setlocale(LC_CTYPE, "") != NULL &&
	    strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void
screen_size(unsigned *columns, unsigned *rows)
{
	struct winsize window = {0};

	*columns = SCREEN_DEFAULT_COLUMNS;
	*rows = 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 ||
	    window.ws_col == 0)
		return;
	*columns = window.ws_col;
	*rows = window.ws_row;
}

static bool
put(const char *text)
{
	return fputs(text, stdout) >= 0 && fflush(stdout) == 0;
}

struct screen *
screen_enter(void)
{
	struct screen *screen = xcalloc(1, sizeof(*screen));
	struct termios raw;

	screen->has_keys = tcgetattr(STDIN_FILENO, &screen->before) == 0;
	if (screen->has_keys) {
		raw = screen->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	(void)put(ENTER);
	return screen;
}

void
screen_leave(struct screen **screen)
{
	if (*screen == NULL)
		return;
	(void)put(LEAVE);
	if ((*screen)->has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &(*screen)->before);
	free(*screen);
	*screen = NULL;
}

/* In one piece, so that nothing flickers; the last line has no end, which
 * would scroll. */
bool
screen_draw(const char *lines)
{
	bool is_first = true;

	fputs(HOME, stdout);
	while (*lines != '\0') {
		int length = (int)strcspn(lines, "\n");

		printf("%s%s%.*s%s" ERASE_LINE, is_first ? "" : "\r\n",
		    is_first ? BOLD : "", length, lines, is_first ? PLAIN : "");
		is_first = false;
		lines += length;
		lines += *lines == '\n';
	}
	return put(ERASE_BELOW);
}
