/* SPDX-License-Identifier: MIT */

/*
 * The period of bursts: candidates, chains, and the odds of the best.
 */

#include "accounting/period.h"

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "accounting/chance.h"

/* Candidates: the mean gap is up to so many periods ... */
#define MOST_MISSED 1.25
/* ... or, where bursts are left out, less than one; a step apart.  Within a
 * step, the fit finds the rest by itself. */
#define MOST_EXTRA 1.3
#define STEP 1.03

/* What leaving out a burst costs, in squared periods: as much as two gaps that
 * are wrong by a third of the period. */
#define EXTRA_PRICE 0.25

/* How many bursts in a row may be left out, and one in how many of all. */
#define EXTRA_IN_A_ROW 2
#define EXTRA_ONE_IN 6

/* Of the allowed chance, what goes to fits without missed bursts, and of that
 * to those without doubled ones. */
#define SHARE_OF_NONE 0.9

/* Intervals that spread less than this part of the period are steady; others
 * may be those of jobs that take turns, where the autocorrelation at lag 2 is
 * above so many of its standard deviations. */
#define STEADY 0.01
#define TURNS_SURE 3.2

/* Mean residuals above are not worth the second look. */
#define HOPELESS 0.12

/* The bursts that fit a period, and how many periods each gap counts. */
struct chain {
	size_t kept[PERIOD_MAX_BURSTS];
	double periods[PERIOD_MAX_BURSTS]; /* before kept[i]; [0] is not used */
	size_t count;                      /* of kept */
	double cost;
};

/* The series, in seconds from its first burst. */
struct series {
	double at[PERIOD_MAX_BURSTS];
	double
	    dead[PERIOD_MAX_BURSTS]; /* after it, in which none could begin */
	size_t count;
};

static double
log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

static double
periods_in(double gap_s, double period_s)
{
	double count = round(gap_s / period_s);

	return count < 1 ? 1 : count;
}

static double
residual(double gap_s, double period_s, double periods)
{
	double off = gap_s / period_s - periods;

	return off * off / periods;
}

/* Follows the chain back from its last burst. */
static void
unwind(const struct series *series, const uint8_t *back, size_t last,
    double period_s, struct chain *chain)
{
	size_t reversed[PERIOD_MAX_BURSTS];
	size_t count = 0;

	for (size_t at = last;; at -= back[at]) {
		reversed[count++] = at;
		if (back[at] == 0)
			break;
	}
	chain->count = count;
	for (size_t i = 0; i < count; i++) {
		chain->kept[i] = reversed[count - 1 - i];
		if (i > 0)
			chain->periods[i] =
			    periods_in(series->at[chain->kept[i]] -
				    series->at[chain->kept[i - 1]],
				period_s);
	}
}

/* Finds the cheapest chain for this period. */
static void
fit_chain(const struct series *series, double period_s, struct chain *chain)
{
	double cost[PERIOD_MAX_BURSTS];
	uint8_t back[PERIOD_MAX_BURSTS];
	size_t last = 0;

	chain->cost = DBL_MAX;
	for (size_t i = 0; i < series->count; i++) {
		size_t after = series->count - 1 - i;

		cost[i] =
		    i <= EXTRA_IN_A_ROW ? EXTRA_PRICE * (double)i : DBL_MAX;
		back[i] = 0;
		for (size_t step = 1; step <= EXTRA_IN_A_ROW + 1 && step <= i;
		     step++) {
			double gap_s = series->at[i] - series->at[i - step];
			double total = cost[i - step] +
			    EXTRA_PRICE * (double)(step - 1) +
			    residual(
				gap_s, period_s, periods_in(gap_s, period_s));

			if (total < cost[i]) {
				cost[i] = total;
				back[i] = (uint8_t)step;
			}
		}
		if (after <= EXTRA_IN_A_ROW &&
		    cost[i] + EXTRA_PRICE * (double)after < chain->cost) {
			chain->cost = cost[i] + EXTRA_PRICE * (double)after;
			last = i;
		}
	}
	unwind(series, back, last, period_s, chain);
}

static double
span_of(const struct series *series, const struct chain *chain)
{
	return series->at[chain->kept[chain->count - 1]] -
	    series->at[chain->kept[0]];
}

static double
total_periods(const struct chain *chain)
{
	double total = 0;

	for (size_t i = 1; i < chain->count; i++)
		total += chain->periods[i];
	return total;
}

static double
total_residual(
    const struct series *series, const struct chain *chain, double period_s)
{
	double total = 0;

	for (size_t i = 1; i < chain->count; i++)
		total += residual(
		    series->at[chain->kept[i]] - series->at[chain->kept[i - 1]],
		    period_s, chain->periods[i]);
	return total;
}

/* The logarithm of the share of the allowed chance that goes to a fit with so
 * many exceptions.  The shares sum to 1. */
static double
log_share(double exceptions)
{
	if (exceptions < 1)
		return log(SHARE_OF_NONE);
	return log((1 - SHARE_OF_NONE) / (exceptions * (exceptions + 1)));
}

/* The logarithm of the number of patterns with `missed` periods missed, each
 * by its weight: what the header's volume is multiplied with. */
static double
log_patterns(double gaps, double missed)
{
	return chance_log_choose(gaps + missed - 1, missed) +
	    missed * M_LN2 / 2 - (gaps - 0.5) * log(gaps + missed);
}

/* The logarithm of the chance that arrivals at random fit so well. */
static double
log_chance(const struct series *series, const struct chain *chain)
{
	double gaps = (double)chain->count - 1;
	double periods = total_periods(chain);
	double span_s = span_of(series, chain);
	double radius2 = total_residual(series, chain, span_s / periods);
	double extra = (double)(series->count - chain->count);
	double dead_s = 0;
	double log_ball;

	for (size_t i = 0; i + 1 < chain->count; i++)
		dead_s += series->dead[chain->kept[i]];
	if (dead_s >= span_s)
		return 0;
	log_ball = (gaps - 1) / 2 * (log(M_PI) + log(radius2 + 1e-12)) -
	    log_gamma((gaps - 1) / 2 + 1);
	return log_gamma(gaps) + log_ball + log_patterns(gaps, periods - gaps) +
	    chance_log_choose((double)series->count, extra) -
	    (gaps - 1) * log1p(-dead_s / span_s) - log_share(periods - gaps) -
	    log_share(extra);
}

/* The slope of the least-squares line: time over periods. */
static double
slope_of(const struct series *series, const struct chain *chain)
{
	double mean_at = 0;
	double mean_k = 0;
	double sum_kk = 0;
	double sum_kt = 0;
	double k = 0;

	for (size_t i = 0; i < chain->count; i++) {
		k += i == 0 ? 0 : chain->periods[i];
		mean_k += k / (double)chain->count;
		mean_at += series->at[chain->kept[i]] / (double)chain->count;
	}
	k = 0;
	for (size_t i = 0; i < chain->count; i++) {
		k += i == 0 ? 0 : chain->periods[i];
		sum_kk += (k - mean_k) * (k - mean_k);
		sum_kt += (k - mean_k) * (series->at[chain->kept[i]] - mean_at);
	}
	return sum_kt / sum_kk;
}

/*
 * Whether each gap resembles the last but one.  Two jobs of much the same
 * period take turns, and look like one of half of it; but then the gaps are
 * long, short, long, short.  One job's are not: neither where each interval
 * jitters, nor where it is late on a schedule (then a long one is followed by
 * a short one, and that by either).
 */
static bool
takes_turns(
    const struct series *series, const struct chain *chain, double period_s)
{
	double off[PERIOD_MAX_BURSTS];
	double gaps = (double)chain->count - 1;
	double squares = 0;
	double products = 0;

	for (size_t i = 1; i < chain->count; i++) {
		off[i] = series->at[chain->kept[i]] -
		    series->at[chain->kept[i - 1]] -
		    chain->periods[i] * period_s;
		squares += off[i] * off[i];
		if (i > 2)
			products += off[i] * off[i - 2];
	}
	/* What is hardly off at all needs no other explanation. */
	if (squares <= gaps * STEADY * STEADY * period_s * period_s)
		return false;
	return products > squares * TURNS_SURE / sqrt(gaps);
}

/* A sample of so few intervals may well spread wider than they all would. */
static double
most_jitter(const struct chain *chain)
{
	return PERIOD_MAX_JITTER * (1 + 2.5 / sqrt((double)chain->count - 1));
}

static bool
is_sound(const struct series *series, const struct chain *chain)
{
	size_t extra = series->count - chain->count;

	return chain->count >= PERIOD_MIN_BURSTS &&
	    extra <= series->count / EXTRA_ONE_IN &&
	    total_periods(chain) <=
	    MOST_MISSED * ((double)chain->count - 1) + 0.5;
}

/* Tries one candidate; keeps it where it beats the best so far. */
static void
try_period(const struct series *series, double candidate_s, struct period *best,
    double *best_log)
{
	struct chain chain;
	double period_s;
	double gaps;
	double spread;
	double log_odds;

	fit_chain(series, candidate_s, &chain);
	if (chain.cost > HOPELESS * (double)series->count || chain.count < 3)
		return;
	period_s = span_of(series, &chain) / total_periods(&chain);
	fit_chain(series, period_s, &chain);
	if (!is_sound(series, &chain))
		return;
	gaps = (double)chain.count - 1;
	period_s = slope_of(series, &chain);
	spread = sqrt(total_residual(series, &chain, period_s) / (gaps - 1));
	log_odds = log_chance(series, &chain);
	if (spread > most_jitter(&chain) || log_odds >= *best_log ||
	    takes_turns(series, &chain, period_s))
		return;
	*best_log = log_odds;
	best->period_s = period_s;
	best->jitter_s = spread * period_s;
	best->chance = exp(log_odds);
	best->missed = (size_t)(total_periods(&chain) - gaps + 0.5);
	best->extra = series->count - chain.count;
}

bool
period_find(const struct bursts *bursts, struct period *period)
{
	double best_log = log(PERIOD_MAX_CHANCE);
	struct series series = {.count = bursts->count};
	const struct burst *first = bursts->list;
	double mean_s;

	*period = (struct period){0};
	if (series.count > PERIOD_MAX_BURSTS) {
		first += series.count - PERIOD_MAX_BURSTS;
		series.count = PERIOD_MAX_BURSTS;
	}
	if (series.count < PERIOD_MIN_BURSTS)
		return false;
	for (size_t i = 0; i < series.count; i++) {
		const struct burst *burst = &first[i];

		series.at[i] = (double)(burst->starts_at - first->starts_at) /
		    (double)US_PER_S;
		series.dead[i] = (double)(burst->ends_at - burst->starts_at +
				     bursts->merged_us) /
		    (double)US_PER_S;
	}
	mean_s = series.at[series.count - 1] / (double)(series.count - 1);
	if (mean_s <= 0)
		return false;
	for (double candidate_s = mean_s * MOST_EXTRA;
	     candidate_s > mean_s / MOST_MISSED; candidate_s /= STEP)
		try_period(&series, candidate_s, period, &best_log);
	return period->period_s > 0;
}
