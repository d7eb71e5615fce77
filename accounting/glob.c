/* SPDX-License-Identifier: MIT */

/*
 * Patterns.
 *
 * What stands between the stars is searched for from the left: where a piece
 * is found first leaves the most room for those behind it, so none is looked
 * for twice.
 */

#include "accounting/glob.h"

#include <string.h>

#include "accounting/memory.h"

struct glob {
	size_t star_count;
	size_t size;   /* of the pieces */
	char pieces[]; /* one more than stars, with a NUL behind each */
};

struct glob *
glob_new(const char *pattern)
{
	size_t size = strlen(pattern) + 1;
	struct glob *glob = xcalloc(1, sizeof(*glob) + size);
	char *to = glob->pieces;

	glob->size = size;
	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '*') {
			glob->star_count++;
			*to++ = '\0';
			continue;
		}
		if (*pattern == '\\' && pattern[1] != '\0')
			pattern++;
		*to++ = *pattern;
	}
	return glob;
}

struct glob *
glob_copy(const struct glob *glob)
{
	struct glob *copy;

	if (glob == NULL)
		return NULL;
	copy = xcalloc(1, sizeof(*copy) + glob->size);
	memcpy(copy, glob, sizeof(*copy) + glob->size);
	return copy;
}

bool
glob_matches(const struct glob *glob, const char *text, size_t length)
{
	const char *end = text + length;
	const char *piece = glob->pieces;
	size_t wanted = strlen(piece);

	if (length < wanted || memcmp(text, piece, wanted) != 0)
		return false;
	text += wanted;
	if (glob->star_count == 0)
		return text == end;
	for (size_t i = 1; i < glob->star_count; i++) {
		piece += wanted + 1;
		wanted = strlen(piece);
		text = memmem(text, (size_t)(end - text), piece, wanted);
		if (text == NULL)
			return false;
		text += wanted;
	}
	piece += wanted + 1;
	wanted = strlen(piece);
	return (size_t)(end - text) >= wanted &&
	    memcmp(end - wanted, piece, wanted) == 0;
}
