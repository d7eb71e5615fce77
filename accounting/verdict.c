/* SPDX-License-Identifier: MIT */

/*
 * The verdict rules, all of them (DESIGN §2).
 *
 * A response is judged by what its connection did since: reused, ended by the
 * caller, ended by us, or still there.  A connection that is still there is
 * judged by what waits on it and for how long nothing of it was taken.  What
 * was proven held stays so, except where a later fact shows that the caller
 * read on, or that the proof rested on manners it does not have.
 */

#include "accounting/verdict.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* What was seen unread, and untouched for so long, was not being read. */
#define UNREAD_QUIET_US (250 * US_PER_MS)

static struct judgement
judge(enum verdict verdict, enum evidence evidence)
{
	return (struct judgement){verdict, evidence, WITNESS_NONE};
}

static bool
is_all_taken(const struct facts *facts)
{
	return facts->is_complete && facts->waiting_bytes == 0;
}

/* Nothing more will come, and nothing waits on our side. */
static bool
is_all_sent(const struct facts *facts)
{
	return (facts->is_complete || facts->is_truncated) &&
	    facts->waiting_bytes == 0;
}

/* Closed with nothing left unread: the caller is done with it. */
static struct judgement
judge_closed(const struct facts *facts)
{
	/* After a response that told it to close, our FIN was no probe. */
	return judge(VERDICT_DRAINED,
	    facts->probed_at != 0 && !facts->said_close ? EVIDENCE_PROBE
							: EVIDENCE_CLOSED);
}

/* The last look may have come between the body's arrival and its reading. */
static bool
was_left_unread(const struct facts *facts, mono_us now)
{
	return facts->unread_bytes > 0 &&
	    now - facts->progress_at >= UNREAD_QUIET_US;
}

/*
 * What lay unread, and made the kernel reset, may have been our own
 * close_notify, which no caller has to read.  What was on the wire then had
 * arrived before it, though an RST acknowledges nothing.
 */
static bool
is_reset_by_notify(const struct facts *facts, mono_us now)
{
	return facts->is_complete && facts->unsent_bytes == 0 &&
	    facts->is_tls && (facts->probed_at != 0 || facts->is_our_end_out) &&
	    !was_left_unread(facts, now);
}

/* A kernel answers close() by RST when bytes lie unread, so a reset after
 * full delivery means that the body was dropped. */
static struct judgement
judge_reset(const struct facts *facts, mono_us now)
{
	if (facts->owner_exited && was_left_unread(facts, now))
		return judge(VERDICT_UNDRAINED, EVIDENCE_EXIT);
	if (is_reset_by_notify(facts, now))
		return judge_closed(facts);
	return judge(VERDICT_ABANDONED, EVIDENCE_RESET);
}

/*
 * What was proven held and then ended.  Told to close, it kept the connection
 * beyond the grace: no later close undoes that.  Otherwise a clean close
 * after full delivery shows that the caller had read on, or that it answers
 * probes late and that its silence proved nothing; unless the whole process
 * ended, which closes everything and answers nothing.
 */
static struct judgement
judge_ended_undrained(
    const struct facts *facts, const struct judgement *before, mono_us now)
{
	if (facts->ending == ENDING_OURS || before->evidence == EVIDENCE_CLOSE)
		return *before;
	if (facts->owner_exited && before->witness == WITNESS_WATCHER)
		return *before;
	if (is_all_taken(facts) &&
	    (facts->ending == ENDING_CLIENT_FIN ||
		is_reset_by_notify(facts, now)))
		return judge_closed(facts);
	return *before;
}

static struct judgement
judge_ended(
    const struct facts *facts, const struct judgement *before, mono_us now)
{
	if (before->verdict == VERDICT_UNDRAINED)
		return judge_ended_undrained(facts, before, now);
	/* The end of a process closes everything and answers nothing. */
	if (before->verdict == VERDICT_SUSPECTED && facts->owner_exited)
		return *before;
	if (facts->is_truncated)
		return judge(VERDICT_UNPROVEN, EVIDENCE_NOTHING);
	switch (facts->ending) {
	case ENDING_CLIENT_FIN:
		return is_all_taken(facts)
		    ? judge_closed(facts)
		    : judge(VERDICT_ABANDONED, EVIDENCE_EARLY_CLOSE);
	case ENDING_CLIENT_RST:
		return judge_reset(facts, now);
	case ENDING_OURS:
	case ENDING_NOT_YET:
		break;
	}
	return judge(VERDICT_UNPROVEN, EVIDENCE_NOTHING);
}

/* Our FIN went unanswered for the grace, and nothing waits on our side. */
static struct judgement
judge_unanswered(const struct facts *facts)
{
	struct judgement held = judge(VERDICT_UNDRAINED, EVIDENCE_PROBE);

	/* It owes the rest of its request; silence shows nothing else. */
	if (facts->is_early && facts->unread_bytes <= 0)
		return judge(VERDICT_OPEN, EVIDENCE_NOTHING);
	/* Told to close and yet to read: a caller may think for a while, and
	 * --stall-after says for how long. */
	if (facts->said_close && facts->unread_bytes > 0)
		return judge(VERDICT_OPEN, EVIDENCE_NOTHING);
	if (facts->said_close)
		return judge(VERDICT_UNDRAINED, EVIDENCE_CLOSE);
	if (facts->unread_bytes > 0) {
		held.witness = WITNESS_UNREAD;
		return held;
	}
	if (facts->caller_watches) {
		held.witness = WITNESS_WATCHER;
		return held;
	}
	return judge(VERDICT_SUSPECTED, EVIDENCE_PROBE);
}

static struct judgement
judge_live(
    const struct facts *facts, const struct patience *patience, mono_us now)
{
	mono_us quiet_since = facts->progress_at;
	bool is_stalled = now - quiet_since >= patience->stall_after_us;

	if (is_stalled && facts->waiting_bytes > 0)
		return judge(VERDICT_UNDRAINED, EVIDENCE_STALLED);
	if (is_stalled && facts->unread_bytes > 0)
		return judge(VERDICT_UNDRAINED, EVIDENCE_UNREAD);
	if (facts->probed_at == 0 || !is_all_sent(facts))
		return judge(VERDICT_OPEN, EVIDENCE_NOTHING);
	if (quiet_since < facts->probed_at)
		quiet_since = facts->probed_at;
	if (now - quiet_since < patience->probe_grace_us)
		return judge(VERDICT_OPEN, EVIDENCE_NOTHING);
	return judge_unanswered(facts);
}

struct judgement
verdict_judge(const struct facts *facts, const struct judgement *before,
    const struct patience *patience, mono_us now)
{
	if (!facts->has_body)
		return judge(VERDICT_NONE, EVIDENCE_NOTHING);
	if (facts->was_reused)
		return judge(VERDICT_DRAINED, EVIDENCE_REUSE);
	if (facts->ending != ENDING_NOT_YET)
		return judge_ended(facts, before, now);
	return judge_live(facts, patience, now);
}

static const char *const verdict_words[] = {
#define VERDICT(name, word, meaning) [VERDICT_##name] = word,
#include "accounting/verdicts.def"
#undef VERDICT
};

static const char *const verdict_meanings[] = {
#define VERDICT(name, word, meaning) [VERDICT_##name] = meaning,
#include "accounting/verdicts.def"
#undef VERDICT
};

static const char *const evidence_words[] = {
#define EVIDENCE(name, word, meaning) [EVIDENCE_##name] = word,
#include "accounting/evidence.def"
#undef EVIDENCE
};

static const char *const evidence_meanings[] = {
#define EVIDENCE(name, word, meaning) [EVIDENCE_##name] = meaning,
#include "accounting/evidence.def"
#undef EVIDENCE
};

const char *
verdict_word(enum verdict verdict)
{
	assert(verdict < VERDICT_COUNT);
	return verdict_words[verdict];
}

const char *
verdict_meaning(enum verdict verdict)
{
	assert(verdict < VERDICT_COUNT);
	return verdict_meanings[verdict];
}

const char *
verdict_evidence_word(enum evidence evidence)
{
	assert(evidence < EVIDENCE_COUNT);
	return evidence_words[evidence];
}

const char *
verdict_evidence_meaning(enum evidence evidence)
{
	assert(evidence < EVIDENCE_COUNT);
	return evidence_meanings[evidence];
}

bool
verdict_from_word(const char *word, enum verdict *verdict)
{
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		if (strcmp(word, verdict_words[i]) == 0) {
			*verdict = (enum verdict)i;
			return true;
		}
	}
	return false;
}
