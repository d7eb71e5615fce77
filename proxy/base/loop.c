/* SPDX-License-Identifier: MIT */

/*
 * One thread's event loop.
 *
 * Two lists of work hang on it.  `later` belongs to the loop's thread and is
 * run when the current callback has returned; what is queued while it runs
 * waits for the next turn, so that work which queues itself again cannot keep
 * the sockets waiting.  `mail` is what other threads sent: a mutex, a list
 * and an eventfd, written only when the list was empty.
 *
 * libevent's own locks are off: a base is touched by its thread alone, and
 * loop_post() is the one door for the others.
 */

#include "proxy/base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"

struct work {
	loop_cb run;
	void *arg;
	STAILQ_ENTRY(work) next;
};

STAILQ_HEAD(work_list, work);

struct loop {
	/* owned */
	struct event_base *base;
	struct event *later_event;
	struct event *mail_event;
	int mail_fd;

	struct work_list later;
	bool is_running_later;
	bool is_stopping;

	pthread_mutex_t mail_mutex; /* guards mail, and writes to mail_fd */
	struct work_list mail;
};

/* A thread without a loop is of no use to anybody. */
static void __attribute__((noreturn)) die(const char *what)
{
	log_error("cannot make an event loop: %s: %s", what, strerror(errno));
	abort();
}

static struct event_base *
base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		die("event_config_new");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base == NULL)
		die("event_base_new");
	return base;
}

static struct work *
work_new(loop_cb run, void *arg)
{
	struct work *work = xcalloc(1, sizeof(*work));

	assert(run != NULL);
	work->run = run;
	work->arg = arg;
	return work;
}

/* The list is taken off first: work may queue more, or free what queued it. */
static void
run_all(struct work_list *list)
{
	struct work_list batch = STAILQ_HEAD_INITIALIZER(batch);
	struct work *work;

	STAILQ_CONCAT(&batch, list);
	while (!STAILQ_EMPTY(&batch)) {
		work = STAILQ_FIRST(&batch);
		STAILQ_REMOVE_HEAD(&batch, next);
		work->run(work->arg);
		free(work);
	}
}

static void
run_later(struct loop *loop)
{
	loop->is_running_later = true;
	run_all(&loop->later);
	loop->is_running_later = false;
}

static void
run_mail(struct loop *loop)
{
	struct work_list mail = STAILQ_HEAD_INITIALIZER(mail);

	pthread_mutex_lock(&loop->mail_mutex);
	STAILQ_CONCAT(&mail, &loop->mail);
	pthread_mutex_unlock(&loop->mail_mutex);
	run_all(&mail);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	run_later(arg);
}

static void
on_mail(evutil_socket_t fd, short what, void *arg)
{
	uint64_t posted;

	/* The counter is emptied before the list is taken: a post in between
	 * costs an idle wake-up, never a lost one. */
	if (read(fd, &posted, sizeof(posted)) < 0 && errno != EAGAIN)
		log_warn("reading the loop's eventfd");
	run_mail(arg);
}

struct loop *
loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	STAILQ_INIT(&loop->later);
	STAILQ_INIT(&loop->mail);
	pthread_mutex_init(&loop->mail_mutex, NULL);
	loop->base = base_new();
	loop->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->mail_fd < 0)
		die("eventfd");
	loop->later_event = event_new(loop->base, -1, 0, on_later, loop);
	loop->mail_event = event_new(
	    loop->base, loop->mail_fd, EV_READ | EV_PERSIST, on_mail, loop);
	if (loop->later_event == NULL || loop->mail_event == NULL)
		die("event_new");
	if (event_add(loop->mail_event, NULL) < 0)
		die("event_add");
	return loop;
}

/* Takes the lock for the last time after every poster has left it, so that
 * the loop may be freed as soon as what it waited for has been posted. */
static bool
has_mail(struct loop *loop)
{
	bool is_there;

	pthread_mutex_lock(&loop->mail_mutex);
	is_there = !STAILQ_EMPTY(&loop->mail);
	pthread_mutex_unlock(&loop->mail_mutex);
	return is_there;
}

void
loop_settle(struct loop *loop)
{
	while (!STAILQ_EMPTY(&loop->later) || has_mail(loop)) {
		run_later(loop);
		run_mail(loop);
	}
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	loop_settle(loop);
	event_free(loop->mail_event);
	event_free(loop->later_event);
	close(loop->mail_fd);
	event_base_free(loop->base);
	pthread_mutex_destroy(&loop->mail_mutex);
	free(loop);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

void
loop_run(struct loop *loop)
{
	event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
	loop->is_stopping = false;
}

void
loop_stop(struct loop *loop)
{
	/* loopexit, not loopbreak: events that are active already still run,
	 * and a stop before loop_run() is not forgotten. */
	if (!loop->is_stopping)
		event_base_loopexit(loop->base, NULL);
	loop->is_stopping = true;
}

void
loop_later(struct loop *loop, loop_cb work, void *arg)
{
	static const struct timeval next_turn = {0, 0};
	bool was_empty = STAILQ_EMPTY(&loop->later);
	struct work *item = work_new(work, arg);

	STAILQ_INSERT_TAIL(&loop->later, item, next);
	if (!was_empty)
		return;
	if (loop->is_running_later)
		event_add(loop->later_event, &next_turn);
	else
		event_active(loop->later_event, EV_TIMEOUT, 0);
}

void
loop_post(struct loop *loop, loop_cb work, void *arg)
{
	static const uint64_t one = 1;
	struct work *item = work_new(work, arg);

	pthread_mutex_lock(&loop->mail_mutex);
	if (STAILQ_EMPTY(&loop->mail) &&
	    write(loop->mail_fd, &one, sizeof(one)) < 0)
		log_warn("waking a loop");
	STAILQ_INSERT_TAIL(&loop->mail, item, next);
	pthread_mutex_unlock(&loop->mail_mutex);
}
