/* SPDX-License-Identifier: MIT */

/*
 * Names of processes, shared.
 */

#include "accounting/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "accounting/pack.h"
#include "accounting/same.h"

static size_t
size_of(const char *text)
{
	return text == NULL ? 0 : strlen(text) + 1;
}

struct process *
process_new(
    const char *command, const char *command_line, const char *container)
{
	size_t name_size = size_of(command);
	size_t line_size = size_of(command_line);
	struct process *process =
	    xcalloc(1, sizeof(*process) + name_size + line_size);

	process->references = 1;
	if (command != NULL)
		process->command = memcpy(process->texts, command, name_size);
	if (command_line != NULL)
		process->command_line =
		    memcpy(process->texts + name_size, command_line, line_size);
	if (container != NULL)
		snprintf(process->container, sizeof(process->container), "%s",
		    container);
	return process;
}

struct process *
process_copy(const struct process *process)
{
	return process == NULL ? NULL
			       : process_new(process->command,
				     process->command_line, process->container);
}

struct process *
process_pack(const struct process *process, struct pack *pack)
{
	struct process *copy;

	if (process == NULL)
		return NULL;
	copy = pack_room(pack, sizeof(*copy));
	if (copy != NULL) {
		*copy = *process;
		copy->references = 1;
		copy->command = pack_text(pack, process->command);
		copy->command_line = pack_text(pack, process->command_line);
	} else {
		pack_text(pack, process->command);
		pack_text(pack, process->command_line);
	}
	return copy;
}

struct process *
process_ref(struct process *process)
{
	process->references++;
	return process;
}

void
process_unref(struct process **processp)
{
	struct process *process = *processp;

	*processp = NULL;
	if (process != NULL && --process->references == 0)
		free(process);
}

bool
process_is_same(const struct process *a, const struct process *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return same_text(a->command, b->command) &&
	    same_text(a->command_line, b->command_line) &&
	    strcmp(a->container, b->container) == 0;
}
