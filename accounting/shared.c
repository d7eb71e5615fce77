/* SPDX-License-Identifier: MIT */

/*
 * Shared texts: a count, and the text behind it.
 */

#include "accounting/shared.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

struct shared {
	unsigned references;
	char text[];
};

static struct shared *
shared_of(char *text)
{
	return (void *)(text - offsetof(struct shared, text));
}

char *
shared_new(struct span text)
{
	struct shared *shared = xmalloc(sizeof(*shared) + text.length + 1);

	shared->references = 1;
	memcpy(shared->text, text.at, text.length);
	shared->text[text.length] = '\0';
	return shared->text;
}

char *
shared_ref(char *text)
{
	shared_of(text)->references++;
	return text;
}

void
shared_unref(char **textp)
{
	char *text = *textp;

	*textp = NULL;
	if (text != NULL && --shared_of(text)->references == 0)
		free(shared_of(text));
}

bool
shared_says(const char *text, struct span span)
{
	return text != NULL && strlen(text) == span.length &&
	    memcmp(text, span.at, span.length) == 0;
}
