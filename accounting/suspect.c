/* SPDX-License-Identifier: MIT */

/*
 * Bursts against marks.
 */

#include "accounting/suspect.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/chance.h"
#include "accounting/memory.h"

/* Windows: the job's mean interval, divided by these. */
static const double window_parts[] = {64, 32, 16, 8, 4, 2};
#define WINDOWS (sizeof(window_parts) / sizeof(*window_parts))

/* A rival must keep its steady time within this part of its interval, for this
 * part of the bursts that the suspect explains, and by no such chance. */
#define RIVAL_PART 4.0
#define RIVAL_SHARE 0.8
#define RIVAL_MAX_CHANCE 0.05

/* One job's marks of one phase. */
struct job {
	const char *name; /* borrowed from its first mark */
	enum mark_phase phase;
	mono_us *at; /* owned, in order */
	size_t count;
	double interval_us; /* mean */
	/* the best of its windows: */
	size_t explained;
	double chance;
	double cover;
};

struct inquiry {
	struct job jobs[SUSPECT_MAX_JOBS];
	size_t job_count;
	const struct burst *bursts; /* borrowed; those in the time */
	size_t burst_count;
	mono_us from; /* the time in which both could be seen */
	mono_us until;
};

static struct job *
job_of(struct inquiry *inquiry, const struct mark *mark)
{
	for (size_t i = 0; i < inquiry->job_count; i++) {
		struct job *job = &inquiry->jobs[i];

		if (job->phase == mark->phase &&
		    strcmp(job->name, mark->name) == 0)
			return job;
	}
	if (inquiry->job_count == SUSPECT_MAX_JOBS)
		return NULL;
	inquiry->jobs[inquiry->job_count] =
	    (struct job){.name = mark->name, .phase = mark->phase, .chance = 1};
	return &inquiry->jobs[inquiry->job_count++];
}

static void
sort_marks(struct inquiry *inquiry, const struct suspect_facts *facts)
{
	for (size_t i = 0; i < facts->mark_count; i++) {
		const struct mark *mark = &facts->marks[i];
		struct job *job = job_of(inquiry, mark);

		if (job == NULL)
			continue;
		/* Doubles when its count is a power of two. */
		if ((job->count & (job->count - 1)) == 0)
			job->at = xreallocarray(job->at,
			    job->count == 0 ? 1 : 2 * job->count,
			    sizeof(*job->at));
		job->at[job->count++] = mark->mono_at;
	}
	for (size_t i = 0; i < inquiry->job_count; i++) {
		struct job *job = &inquiry->jobs[i];

		if (job->count > 1)
			job->interval_us =
			    (double)(job->at[job->count - 1] - job->at[0]) /
			    (double)(job->count - 1);
	}
}

/* Leaves the bursts and the time that marks could explain. */
static void
set_time(struct inquiry *inquiry, const struct suspect_facts *facts)
{
	size_t first = 0;

	inquiry->from = facts->marks[0].mono_at;
	inquiry->until = facts->until;
	if (facts->is_partial && facts->bursts->count > 0) {
		if (facts->bursts->list[0].ends_at > inquiry->from)
			inquiry->from = facts->bursts->list[0].ends_at;
		first = 1;
	}
	while (first < facts->bursts->count &&
	    facts->bursts->list[first].starts_at < inquiry->from)
		first++;
	inquiry->bursts = facts->bursts->list + first;
	inquiry->burst_count = facts->bursts->count - first;
}

/* Returns how long after the job's last mark the burst began; -1 where no
 * mark came before it.  *mark is where to begin looking, and remembers. */
static mono_us
lag_of(const struct job *job, const struct burst *burst, size_t *mark)
{
	while (*mark < job->count && job->at[*mark] <= burst->starts_at)
		(*mark)++;
	return *mark == 0 ? -1 : burst->starts_at - job->at[*mark - 1];
}

/* Returns the share of the time that is within `window_us` after a mark. */
static double
cover_of(const struct inquiry *inquiry, const struct job *job, double window_us)
{
	double covered_us = 0;

	for (size_t i = 0; i < job->count; i++) {
		mono_us end =
		    i + 1 < job->count ? job->at[i + 1] : inquiry->until;
		mono_us start = job->at[i];

		if (end > start + (mono_us)window_us)
			end = start + (mono_us)window_us;
		if (start < inquiry->from)
			start = inquiry->from;
		if (end > start)
			covered_us += (double)(end - start);
	}
	return covered_us / (double)(inquiry->until - inquiry->from);
}

/* Finds the window in which the job explains its bursts best. */
static void
question(const struct inquiry *inquiry, struct job *job)
{
	double trials = (double)(inquiry->job_count * WINDOWS);

	for (size_t i = 0; i < WINDOWS; i++) {
		double window_us = job->interval_us / window_parts[i];
		double cover = cover_of(inquiry, job, window_us);
		size_t explained = 0;
		size_t mark = 0;
		double chance;

		for (size_t j = 0; j < inquiry->burst_count; j++) {
			mono_us lag = lag_of(job, &inquiry->bursts[j], &mark);

			explained += lag >= 0 && (double)lag <= window_us;
		}
		chance = trials *
		    chance_binomial_tail(
			explained, inquiry->burst_count, cover);
		if (chance < job->chance) {
			job->chance = chance;
			job->explained = explained;
			job->cover = cover;
		}
	}
}

static int
earlier_first(const void *a, const void *b)
{
	const mono_us *left = a;
	const mono_us *right = b;

	return (*left > *right) - (*left < *right);
}

/* Returns the most lags that lie within `window_us` of each other.  They are
 * sorted; an interval later they come round again. */
static size_t
most_together(
    const mono_us *lags, size_t count, double window_us, double interval_us)
{
	size_t most = 0;
	size_t end = 0;

	for (size_t i = 0; i < count; i++) {
		while (end < i + count) {
			double lag = (double)lags[end % count] +
			    (end >= count ? interval_us : 0);

			if (lag - (double)lags[i] > window_us)
				break;
			end++;
		}
		if (end - i > most)
			most = end - i;
	}
	return most;
}

/* Returns whether the bursts come at a steady time after the job's marks. */
static bool
is_in_step(
    const struct inquiry *inquiry, const struct job *job, size_t explained)
{
	double window_us = job->interval_us / RIVAL_PART;
	mono_us *lags = xcalloc(inquiry->burst_count + 1, sizeof(*lags));
	size_t count = 0;
	size_t mark = 0;
	size_t most;
	double chance;

	for (size_t i = 0; i < inquiry->burst_count; i++) {
		mono_us lag = lag_of(job, &inquiry->bursts[i], &mark);

		if (lag >= 0)
			lags[count++] = lag;
	}
	qsort(lags, count, sizeof(*lags), earlier_first);
	most = most_together(lags, count, window_us, job->interval_us);
	chance = RIVAL_PART *
	    chance_binomial_tail(most, inquiry->burst_count, 1 / RIVAL_PART);
	free(lags);
	return (double)most >= RIVAL_SHARE * (double)explained &&
	    chance <= RIVAL_MAX_CHANCE;
}

static bool
is_known_rival(const struct suspect *suspect, const char *name)
{
	for (size_t i = 0; i < suspect->rival_count && i < SUSPECT_MAX_RIVALS;
	     i++) {
		if (strcmp(suspect->rivals[i], name) == 0)
			return true;
	}
	return false;
}

static void
find_rivals(struct suspect *suspect, const struct inquiry *inquiry)
{
	for (size_t i = 0; i < inquiry->job_count; i++) {
		const struct job *job = &inquiry->jobs[i];

		if (strcmp(job->name, suspect->mark) == 0 ||
		    job->count < SUSPECT_MIN_MARKS ||
		    is_known_rival(suspect, job->name) ||
		    !is_in_step(inquiry, job, suspect->bursts_explained))
			continue;
		if (suspect->rival_count < SUSPECT_MAX_RIVALS)
			strcpy(
			    suspect->rivals[suspect->rival_count], job->name);
		suspect->rival_count++;
	}
}

/* Returns the job with the least chance; NULL where nobody has the marks. */
static const struct job *
find_likeliest(struct inquiry *inquiry)
{
	const struct job *best = NULL;

	for (size_t i = 0; i < inquiry->job_count; i++) {
		struct job *job = &inquiry->jobs[i];

		if (job->count < SUSPECT_MIN_MARKS)
			continue;
		question(inquiry, job);
		/* Both may be too small for a double. */
		if (best == NULL || job->chance < best->chance ||
		    (job->chance <= best->chance && job->cover < best->cover))
			best = job;
	}
	return best;
}

void
suspect_find(struct suspect *suspect, const struct suspect_facts *facts)
{
	struct inquiry inquiry = {0};
	const struct job *best;

	*suspect = (struct suspect){.outcome = SUSPECT_UNMARKED};
	if (facts->mark_count == 0)
		return;
	suspect->outcome = SUSPECT_TOO_FEW;
	set_time(&inquiry, facts);
	if (inquiry.burst_count < SUSPECT_MIN_BURSTS ||
	    inquiry.until <= inquiry.from)
		return;
	sort_marks(&inquiry, facts);
	best = find_likeliest(&inquiry);
	if (best != NULL) {
		suspect->outcome = SUSPECT_UNLIKELY;
		if (best->chance <= SUSPECT_MAX_CHANCE &&
		    2 * best->explained >= inquiry.burst_count) {
			strcpy(suspect->mark, best->name);
			suspect->phase = best->phase;
			suspect->bursts_explained = best->explained;
			suspect->bursts = inquiry.burst_count;
			suspect->chance = best->chance;
			find_rivals(suspect, &inquiry);
			suspect->outcome = suspect->rival_count > 0
			    ? SUSPECT_ALIKE
			    : SUSPECT_NAMED;
		}
	}
	for (size_t i = 0; i < inquiry.job_count; i++)
		free(inquiry.jobs[i].at);
}
