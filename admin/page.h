/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

/*
 * A page of plain text that is filled item by item and wraps between them.
 * Whatever is put on it is made visible first (text.h).
 */

#include <stddef.h>
#include <stdint.h>

#include "accounting/units.h"

struct page;

/* Returns an empty page.  Hand back with page_finish(). */
struct page *page_new(unsigned columns);

/* Takes the page.  Returns its text; free with free(). */
char *page_finish(struct page **page);

/* Begins a line with `label`; items start, and continue on the next lines,
 * at column `indent`. */
void page_begin(struct page *page, const char *label, unsigned indent);

/* Puts one item after `gap` (dropped at the start of a line, its blanks at
 * the end of one).  An item is never broken; one that is wider than a line is
 * shortened in the middle. */
void page_item(struct page *page, const char *gap, const char *item);
void page_printf(struct page *page, const char *gap, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Puts the words of `text`, which may wrap between any two of them; `gap`
 * comes before the first. */
void page_words(struct page *page, const char *gap, const char *text);

/* From here on, the line continues `columns` after where it is now. */
void page_hang(struct page *page, unsigned columns);

/* Ends the line. */
void page_end(struct page *page);

/* Puts an empty line. */
void page_blank(struct page *page);

#endif
