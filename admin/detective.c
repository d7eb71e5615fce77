/* SPDX-License-Identifier: MIT */

/*
 * What the analysis of a leak found, told.
 */

#include "admin/detective.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/text.h"

/* ---- JSON ---- */

static void
emit_if_known(struct emit *emit, const char *key, bool is_known, double number)
{
	emit_real(emit, key, is_known ? number : NAN);
}

void
detective_emit_rhythm(struct emit *emit, const struct leak *leak)
{
	const struct rhythm *rhythm = &leak->rhythm;
	bool has_period = rhythm->period.period_s > 0;
	bool has_slope = rhythm->has_slope;

	if (rhythm->bursts == 0) {
		emit_text(emit, "rhythm", NULL);
		return;
	}
	emit_begin_object(emit, "rhythm");
	emit_if_known(emit, "period_s", has_period, rhythm->period.period_s);
	emit_if_known(emit, "jitter_s", has_period, rhythm->period.jitter_s);
	emit_number(emit, "bursts", (int64_t)rhythm->bursts);
	emit_if_known(emit, "load_correlation", rhythm->has_correlation,
	    rhythm->load_correlation);
	if (rhythm->has_correlation)
		emit_bool(emit, "follows_load", rhythm->follows_load);
	else
		emit_text(emit, "follows_load", NULL);
	emit_if_known(
	    emit, "slope_per_hour", has_slope, rhythm->slope_per_hour);
	emit_if_known(emit, "slope_low", has_slope, rhythm->slope_low);
	emit_if_known(emit, "slope_high", has_slope, rhythm->slope_high);
	emit_end_object(emit);
}

void
detective_emit_suspect(struct emit *emit, const struct leak *leak)
{
	const struct suspect *suspect = &leak->suspect;

	if (suspect->outcome != SUSPECT_NAMED) {
		emit_text(emit, "suspect", NULL);
		return;
	}
	emit_begin_object(emit, "suspect");
	emit_text(emit, "mark", suspect->mark);
	emit_text(emit, "phase", mark_phase_word(suspect->phase));
	emit_number(
	    emit, "bursts_explained", (int64_t)suspect->bursts_explained);
	emit_number(emit, "bursts", (int64_t)suspect->bursts);
	emit_real(emit, "chance", suspect->chance);
	emit_end_object(emit);
}

/* ---- words ---- */

/* "430 ms", "4.7 s", "47 s", "47 min" */
static void
format_period(double seconds, char text[TEXT_NUMBER_BYTES])
{
	if (seconds < 1)
		snprintf(text, TEXT_NUMBER_BYTES, "%.0f ms", seconds * 1000);
	else if (seconds < 10)
		snprintf(text, TEXT_NUMBER_BYTES, "%.1f s", seconds);
	else if (seconds < 180)
		snprintf(text, TEXT_NUMBER_BYTES, "%.0f s", seconds);
	else
		snprintf(text, TEXT_NUMBER_BYTES, "%.1f min", seconds / 60);
}

/* Three digits, without an exponent. */
static void
format_number(double number, char text[TEXT_NUMBER_BYTES])
{
	snprintf(
	    text, TEXT_NUMBER_BYTES, number < 100 ? "%.3g" : "%.0f", number);
}

/* "1 in 300" */
static void
format_odds(double chance, char text[TEXT_NUMBER_BYTES])
{
	if (chance < 1e-6)
		snprintf(text, TEXT_NUMBER_BYTES, "under 1 in a million");
	else
		snprintf(text, TEXT_NUMBER_BYTES, "1 in %.0f", 1 / chance);
}

/* Between that and following it there is doubt, and the number alone. */
static bool
is_not_load(const struct rhythm *rhythm)
{
	return rhythm->has_correlation &&
	    rhythm->load_correlation < RHYTHM_LOAD_MIN;
}

static char *
period_text(const struct rhythm *rhythm)
{
	char period[TEXT_NUMBER_BYTES];
	char jitter[TEXT_NUMBER_BYTES];
	const char *judgement = ": a background job";
	char *correlation = NULL;
	char *text;

	format_period(rhythm->period.period_s, period);
	format_period(rhythm->period.jitter_s, jitter);
	if (rhythm->has_correlation)
		correlation =
		    xasprintf(" (r = %.2f)", rhythm->load_correlation);
	if (rhythm->follows_load)
		judgement = ": a background job, and other requests come and "
			    "go with it";
	else if (is_not_load(rhythm))
		judgement = ": a background job, not load";
	text = xasprintf("every %s \302\261 %s, %zu bursts%s%s", period, jitter,
	    rhythm->bursts, judgement, correlation == NULL ? "" : correlation);
	free(correlation);
	return text;
}

char *
detective_rhythm_text(const struct leak *leak)
{
	const struct rhythm *rhythm = &leak->rhythm;

	if (rhythm->period.period_s > 0)
		return period_text(rhythm);
	if (rhythm->follows_load)
		return xasprintf(
		    "follows the load (r = %.2f)", rhythm->load_correlation);
	if (rhythm->has_correlation)
		return xasprintf("no period in %zu burst%s, and %s (r = %.2f)",
		    rhythm->bursts, text_plural(rhythm->bursts),
		    is_not_load(rhythm) ? "not the load's"
					: "perhaps the load's",
		    rhythm->load_correlation);
	return xasprintf("nothing known yet, of %zu burst%s", rhythm->bursts,
	    text_plural(rhythm->bursts));
}

char *
detective_slope_text(const struct leak *leak)
{
	const struct rhythm *rhythm = &leak->rhythm;
	char rate[TEXT_NUMBER_BYTES];
	char low[TEXT_NUMBER_BYTES];
	char high[TEXT_NUMBER_BYTES];

	if (!rhythm->has_slope)
		return NULL;
	format_number(rhythm->slope_per_hour, rate);
	format_number(rhythm->slope_low, low);
	format_number(rhythm->slope_high, high);
	return xasprintf(
	    "%s per hour, between %s and %s (95 %% sure)", rate, low, high);
}

static char *
alike_text(const struct suspect *suspect)
{
	char *names = xstrdup(suspect->rivals[0]);
	size_t shown = suspect->rival_count < SUSPECT_MAX_RIVALS
	    ? suspect->rival_count
	    : SUSPECT_MAX_RIVALS;
	char *text;

	for (size_t i = 1; i < shown; i++) {
		char *more = xasprintf("%s, %s", names, suspect->rivals[i]);

		free(names);
		names = more;
	}
	text = xasprintf("cannot tell %s from %s%s: they run in step; give "
			 "the jobs intervals without a common factor (as 47, "
			 "53, 59 and 67 s) and watch again",
	    suspect->mark, names,
	    suspect->rival_count > shown ? " and others" : "");
	free(names);
	return text;
}

char *
detective_suspect_note(const struct leak *leak)
{
	const struct suspect *suspect = &leak->suspect;

	switch (suspect->outcome) {
	case SUSPECT_UNMARKED:
	case SUSPECT_NAMED:
		return NULL;
	case SUSPECT_TOO_FEW:
		return xasprintf("too early to tell: it takes %d bursts and %d "
				 "marks of a job",
		    SUSPECT_MIN_BURSTS, SUSPECT_MIN_MARKS);
	case SUSPECT_UNLIKELY:
		return xstrdup("none of the marked jobs: the bursts follow no "
			       "mark oftener than by chance");
	case SUSPECT_ALIKE:
		return alike_text(suspect);
	}
	abort();
}

char *
detective_suspect_text(const struct leak *leak)
{
	const struct suspect *suspect = &leak->suspect;
	char odds[TEXT_NUMBER_BYTES];

	if (suspect->outcome != SUSPECT_NAMED)
		return detective_suspect_note(leak);
	format_odds(suspect->chance, odds);
	return xasprintf("%s: %zu of %zu bursts begin soon after its %s (by "
			 "chance: %s)",
	    suspect->mark, suspect->bursts_explained, suspect->bursts,
	    mark_phase_word(suspect->phase), odds);
}
