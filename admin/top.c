/* SPDX-License-Identifier: MIT */

/*
 * The report that is drawn again and again.
 *
 * The page knows how to wrap and to make strangers' strings visible; what is
 * left to do here is to choose what is told, and to cut the page to the
 * terminal.
 */

#include "admin/top_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/detective.h"
#include "admin/page.h"
#include "admin/story.h"
#include "admin/text.h"

#define INDENT 13               /* where values begin, as in the report */
#define GRAPH_BESIDE_COLUMNS 48 /* what stands before and behind it */
#define GRAPH_MIN_COLUMNS 8
#define GRAPH_MAX_COLUMNS 60
#define GRAPH_LEVELS 8
#define PLUS_MINUS "\302\261" /* U+00B1 */

struct top *
top_new(void)
{
	return xcalloc(1, sizeof(struct top));
}

void
top_free(struct top *top)
{
	top_forget(top);
	free(top);
}

size_t
top_count(void *arg)
{
	const struct top *top = arg;

	return top->snapshot == NULL ? 0 : top->snapshot->leak_count;
}

/* ---- head ---- */

static void
put_title(struct page *page, const struct frame *frame,
    const struct snapshot *snapshot)
{
	char stamp[TEXT_NUMBER_BYTES];
	char period[TEXT_NUMBER_BYTES];

	page_begin(page, "", 0);
	page_item(page, "", "leakproxy top");
	page_item(page, "   ", frame->where);
	if (snapshot != NULL) {
		text_timestamp(snapshot->taken_at, stamp);
		text_duration(snapshot->seconds_us, period);
		page_printf(page, "   ", "%.8sZ", stamp + 11);
		page_printf(page, "   ", "watched %s", period);
	}
	if (frame->hint != NULL)
		page_item(page, "   ", frame->hint);
	page_end(page);
}

static void
put_trouble(struct page *page, const struct frame *frame,
    const struct snapshot *snapshot)
{
	char stamp[TEXT_NUMBER_BYTES];

	if (frame->trouble == NULL)
		return;
	page_begin(page, "", 0);
	page_words(page, "", frame->trouble);
	page_words(page, " ", "Asking again.");
	if (snapshot != NULL) {
		text_timestamp(snapshot->taken_at, stamp);
		page_words(page, " ", "This was at");
		page_printf(page, " ", "%.8sZ:", stamp + 11);
	}
	page_end(page);
}

static void
put_verdict(struct page *page, const struct snapshot *snapshot)
{
	const struct totals *totals = &snapshot->totals;
	uint64_t undrained = totals->by_verdict[VERDICT_UNDRAINED];
	char rate[TEXT_NUMBER_BYTES];
	size_t leaks = 0;

	for (size_t i = 0; i < snapshot->leak_count; i++)
		leaks += story_is_proven(&snapshot->leaks[i]);
	page_begin(page, "", 0);
	if (leaks == 0)
		page_item(page, "", "No leaks.");
	else
		page_printf(
		    page, "", "%zu LEAK%s:", leaks, leaks == 1 ? "" : "S");
	page_printf(page, leaks == 0 ? "   " : " ", "%" PRIu64 " held now",
	    totals->held_now);
	page_printf(page, ", ", "%" PRIu64 " undrained", undrained);
	if (undrained > 0 && snapshot->seconds_us > 0) {
		text_rate(undrained, snapshot->seconds_us, rate);
		page_printf(page, " ", "(%s)", rate);
	}
	page_end(page);
}

static void
put_totals(struct page *page, const struct totals *totals)
{
	page_begin(page, "connections", INDENT);
	page_printf(page, "", "%" PRIu64 " accepted", totals->connections);
	page_end(page);
	page_begin(page, "exchanges", INDENT);
	page_printf(page, "", "%" PRIu64 " in all", totals->exchanges);
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		enum verdict verdict = (enum verdict)i;

		if (totals->by_verdict[i] == 0)
			continue;
		page_printf(page, ", ", "%" PRIu64 " %s", totals->by_verdict[i],
		    verdict == VERDICT_NONE ? "no body"
					    : verdict_word(verdict));
	}
	if (totals->recovered > 0)
		page_printf(
		    page, ", ", "%" PRIu64 " recovered", totals->recovered);
	page_end(page);
}

/* ---- the graph ---- */

/* The most that was held in each column's part of the time; returns how many
 * columns that are. */
static size_t
sample(const struct timeline *timeline, size_t columns, int64_t *peaks)
{
	size_t bins = axis_length(&timeline->axis);
	int64_t held = 0;

	if (columns > bins)
		columns = bins;
	memset(peaks, 0, columns * sizeof(*peaks));
	for (size_t i = 0; i < bins; i++) {
		size_t at = i * columns / bins;

		held += timeline->bins[i].held_change;
		if (held > peaks[at])
			peaks[at] = held;
	}
	return columns;
}

static const char *
block(int64_t held, int64_t most, bool is_ascii)
{
	static const char *const blocks[GRAPH_LEVELS + 1] = {" ",
	    "\342\226\201", "\342\226\202", "\342\226\203", "\342\226\204",
	    "\342\226\205", "\342\226\206", "\342\226\207", "\342\226\210"};
	static const char *const letters[GRAPH_LEVELS + 1] = {
	    " ", ".", ":", "-", "=", "+", "*", "#", "@"};
	/* Whatever is held shows. */
	int64_t level = most == 0 ? 0 : (held * GRAPH_LEVELS + most - 1) / most;

	return is_ascii ? letters[level] : blocks[level];
}

static size_t
graph_columns(unsigned columns)
{
	if (columns < GRAPH_BESIDE_COLUMNS + GRAPH_MIN_COLUMNS)
		return GRAPH_MIN_COLUMNS;
	columns -= GRAPH_BESIDE_COLUMNS;
	return columns > GRAPH_MAX_COLUMNS ? GRAPH_MAX_COLUMNS : columns;
}

static void
put_graph(struct page *page, const struct frame *frame,
    const struct snapshot *snapshot)
{
	int64_t peaks[GRAPH_MAX_COLUMNS];
	char graph[GRAPH_MAX_COLUMNS * 3 + 1] = "";
	char period[TEXT_NUMBER_BYTES];
	int64_t most = 0;
	size_t columns;

	if (axis_length(&snapshot->timeline.axis) == 0)
		return;
	columns = graph_columns(frame->columns);
	columns = sample(&snapshot->timeline, columns, peaks);
	for (size_t i = 0; i < columns; i++) {
		if (peaks[i] > most)
			most = peaks[i];
	}
	for (size_t i = 0; i < columns; i++)
		strcat(graph, block(peaks[i], most, frame->is_ascii));
	text_duration(snapshot->seconds_us, period);
	page_begin(page, "held", INDENT);
	page_printf(page, "", "|%s|", graph);
	page_printf(page, " ", "%" PRIu64 " now", snapshot->totals.held_now);
	page_printf(page, ", ", "at most %" PRId64, most);
	page_printf(page, " ", "in %s", period);
	page_end(page);
}

/* ---- leaks ---- */

static void
put_leak(struct page *page, const struct top *top, size_t i)
{
	const struct snapshot *snapshot = top->snapshot;
	const struct leak *leak = &snapshot->leaks[i];
	char title[TEXT_NUMBER_BYTES];

	snprintf(title, sizeof(title), "%s %zu",
	    story_is_proven(leak) ? "LEAK" : "SUSPECT", i + 1);
	page_blank(page);
	story_put_head(page, title, leak, snapshot->seconds_us);
	story_put_brief(page, leak);
	if (leak->rhythm.bursts > 0) {
		char *rhythm = detective_rhythm_text(leak);

		story_put_words(page, "rhythm", rhythm);
		free(rhythm);
	}
	if (leak->suspect.outcome == SUSPECT_NAMED) {
		char *suspect = detective_suspect_text(leak);

		story_put_words(page, "suspect", suspect);
		free(suspect);
	} else {
		story_put_words(page, "suspect", top->notes[i]);
	}
}

/* ---- cutting it to the terminal ---- */

/* Returns `line` with one or two letters for each character that ASCII does
 * not have.  Free with free(). */
static char *
to_ascii(const char *line)
{
	char *text = xcalloc(strlen(line) + 1, 1);
	char *to = text;

	while (*line != '\0') {
		unsigned char first = (unsigned char)*line;

		if (strncmp(line, PLUS_MINUS, strlen(PLUS_MINUS)) == 0) {
			to = stpcpy(to, "+-");
			line += strlen(PLUS_MINUS);
		} else if (first < 0x80) {
			*to++ = *line++;
		} else {
			*to++ = '~';
			line++;
			while (((unsigned char)*line & 0xc0) == 0x80)
				line++;
		}
	}
	return text;
}

static void
put_line(FILE *out, const char *line, const struct frame *frame)
{
	char *shown = text_shorten(line, frame->columns);

	if (frame->is_ascii) {
		char *ascii = to_ascii(shown);

		fprintf(out, "%.*s\n", (int)frame->columns, ascii);
		free(ascii);
	} else {
		fprintf(out, "%s\n", shown);
	}
	free(shown);
}

static size_t
count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

/* Takes `page`.  Returns what fits, and says where something does not. */
static char *
cut(char *page, const struct frame *frame)
{
	size_t lines = count_lines(page);
	size_t shown = lines;
	char *rest = page;
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	if (frame->rows > 0 && lines > frame->rows)
		shown = frame->rows - 1;
	for (size_t i = 0; i < shown; i++)
		put_line(out, strsep(&rest, "\n"), frame);
	if (shown < lines) {
		char *more = xasprintf("... %zu more lines", lines - shown);

		put_line(out, more, frame);
		free(more);
	}
	fclose(out);
	free(page);
	return text;
}

char *
top_draw(void *arg, const struct frame *frame)
{
	const struct top *top = arg;
	const struct snapshot *snapshot = top->snapshot;
	struct page *page =
	    page_new(frame->columns < TOP_MIN_COLUMNS ? TOP_MIN_COLUMNS
						      : frame->columns);

	put_title(page, frame, snapshot);
	put_trouble(page, frame, snapshot);
	if (snapshot != NULL) {
		put_verdict(page, snapshot);
		put_totals(page, &snapshot->totals);
		put_graph(page, frame, snapshot);
		for (size_t i = frame->skipped; i < snapshot->leak_count; i++)
			put_leak(page, top, i);
	}
	return cut(page_finish(&page), frame);
}
