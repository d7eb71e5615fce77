/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_COMPARE_H
#define ACCOUNTING_COMPARE_H

/*
 * Did the fix work?  Two runs, leak by leak: how often in how many responses
 * of its kind, before and after.  Pure; any thread.
 *
 * The interval is for the ratio of two Poisson rates: given the sum, one of
 * the counts is binomial (Przyborowski and Wilenski, Biometrika 31, 1940,
 * 313-323), whose exact limits are those of Clopper and Pearson (Biometrika
 * 26, 1934, 404-413).  It covers at least 95 %, and much more where most
 * responses leak.
 *
 * "Gone" is a claim of its own: no response leaked afterwards, and if nothing
 * had changed, chance would have put all the leaks into the first run with a
 * probability below 5 % (Fisher's exact test, Journal of the Royal
 * Statistical Society 98, 1935, 39-82).  That asks for a little more than
 * that none would be seen at the rate that was measured before, which is
 * itself known but roughly.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/tag.h"
#include "accounting/units.h"

enum change {
#define CHANGE(name, word, meaning) CHANGE_##name,
#include "accounting/changes.def"
#undef CHANGE
	CHANGE_COUNT
};

/* One leak in one run. */
struct compare_side {
	uint64_t undrained;
	uint64_t suspected;
	int64_t settled; /* responses of its kind that were judged; -1 not
	                    known */
	double hours;    /* that the run lasted */
};

struct comparison {
	enum change change;
	bool has_ratio; /* of the leaks per response, or per hour where no
	                   responses were counted, after to before */
	bool is_by_hour;
	double ratio; /* infinite where there were none before */
	double low;
	double high;
	int64_t needed; /* responses after, without a leak, that would be
	                   enough for "gone"; -1 where that is not known */
};

void compare_sides(const struct compare_side *before,
    const struct compare_side *after, struct comparison *comparison);

/* Writes the 95 % limits of the ratio of two rates: `after` events in
 * `after_size` to `before` in `before_size`, both sizes above 0. */
void compare_interval(uint64_t before, double before_size, uint64_t after,
    double after_size, double limits[2]);

/* Words, as in JSON; never NULL. */
const char *compare_word(enum change change);
const char *compare_meaning(enum change change);
bool compare_from_word(const char *word, enum change *change) MUST_CHECK;

/* ---- whole runs ---- */

/* What one run has of one kind of response; strings are owned. */
struct compare_kind {
	char *origin;
	char *method;
	char *route;
	int status;
	struct tags tags;
	struct compare_side side;
	wall_us first_seen; /* of the leaks; 0: none */
	wall_us last_seen;
};

struct compare_run {
	struct compare_kind *kinds; /* owned */
	size_t count;
	double hours;
	bool counts_exposure; /* what has no kind here has had no response */
};

void compare_run_fini(struct compare_run *run);

/* A leak in either of the runs; borrows from them. */
struct compared {
	const struct compare_kind *kind; /* of the run before, else after */
	struct compare_side before;
	struct compare_side after;
	struct comparison comparison;
};

/*
 * Compares the leaks of two runs by origin, method, route, status and tags,
 * the tag `ignored` apart (NULL: none).  Returns them, worst news first,
 * *count of them; free with free().  The runs must outlive that; their kinds
 * are sorted, and those that differ by the ignored tag alone are added up.
 */
struct compared *compare_runs(struct compare_run *before,
    struct compare_run *after, const char *ignored, size_t *count);

#endif
