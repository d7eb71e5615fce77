/* SPDX-License-Identifier: MIT */

/*
 * Signals as events of a loop.
 *
 * The signals are blocked in every thread and read from a signalfd, so no
 * handler ever runs and nothing has to be async-signal-safe.  Linux delivers
 * a blocked signal to a signalfd even where its disposition is SIG_IGN; those
 * are left alone, or nohup would not work.
 */

#include "proxy/signals.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"

static const int watched[] = {
    SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

#define WATCHED_COUNT (sizeof(watched) / sizeof(watched[0]))

struct signals {
	signals_cb on_signal;
	void *arg;

	/* owned */
	struct event *readable;
	int fd;

	/* as they were */
	sigset_t mask_before;
	struct sigaction pipe_before;
	struct sigaction limit_before;
	struct sigaction child_before;
};

static bool
is_ignored(int number)
{
	struct sigaction now;

	sigaction(number, NULL, &now);
	return now.sa_handler == SIG_IGN;
}

static void
block(struct signals *signals, sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < WATCHED_COUNT; i++) {
		if (!is_ignored(watched[i]))
			sigaddset(set, watched[i]);
	}
	sigaddset(set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, set, &signals->mask_before);
}

static void
set_dispositions(struct signals *signals)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction standard = {.sa_handler = SIG_DFL};

	/* A connection that has gone is an error of write(), no signal. */
	sigaction(SIGPIPE, &ignore, &signals->pipe_before);
	/* So is a file that has met its limit (ulimit -f). */
	sigaction(SIGXFSZ, &ignore, &signals->limit_before);
	/* Were SIGCHLD ignored, the kernel would throw the status away. */
	sigaction(SIGCHLD, &standard, &signals->child_before);
}

static bool
read_notice(struct signals *signals, struct signal_notice *notice)
{
	struct signalfd_siginfo info;
	ssize_t got;

	do
		got = read(signals->fd, &info, sizeof(info));
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(info))
		return false;
	notice->number = (int)info.ssi_signo;
	notice->is_from_kernel = info.ssi_code == SI_KERNEL;
	return true;
}

/* One a turn: the callback may close us, and the event is level-triggered. */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct signals *signals = arg;
	struct signal_notice notice;

	if (read_notice(signals, &notice))
		signals->on_signal(&notice, signals->arg);
}

struct signals *
signals_open(struct loop *loop, signals_cb on_signal, void *arg)
{
	struct signals *signals = xcalloc(1, sizeof(*signals));
	sigset_t set;

	signals->on_signal = on_signal;
	signals->arg = arg;
	block(signals, &set);
	set_dispositions(signals);
	signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signals->readable = event_new(loop_base(loop), signals->fd,
	    EV_READ | EV_PERSIST, on_readable, signals);
	if (signals->fd < 0 || signals->readable == NULL ||
	    event_add(signals->readable, NULL) < 0) {
		log_error("cannot watch for signals: %s", strerror(errno));
		abort();
	}
	return signals;
}

void
signals_close(struct signals *signals)
{
	struct signal_notice dropped;

	if (signals == NULL)
		return;
	event_free(signals->readable);
	while (read_notice(signals, &dropped))
		continue;
	close(signals->fd);
	sigaction(SIGPIPE, &signals->pipe_before, NULL);
	sigaction(SIGXFSZ, &signals->limit_before, NULL);
	sigaction(SIGCHLD, &signals->child_before, NULL);
	pthread_sigmask(SIG_SETMASK, &signals->mask_before, NULL);
	free(signals);
}

bool
signals_means_stop(int number)
{
	return number == SIGTERM || number == SIGINT || number == SIGHUP ||
	    number == SIGQUIT;
}

void
signals_before(
    const struct signals *signals, sigset_t *mask, sigset_t *to_default)
{
	*mask = signals->mask_before;
	sigemptyset(to_default);
	if (signals->pipe_before.sa_handler != SIG_IGN)
		sigaddset(to_default, SIGPIPE);
	if (signals->limit_before.sa_handler != SIG_IGN)
		sigaddset(to_default, SIGXFSZ);
}
