/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_STORY_H
#define ADMIN_STORY_H

/*
 * One leak, told in lines of the text report.
 */

#include <stdbool.h>
#include <stdint.h>

#include "accounting/leak.h"
#include "admin/page.h"

/* Returns whether any of its responses is proven undrained: a leak.  The
 * others are suspects. */
bool story_is_proven(const struct leak *leak);

/* Puts how many are held, after `gap`: "12 held now", or what was held until
 * its process ended (exec). */
void story_put_held(
    struct page *page, const char *gap, uint64_t now, uint64_t to_exit);

/* Puts the line that counts, after `title`: "LEAK 1   12 held now, ...". */
void story_put_head(struct page *page, const char *title,
    const struct leak *leak, int64_t observed_us);

/* Puts what it is and who does it, a line or two for each. */
void story_put_brief(struct page *page, const struct leak *leak);

/* Puts a field of it, "rhythm", in words; nothing for NULL. */
void story_put_words(struct page *page, const char *name, const char *text);

/* Puts all the rest. */
void story_put(struct page *page, const struct leak *leak, wall_us now);

#endif
