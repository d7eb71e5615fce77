/* SPDX-License-Identifier: MIT */

/*
 * A picture that is drawn again and again.
 *
 *      due ──▶ asks for one path after the other ──▶ read ──▶ drawn
 *                    ╰── no answer ──▶ drawn, with why ──▶ asked when due
 *
 * Keys and a new size draw the same picture again.
 */

#include "proxy/viewer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/ask.h"
#include "proxy/screen.h"
#include "proxy/units.h"

#define STATUS_FAILED 2
#define KEYS_BYTES 64
#define HINT "q quits, j and k scroll"

static const int stops[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
#define STOP_COUNT (sizeof(stops) / sizeof(*stops))

struct viewer {
	const struct options *options;        /* borrowed */
	const struct viewer_painter *painter; /* borrowed */
	char where[UNITS_ADDRESS_TEXT_BYTES];
	bool is_ascii;
	size_t skipped;
	uint64_t drawn; /* pictures, not counting the same one again */
	int status;

	/* owned */
	struct screen *screen; /* NULL: pictures stand below each other */
	struct event_base *base;
	struct event *due;
	struct event *keys; /* NULL: none come */
	struct event *resized;
	struct event *suspended;
	struct event *stopped[STOP_COUNT];
	struct question *question; /* NULL: nothing is asked */
	char *answers[VIEWER_PATHS];
	size_t answer_count;
	char *trouble; /* NULL: the last picture is new */
};

static void
stop(struct viewer *viewer, int status)
{
	viewer->status = status;
	event_base_loopbreak(viewer->base);
}

/* ---- drawing ---- */

static bool
print(const char *text)
{
	return fputs(text, stdout) >= 0 && putchar('\n') != EOF &&
	    fflush(stdout) == 0;
}

static void
draw(struct viewer *viewer)
{
	const struct viewer_painter *painter = viewer->painter;
	struct frame frame = {
	    .where = viewer->where,
	    .trouble = viewer->trouble,
	    .skipped = viewer->skipped,
	    .is_ascii = viewer->is_ascii,
	};
	char *text;
	bool is_written;

	screen_size(&frame.columns, &frame.rows);
	if (viewer->screen == NULL)
		frame.rows = 0;
	else if (viewer->keys != NULL)
		frame.hint = HINT;
	text = painter->draw(painter->arg, &frame);
	is_written = viewer->screen != NULL ? screen_draw(text) : print(text);
	free(text);
	if (is_written)
		return;
	/* Whoever read it has seen enough. */
	if (errno != EPIPE)
		fprintf(stderr, "leakproxy: cannot write to stdout: %s\n",
		    strerror(errno));
	stop(viewer, errno == EPIPE ? 0 : STATUS_FAILED);
}

/* Draws the picture that is due, and ends with the last. */
static void
draw_next(struct viewer *viewer)
{
	viewer->status = viewer->trouble == NULL ? 0 : STATUS_FAILED;
	viewer->drawn++;
	draw(viewer);
	if (viewer->drawn == viewer->options->count)
		event_base_loopbreak(viewer->base);
}

/* ---- asking ---- */

static void
forget_answers(struct viewer *viewer)
{
	while (viewer->answer_count > 0)
		free(viewer->answers[--viewer->answer_count]);
}

/* Takes `why`. */
static void
set_trouble(struct viewer *viewer, char *why)
{
	free(viewer->trouble);
	viewer->trouble = why;
}

static void
read_answers(struct viewer *viewer)
{
	const struct viewer_painter *painter = viewer->painter;
	const char *answers[VIEWER_PATHS];

	for (size_t i = 0; i < VIEWER_PATHS; i++)
		answers[i] = viewer->answers[i];
	set_trouble(viewer, NULL);
	if (!painter->read(painter->arg, answers))
		set_trouble(viewer,
		    xasprintf("--admin: what answers at %s is no leakproxy, "
			      "or one of another version.",
			viewer->where));
}

static void ask_next(struct viewer *viewer);

/* Takes both. */
static void
on_answer(char *body, char *why, void *arg)
{
	struct viewer *viewer = arg;

	viewer->question = NULL;
	if (why != NULL) {
		set_trouble(viewer, why);
		forget_answers(viewer);
		draw_next(viewer);
		return;
	}
	viewer->answers[viewer->answer_count++] = body;
	ask_next(viewer);
}

static void
ask_next(struct viewer *viewer)
{
	if (viewer->answer_count < VIEWER_PATHS) {
		viewer->question = ask_begin(viewer->base, viewer->options,
		    viewer->painter->paths[viewer->answer_count], on_answer,
		    viewer);
		return;
	}
	read_answers(viewer);
	forget_answers(viewer);
	draw_next(viewer);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct viewer *viewer = arg;

	/* Who is slow need not be asked twice. */
	if (viewer->question == NULL)
		ask_next(viewer);
}

/* ---- the terminal ---- */

static void
scroll(struct viewer *viewer, int step)
{
	const struct viewer_painter *painter = viewer->painter;
	size_t count = painter->count(painter->arg);

	if (step < 0 && viewer->skipped > 0)
		viewer->skipped--;
	if (step > 0 && viewer->skipped + 1 < count)
		viewer->skipped++;
}

static void
on_key(evutil_socket_t fd, short what, void *arg)
{
	struct viewer *viewer = arg;
	char keys[KEYS_BYTES];
	ssize_t count = read(fd, keys, sizeof(keys));

	if (count <= 0) { /* the terminal is gone */
		event_del(viewer->keys);
		return;
	}
	for (ssize_t i = 0; i < count; i++) {
		if (keys[i] == 'q')
			stop(viewer, 0);
		else if (keys[i] == 'j' || keys[i] == 'k')
			scroll(viewer, keys[i] == 'j' ? 1 : -1);
	}
	draw(viewer);
}

static void
on_resized(evutil_socket_t fd, short what, void *arg)
{
	draw(arg);
}

/* Ctrl-Z: the shell gets its terminal as it was. */
static void
on_suspended(evutil_socket_t fd, short what, void *arg)
{
	struct viewer *viewer = arg;

	screen_leave(&viewer->screen);
	raise(SIGSTOP);
	viewer->screen = screen_enter();
	draw(viewer);
}

static void
on_stopped(evutil_socket_t fd, short what, void *arg)
{
	stop(arg, 0);
}

static struct event *
watch(struct viewer *viewer, int fd, short what, event_callback_fn hear)
{
	struct event *event =
	    event_new(viewer->base, fd, what | EV_PERSIST, hear, viewer);

	if (event == NULL || event_add(event, NULL) != 0)
		abort();
	return event;
}

static void
open_screen(struct viewer *viewer)
{
	if (!screen_is_there())
		return;
	viewer->screen = screen_enter();
	viewer->resized = watch(viewer, SIGWINCH, EV_SIGNAL, on_resized);
	viewer->suspended = watch(viewer, SIGTSTP, EV_SIGNAL, on_suspended);
	if (isatty(STDIN_FILENO))
		viewer->keys = watch(viewer, STDIN_FILENO, EV_READ, on_key);
}

/* ---- life ---- */

static void
open_viewer(struct viewer *viewer)
{
	int64_t interval_us = viewer->options->interval_us;
	struct timeval every = {interval_us / US_PER_S, interval_us % US_PER_S};

	units_address_text(&viewer->options->admin, viewer->where);
	viewer->is_ascii = !screen_is_utf8();
	viewer->base = event_base_new();
	if (viewer->base == NULL)
		abort();
	for (size_t i = 0; i < STOP_COUNT; i++)
		viewer->stopped[i] =
		    watch(viewer, stops[i], EV_SIGNAL, on_stopped);
	viewer->due = event_new(viewer->base, -1, EV_PERSIST, on_due, viewer);
	if (viewer->due == NULL || event_add(viewer->due, &every) != 0)
		abort();
	open_screen(viewer);
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

static void
close_viewer(struct viewer *viewer)
{
	screen_leave(&viewer->screen);
	ask_cancel(&viewer->question);
	forget_answers(viewer);
	set_trouble(viewer, NULL);
	for (size_t i = 0; i < STOP_COUNT; i++)
		free_event(viewer->stopped[i]);
	free_event(viewer->suspended);
	free_event(viewer->resized);
	free_event(viewer->keys);
	free_event(viewer->due);
	event_base_free(viewer->base);
}

int
viewer_run(const struct options *options, const struct viewer_painter *painter)
{
	struct viewer viewer = {.options = options, .painter = painter};

	/* A reader or a proxy that has gone is an error of write(). */
	signal(SIGPIPE, SIG_IGN);
	open_viewer(&viewer);
	ask_next(&viewer);
	event_base_dispatch(viewer.base);
	close_viewer(&viewer);
	return viewer.status;
}
