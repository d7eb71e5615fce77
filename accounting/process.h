/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_PROCESS_H
#define ACCOUNTING_PROCESS_H

/*
 * What a process is called.  Never changed once made, so that the thousands of
 * connections of one process share what is said of it.  The count of those who
 * do is not atomic: they belong to one thread, and others get a copy.
 */

#include <stdbool.h>

struct pack;

/* A container's id, as its engine shows it: 12 hex digits. */
#define PROCESS_CONTAINER_BYTES 13

struct process {
	const char *command;      /* "coderd"; NULL unknown */
	const char *command_line; /* with its arguments, secrets redacted; NULL
	                             unknown */
	unsigned references;
	char container[PROCESS_CONTAINER_BYTES]; /* "" none, or unknown */
	char texts[];                            /* of the two above */
};

/* Copies all of what it is given, each of which may be NULL.  Returns a
 * process with one reference; give it back with process_unref(). */
struct process *process_new(
    const char *command, const char *command_line, const char *container);

/* Returns a copy that shares nothing, or NULL of NULL; likewise. */
struct process *process_copy(const struct process *process);

/* Returns a copy in the pack's room, or NULL of NULL and where there is none.
 * It goes with the room. */
struct process *process_pack(const struct process *process, struct pack *pack);

/* Returns the same, with one reference more. */
struct process *process_ref(struct process *process);

/* Of NULL too.  *process is NULL then. */
void process_unref(struct process **process);

/* Whether both say the same; of NULL too. */
bool process_is_same(const struct process *a, const struct process *b);

#endif
