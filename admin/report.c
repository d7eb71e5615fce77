/* SPDX-License-Identifier: MIT */

/*
 * The text report.
 *
 * Read by somebody who was woken up: the first line says whether anything
 * leaks and how fast, then come the counts, the leaks by weight, what is only
 * suspected, who does not trust our certificate, and where to look next.
 * Every number is one of the snapshot's; what is not known is left out rather
 * than shown as nothing.
 */

#include "admin/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/distrust.h"
#include "admin/page.h"
#include "admin/habits.h"
#include "admin/story.h"
#include "admin/text.h"

#define TOTALS_INDENT 13 /* where the cells of the totals begin */
#define WORD_COLUMNS 9   /* the longest word in the totals: "undrained" */

static size_t
count_leaks(const struct snapshot *snapshot)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->leak_count; i++)
		count += story_is_proven(&snapshot->leaks[i]);
	return count;
}

/* ---- head ---- */

/* What the first line says of the leaks that are shown. */
struct summary {
	uint64_t undrained;
	uint64_t held_now;
	uint64_t held_to_exit;
};

/* Without a filter, of all that there were: groups may be forgotten. */
static struct summary
sum_up(const struct snapshot *snapshot)
{
	struct summary summary = {0};

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		const struct leak *leak = &snapshot->leaks[i];

		summary.undrained += leak->undrained;
		summary.held_now += leak->held_now;
		summary.held_to_exit += leak->held_to_exit;
	}
	if (snapshot->leaks_left_out == 0) {
		summary.undrained =
		    snapshot->totals.by_verdict[VERDICT_UNDRAINED];
		summary.held_now = snapshot->totals.held_now;
	}
	return summary;
}

static void
put_leaking(struct page *page, const struct snapshot *snapshot)
{
	struct summary summary = sum_up(snapshot);
	uint64_t undrained = summary.undrained;
	size_t leaks = count_leaks(snapshot);
	char period[TEXT_NUMBER_BYTES];
	char rate[TEXT_NUMBER_BYTES];

	if (leaks == 0) /* their groups are no longer in memory */
		page_item(page, "", "LEAKS:");
	else
		page_printf(
		    page, "", "%zu LEAK%s:", leaks, leaks == 1 ? "" : "S");
	page_printf(page, " ", "%" PRIu64 " response%s undrained", undrained,
	    text_plural(undrained));
	if (snapshot->seconds_us > 0) {
		text_duration(snapshot->seconds_us, period);
		text_rate(undrained, snapshot->seconds_us, rate);
		page_printf(page, " ", "in %s", period);
		page_printf(page, " ", "(%s)", rate);
	}
	story_put_held(page, ", ", summary.held_now, summary.held_to_exit);
}

static void
put_not_leaking(struct page *page, const struct totals *totals)
{
	uint64_t suspected = totals->by_verdict[VERDICT_SUSPECTED];
	uint64_t drained = totals->by_verdict[VERDICT_DRAINED];
	uint64_t bodies = totals->exchanges - totals->by_verdict[VERDICT_NONE];

	if (suspected > 0) {
		page_item(page, "", "No leaks proven.");
		page_printf(page, "   ", "%" PRIu64 " response%s suspected.",
		    suspected, text_plural(suspected));
		return;
	}
	page_item(page, "", "No leaks.");
	if (totals->exchanges == 0)
		page_words(page, "   ", "Nothing has come through yet.");
	else if (bodies > 0)
		page_printf(page, "   ",
		    "%" PRIu64 " of %" PRIu64 " response%s with a body proven "
		    "drained.",
		    drained, bodies, text_plural(bodies));
	else
		page_words(page, "   ", "No response had a body.");
}

static void
put_left_out(struct page *page, const struct snapshot *snapshot)
{
	size_t count = snapshot->leaks_left_out;

	if (count == 0)
		return;
	page_begin(page, "", 0);
	page_printf(page, "", "%zu other%s", count, text_plural(count));
	page_words(page, " ", "left out by the filter; the totals are of all.");
	page_end(page);
}

static void
put_head(struct page *page, const struct snapshot *snapshot)
{
	char stamp[TEXT_NUMBER_BYTES];
	char period[TEXT_NUMBER_BYTES];

	page_begin(page, "", 0);
	if (snapshot->leak_count == 0 && snapshot->leaks_left_out > 0)
		page_words(page, "", "No leak passes the filter.");
	else if (count_leaks(snapshot) > 0 ||
	    snapshot->totals.by_verdict[VERDICT_UNDRAINED] > 0)
		put_leaking(page, snapshot);
	else
		put_not_leaking(page, &snapshot->totals);
	page_end(page);
	put_left_out(page, snapshot);
	text_timestamp(snapshot->taken_at, stamp);
	text_duration(snapshot->seconds_us, period);
	page_begin(page, "", 0);
	page_item(page, "", "leakproxy report");
	page_printf(page, "   ", "%.10s %.8sZ", stamp, stamp + 11);
	page_printf(page, "   ", "watched %s", period);
	page_end(page);
}

/* ---- totals ---- */

struct cell {
	uint64_t count;
	const char *word;
};

/* Puts the cells in columns, as many to a line as fit. */
static void
put_cells(struct page *page, const char *label, const struct cell *cells,
    size_t count, int digits)
{
	char gap[3 + WORD_COLUMNS + 1] = "";

	page_begin(page, label, TOTALS_INDENT);
	for (size_t i = 0; i < count; i++) {
		page_printf(page, gap, "%*" PRIu64 " %s", digits,
		    cells[i].count, cells[i].word);
		snprintf(gap, sizeof(gap), "%*s",
		    (int)(3 + WORD_COLUMNS - strlen(cells[i].word)), "");
	}
	page_end(page);
}

static void
put_totals(struct page *page, const struct snapshot *snapshot)
{
	const struct totals *totals = &snapshot->totals;
	const struct gauges *gauges = &snapshot->gauges;
	const uint64_t *by_verdict = totals->by_verdict;
	const struct cell conns[] = {
	    {totals->connections, "accepted"},
	    {gauges->client_active, "active"},
	    {gauges->client_idle, "idle"},
	    {gauges->client_watched, "watched"},
	};
	const struct cell exchanges[] = {
	    {totals->exchanges, "in all"},
	    {by_verdict[VERDICT_DRAINED], "drained"},
	    {by_verdict[VERDICT_UNDRAINED], "undrained"},
	    {by_verdict[VERDICT_SUSPECTED], "suspected"},
	    {by_verdict[VERDICT_OPEN], "open"},
	    {by_verdict[VERDICT_ABANDONED], "abandoned"},
	    {by_verdict[VERDICT_UNPROVEN], "unproven"},
	    {by_verdict[VERDICT_NONE], "no body"},
	};
	uint64_t most = totals->connections > totals->exchanges
	    ? totals->connections
	    : totals->exchanges;
	int digits = text_digits(most);

	if (digits < 2)
		digits = 2;
	put_cells(
	    page, "connections", conns, sizeof(conns) / sizeof(*conns), digits);
	put_cells(page, "exchanges", exchanges,
	    sizeof(exchanges) / sizeof(*exchanges), digits);
	if (totals->recovered == 0)
		return;
	page_begin(page, "", TOTALS_INDENT);
	page_printf(page, "", "%*" PRIu64, digits, totals->recovered);
	page_words(
	    page, " ", "recovered: called undrained, then the caller read on");
	page_end(page);
}

/* ---- leaks ---- */

static void
put_story(struct page *page, const struct snapshot *snapshot,
    const struct leak *leak, const char *word, size_t number)
{
	char title[TEXT_NUMBER_BYTES];

	snprintf(title, sizeof(title), "%s %zu", word, number);
	page_blank(page);
	story_put_head(page, title, leak, snapshot->seconds_us);
	story_put(page, leak, snapshot->taken_at);
}

/* What nobody would read on to. */
static void
put_others(struct page *page, const char *word, size_t count)
{
	page_blank(page);
	page_begin(page, "", 0);
	page_printf(
	    page, "", "%zu more %s%s,", count, word, text_plural(count));
	page_item(page, " ", "/api/leaks");
	page_words(page, " ", "has them all, those that weigh most first.");
	page_end(page);
}

static void
put_leaks(struct page *page, const struct snapshot *snapshot)
{
	size_t number = 0;

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		const struct leak *leak = &snapshot->leaks[i];

		if (story_is_proven(leak) && number++ < REPORT_MAX_STORIES)
			put_story(page, snapshot, leak, "LEAK", number);
	}
	if (number > REPORT_MAX_STORIES)
		put_others(page, "leak", number - REPORT_MAX_STORIES);
}

static void
put_suspects_head(struct page *page)
{
	page_blank(page);
	page_begin(page, "", 0);
	page_words(page, "",
	    "SUSPECTS: not proven. These ignored our FIN, and no second "
	    "witness says why; the next responses of the route say "
	    "\"Connection: close\", which decides.");
	page_end(page);
}

static void
put_suspects(struct page *page, const struct snapshot *snapshot)
{
	size_t number = 0;

	for (size_t i = 0; i < snapshot->leak_count; i++) {
		const struct leak *leak = &snapshot->leaks[i];

		if (story_is_proven(leak) || leak->suspected == 0)
			continue;
		if (number == 0)
			put_suspects_head(page);
		if (number++ < REPORT_MAX_STORIES)
			put_story(page, snapshot, leak, "SUSPECT", number);
	}
	if (number > REPORT_MAX_STORIES)
		put_others(page, "suspect", number - REPORT_MAX_STORIES);
}

/* ---- where to look next ---- */

static void
put_next_of_leaks(struct page *page, const struct leak *worst)
{
	char id[EXCHANGE_ID_BYTES];

	page_printf(page, "", "/api/exchanges?verdict=%s",
	    verdict_word(story_is_proven(worst) ? VERDICT_UNDRAINED
						: VERDICT_SUSPECTED));
	page_words(page, " ", "lists them");
	if (worst->example != NULL) {
		record_exchange_id(worst->example, id);
		page_printf(page, ", ", "/api/exchanges/%s", id);
		page_words(page, " ",
		    "is the example in full (with /curl behind it a command "
		    "that asks again, with /har a file for leakproxy replay)");
	}
	page_item(page, ", ", "/api/leaks");
	page_words(page, " ", "has every caller and descriptor.");
}

static void
put_next(struct page *page, const struct snapshot *snapshot)
{
	uint64_t open = snapshot->totals.by_verdict[VERDICT_OPEN];

	page_blank(page);
	page_begin(page, "Next:", 6);
	if (snapshot->leak_count > 0)
		put_next_of_leaks(page, &snapshot->leaks[0]);
	else if (snapshot->totals.exchanges == 0)
		page_words(page, " ",
		    "give the caller this proxy as HTTP_PROXY and "
		    "HTTPS_PROXY; /api/connections shows who came.");
	else if (open > 0)
		page_words(page, " ",
		    "ask again when the open responses have been idle for "
		    "longer than --probe-after; "
		    "/api/exchanges?verdict=open lists them.");
	else
		page_words(page, " ",
		    "/api/exchanges shows what each response's verdict "
		    "rests on.");
	page_end(page);
}

/* What the service says of itself (--pprof). */
static void
put_goroutines(struct page *page, const struct goroutines *goroutines,
    const struct snapshot *snapshot)
{
	char *sentence;

	if (goroutines == NULL)
		return;
	sentence = goroutines_sentence(goroutines, snapshot);
	page_begin(page, "pprof", TOTALS_INDENT);
	page_words(page, "", sentence);
	page_end(page);
	free(sentence);
}

char *
report_text(const struct snapshot *snapshot, unsigned columns)
{
	return report_text_beside(snapshot, NULL, columns);
}

char *
report_text_beside(const struct snapshot *snapshot,
    const struct goroutines *goroutines, unsigned columns)
{
	struct page *page;

	if (columns < REPORT_MIN_COLUMNS)
		columns = REPORT_MIN_COLUMNS;
	if (columns > REPORT_MAX_COLUMNS)
		columns = REPORT_MAX_COLUMNS;
	page = page_new(columns);
	put_head(page, snapshot);
	page_blank(page);
	put_totals(page, snapshot);
	put_goroutines(page, goroutines, snapshot);
	put_leaks(page, snapshot);
	put_suspects(page, snapshot);
	habits_put(page, snapshot);
	distrust_put(page, snapshot);
	put_next(page, snapshot);
	return page_finish(&page);
}
