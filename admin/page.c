/* SPDX-License-Identifier: MIT */

/*
 * A page of plain text.  It knows how far the line has come, and that is all
 * of layout that the report needs: whoever puts an item says what separates
 * it from the one before, and the page decides whether that is a gap or the
 * end of the line.
 */

#include "admin/page.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/text.h"

struct page {
	/* owned */
	FILE *out;
	char *text;
	size_t length;

	unsigned columns;
	unsigned indent;
	size_t at;     /* columns used on this line */
	bool is_fresh; /* no item on this line yet */
};

struct page *
page_new(unsigned columns)
{
	struct page *page = xcalloc(1, sizeof(*page));

	page->columns = columns;
	page->out = open_memstream(&page->text, &page->length);
	if (page->out == NULL)
		abort();
	return page;
}

char *
page_finish(struct page **page)
{
	char *text;

	fclose((*page)->out);
	text = (*page)->text;
	free(*page);
	*page = NULL;
	return text;
}

static void
pad_to(struct page *page, unsigned column)
{
	if (page->at >= column)
		return;
	fprintf(page->out, "%*s", (int)(column - page->at), "");
	page->at = column;
}

void
page_begin(struct page *page, const char *label, unsigned indent)
{
	fputs(label, page->out);
	page->at = text_columns(label);
	page->indent = indent;
	page->is_fresh = true;
}

/* Of a gap only what is not blank stays at the end of a line: the comma. */
static void
wrap(struct page *page, const char *gap)
{
	fprintf(page->out, "%.*s\n", (int)strcspn(gap, " "), gap);
	page->at = 0;
	page->is_fresh = true;
}

void
page_item(struct page *page, const char *gap, const char *item)
{
	size_t room = page->columns - 1; /* for the comma that may follow */
	char *visible = text_visible(item);
	char *shown = text_shorten(visible, room - page->indent);
	size_t width = text_columns(shown);

	if (!page->is_fresh && page->at + text_columns(gap) + width > room)
		wrap(page, gap);
	if (page->is_fresh) {
		pad_to(page, page->indent);
	} else {
		fputs(gap, page->out);
		page->at += text_columns(gap);
	}
	fputs(shown, page->out);
	page->at += width;
	page->is_fresh = false;
	free(shown);
	free(visible);
}

void
page_printf(struct page *page, const char *gap, const char *format, ...)
{
	va_list args;
	char *item;

	va_start(args, format);
	if (vasprintf(&item, format, args) < 0)
		abort();
	va_end(args);
	page_item(page, gap, item);
	free(item);
}

void
page_words(struct page *page, const char *gap, const char *text)
{
	char *words = xstrdup(text);
	char *rest = words;

	while (rest != NULL) {
		page_item(page, gap, strsep(&rest, " "));
		gap = " ";
	}
	free(words);
}

void
page_hang(struct page *page, unsigned columns)
{
	page->indent = (unsigned)page->at + columns;
}

void
page_end(struct page *page)
{
	fputc('\n', page->out);
	page->at = 0;
	page->is_fresh = true;
}

void
page_blank(struct page *page)
{
	page_begin(page, "", 0);
	page_end(page);
}
