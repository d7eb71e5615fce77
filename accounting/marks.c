/* SPDX-License-Identifier: MIT */

/*
 * Jobs' marks, in a ring.
 */

#include "accounting/marks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

#define PHASE_BYTES 8

static const char *const phase_words[] = {
    [MARK_START] = "start",
    [MARK_STOP] = "stop",
};

struct marks {
	uint64_t added; /* in all */
	pthread_mutex_t lock;
	struct mark *ring; /* owned; grows to MARKS_MAX */
	size_t capacity;
	size_t count;
	size_t oldest;
};

static bool
is_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-/:";
	size_t length = strlen(name);

	return length >= 1 && length < MARK_NAME_BYTES &&
	    strspn(name, allowed) == length;
}

const char *
mark_name(struct mark *mark, const char *name, const char *phase)
{
	size_t i = 0;

	if (!is_name(name))
		return "a mark's name has 1 to 64 letters, digits or any of "
		       "._-/: as in imagecheck";
	while (strcmp(phase, phase_words[i]) != 0) {
		if (++i == sizeof(phase_words) / sizeof(*phase_words))
			return "a mark's phase is start or stop";
	}
	strcpy(mark->name, name);
	mark->phase = (enum mark_phase)i;
	return NULL;
}

/* Copies a part of the text without blanks around it.  Returns false where it
 * is too long. */
static bool
copy_part(char *to, size_t size, const char *text, size_t length)
{
	while (length > 0 && (*text == ' ' || *text == '\t')) {
		text++;
		length--;
	}
	while (
	    length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	if (length >= size || memchr(text, '\0', length) != NULL)
		return false;
	*(char *)mempcpy(to, text, length) = '\0';
	return true;
}

const char *
mark_parse(struct mark *mark, const char *text, size_t length)
{
	const char *semicolon = length == 0 ? NULL : memchr(text, ';', length);
	char name[MARK_NAME_BYTES];
	char phase[PHASE_BYTES];
	size_t name_length;

	if (semicolon == NULL)
		return "a mark is written name;start or name;stop";
	name_length = (size_t)(semicolon - text);
	if (!copy_part(name, sizeof(name), text, name_length) ||
	    !copy_part(
		phase, sizeof(phase), semicolon + 1, length - name_length - 1))
		return "a mark is written name;start or name;stop, its name "
		       "in at most 64 characters";
	return mark_name(mark, name, phase);
}

const char *
mark_phase_word(enum mark_phase phase)
{
	return phase_words[phase];
}

/* ---- the store ---- */

struct marks *
marks_new(void)
{
	struct marks *marks = xcalloc(1, sizeof(*marks));

	pthread_mutex_init(&marks->lock, NULL);
	return marks;
}

void
marks_free(struct marks *marks)
{
	pthread_mutex_destroy(&marks->lock);
	free(marks->ring);
	free(marks);
}

void
marks_add(struct marks *marks, const struct mark *mark)
{
	pthread_mutex_lock(&marks->lock);
	marks->added++;
	if (marks->count == marks->capacity && marks->capacity < MARKS_MAX) {
		/* Not yet full, so it never went round. */
		marks->capacity =
		    marks->capacity == 0 ? 64 : 2 * marks->capacity;
		marks->ring = xreallocarray(
		    marks->ring, marks->capacity, sizeof(*marks->ring));
	}
	if (marks->count == MARKS_MAX) {
		marks->ring[marks->oldest] = *mark;
		marks->oldest = (marks->oldest + 1) % MARKS_MAX;
	} else {
		marks->ring[marks->count++] = *mark;
	}
	pthread_mutex_unlock(&marks->lock);
}

static int
older_first(const void *a, const void *b)
{
	const struct mark *left = a;
	const struct mark *right = b;

	return (left->mono_at > right->mono_at) -
	    (left->mono_at < right->mono_at);
}

/* Copies the newest `wanted` of what is kept; with the lock held. */
static struct mark *
copy_newest(const struct marks *marks, size_t wanted)
{
	struct mark *copy = xcalloc(wanted + 1, sizeof(*copy));
	size_t first = marks->oldest + marks->count - wanted;

	for (size_t i = 0; i < wanted; i++)
		copy[i] = marks->ring[(first + i) % marks->capacity];
	return copy;
}

struct mark *
marks_copy(struct marks *marks, size_t *count)
{
	uint64_t none_seen = 0;

	return marks_since(marks, &none_seen, count);
}

struct mark *
marks_since(struct marks *marks, uint64_t *seen, size_t *count)
{
	struct mark *copy;

	pthread_mutex_lock(&marks->lock);
	*count = marks->count;
	if (marks->added - *seen < marks->count)
		*count = (size_t)(marks->added - *seen);
	*seen = marks->added;
	copy = copy_newest(marks, *count);
	pthread_mutex_unlock(&marks->lock);
	/* Each thread looked at the clock before it took the lock. */
	qsort(copy, *count, sizeof(*copy), older_first);
	return copy;
}
