/* SPDX-License-Identifier: MIT */

/*
 * Stored runs for people.
 *
 * A comparison begins with the sum of it; then each leak, worst news first,
 * with what was seen before and after, and why it is called what it is.
 */

#include "admin/runs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/page.h"
#include "admin/text.h"

#define FIELD_INDENT 12 /* where the values of the fields begin */
#define MIN_NAME_COLUMNS 4
#define US_PER_HOUR (3600.0 * (double)US_PER_S)

/* ---- the list ---- */

static void
put_behind(FILE *out, const char *before, const char *text)
{
	char *visible = text_visible(text == NULL ? "" : text);

	if (*visible != '\0')
		fprintf(out, "%s%s", before, visible);
	free(visible);
}

/* How wide, and what of each. */
struct list {
	int name_columns;
	bool has_hosts; /* more than one */
	bool has_open;
};

static void
print_run(FILE *out, const struct store_run *run, const struct list *list)
{
	char started[TEXT_NUMBER_BYTES];
	char lasted[TEXT_NUMBER_BYTES];
	char *name = text_visible(run->name);

	text_timestamp(run->started, started);
	text_duration(run->seen - run->started, lasted);
	fprintf(out,
	    "%5" PRId64 "  %-*s  %.10s %.8sZ  %8s%s  %9" PRIu64 "  %5" PRIu64,
	    run->id, list->name_columns, *name == '\0' ? "-" : name, started,
	    started + 11, lasted, run->ended == 0 ? "+" : " ", run->exchanges,
	    run->leaks);
	put_behind(out, "  ", run->versions);
	put_behind(out, run->versions == NULL ? "  of " : " of ", run->service);
	if (list->has_hosts)
		put_behind(out, "  on ", run->host);
	fputs("\n", out);
	free(name);
}

static struct list
look_through(const struct store_run *runs, size_t count)
{
	struct list list = {.name_columns = MIN_NAME_COLUMNS};

	for (size_t i = 0; i < count; i++) {
		int columns = (int)strlen(runs[i].name);

		if (columns > list.name_columns)
			list.name_columns = columns;
		list.has_open |= runs[i].ended == 0;
		list.has_hosts |= strcmp(runs[i].host, runs[0].host) != 0;
	}
	return list;
}

char *
runs_text(const struct store_run *runs, size_t count)
{
	struct list list = look_through(runs, count);
	char *text;
	size_t length;
	FILE *out;

	if (count == 0)
		return xstrdup("No run is stored yet.\n");
	out = open_memstream(&text, &length);
	if (out == NULL)
		abort();
	fprintf(out, "%5s  %-*s  %-20s  %8s   %9s  %5s  %s\n", "run",
	    list.name_columns, "name", "started", "lasted", "exchanges",
	    "leaks", "version");
	for (size_t i = 0; i < count; i++)
		print_run(out, &runs[i], &list);
	if (list.has_open)
		fputs("+ it still runs, or was killed\n", out);
	fclose(out);
	return text;
}

/* ---- headings ---- */

static void
put_run(struct page *page, const char *gap, const struct store_run *run,
    const char *version)
{
	char started[TEXT_NUMBER_BYTES];
	char lasted[TEXT_NUMBER_BYTES];

	text_timestamp(run->started, started);
	text_duration(run->seen - run->started, lasted);
	if (run->pick == STORE_PICK_RUN)
		page_printf(page, gap, "run %" PRId64, run->id);
	else
		page_printf(page, gap, "%zu run%s", run->runs,
		    run->runs == 1 ? "" : "s");
	if (run->name != NULL && run->name[0] != '\0')
		page_printf(page, " ", "\"%s\"", run->name);
	if (run->service != NULL)
		page_printf(page, " ", "of service %s", run->service);
	if (version != NULL)
		page_printf(page, ", ", "version %s", version);
	page_printf(page, ", ", "%.10s %.8sZ", started, started + 11);
	page_printf(page, ", ", "%s", lasted);
}

char *
runs_heading(const struct store_run *run, const char *version, unsigned columns)
{
	struct page *page = page_new(columns);

	page_begin(page, "stored  ", 8);
	put_run(page, "", run, version);
	if (run->pick == STORE_PICK_RUN) {
		page_printf(page, ", ", "on %s", run->host);
		page_words(page, "; ",
		    run->ended != 0
			? "it has ended: \"held now\" is what it held then."
			: "it still runs, or was killed: this is what it "
			  "wrote last.");
	} else {
		page_printf(page, ", ", "on %zu host%s", run->hosts,
		    run->hosts == 1 ? "" : "s");
		page_printf(page, "; ",
		    "%zu not ended (running, or killed):", run->open);
		page_words(page, " ",
		    "\"held now\" is what each held when it wrote last.");
	}
	page_end(page);
	page_blank(page);
	return page_finish(&page);
}

/* ---- a comparison ---- */

static size_t
count_changes(const struct runs_comparison *comparison, enum change change)
{
	size_t count = 0;

	for (size_t i = 0; i < comparison->count; i++)
		count += comparison->leaks[i].comparison.change == change;
	return count;
}

/* "2 leaks: 1 new, 1 gone". */
static void
put_sum(struct page *page, const struct runs_comparison *comparison)
{
	const char *gap = ": ";

	page_begin(page, "", 0);
	if (comparison->count == 0)
		page_words(page, "", "No leak is proven in either run.");
	else
		page_printf(page, "", "%zu leak%s", comparison->count,
		    text_plural(comparison->count));
	for (size_t i = 0; i < CHANGE_COUNT; i++) {
		size_t count = count_changes(comparison, (enum change)i);

		if (count == 0)
			continue;
		page_printf(
		    page, gap, "%zu %s", count, compare_word((enum change)i));
		gap = ", ";
	}
	page_end(page);
	page_begin(page, "before  ", 8);
	put_run(page, "", comparison->before, comparison->before_version);
	page_end(page);
	page_begin(page, "after   ", 8);
	put_run(page, "", comparison->after, comparison->after_version);
	page_end(page);
}

static void
put_field(struct page *page, const char *name)
{
	char *label = xasprintf("  %s", name);

	page_begin(page, label, FIELD_INDENT);
	free(label);
}

static void
put_kind(struct page *page, const struct compared *leak)
{
	const struct compare_kind *kind = leak->kind;

	page_begin(page, "  ", 2);
	page_printf(
	    page, "", "%s %s%s", kind->method, kind->origin, kind->route);
	page_printf(page, "   ", "status %d", kind->status);
	page_end(page);
	if (kind->tags.count == 0)
		return;
	put_field(page, "tags");
	for (size_t i = 0; i < kind->tags.count; i++)
		page_printf(page, "  ", "%s=%s", kind->tags.items[i].key,
		    kind->tags.items[i].value);
	page_end(page);
}

static void
put_side(struct page *page, const char *name, const struct compare_side *side)
{
	char rate[TEXT_NUMBER_BYTES];

	put_field(page, name);
	if (side->settled < 0)
		page_printf(page, "", "%" PRIu64 " leaked", side->undrained);
	else
		page_printf(page, "", "%" PRIu64 " of %" PRId64 " leaked",
		    side->undrained, side->settled);
	if (side->settled < 0)
		page_words(page, ", ", "of how many responses is not known");
	if (side->undrained > 0 && side->hours > 0) {
		text_rate(side->undrained, (int64_t)(side->hours * US_PER_HOUR),
		    rate);
		page_item(page, ", ", rate);
	}
	if (side->suspected > 0)
		page_printf(
		    page, ", ", "%" PRIu64 " suspected", side->suspected);
	page_end(page);
}

static void
put_ratio(struct page *page, const struct comparison *comparison)
{
	if (!comparison->has_ratio || isinf(comparison->ratio))
		return;
	page_words(page, ": ",
	    comparison->is_by_hour ? "per hour it is" : "per response it is");
	page_printf(page, " ", "%.3g", comparison->ratio);
	page_words(page, " ", "times what it was");
	page_printf(page, " (", "95 %%: %.3g to %.3g)", comparison->low,
	    comparison->high);
}

static void
put_why(struct page *page, const struct compared *leak)
{
	const struct comparison *comparison = &leak->comparison;

	put_field(page, "so");
	page_words(page, "", compare_meaning(comparison->change));
	switch (comparison->change) {
	case CHANGE_GONE:
		page_printf(page, " (", "%" PRId64, comparison->needed);
		page_words(page, " ", "would do)");
		break;
	case CHANGE_NOT_EXERCISED:
		if (comparison->needed < 0 || leak->after.settled < 0)
			break;
		page_printf(
		    page, ": ", "it takes %" PRId64, comparison->needed);
		break;
	case CHANGE_NEW:
		if (leak->before.settled == 0)
			page_words(
			    page, "; ", "but neither was any such response");
		break;
	case CHANGE_BETTER:
	case CHANGE_UNCHANGED:
	case CHANGE_WORSE:
		put_ratio(page, comparison);
		break;
	case CHANGE_COUNT:
		break;
	}
	page_end(page);
}

static void
put_compared(struct page *page, const struct compared *leak)
{
	char title[TEXT_NUMBER_BYTES];
	const char *word = compare_word(leak->comparison.change);
	size_t length = 0;

	for (; word[length] != '\0' && length < sizeof(title) - 1; length++)
		title[length] = word[length] == '-'
		    ? ' '
		    : (char)(word[length] - ('a' - 'A'));
	title[length] = '\0';
	page_blank(page);
	page_begin(page, title, (unsigned)length);
	page_end(page);
	put_kind(page, leak);
	put_side(page, "before", &leak->before);
	put_side(page, "after", &leak->after);
	put_why(page, leak);
}

char *
runs_compared_text(const struct runs_comparison *comparison, unsigned columns)
{
	struct page *page = page_new(columns);

	put_sum(page, comparison);
	for (size_t i = 0; i < comparison->count; i++)
		put_compared(page, &comparison->leaks[i]);
	return page_finish(&page);
}
