/* SPDX-License-Identifier: MIT */

/*
 * The proxy as a whole.
 *
 * What the workers share is made here, before they start, and freed after
 * they have ended.  A snapshot is gathered by asking each worker for its part
 * and merging the parts in the loop of whoever asked: no lock is held, and no
 * worker waits.
 */

#include "proxy/service.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/descriptors.h"
#include "proxy/door.h"
#include "proxy/keep.h"
#include "proxy/option_policy.h"
#include "proxy/trust.h"
#include "proxy/units.h"
#include "proxy/worker.h"

#define VIA_NAME_BYTES 32

struct service {
	const struct options *options; /* borrowed */
	/* owned */
	struct trust *trust;
	struct policy *policy; /* a reference; written under the lock */
	struct callers *callers;
	struct suspicion *suspicion;
	struct marks *marks;
	struct door *doors;
	size_t door_count;
	struct address *own;
	struct worker_thread **workers;
	unsigned worker_count;  /* made */
	unsigned started_count; /* of those */
	bool is_drained;
	pthread_mutex_t policy_lock;
	atomic_bool is_ready;
	atomic_uint connection_count;
	char via_name[VIA_NAME_BYTES];
	struct house house;
};

/* ---- doors ---- */

static bool
open_door(struct service *service, const struct address *address,
    bool is_redirect, char error[SERVICE_ERROR_BYTES])
{
	struct door *door = &service->doors[service->door_count++];

	*door = (struct door){.address = *address,
	    .is_redirect = is_redirect,
	    .fd_count = service->options->workers};
	if (door_open(door))
		return true;
	snprintf(error, SERVICE_ERROR_BYTES,
	    "--%s: cannot listen on %s: %s: choose another address, or port 0 "
	    "for a free one",
	    is_redirect ? "redirect" : "listen", door->text, strerror(errno));
	return false;
}

static bool
open_doors(struct service *service, char error[SERVICE_ERROR_BYTES])
{
	const struct options *options = service->options;

	service->doors =
	    xcalloc(options->listen_count + options->redirect_count,
		sizeof(*service->doors));
	for (size_t i = 0; i < options->listen_count; i++) {
		if (!open_door(service, &options->listen[i], false, error))
			return false;
	}
	for (size_t i = 0; i < options->redirect_count; i++) {
		if (!open_door(service, &options->redirect[i], true, error))
			return false;
	}
	return true;
}

/* ---- opening ---- */

struct service *
service_open(const struct options *options, char error[SERVICE_ERROR_BYTES])
{
	struct service *service = xcalloc(1, sizeof(*service));

	service->options = options;
	service->callers = callers_new();
	service->suspicion = suspicion_new();
	service->marks = marks_new();
	/* Its own name for each process: proxies in a chain are no loop. */
	snprintf(service->via_name, sizeof(service->via_name), "leakproxy-%08x",
	    (unsigned)(clock_wall() * 2654435761u));
	pthread_mutex_init(&service->policy_lock, NULL);
	service->policy = option_policy_again(options, error);
	if (service->policy != NULL)
		service->trust = trust_open(options, error);
	if (service->trust == NULL || !open_doors(service, error)) {
		service_close(service);
		return NULL;
	}
	return service;
}

/* ---- starting ---- */

static unsigned
max_connections(const struct options *options)
{
	unsigned possible = descriptors_connections(options->workers);

	if (options->max_connections == 0)
		return possible;
	if (options->max_connections > possible)
		log_warnx("--max-connections: the limit of open files is "
			  "enough for %u connections: raise it (ulimit -n, "
			  "LimitNOFILE)",
		    possible);
	return options->max_connections;
}

static void
furnish_house(struct service *service, const struct address *admin)
{
	size_t count = 0;

	service->own = xcalloc(service->door_count + 1, sizeof(*service->own));
	for (size_t i = 0; i < service->door_count; i++)
		service->own[count++] = service->doors[i].address;
	if (admin != NULL)
		service->own[count++] = *admin;
	service->house = (struct house){
	    .options = service->options,
	    .tls_server = trust_server(service->trust),
	    .keylog = trust_keylog(service->trust),
	    .callers = service->callers,
	    .suspicion = service->suspicion,
	    .marks = service->marks,
	    .destinations = {.own = service->own,
		.own_count = count,
		.allowed = service->options->allowed_destinations,
		.allowed_count = service->options->allowed_destination_count},
	    .via_name = service->via_name,
	    .plain_fields = keep_plain_fields(service->options->secrets),
	    .connection_count = &service->connection_count,
	    .max_connections = max_connections(service->options),
	};
}

bool
service_prepare(struct service *service, const struct address *admin,
    char error[SERVICE_ERROR_BYTES])
{
	unsigned count = service->options->workers;
	char reason[TLS_ERROR_BYTES];

	furnish_house(service, admin);
	service->workers = xcalloc(count, sizeof(*service->workers));
	for (unsigned i = 0; i < count; i++) {
		service->workers[i] =
		    worker_new(&service->house, service->policy, i, reason);
		if (service->workers[i] == NULL) {
			snprintf(error, SERVICE_ERROR_BYTES, "%s", reason);
			return false;
		}
		service->worker_count++;
	}
	return true;
}

static bool
start_worker(
    struct service *service, unsigned index, char error[SERVICE_ERROR_BYTES])
{
	struct entrance *entrances =
	    xcalloc(service->door_count, sizeof(*entrances));
	char reason[TLS_ERROR_BYTES];
	bool is_started;

	for (size_t i = 0; i < service->door_count; i++) {
		entrances[i] = (struct entrance){service->doors[i].fds[index],
		    service->doors[i].is_redirect};
		service->doors[i].fds[index] = -1; /* taken */
	}
	is_started = worker_start(
	    service->workers[index], entrances, service->door_count, reason);
	if (!is_started)
		snprintf(error, SERVICE_ERROR_BYTES, "--workers: %s", reason);
	free(entrances);
	return is_started;
}

bool
service_start(struct service *service, char error[SERVICE_ERROR_BYTES])
{
	for (unsigned i = 0; i < service->worker_count; i++) {
		if (!start_worker(service, i, error))
			return false;
		service->started_count++;
	}
	atomic_store(&service->is_ready, true);
	return true;
}

/* ---- another policy ---- */

struct adoption {
	struct policy *policy;
	sem_t adopted; /* once by each worker */
};

/* In the worker's thread. */
static void
adopt(struct worker *worker, void *arg)
{
	struct adoption *adoption = arg;

	worker_set_policy(worker, policy_ref(adoption->policy));
	sem_post(&adoption->adopted);
}

/* We wait for workers, who wait for nobody, so that "reloaded" is true of all
 * of them when it is said. */
static void
hand_out(struct service *service)
{
	struct adoption adoption = {.policy = service->policy};

	sem_init(&adoption.adopted, 0, 0);
	for (unsigned i = 0; i < service->started_count; i++)
		worker_ask(service->workers[i], adopt, &adoption);
	for (unsigned i = 0; i < service->started_count; i++) {
		while (sem_wait(&adoption.adopted) != 0)
			continue; /* EINTR */
	}
	sem_destroy(&adoption.adopted);
}

bool
service_reload(struct service *service, char error[SERVICE_ERROR_BYTES])
{
	struct policy *policy = option_policy_again(service->options, error);
	struct policy *old = service->policy;

	if (policy == NULL)
		return false;
	if (!trust_reload(service->trust, error)) {
		policy_unref(policy);
		return false;
	}
	pthread_mutex_lock(&service->policy_lock);
	service->policy = policy;
	pthread_mutex_unlock(&service->policy_lock);
	policy_unref(old);
	hand_out(service);
	return true;
}

struct policy *
service_policy(struct service *service)
{
	struct policy *policy;

	pthread_mutex_lock(&service->policy_lock);
	policy = policy_ref(service->policy);
	pthread_mutex_unlock(&service->policy_lock);
	return policy;
}

/* ---- ending ---- */

void
service_drain(struct service *service)
{
	if (service->is_drained)
		return;
	service->is_drained = true;
	for (unsigned i = 0; i < service->started_count; i++)
		worker_drain(service->workers[i]);
	for (unsigned i = 0; i < service->started_count; i++)
		worker_join(service->workers[i]);
}

void
service_close(struct service *service)
{
	service_drain(service);
	for (unsigned i = 0; i < service->worker_count; i++)
		worker_free(service->workers[i]);
	for (size_t i = 0; i < service->door_count; i++)
		door_close(&service->doors[i]);
	free(service->workers);
	free(service->doors);
	free(service->own);
	trust_free(service->trust);
	policy_unref(service->policy);
	pthread_mutex_destroy(&service->policy_lock);
	callers_free(service->callers);
	suspicion_free(service->suspicion);
	marks_free(service->marks);
	free(service);
}

/* ---- what others need to know ---- */

struct marks *
service_marks(struct service *service)
{
	return service->marks;
}

const char *
service_listen_text(const struct service *service, size_t index)
{
	return index < service->options->listen_count
	    ? service->doors[index].text
	    : NULL;
}

const char *
service_redirect_text(const struct service *service, size_t index)
{
	size_t door = service->options->listen_count + index;

	return door < service->door_count ? service->doors[door].text : NULL;
}

char *
service_ca_pem(void *arg)
{
	struct service *service = arg;

	return trust_ca_pem(service->trust);
}

const char *
service_ca_path(const struct service *service)
{
	return trust_ca_path(service->trust);
}

const char *
service_bundle_path(const struct service *service)
{
	return trust_bundle_path(service->trust);
}

const char *
service_truststore_path(const struct service *service)
{
	return trust_truststore_path(service->trust);
}

bool
service_is_ready(void *arg)
{
	struct service *service = arg;

	return atomic_load(&service->is_ready);
}

unsigned
service_ask(struct service *service, worker_ask_cb ask, void *arg)
{
	if (!atomic_load(&service->is_ready))
		return 0;
	for (unsigned i = 0; i < service->worker_count; i++)
		worker_ask(service->workers[i], ask, arg);
	return service->worker_count;
}

/* ---- snapshots ---- */

/* One request for a snapshot; it lives until the last part is in. */
struct gathering {
	struct loop *asker;      /* borrowed */
	struct service *service; /* borrowed */
	struct snapshot_query query;
	struct snapshot *whole;
	unsigned missing;
	void (*done)(struct snapshot *snapshot, void *arg);
	void *arg;
};

struct part {
	struct gathering *gathering;  /* borrowed, ends with its last part */
	struct worker_thread *thread; /* borrowed: whose part it is */
	struct ledger_view *view;     /* owned until there is a snapshot */
	struct snapshot *snapshot;    /* owned */
};

/* Seals the whole, with what no worker knows. */
static void
seal(struct service *service, struct snapshot *whole,
    const struct snapshot_query *query)
{
	if (query->wants_rhythm || query->wants_marks)
		whole->marks = marks_copy(service->marks, &whole->mark_count);
	whole->service = service->options->service;
	whole->service_version = service->options->service_version;
	if (service->house.max_connections != UINT_MAX)
		whole->max_connections = service->house.max_connections;
	snapshot_seal(whole, query);
}

static void
finish_gathering(void *arg)
{
	struct gathering *gathering = arg;

	seal(gathering->service, gathering->whole, &gathering->query);
	gathering->done(gathering->whole, gathering->arg);
	snapshot_query_fini(&gathering->query);
	free(gathering);
}

/* In the asker's loop. */
static void
take_part(void *arg)
{
	struct part *part = arg;
	struct gathering *gathering = part->gathering;

	snapshot_merge(gathering->whole, &part->snapshot);
	free(part);
	if (--gathering->missing == 0)
		finish_gathering(gathering);
}

/* In the worker's thread, a step for each turn of its loop. */
static void
step_part(struct worker *worker, void *arg)
{
	struct part *part = arg;

	part->snapshot = worker_step_view(worker, &part->view);
	if (part->snapshot == NULL)
		worker_ask(part->thread, step_part, part);
	else
		loop_post(part->gathering->asker, take_part, part);
}

static void
begin_part(struct worker *worker, void *arg)
{
	struct part *part = arg;

	part->view = worker_begin_view(worker, &part->gathering->query);
	step_part(worker, part);
}

void
service_gather(void *arg, struct loop *asker,
    const struct snapshot_query *query,
    void (*done)(struct snapshot *snapshot, void *arg), void *done_arg)
{
	struct service *service = arg;
	struct gathering *gathering = xcalloc(1, sizeof(*gathering));

	gathering->asker = asker;
	gathering->service = service;
	gathering->whole = snapshot_new();
	gathering->done = done;
	gathering->arg = done_arg;
	snapshot_query_copy(&gathering->query, query);
	if (!atomic_load(&service->is_ready)) {
		loop_post(asker, finish_gathering, gathering);
		return;
	}
	gathering->missing = service->worker_count;
	for (unsigned i = 0; i < service->worker_count; i++) {
		struct part *part = xcalloc(1, sizeof(*part));

		part->gathering = gathering;
		part->thread = service->workers[i];
		worker_ask(service->workers[i], begin_part, part);
	}
}

/* What service_snapshot() wants from each worker, in its own thread. */
struct direct_part {
	struct snapshot *whole;
	const struct snapshot_query *query;
};

static void
add_directly(struct worker *worker, void *arg)
{
	struct direct_part *direct = arg;
	struct snapshot *snapshot = worker_snapshot(worker, direct->query);

	snapshot_merge(direct->whole, &snapshot);
}

struct snapshot *
service_snapshot(struct service *service, const struct snapshot_query *query)
{
	struct direct_part direct = {snapshot_new(), query};

	for (unsigned i = 0; i < service->worker_count; i++)
		worker_ask(service->workers[i], add_directly, &direct);
	seal(service, direct.whole, query);
	return direct.whole;
}
