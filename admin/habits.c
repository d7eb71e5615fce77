/* SPDX-License-Identifier: MIT */

/*
 * How connections are reused.
 *
 * Two things are taken for a leak of bodies and are none: connections that
 * serve one request and rest (each costs the same two goroutines, until
 * somebody closes it), and bodies closed before their end.  The sentence says
 * what usually causes what is seen, in the order of how sure it is.
 */

#include "admin/habits.h"

#include <inttypes.h>

#include "admin/text.h"

/* Fewer connections than this say nothing of a habit. */
#define MIN_CONNECTIONS 5

static bool
is_most(uint64_t part, uint64_t whole)
{
	return whole >= MIN_CONNECTIONS && 2 * part > whole;
}

const char *
habits_sentence(const struct reuse *reuse)
{
	if (is_most(reuse->half_sent, reuse->connections))
		return "Most requests were answered before their body was "
		       "complete, and the rest never came: an error answer is "
		       "read, and the upload behind it forgotten.";
	if (is_most(reuse->early_closes, reuse->connections))
		return "Most bodies are closed before their end, so that the "
		       "connection cannot be used again: read the rest before "
		       "closing (in Go: io.Copy(io.Discard, resp.Body)).";
	if (is_most(reuse->one_shot, reuse->connections))
		return "Most connections serve one request and then rest until "
		       "our probe closes them: usually a new http.Transport, "
		       "Session or client object for each request.";
	if (is_most(reuse->closed_after_one, reuse->connections))
		return "Most connections are closed by the caller after one "
		       "request: keep-alive is switched off there "
		       "(DisableKeepAlives, Connection: close, HTTP/1.0), or "
		       "each request is a process of its own.";
	if (reuse->connections < MIN_CONNECTIONS)
		return "Too few connections to tell.";
	return "Connections are reused.";
}

bool
habits_are_poor(const struct reuse *reuse)
{
	return is_most(reuse->one_shot, reuse->connections) ||
	    is_most(reuse->early_closes, reuse->connections) ||
	    is_most(reuse->half_sent, reuse->connections);
}

static void
put_one(struct page *page, const struct reuse *reuse)
{
	page_blank(page);
	page_begin(page, "REUSE", 6);
	page_item(page, " ", reuse->origin);
	for (size_t i = 0; i < reuse->tags.count; i++)
		page_printf(page, "  ", "%s=%s", reuse->tags.items[i].key,
		    reuse->tags.items[i].value);
	page_end(page);
	page_begin(page, "  ", 2);
	page_printf(page, "",
	    "%" PRIu64 " connections for %" PRIu64 " request%s",
	    reuse->connections, reuse->exchanges,
	    text_plural(reuse->exchanges));
	page_printf(page, ", ", "%" PRIu64 " of them for one", reuse->one_shot);
	page_printf(
	    page, ", ", "%" PRIu64 " closed early", reuse->early_closes);
	page_printf(page, ", ", "%" PRIu64 " half sent", reuse->half_sent);
	page_end(page);
	page_begin(page, "  ", 2);
	page_words(page, "", habits_sentence(reuse));
	page_end(page);
}

void
habits_put(struct page *page, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->reuse_count; i++) {
		if (habits_are_poor(&snapshot->reuse[i]))
			put_one(page, &snapshot->reuse[i]);
	}
}
