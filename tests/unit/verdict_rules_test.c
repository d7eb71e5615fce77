/* SPDX-License-Identifier: MIT */

/*
 * The verdict rules are a handful of conditions over a dozen facts, and a
 * table of examples finds only the mistakes that somebody thought of.  Here
 * every combination of facts is judged, after every judgement that can have
 * been there before, and what no combination may ever lead to is looked for:
 * an accusation without its evidence, a held response passed over, a verdict
 * that changes though the facts do not.
 */

#include "accounting/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

#define HANDED_OVER (1000 * US_PER_S)
#define PROBED (HANDED_OVER + 30 * US_PER_S)
#define OVERDUE (PROBED + 5 * US_PER_S)
#define LATE (HANDED_OVER + 3600 * US_PER_S)

static const struct patience patience = {
    .stall_after_us = 30 * US_PER_S,
    .probe_grace_us = 5 * US_PER_S,
};

/* DESIGN §2: what can set which verdict. */
static const bool may_set[VERDICT_COUNT][EVIDENCE_COUNT] = {
    [VERDICT_NONE] = {[EVIDENCE_NOTHING] = true},
    [VERDICT_OPEN] = {[EVIDENCE_NOTHING] = true},
    [VERDICT_DRAINED] = {[EVIDENCE_REUSE] = true,
	[EVIDENCE_PROBE] = true,
	[EVIDENCE_CLOSED] = true},
    [VERDICT_UNDRAINED] = {[EVIDENCE_STALLED] = true,
	[EVIDENCE_UNREAD] = true,
	[EVIDENCE_PROBE] = true,
	[EVIDENCE_CLOSE] = true,
	[EVIDENCE_EXIT] = true},
    [VERDICT_SUSPECTED] = {[EVIDENCE_PROBE] = true},
    [VERDICT_ABANDONED] =
	{[EVIDENCE_RESET] = true, [EVIDENCE_EARLY_CLOSE] = true},
    [VERDICT_UNPROVEN] = {[EVIDENCE_NOTHING] = true},
};

static const struct judgement befores[] = {
    {VERDICT_OPEN, EVIDENCE_NOTHING, WITNESS_NONE},
    {VERDICT_SUSPECTED, EVIDENCE_PROBE, WITNESS_NONE},
    {VERDICT_UNDRAINED, EVIDENCE_STALLED, WITNESS_NONE},
    {VERDICT_UNDRAINED, EVIDENCE_UNREAD, WITNESS_NONE},
    {VERDICT_UNDRAINED, EVIDENCE_CLOSE, WITNESS_NONE},
    {VERDICT_UNDRAINED, EVIDENCE_PROBE, WITNESS_UNREAD},
    {VERDICT_UNDRAINED, EVIDENCE_PROBE, WITNESS_WATCHER},
};

/* The 8 booleans, 2 waiting, 3 unread, 4 endings, 2 probed, 3 progress. */
#define COMBINATIONS (256 * 2 * 3 * 4 * 2 * 3)

static struct facts
combine(unsigned number)
{
	static const int64_t unread[] = {-1, 0, 1};
	static const mono_us progress[] = {HANDED_OVER, PROBED, LATE};
	struct facts facts = {
	    .has_body = (number & 1) != 0,
	    .is_complete = (number & 2) != 0,
	    .is_truncated = (number & 4) != 0,
	    .said_close = (number & 8) != 0,
	    .is_tls = (number & 16) != 0,
	    .was_reused = (number & 32) != 0,
	    .caller_watches = (number & 64) != 0,
	    .owner_exited = (number & 128) != 0,
	};

	if (facts.is_complete)
		facts.is_truncated = false;
	number /= 256;
	facts.waiting_bytes = number % 2;
	number /= 2;
	facts.unread_bytes = unread[number % 3];
	number /= 3;
	facts.ending = (enum ending)(number % 4);
	facts.ended_at = facts.ending == ENDING_NOT_YET ? 0 : LATE;
	number /= 4;
	facts.probed_at = number % 2 == 0 ? 0 : PROBED;
	facts.progress_at = progress[number / 2];
	return facts;
}

static bool
is_same(struct judgement a, struct judgement b)
{
	return a.verdict == b.verdict && a.evidence == b.evidence &&
	    a.witness == b.witness;
}

/* The only ways to call a live response held. */
static bool
may_accuse(const struct facts *facts, mono_us now)
{
	mono_us grace = patience.probe_grace_us;

	if (now - facts->progress_at >= patience.stall_after_us &&
	    (facts->waiting_bytes > 0 || facts->unread_bytes > 0))
		return true;
	if (facts->probed_at == 0 || facts->waiting_bytes > 0 ||
	    !(facts->is_complete || facts->is_truncated) ||
	    now - facts->probed_at < grace || now - facts->progress_at < grace)
		return false;
	if (facts->said_close)
		return facts->unread_bytes <= 0;
	return facts->unread_bytes > 0 || facts->caller_watches;
}

/* An RST acknowledges nothing: what was on the wire may have arrived. */
static bool
may_be_on_the_wire(const struct facts *facts)
{
	return facts->ending == ENDING_CLIENT_RST && facts->is_tls &&
	    facts->probed_at != 0 && facts->unsent_bytes == 0;
}

/* Says what is wrong, or NULL. */
static const char *
find_fault(const struct facts *facts, const struct judgement *before,
    const struct judgement *got, mono_us now)
{
	bool is_held = got->verdict == VERDICT_UNDRAINED;

	if (!may_set[got->verdict][got->evidence])
		return "evidence that cannot set this verdict";
	if ((got->witness != WITNESS_NONE) !=
	    (is_held && got->evidence == EVIDENCE_PROBE))
		return "a second witness, or none, out of place";
	if ((got->verdict == VERDICT_NONE) != !facts->has_body)
		return "none is for no body, and no body is none";
	if (!facts->has_body)
		return NULL;
	if ((got->evidence == EVIDENCE_REUSE) != facts->was_reused)
		return "reuse proves, always";
	if (facts->was_reused)
		return NULL;
	if (facts->ending == ENDING_NOT_YET)
		return is_held == may_accuse(facts, now)
		    ? NULL
		    : "held or not held against the rules";
	if (got->verdict == VERDICT_OPEN)
		return "nothing is open after the end";
	if (got->verdict == VERDICT_SUSPECTED &&
	    (before->verdict != VERDICT_SUSPECTED || !facts->owner_exited))
		return "suspected by the end of the connection";
	if (is_held && before->verdict != VERDICT_UNDRAINED &&
	    got->evidence != EVIDENCE_EXIT)
		return "accused by the end of the connection";
	if (got->verdict == VERDICT_DRAINED &&
	    (!facts->is_complete ||
		(facts->waiting_bytes > 0 && !may_be_on_the_wire(facts))))
		return "drained, and not even delivered";
	return NULL;
}

static void
test_no_combination_breaks_the_rules(void **state)
{
	static const mono_us nows[] = {
	    PROBED, OVERDUE, LATE, LATE + 4 * US_PER_S, LATE + 60 * US_PER_S};
	bool seen[VERDICT_COUNT][EVIDENCE_COUNT] = {{false}};
	size_t rounds = COUNT_OF(befores) * COUNT_OF(nows) * COMBINATIONS;

	for (size_t i = 0; i < rounds; i++) {
		struct facts facts = combine((unsigned)(i % COMBINATIONS));
		const struct judgement *before =
		    &befores[i / COMBINATIONS % COUNT_OF(befores)];
		mono_us now = nows[i / COMBINATIONS / COUNT_OF(befores)];
		struct judgement got =
		    verdict_judge(&facts, before, &patience, now);
		struct judgement again =
		    verdict_judge(&facts, &got, &patience, now);
		const char *fault = find_fault(&facts, before, &got, now);

		if (fault == NULL && !is_same(got, again))
			fault = "the same facts, judged anew, say otherwise";
		if (fault != NULL)
			fail_msg("combination %zu: %s by %s: %s", i,
			    verdict_word(got.verdict),
			    verdict_evidence_word(got.evidence), fault);
		seen[got.verdict][got.evidence] = true;
	}
	assert_memory_equal(seen, may_set, sizeof(seen));
}

/* ---- words ---- */

static void
test_words(void **state)
{
	enum verdict found = VERDICT_COUNT;

	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		enum verdict verdict = (enum verdict)i;

		assert_true(verdict_from_word(verdict_word(verdict), &found));
		assert_int_equal(found, verdict);
		assert_true(strlen(verdict_meaning(verdict)) > 0);
	}
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		enum evidence evidence = (enum evidence)i;

		assert_true(strlen(verdict_evidence_word(evidence)) > 0);
		assert_true(strlen(verdict_evidence_meaning(evidence)) > 0);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(verdict_evidence_word(evidence),
			    verdict_evidence_word((enum evidence)j));
	}
	assert_string_equal(verdict_word(VERDICT_UNDRAINED), "undrained");
	assert_string_equal(
	    verdict_evidence_word(EVIDENCE_EARLY_CLOSE), "early-close");
	found = VERDICT_COUNT;
	assert_false(verdict_from_word("", &found));
	assert_false(verdict_from_word("drain", &found));
	assert_false(verdict_from_word("Drained", &found));
	assert_false(verdict_from_word("drained ", &found));
	assert_int_equal(found, VERDICT_COUNT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_combination_breaks_the_rules),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
