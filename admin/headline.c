/* SPDX-License-Identifier: MIT */

/*
 * The report in one line.
 */

#include "admin/headline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"
#include "admin/story.h"
#include "admin/text.h"

static size_t
count_leaks(const struct snapshot *snapshot)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->leak_count; i++)
		count += story_is_proven(&snapshot->leaks[i]);
	return count;
}

/* The worst leak, and who it may be. */
static char *
worst(const struct snapshot *snapshot)
{
	const struct leak *leak = &snapshot->leaks[0];
	const struct suspect *suspect = &leak->suspect;
	bool is_named = suspect->outcome == SUSPECT_NAMED;
	char *tags = tags_text(&leak->tags);
	char *text = xasprintf(", worst %s %s %d%s%s%s%s", leak->method,
	    leak->route, leak->status, tags[0] == '\0' ? "" : " ", tags,
	    is_named ? ", suspect " : "", is_named ? suspect->mark : "");

	free(tags);
	return text;
}

char *
headline_text(const struct snapshot *snapshot, unsigned columns)
{
	const struct totals *totals = &snapshot->totals;
	uint64_t undrained = totals->by_verdict[VERDICT_UNDRAINED];
	size_t leaks = count_leaks(snapshot);
	char rate[TEXT_NUMBER_BYTES] = "no time yet";
	char *example = leaks == 0 ? xstrdup("") : worst(snapshot);
	char *line;
	char *visible;
	char *short_line;

	if (snapshot->seconds_us > 0)
		text_rate(undrained, snapshot->seconds_us, rate);
	line = xasprintf("leakproxy: %" PRIu64 " held, %" PRIu64
			 " undrained (%s), %" PRIu64 " suspected of %" PRIu64
			 " responses, %zu leak%s%s",
	    totals->held_now, undrained, rate,
	    totals->by_verdict[VERDICT_SUSPECTED], totals->exchanges, leaks,
	    text_plural(leaks), example);
	visible = text_visible(line);
	short_line = text_shorten(visible, columns);
	free(example);
	free(visible);
	free(line);
	return short_line;
}
