/* SPDX-License-Identifier: MIT */

/*
 * The thread that sends evidence on.
 *
 *      BEGINNING ──▶ WELL ◀──▶ AWAY
 *
 * One line when it comes to AWAY, and one when that is over.  Attempts are
 * further and further apart, and not in step with those of ten thousand
 * others, whom the same server has left.
 */

#include "proxy/shipper.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "accounting/memory.h"
#include "accounting/ship.h"
#include "accounting/store.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

/* Evidence; and counts alone, which change with every request. */
#define LOOK_EVERY_US (1 * US_PER_S)
#define SHIP_EVERY_US (30 * US_PER_S)
#define RETRY_FIRST_US (1 * US_PER_S)
#define RETRY_LAST_US (60 * US_PER_S)
#define LAST_SECONDS_US (5 * US_PER_S) /* of a process that ends */
#define LAST_PATIENCE_MS 4000          /* with a server that is silent then */
#define CONFLICTS_MAX 5 /* with others, in a row: these pass by themselves */

struct shipper {
	const struct options *options; /* borrowed */
	pthread_t thread;
	bool is_running;
	store_patience patience_ms; /* less, once we are stopping */

	/* the thread's own */
	struct store *spool;  /* owned; NULL: not open */
	struct store *shared; /* owned; NULL: not open */
	struct ship *ship;    /* owned; NULL without both */
	mono_us retry_us;     /* how long after the next failure */
	unsigned conflicts;   /* in a row */
	mono_us sent_at;      /* when last all of it went well; 0: never */

	pthread_mutex_t lock; /* of what is below */
	pthread_cond_t wake;
	bool is_stopping;
	struct shipping shipping;
};

/* ---- how things are ---- */

static bool
is_stopping(struct shipper *shipper)
{
	bool is_so;

	pthread_mutex_lock(&shipper->lock);
	is_so = shipper->is_stopping;
	pthread_mutex_unlock(&shipper->lock);
	return is_so;
}

/* Returns the state before. */
static enum shipping_state
set_state(struct shipper *shipper, enum shipping_state state,
    const struct store_error *error)
{
	struct shipping *shipping = &shipper->shipping;
	enum shipping_state before;

	pthread_mutex_lock(&shipper->lock);
	before = shipping->state;
	shipping->state = state;
	shipping->error[0] = '\0';
	if (state == SHIPPING_AWAY) {
		shipping->errors++;
		snprintf(shipping->error, sizeof(shipping->error), "%s",
		    error->text);
	} else {
		shipping->last_at = clock_wall();
		shipping->waiting = 0;
	}
	pthread_mutex_unlock(&shipper->lock);
	return before;
}

static void
note_rows(struct shipper *shipper, uint64_t rows)
{
	pthread_mutex_lock(&shipper->lock);
	shipper->shipping.rows += rows;
	pthread_mutex_unlock(&shipper->lock);
}

void
shipper_note_lost(struct shipper *shipper, uint64_t rows)
{
	pthread_mutex_lock(&shipper->lock);
	shipper->shipping.lost += rows;
	pthread_mutex_unlock(&shipper->lock);
}

void
shipper_look(struct shipper *shipper, struct shipping *shipping)
{
	pthread_mutex_lock(&shipper->lock);
	*shipping = shipper->shipping;
	pthread_mutex_unlock(&shipper->lock);
}

static void
count_waiting(struct shipper *shipper)
{
	int64_t waiting;

	if (shipper->spool == NULL ||
	    !ship_count_waiting(shipper->spool, &waiting))
		return;
	pthread_mutex_lock(&shipper->lock);
	shipper->shipping.waiting = (uint64_t)waiting;
	pthread_mutex_unlock(&shipper->lock);
}

/* ---- the server ---- */

static void
disconnect(struct shipper *shipper)
{
	ship_free(shipper->ship);
	store_close(shipper->shared);
	shipper->ship = NULL;
	shipper->shared = NULL;
}

static void
note_away(struct shipper *shipper, const struct store_error *error)
{
	struct store_error why = *error;

	disconnect(shipper);
	count_waiting(shipper);
	if (set_state(shipper, SHIPPING_AWAY, &why) != SHIPPING_AWAY)
		log_warnx("--store: %s; meanwhile evidence stays in %s",
		    why.text, shipper->options->state_dir);
}

static void
note_well(struct shipper *shipper)
{
	shipper->retry_us = RETRY_FIRST_US;
	shipper->conflicts = 0;
	shipper->sent_at = clock_mono();
	if (set_state(shipper, SHIPPING_WELL, NULL) != SHIPPING_WELL)
		log_info("--store: %s has all the evidence that there is",
		    store_path(shipper->shared));
}

static bool
open_spool(struct shipper *shipper, struct store_error *error)
{
	if (shipper->spool == NULL)
		shipper->spool =
		    store_open(shipper->options->state_dir, STORE_WRITE, error);
	return shipper->spool != NULL;
}

static bool
connect_both(struct shipper *shipper, struct store_error *error)
{
	if (shipper->ship != NULL)
		return true;
	if (!open_spool(shipper, error))
		return false;
	shipper->shared = store_open_shared(shipper->options->store_url,
	    STORE_WRITE, &shipper->patience_ms, error);
	if (shipper->shared == NULL)
		return false;
	shipper->ship = ship_new(shipper->spool, shipper->shared);
	return true;
}

/* Whether what waits can wait longer. */
static bool
can_wait(struct shipper *shipper)
{
	int64_t waiting;

	return shipper->ship != NULL && shipper->sent_at != 0 &&
	    clock_mono() - shipper->sent_at < SHIP_EVERY_US &&
	    ship_count_waiting(shipper->spool, &waiting) && waiting == 0;
}

/* Whether what failed is for others' sake, and will go well the next time. */
static bool
is_conflict(struct shipper *shipper)
{
	return ship_error(shipper->ship)->result == STORE_BUSY &&
	    ++shipper->conflicts < CONFLICTS_MAX;
}

/* Sends what there is, until `deadline` where that is not 0.  Returns whether
 * all is there. */
static bool
send_all(struct shipper *shipper, mono_us deadline)
{
	struct store_error error;
	enum ship_result result = SHIP_MORE;
	uint64_t rows = 0;

	if (!connect_both(shipper, &error)) {
		note_away(shipper, &error);
		return false;
	}
	while (result == SHIP_MORE) {
		if (deadline != 0 ? clock_mono() > deadline
				  : is_stopping(shipper))
			break;
		result = ship_next(shipper->ship, &rows);
		if (result == SHIP_MORE)
			shipper->conflicts = 0;
	}
	note_rows(shipper, rows);
	if (result == SHIP_DONE)
		note_well(shipper);
	else if (result == SHIP_FAILED && !is_conflict(shipper))
		note_away(shipper, ship_error(shipper->ship));
	return result == SHIP_DONE;
}

/* ---- the thread ---- */

/* Between a half and all of it. */
static mono_us
jitter(mono_us time)
{
	return time / 2 + (mono_us)((double)time / 2 * drand48());
}

static mono_us
next_wait(struct shipper *shipper, bool is_well)
{
	mono_us wait = shipper->retry_us;

	if (is_well)
		return LOOK_EVERY_US;
	shipper->retry_us = wait * 2 > RETRY_LAST_US ? RETRY_LAST_US : wait * 2;
	return jitter(wait);
}

/* Returns false when it is time to stop. */
static bool
sleep_for(struct shipper *shipper, mono_us wait)
{
	mono_us end = clock_mono() + wait;
	struct timespec until = {
	    .tv_sec = end / US_PER_S,
	    .tv_nsec = end % US_PER_S * 1000,
	};
	bool goes_on;

	pthread_mutex_lock(&shipper->lock);
	while (!shipper->is_stopping &&
	    pthread_cond_timedwait(&shipper->wake, &shipper->lock, &until) !=
		ETIMEDOUT)
		;
	goes_on = !shipper->is_stopping;
	pthread_mutex_unlock(&shipper->lock);
	return goes_on;
}

/* Before the process ends: what conflicts do not leave through is tried
 * again. */
static void
send_last(struct shipper *shipper)
{
	mono_us deadline = clock_mono() + LAST_SECONDS_US;
	int64_t waiting;

	while (!send_all(shipper, deadline) && shipper->ship != NULL &&
	    clock_mono() < deadline)
		;
	if (shipper->spool != NULL &&
	    ship_count_waiting(shipper->spool, &waiting) && waiting > 0)
		log_warnx(
		    "--store: rows of evidence that were not sent: %" PRId64
		    "; they stay in %s, for the next leakproxy there",
		    waiting, shipper->options->state_dir);
}

static void *
run(void *arg)
{
	struct shipper *shipper = arg;
	bool is_well;

	do
		is_well = can_wait(shipper) || send_all(shipper, 0);
	while (sleep_for(shipper, next_wait(shipper, is_well)));
	send_last(shipper);
	return NULL;
}

/* ---- life ---- */

struct shipper *
shipper_new(const struct options *options)
{
	struct shipper *shipper = xcalloc(1, sizeof(*shipper));
	pthread_condattr_t attributes;

	shipper->options = options;
	shipper->retry_us = RETRY_FIRST_US;
	atomic_init(&shipper->patience_ms, STORE_PATIENCE_SHARED_MS);
	shipper->shipping.state = SHIPPING_BEGINNING;
	pthread_mutex_init(&shipper->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&shipper->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	srand48((long)clock_mono());
	return shipper;
}

void
shipper_open(struct shipper *shipper)
{
	struct store_error error;

	(void)open_spool(shipper, &error);
}

bool
shipper_start(struct shipper *shipper)
{
	shipper->is_running =
	    pthread_create(&shipper->thread, NULL, run, shipper) == 0;
	return shipper->is_running;
}

void
shipper_finish(struct shipper *shipper)
{
	if (shipper->is_running) {
		atomic_store(&shipper->patience_ms, LAST_PATIENCE_MS);
		pthread_mutex_lock(&shipper->lock);
		shipper->is_stopping = true;
		pthread_cond_signal(&shipper->wake);
		pthread_mutex_unlock(&shipper->lock);
		pthread_join(shipper->thread, NULL);
	}
	disconnect(shipper);
	store_close(shipper->spool);
	pthread_cond_destroy(&shipper->wake);
	pthread_mutex_destroy(&shipper->lock);
	free(shipper);
}
