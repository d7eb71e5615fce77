/* SPDX-License-Identifier: MIT */

/*
 * One leak, told in lines: what is requested, by whom, on which evidence,
 * since when, and one example to reproduce it with.
 */

#include "admin/story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/advice.h"
#include "admin/detective.h"
#include "admin/text.h"

#define FIELDS_SHOWN 12 /* of a head; it is whole in the API */
#define FIELD_INDENT 12 /* where the values of the fields begin */
#define CALLERS_SHOWN 4
#define FDS_SHOWN 12
#define US_PER_DAY (24 * 3600 * US_PER_S)

bool
story_is_proven(const struct leak *leak)
{
	return leak->undrained > 0;
}

static void
put_field(struct page *page, const char *name)
{
	char *label = xasprintf("  %s", name);

	page_begin(page, label, FIELD_INDENT);
	free(label);
}

/* "02:02:31Z", with its date where that is not the report's. */
static void
format_clock(wall_us at, wall_us today, char text[TEXT_NUMBER_BYTES])
{
	char stamp[TEXT_NUMBER_BYTES];

	text_timestamp(at, stamp);
	if (at / US_PER_DAY == today / US_PER_DAY)
		snprintf(text, TEXT_NUMBER_BYTES, "%.8sZ", stamp + 11);
	else
		snprintf(
		    text, TEXT_NUMBER_BYTES, "%.10s %.8sZ", stamp, stamp + 11);
}

/* ---- a leak ---- */

void
story_put_held(
    struct page *page, const char *gap, uint64_t now, uint64_t to_exit)
{
	if (now > 0 || to_exit == 0) {
		page_printf(page, gap, "%" PRIu64 " held now", now);
		gap = ", ";
	}
	if (to_exit > 0)
		page_printf(page, gap, "%" PRIu64 " held to exit", to_exit);
}

void
story_put_head(struct page *page, const char *title, const struct leak *leak,
    int64_t observed_us)
{
	const char *gap = "";
	char rate[TEXT_NUMBER_BYTES];

	page_begin(page, title, (unsigned)strlen(title) + 3);
	if (story_is_proven(leak)) {
		story_put_held(page, "", leak->held_now, leak->held_to_exit);
		page_printf(
		    page, ", ", "%" PRIu64 " undrained", leak->undrained);
		gap = ", ";
	}
	if (leak->suspected > 0)
		page_printf(
		    page, gap, "%" PRIu64 " suspected", leak->suspected);
	if (story_is_proven(leak) && observed_us > 0) {
		text_rate(leak->undrained, observed_us, rate);
		page_item(page, "   ", rate);
	}
	page_end(page);
}

static void
put_route(struct page *page, const struct leak *leak)
{
	page_begin(page, "  ", 2);
	if (strcmp(leak->origin, "other") == 0) {
		page_words(page, "", "other routes, too many to keep apart");
		page_end(page);
		return;
	}
	page_printf(
	    page, "", "%s %s%s", leak->method, leak->origin, leak->route);
	page_printf(page, "   ", "status %d", leak->status);
	page_end(page);
}

static void
put_tags(struct page *page, const struct tags *tags)
{
	if (tags->count == 0)
		return;
	put_field(page, "tags");
	for (size_t i = 0; i < tags->count; i++) {
		const char *value = tags->items[i].value;
		const char *quote = strpbrk(value, " \"") ? "\"" : "";

		page_printf(page, "  ", "%s=%s%s%s", tags->items[i].key, quote,
		    value, quote);
	}
	page_end(page);
}

/* What this evidence says of a response that is held. */
static const char *
held_meaning(enum evidence evidence)
{
	if (evidence == EVIDENCE_PROBE)
		return "it ignored our FIN, and a second witness agrees";
	return verdict_evidence_meaning(evidence);
}

/* A line for each kind of evidence, in columns. */
static void
put_evidence(struct page *page, const struct leak *leak)
{
	const char *name = "evidence";
	int digits = text_digits(leak->undrained);
	size_t word_columns = 0;

	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		size_t columns =
		    strlen(verdict_evidence_word((enum evidence)i));

		if (leak->by_evidence[i] > 0 && columns > word_columns)
			word_columns = columns;
	}
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (leak->by_evidence[i] == 0)
			continue;
		put_field(page, name);
		page_printf(page, "", "%*" PRIu64 " %-*s", digits,
		    leak->by_evidence[i], (int)word_columns,
		    verdict_evidence_word((enum evidence)i));
		page_hang(page, 3);
		page_words(page, "   ", held_meaning((enum evidence)i));
		page_end(page);
		name = "";
	}
}

/* The same in one line, for who knows the words. */
static void
put_evidence_words(struct page *page, const struct leak *leak)
{
	const char *gap = "";

	if (!story_is_proven(leak))
		return;
	put_field(page, "evidence");
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (leak->by_evidence[i] == 0)
			continue;
		page_printf(page, gap, "%" PRIu64 " %s", leak->by_evidence[i],
		    verdict_evidence_word((enum evidence)i));
		gap = ", ";
	}
	page_end(page);
}

static int
by_number(const void *a, const void *b)
{
	const int *left = a;
	const int *right = b;

	return (*left > *right) - (*left < *right);
}

static void
put_fds(struct page *page, const struct leak_caller *caller)
{
	int fds[LEAK_MAX_FDS];
	size_t count = caller->fd_count;
	const char *gap = " ";

	if (count == 0)
		return;
	memcpy(fds, caller->fds, count * sizeof(*fds));
	qsort(fds, count, sizeof(*fds), by_number);
	page_item(page, ", ", count == 1 ? "fd" : "fds");
	for (size_t i = 0; i < count && i < FDS_SHOWN; i++)
		page_printf(page, gap, "%d", fds[i]);
	if (count == LEAK_MAX_FDS)
		page_item(page, gap, "and more");
	else if (count > FDS_SHOWN)
		page_printf(page, gap, "and %zu more", count - FDS_SHOWN);
}

/* Where its name alone would not tell which of several it is. */
static void
put_command_line(struct page *page, const struct leak_caller *caller)
{
	if (caller->command_line == NULL ||
	    strchr(caller->command_line, ' ') == NULL)
		return;
	put_field(page, "");
	page_item(page, "", caller->command_line);
	page_end(page);
}

static void
put_callers(struct page *page, const struct leak *leak)
{
	const char *name = leak->caller_count == 1 ? "caller" : "callers";

	for (size_t i = 0; i < leak->caller_count && i < CALLERS_SHOWN; i++) {
		const struct leak_caller *caller = &leak->callers[i];
		char *who = text_caller(
		    caller->command, caller->pid, caller->client_host);

		put_field(page, i == 0 ? name : "");
		page_item(page, "", who);
		if (caller->user_agent != NULL)
			page_item(page, ", ", caller->user_agent);
		if (caller->container[0] != '\0')
			page_printf(
			    page, ", ", "container %s", caller->container);
		put_fds(page, caller);
		page_end(page);
		put_command_line(page, caller);
		free(who);
	}
	if (leak->caller_count <= CALLERS_SHOWN)
		return;
	put_field(page, "");
	if (leak->caller_count == LEAK_MAX_CALLERS)
		page_item(page, "", "and more");
	else
		page_printf(page, "", "and %zu more",
		    leak->caller_count - CALLERS_SHOWN);
	page_end(page);
}

static void
put_moment(struct page *page, const char *gap, wall_us at, wall_us now)
{
	char clock[TEXT_NUMBER_BYTES];
	char age[TEXT_NUMBER_BYTES];

	format_clock(at, now, clock);
	page_item(page, gap, clock);
	if (at > now) /* the clock was set back meanwhile */
		return;
	text_duration(now - at, age);
	page_printf(page, ", ", "%s ago", age);
}

static void
put_times(struct page *page, const struct leak *leak, wall_us now)
{
	if (leak->first_seen == leak->last_seen) {
		put_field(page, "seen");
		put_moment(page, "", leak->first_seen, now);
	} else {
		put_field(page, "first");
		put_moment(page, "", leak->first_seen, now);
		page_item(page, "   ", "last");
		put_moment(page, " ", leak->last_seen, now);
	}
	page_end(page);
}

static void
put_holding(struct page *page, const struct leak *leak)
{
	char bytes[TEXT_NUMBER_BYTES];
	double age_s;

	if (leak->held_bytes > 0) {
		text_bytes(leak->held_bytes, bytes);
		put_field(page, "holding");
		page_item(page, "", bytes);
		page_words(page, " ", "of body that the caller has not read");
		page_end(page);
	}
	if (leak_has_deadline(leak, &age_s)) {
		put_field(page, "release");
		page_printf(page, "", "a client timeout of %.1f s", age_s);
		page_words(page, " ", "ends each one and hides the leak");
		page_end(page);
	}
}

static void
put_example(struct page *page, const struct exchange_record *example)
{
	char id[EXCHANGE_ID_BYTES];
	char bytes[TEXT_NUMBER_BYTES];

	if (example == NULL)
		return;
	record_exchange_id(example, id);
	put_field(page, "example");
	text_bytes(example->body_bytes, bytes);
	page_printf(page, "", "%s: body %s", id, bytes);
	text_bytes(example->delivered_bytes, bytes);
	page_printf(page, ", ", "delivered %s", bytes);
	if (example->facts.unread_bytes >= 0) {
		text_bytes(example->facts.unread_bytes, bytes);
		page_printf(page, ", ", "unread %s", bytes);
	}
	page_printf(page, "   ", "%s %s", example->method, example->url);
	page_end(page);
}

/* Takes `text`, which may be NULL: then there is no such line. */
static void
put_words(struct page *page, const char *name, char *text)
{
	if (text == NULL)
		return;
	put_field(page, name);
	page_words(page, "", text);
	page_end(page);
	free(text);
}

static void
put_rhythm(struct page *page, const struct leak *leak)
{
	if (leak->rhythm.bursts == 0)
		return;
	put_words(page, "rhythm", detective_rhythm_text(leak));
	put_words(page, "rate", detective_slope_text(leak));
	put_words(page, "suspect", detective_suspect_text(leak));
}

/* What came back: its head, as far as it was kept. */
static void
put_answer(struct page *page, const struct exchange_record *example)
{
	const struct capture_message *response;
	struct capture_field field;
	const char *gap = "   ";
	size_t at = 0;

	if (example == NULL || example->capture == NULL)
		return;
	response = capture_message(example->capture, CAPTURE_RESPONSE);
	if (response->head == NULL)
		return;
	put_field(page, "answer");
	page_printf(page, "", "HTTP/1.%u %d %s", response->http_minor,
	    example->status, capture_reason(response));
	for (int shown = 0;
	     shown < FIELDS_SHOWN && capture_next_field(response, &at, &field);
	     shown++) {
		page_printf(page, gap, "%s: %s", field.name, field.value);
		gap = ", ";
	}
	page_end(page);
}

/* Where to look in the caller's code. */
static void
put_advice(struct page *page, const struct leak *leak)
{
	const char *user_agent =
	    leak->caller_count == 0 ? NULL : leak->callers[0].user_agent;
	const char *path = advice_of_status(leak->status);

	put_field(page, "look for");
	page_words(page, "", advice_of(user_agent));
	if (path != NULL)
		page_words(page, " ", path);
	page_end(page);
}

void
story_put(struct page *page, const struct leak *leak, wall_us now)
{
	put_route(page, leak);
	put_tags(page, &leak->tags);
	put_evidence(page, leak);
	put_callers(page, leak);
	put_times(page, leak, now);
	put_rhythm(page, leak);
	put_holding(page, leak);
	put_example(page, leak->example);
	put_answer(page, leak->example);
	if (story_is_proven(leak))
		put_advice(page, leak);
}

void
story_put_brief(struct page *page, const struct leak *leak)
{
	put_route(page, leak);
	put_tags(page, &leak->tags);
	put_evidence_words(page, leak);
	put_callers(page, leak);
}

void
story_put_words(struct page *page, const char *name, const char *text)
{
	if (text != NULL)
		put_words(page, name, xstrdup(text));
}
