/* SPDX-License-Identifier: MIT */

/*
 * A loop runs deferred work in order and never inside the callback that
 * queued it, lets sockets have their turn in between, takes work from other
 * threads without losing or reordering any, and drops nothing when it is
 * freed.
 */

#include "proxy/base/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#define MAX_ROUNDS 1000
#define POSTERS 4
#define POSTS_EACH 20000

/* What ran, in order, as letters. */
struct trace {
	struct loop *loop;
	char text[64];
	size_t length;
	int rounds;
	int ticks;
	int pipe[2];
};

struct step {
	struct trace *trace;
	char letter;
};

static void
note(struct trace *trace, char letter)
{
	assert_true(trace->length < sizeof(trace->text) - 1);
	trace->text[trace->length++] = letter;
}

static void
run_step(void *arg)
{
	struct step *step = arg;

	note(step->trace, step->letter);
}

static void
stop(void *arg)
{
	struct trace *trace = arg;

	loop_stop(trace->loop);
}

static void
test_later_is_first_in_first_out(void **state)
{
	struct trace trace = {.loop = loop_new()};
	struct step steps[] = {{&trace, 'a'}, {&trace, 'b'}, {&trace, 'c'}};

	for (size_t i = 0; i < 3; i++)
		loop_later(trace.loop, run_step, &steps[i]);
	loop_later(trace.loop, stop, &trace);
	assert_string_equal(trace.text, "");
	loop_run(trace.loop);
	assert_string_equal(trace.text, "abc");
	loop_free(trace.loop);
}

static void
queue_and_note(void *arg)
{
	static struct step inner;
	struct trace *trace = arg;

	inner.trace = trace;
	inner.letter = 'i';
	note(trace, '<');
	loop_later(trace->loop, run_step, &inner);
	note(trace, '>');
}

/* Memory is released by loop_later(): were the work run inside the callback,
 * the caller would look at freed memory. */
static void
test_later_never_runs_inside_its_caller(void **state)
{
	struct trace trace = {.loop = loop_new()};
	struct step after = {&trace, 'a'};

	loop_later(trace.loop, queue_and_note, &trace);
	loop_later(trace.loop, run_step, &after);
	loop_post(trace.loop, queue_and_note, &trace);
	loop_post(trace.loop, stop, &trace);
	loop_run(trace.loop);
	loop_free(trace.loop);
	assert_int_equal(trace.length, 7);
	assert_null(strstr(trace.text, "<i"));
	/* The first's inner work comes after what was queued before it. */
	assert_true(strchr(trace.text, 'a') < strchr(trace.text, 'i'));
}

/* Rounds are bounded, or a starved socket would hang the test. */
static void
queue_until_ticked(void *arg)
{
	struct trace *trace = arg;

	trace->rounds++;
	if (trace->ticks == 0 && trace->rounds < MAX_ROUNDS)
		loop_later(trace->loop, queue_until_ticked, trace);
	else
		loop_stop(trace->loop);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct trace *trace = arg;
	char byte;

	assert_int_equal(read(fd, &byte, 1), 1);
	trace->ticks++;
}

/* Work that queues itself again must not keep the sockets waiting. */
static void
test_later_does_not_starve_sockets(void **state)
{
	struct trace trace = {.loop = loop_new()};
	struct event *readable;

	assert_int_equal(pipe(trace.pipe), 0);
	readable = event_new(
	    loop_base(trace.loop), trace.pipe[0], EV_READ, on_readable, &trace);
	event_add(readable, NULL);
	assert_int_equal(write(trace.pipe[1], "x", 1), 1);
	loop_later(trace.loop, queue_until_ticked, &trace);
	loop_run(trace.loop);
	assert_int_equal(trace.ticks, 1);
	assert_true(trace.rounds < MAX_ROUNDS);

	event_free(readable);
	close(trace.pipe[0]);
	close(trace.pipe[1]);
	loop_free(trace.loop);
}

struct poster {
	struct loop *loop;
	struct tally *tally;
	unsigned number;
	uint64_t next;
	uint64_t expected;
};

struct tally {
	struct loop *loop;
	uint64_t ran;
	uint64_t misordered;
	pthread_t owner;
};

struct parcel {
	struct poster *poster;
	uint64_t serial;
};

static struct parcel parcels[POSTERS][POSTS_EACH];

static void
receive(void *arg)
{
	struct parcel *parcel = arg;
	struct poster *poster = parcel->poster;
	struct tally *tally = poster->tally;

	if (parcel->serial != poster->expected)
		tally->misordered++;
	poster->expected = parcel->serial + 1;
	assert_true(pthread_equal(pthread_self(), tally->owner));
	tally->ran++;
	if (tally->ran == (uint64_t)POSTERS * POSTS_EACH)
		loop_stop(tally->loop);
}

static void *
post_all(void *arg)
{
	struct poster *poster = arg;

	for (size_t i = 0; i < POSTS_EACH; i++) {
		struct parcel *parcel = &parcels[poster->number][i];

		parcel->poster = poster;
		parcel->serial = i;
		loop_post(poster->loop, receive, parcel);
	}
	return NULL;
}

/* A lost wake-up would hang here; the alarm turns that into a failure. */
static void
test_posts_of_four_threads_arrive_in_order(void **state)
{
	struct tally tally = {.loop = loop_new(), .owner = pthread_self()};
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];

	alarm(60);
	for (unsigned i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){
		    .loop = tally.loop, .tally = &tally, .number = i};
		pthread_create(&threads[i], NULL, post_all, &posters[i]);
	}
	loop_run(tally.loop);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	alarm(0);
	assert_int_equal(tally.ran, POSTERS * POSTS_EACH);
	assert_int_equal(tally.misordered, 0);
	loop_free(tally.loop);
}

static void
queue_more(void *arg)
{
	struct step *steps = arg;

	note(steps[0].trace, '+');
	loop_later(steps[0].trace->loop, run_step, &steps[0]);
	loop_post(steps[0].trace->loop, run_step, &steps[1]);
}

static void
test_free_runs_what_is_left(void **state)
{
	struct trace trace = {.loop = loop_new()};
	struct step steps[] = {{&trace, 'a'}, {&trace, 'b'}};

	loop_later(trace.loop, queue_more, steps);
	loop_post(trace.loop, queue_more, steps);
	loop_free(trace.loop);
	assert_int_equal(trace.length, 6);
	assert_non_null(strstr(trace.text, "+"));
	assert_non_null(strchr(trace.text, 'a'));
	assert_non_null(strchr(trace.text, 'b'));
}

static void *
run_loop(void *arg)
{
	struct trace *trace = arg;

	loop_run(trace->loop);
	return NULL;
}

/* How a worker ends: another thread asks it to, joins it and frees it. */
static void
test_stop_by_post_leaves_the_rest_to_free(void **state)
{
	struct trace trace = {.loop = loop_new()};
	struct step late = {&trace, 'l'};
	pthread_t thread;

	alarm(60);
	pthread_create(&thread, NULL, run_loop, &trace);
	loop_post(trace.loop, stop, &trace);
	pthread_join(thread, NULL);
	alarm(0);
	loop_post(trace.loop, run_step, &late);
	assert_string_equal(trace.text, "");
	loop_free(trace.loop);
	assert_string_equal(trace.text, "l");
}

static void
test_stop_before_run_is_remembered(void **state)
{
	struct trace trace = {.loop = loop_new()};

	alarm(60);
	loop_stop(trace.loop);
	loop_run(trace.loop);
	/* A stop counts once: the next run needs one of its own. */
	loop_later(trace.loop, stop, &trace);
	loop_run(trace.loop);
	alarm(0);
	loop_free(trace.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_later_is_first_in_first_out),
	    cmocka_unit_test(test_later_never_runs_inside_its_caller),
	    cmocka_unit_test(test_later_does_not_starve_sockets),
	    cmocka_unit_test(test_posts_of_four_threads_arrive_in_order),
	    cmocka_unit_test(test_free_runs_what_is_left),
	    cmocka_unit_test(test_stop_by_post_leaves_the_rest_to_free),
	    cmocka_unit_test(test_stop_before_run_is_remembered),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
