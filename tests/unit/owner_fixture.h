/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_OWNER_FIXTURE_H
#define TESTS_UNIT_OWNER_FIXTURE_H

/*
 * Owners of connections, as records have them.
 */

#include "accounting/memory.h"
#include "accounting/owner.h"

/* Returns an owner for one record; uid -1 is none, command NULL is unknown. */
static inline struct owner *
fixture_owner(pid_t pid, int fd, int uid, const char *command)
{
	struct owner *owner = xmalloc(sizeof(*owner));

	*owner = (struct owner){.process = process_new(command, NULL, NULL),
	    .pid = pid,
	    .fd = fd,
	    .uid = (uid_t)uid,
	    .references = 1};
	return owner;
}

/* Gives its process another name. */
static inline void
fixture_rename(struct owner *owner, const char *command)
{
	process_unref(&owner->process);
	owner->process = process_new(command, NULL, NULL);
}

#endif
