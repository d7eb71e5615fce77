/* SPDX-License-Identifier: MIT */

/*
 * The truth of the verdicts is the measure of this product: no drained
 * response may ever be called undrained, and every held one must be found.
 * Here the rules are pinned as tables: first every client of DESIGN §1 with a
 * small and with a large body, as the proxy sees it from near (a local caller,
 * whose receive queue can be asked) and from afar; then the revisions, where a
 * later fact takes a verdict back, or must not.  Last, all combinations of
 * facts are judged, and what no combination may ever lead to is looked for.
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
#define ANSWERED (PROBED + 2 * US_PER_MS)
#define OVERDUE (PROBED + 5 * US_PER_S)
#define LATE (HANDED_OVER + 3600 * US_PER_S)

static const struct patience patience = {
    .stall_after_us = 30 * US_PER_S,
    .probe_grace_us = 5 * US_PER_S,
};

/* Clients of DESIGN §1, in its order. */
enum client {
	CLIENT_GO_DRAINED,
	CLIENT_GO_READ_TO_EOF,
	CLIENT_GO_NEVER_READ,
	CLIENT_GO_READ_IN_PART,
	CLIENT_GO_CLOSED_UNREAD,
	CLIENT_REQUESTS_DRAINED,
	CLIENT_REQUESTS_NEVER_READ,
	CLIENT_HTTPURLCONNECTION_NEVER_READ,
	CLIENT_HTTPURLCONNECTION_DRAINED,
	CLIENT_LIBRARY_READS_AHEAD, /* HttpClient, Node; never read */
	CLIENT_FETCH_DRAINED,
	CLIENT_COUNT
};

enum body { BODY_SMALL, BODY_LARGE, BODY_COUNT };

struct row {
	const char *story;
	enum client client; /* in client_rows alone, as is body */
	enum body body;
	struct facts facts;
	struct judgement before;
	mono_us now;
	struct judgement wanted;
};

/* The whole response was handed over, and its last byte acknowledged then. */
#define DELIVERED \
	.has_body = true, .is_complete = true, .progress_at = HANDED_OVER
#define REMOTE .unread_bytes = -1
#define UNREAD(bytes) .unread_bytes = (bytes)

/* The caller's window is shut, and the rest waits with us. */
#define SHUT                                                          \
	.has_body = true, .waiting_bytes = 54321, .unread_bytes = -1, \
	.progress_at = HANDED_OVER

#define ANSWERED_BY(how) \
	.probed_at = PROBED, .ending = (how), .ended_at = ANSWERED
#define ANSWERED_LATE_BY(how) \
	.probed_at = PROBED, .ending = (how), .ended_at = LATE
#define ENDED_BY(how) .ending = (how), .ended_at = LATE

#define NOTHING_YET                                          \
	{                                                    \
		VERDICT_OPEN, EVIDENCE_NOTHING, WITNESS_NONE \
	}
#define JUDGED(verdict, evidence)                                    \
	{                                                            \
		VERDICT_##verdict, EVIDENCE_##evidence, WITNESS_NONE \
	}
#define HELD_BY_PROBE(witness)                                       \
	{                                                            \
		VERDICT_UNDRAINED, EVIDENCE_PROBE, WITNESS_##witness \
	}

#define CELL(name, size)                                    \
	.story = #name ", " #size, .client = CLIENT_##name, \
	.body = BODY_##size, .before = NOTHING_YET

/* clang-format off: a table of DESIGN §1, one observation a line or two. */
static const struct row client_rows[] = {
    {CELL(GO_DRAINED, SMALL), .now = ANSWERED, .wanted = JUDGED(DRAINED, PROBE),
	.facts = {DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(GO_DRAINED, LARGE), .now = ANSWERED, .wanted = JUDGED(DRAINED, PROBE),
	.facts = {DELIVERED, REMOTE, ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(GO_DRAINED, SMALL), .now = LATE, .wanted = JUDGED(DRAINED, REUSE),
	.facts = {DELIVERED, REMOTE, .was_reused = true}},
    {CELL(GO_READ_TO_EOF, SMALL), .now = ANSWERED,
	.wanted = JUDGED(DRAINED, PROBE),
	.facts = {DELIVERED, REMOTE, ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(GO_READ_TO_EOF, LARGE), .now = ANSWERED,
	.wanted = JUDGED(DRAINED, PROBE),
	.facts = {DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},

    {CELL(GO_NEVER_READ, SMALL), .now = PROBED,
	.wanted = JUDGED(UNDRAINED, UNREAD),
	.facts = {DELIVERED, UNREAD(1000)}},
    {CELL(GO_NEVER_READ, SMALL), .now = PROBED,
	.wanted = JUDGED(UNDRAINED, UNREAD),
	.facts = {DELIVERED, UNREAD(1022), .is_tls = true}},
    {CELL(GO_NEVER_READ, SMALL), .now = OVERDUE,
	.wanted = JUDGED(SUSPECTED, PROBE),
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED}},
    {CELL(GO_NEVER_READ, SMALL), .now = OVERDUE,
	.wanted = HELD_BY_PROBE(WATCHER),
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED,
	    .caller_watches = true}},
    {CELL(GO_NEVER_READ, SMALL), .now = OVERDUE,
	.wanted = JUDGED(UNDRAINED, CLOSE),
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED, .said_close = true}},
    {CELL(GO_NEVER_READ, LARGE), .now = PROBED,
	.wanted = JUDGED(UNDRAINED, STALLED), .facts = {SHUT}},
    {CELL(GO_NEVER_READ, LARGE), .now = PROBED,
	.wanted = JUDGED(UNDRAINED, STALLED),
	.facts = {SHUT, .is_complete = true}},

    {CELL(GO_READ_IN_PART, SMALL), .now = OVERDUE,
	.wanted = HELD_BY_PROBE(WATCHER),
	.facts = {DELIVERED, UNREAD(0), .probed_at = PROBED,
	    .caller_watches = true}},
    {CELL(GO_READ_IN_PART, SMALL), .now = OVERDUE,
	.wanted = JUDGED(SUSPECTED, PROBE),
	.facts = {DELIVERED, UNREAD(0), .probed_at = PROBED}},
    {CELL(GO_READ_IN_PART, SMALL), .now = OVERDUE,
	.wanted = JUDGED(UNDRAINED, CLOSE),
	.facts = {DELIVERED, UNREAD(0), .probed_at = PROBED,
	    .said_close = true}},
    {CELL(GO_READ_IN_PART, LARGE), .now = PROBED,
	.wanted = JUDGED(UNDRAINED, STALLED), .facts = {SHUT}},

    {CELL(GO_CLOSED_UNREAD, SMALL), .now = LATE,
	.wanted = JUDGED(ABANDONED, RESET),
	.facts = {DELIVERED, UNREAD(1000), ENDED_BY(ENDING_CLIENT_RST)}},
    {CELL(GO_CLOSED_UNREAD, SMALL), .now = LATE,
	.wanted = JUDGED(ABANDONED, RESET),
	.facts = {DELIVERED, REMOTE, .is_tls = true,
	    ENDED_BY(ENDING_CLIENT_RST)}},
    {CELL(GO_CLOSED_UNREAD, LARGE), .now = LATE,
	.wanted = JUDGED(ABANDONED, RESET),
	.facts = {SHUT, ENDED_BY(ENDING_CLIENT_RST)}},
    {CELL(GO_CLOSED_UNREAD, LARGE), .now = LATE,
	.wanted = JUDGED(ABANDONED, EARLY_CLOSE),
	.facts = {SHUT, .is_tls = true, ENDED_BY(ENDING_CLIENT_FIN)}},

    {CELL(REQUESTS_DRAINED, SMALL), .now = OVERDUE,
	.wanted = JUDGED(SUSPECTED, PROBE),
	.facts = {DELIVERED, UNREAD(0), .probed_at = PROBED}},
    {CELL(REQUESTS_DRAINED, LARGE), .now = OVERDUE,
	.wanted = JUDGED(SUSPECTED, PROBE),
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED}},
    {CELL(REQUESTS_DRAINED, LARGE), .now = LATE,
	.wanted = JUDGED(DRAINED, CLOSED),
	.facts = {DELIVERED, REMOTE, .said_close = true,
	    ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(REQUESTS_NEVER_READ, SMALL), .now = LATE,
	.wanted = JUDGED(UNDRAINED, UNREAD),
	.facts = {DELIVERED, UNREAD(1000)}},
    {CELL(REQUESTS_NEVER_READ, LARGE), .now = LATE,
	.wanted = JUDGED(UNDRAINED, STALLED), .facts = {SHUT}},

    {CELL(HTTPURLCONNECTION_NEVER_READ, SMALL), .now = LATE,
	.wanted = JUDGED(UNDRAINED, UNREAD),
	.facts = {DELIVERED, UNREAD(1000)}},
    {CELL(HTTPURLCONNECTION_NEVER_READ, SMALL), .now = LATE,
	.wanted = JUDGED(UNDRAINED, CLOSE),
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED, .said_close = true}},
    {CELL(HTTPURLCONNECTION_NEVER_READ, LARGE), .now = LATE,
	.wanted = JUDGED(UNDRAINED, STALLED), .facts = {SHUT}},
    {CELL(HTTPURLCONNECTION_DRAINED, SMALL), .now = ANSWERED,
	.wanted = JUDGED(DRAINED, PROBE),
	.facts = {DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(HTTPURLCONNECTION_DRAINED, LARGE), .now = OVERDUE,
	.wanted = JUDGED(SUSPECTED, PROBE),
	.facts = {DELIVERED, UNREAD(0), .probed_at = PROBED}},
    {CELL(HTTPURLCONNECTION_DRAINED, LARGE), .now = LATE,
	.wanted = JUDGED(DRAINED, CLOSED),
	.facts = {DELIVERED, UNREAD(0), .said_close = true,
	    ENDED_BY(ENDING_CLIENT_FIN)}},

    {CELL(LIBRARY_READS_AHEAD, SMALL), .now = ANSWERED,
	.wanted = JUDGED(DRAINED, PROBE),
	.facts = {DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(LIBRARY_READS_AHEAD, SMALL), .now = LATE,
	.wanted = JUDGED(DRAINED, CLOSED),
	.facts = {DELIVERED, UNREAD(0), ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(LIBRARY_READS_AHEAD, LARGE), .now = LATE,
	.wanted = JUDGED(UNDRAINED, STALLED), .facts = {SHUT}},

    {CELL(FETCH_DRAINED, SMALL), .now = LATE, .wanted = JUDGED(DRAINED, CLOSED),
	.facts = {DELIVERED, UNREAD(0), ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(FETCH_DRAINED, LARGE), .now = LATE, .wanted = JUDGED(DRAINED, CLOSED),
	.facts = {DELIVERED, REMOTE, ENDED_BY(ENDING_CLIENT_FIN)}},
};

/* What is known before the facts that these rows add. */
static const struct row plain_rows[] = {
    {.story = "no body, whatever else",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {.is_complete = true,
	    .waiting_bytes = 9,
	    UNREAD(9),
	    .probed_at = PROBED,
	    .said_close = true,
	    .caller_watches = true},
	.wanted = JUDGED(NONE, NOTHING)},
    {.story = "still flowing",
	.before = NOTHING_YET,
	.now = HANDED_OVER + US_PER_S,
	.facts = {SHUT},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "the origin is slow, and the caller has taken all there is",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {.has_body = true, .progress_at = HANDED_OVER, REMOTE},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "slow origin, local caller",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {.has_body = true, .progress_at = HANDED_OVER, UNREAD(0)},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "delivered, and nothing seen since",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, REMOTE},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "told to close, and our FIN is not out yet",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .said_close = true},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "a watcher, and no probe yet",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .caller_watches = true},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "our FIN waits behind the body",
	.before = NOTHING_YET,
	.now = HANDED_OVER + 29 * US_PER_S,
	.facts = {SHUT, .is_complete = true, .said_close = true,
	    .probed_at = HANDED_OVER},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "unread, for less than stall-after",
	.before = NOTHING_YET,
	.now = PROBED - 1,
	.facts = {DELIVERED, UNREAD(1000)},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "unknown unread bytes are no witness",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED},
	.wanted = JUDGED(SUSPECTED, PROBE)},
    {.story = "unread before stall-after, but the probe is overdue",
	.before = NOTHING_YET,
	.now = HANDED_OVER + 6 * US_PER_S,
	.facts = {DELIVERED, UNREAD(1000), .probed_at = HANDED_OVER + US_PER_S},
	.wanted = HELD_BY_PROBE(UNREAD)},
    {.story = "unread is the better witness of two",
	.before = NOTHING_YET,
	.now = HANDED_OVER + 6 * US_PER_S,
	.facts = {DELIVERED, UNREAD(1), .probed_at = HANDED_OVER + US_PER_S,
	    .caller_watches = true},
	.wanted = HELD_BY_PROBE(UNREAD)},
    {.story = "said_close beats suspicion",
	.before = NOTHING_YET,
	.now = OVERDUE,
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED, .said_close = true},
	.wanted = JUDGED(UNDRAINED, CLOSE)},
    {.story = "said_close needs no second witness, and takes none",
	.before = NOTHING_YET,
	.now = OVERDUE,
	.facts = {DELIVERED, UNREAD(0), .probed_at = PROBED, .said_close = true,
	    .caller_watches = true},
	.wanted = JUDGED(UNDRAINED, CLOSE)},
    {.story = "waiting bytes come before unread ones",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, UNREAD(65536), .waiting_bytes = 4096},
	.wanted = JUDGED(UNDRAINED, STALLED)},
    {.story = "gone before the whole body came",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {.has_body = true,
	    REMOTE,
	    .progress_at = HANDED_OVER,
	    ENDED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(ABANDONED, EARLY_CLOSE)},
    {.story = "gone with bytes on their way",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {SHUT, .is_complete = true, ENDED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(ABANDONED, EARLY_CLOSE)},
    {.story = "told to close, it closed after our FIN: no probe that",
	.before = NOTHING_YET,
	.now = ANSWERED,
	.facts = {DELIVERED, REMOTE, .said_close = true,
	    ANSWERED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(DRAINED, CLOSED)},
    {.story = "we stopped first",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, REMOTE, ENDED_BY(ENDING_OURS)},
	.wanted = JUDGED(UNPROVEN, NOTHING)},
    {.story = "a truncated origin, and we closed",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {.has_body = true,
	    .is_truncated = true,
	    REMOTE,
	    ENDED_BY(ENDING_OURS)},
	.wanted = JUDGED(UNPROVEN, NOTHING)},
    {.story = "a truncated origin is not the caller's early close",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {.has_body = true,
	    .is_truncated = true,
	    REMOTE,
	    ENDED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(UNPROVEN, NOTHING)},
    {.story = "... nor its reset",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {.has_body = true,
	    .is_truncated = true,
	    UNREAD(7),
	    ENDED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(UNPROVEN, NOTHING)},
};

static const struct row reset_rows[] = {
    {.story = "plain: a reset after our FIN drops the body",
	.before = NOTHING_YET,
	.now = ANSWERED,
	.facts = {DELIVERED, REMOTE, ANSWERED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(ABANDONED, RESET)},
    {.story = "TLS: what lay unread may be our close_notify",
	.before = NOTHING_YET,
	.now = ANSWERED,
	.facts = {DELIVERED, REMOTE, .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(DRAINED, PROBE)},
    {.story = "TLS: and the local caller is known to have read all",
	.before = NOTHING_YET,
	.now = ANSWERED,
	.facts = {DELIVERED, UNREAD(0), .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(DRAINED, PROBE)},
    {.story = "TLS, told to close",
	.before = NOTHING_YET,
	.now = ANSWERED,
	.facts = {DELIVERED, REMOTE, .is_tls = true, .said_close = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(DRAINED, CLOSED)},
    {.story = "TLS: but the body is known to lie unread",
	.before = NOTHING_YET,
	.now = ANSWERED,
	.facts = {DELIVERED, UNREAD(1022), .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(ABANDONED, RESET)},
    {.story = "TLS: but no close_notify was sent yet",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, UNREAD(0), .is_tls = true,
	    ENDED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(ABANDONED, RESET)},
    {.story = "TLS: but bytes of the body still wait",
	.before = NOTHING_YET,
	.now = ANSWERED,
	.facts = {SHUT, .is_complete = true, .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(ABANDONED, RESET)},
    {.story = "unread when the process ended",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, UNREAD(1000), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(UNDRAINED, EXIT)},
    {.story = "TLS, unread when the process ended after our FIN",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, UNREAD(1022), .owner_exited = true, .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(UNDRAINED, EXIT)},
    {.story = "the process ended with all read",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, UNREAD(0), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(DRAINED, CLOSED)},
    {.story = "the process ended, and what was unread is not known",
	.before = NOTHING_YET,
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(ABANDONED, RESET)},
};

static const struct row revised_rows[] = {
    {.story = "a stalled reader read on",
	.before = JUDGED(UNDRAINED, STALLED),
	.now = LATE + US_PER_S,
	.facts = {.has_body = true,
	    .waiting_bytes = 54321,
	    REMOTE,
	    .progress_at = LATE},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "... and stalled again",
	.before = NOTHING_YET,
	.now = LATE + 30 * US_PER_S,
	.facts = {.has_body = true,
	    .waiting_bytes = 54321,
	    REMOTE,
	    .progress_at = LATE},
	.wanted = JUDGED(UNDRAINED, STALLED)},
    {.story = "... or read all and closed",
	.before = JUDGED(UNDRAINED, STALLED),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, ENDED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(DRAINED, CLOSED)},
    {.story = "... or read all and sent the next request",
	.before = JUDGED(UNDRAINED, STALLED),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .was_reused = true},
	.wanted = JUDGED(DRAINED, REUSE)},
    {.story = "unread, then read",
	.before = JUDGED(UNDRAINED, UNREAD),
	.now = LATE,
	.facts = {DELIVERED, UNREAD(0)},
	.wanted = JUDGED(OPEN, NOTHING)},
    {.story = "stalled, and closed with bytes waiting: it was held",
	.before = JUDGED(UNDRAINED, STALLED),
	.now = LATE,
	.facts = {SHUT, ENDED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(UNDRAINED, STALLED)},
    {.story = "stalled, then reset: it was held",
	.before = JUDGED(UNDRAINED, STALLED),
	.now = LATE,
	.facts = {SHUT, ENDED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(UNDRAINED, STALLED)},
    {.story = "unread, then reset: it was held",
	.before = JUDGED(UNDRAINED, UNREAD),
	.now = LATE,
	.facts = {DELIVERED, UNREAD(1000), ENDED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(UNDRAINED, UNREAD)},
    {.story = "unread, then the process ended: the first evidence stays",
	.before = JUDGED(UNDRAINED, UNREAD),
	.now = LATE,
	.facts = {DELIVERED, UNREAD(1000), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(UNDRAINED, UNREAD)},
    {.story = "held, then the origin broke off",
	.before = JUDGED(UNDRAINED, STALLED),
	.now = LATE,
	.facts = {SHUT, .is_truncated = true, ENDED_BY(ENDING_OURS)},
	.wanted = JUDGED(UNDRAINED, STALLED)},
    {.story = "held when we stopped",
	.before = HELD_BY_PROBE(WATCHER),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_OURS)},
	.wanted = HELD_BY_PROBE(WATCHER)},
    {.story = "told to close, it closed late: it was held",
	.before = JUDGED(UNDRAINED, CLOSE),
	.now = LATE,
	.facts = {DELIVERED, UNREAD(0), .said_close = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(UNDRAINED, CLOSE)},
    {.story = "told to close, TLS, reset late: it was held",
	.before = JUDGED(UNDRAINED, CLOSE),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .said_close = true, .is_tls = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(UNDRAINED, CLOSE)},
    {.story = "the watcher answered after all",
	.before = HELD_BY_PROBE(WATCHER),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .caller_watches = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(DRAINED, PROBE)},
    {.story = "the watcher answered after all, over TLS by a reset",
	.before = HELD_BY_PROBE(WATCHER),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .caller_watches = true, .is_tls = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(DRAINED, PROBE)},
    {.story = "it answered late elsewhere: not a watcher",
	.before = HELD_BY_PROBE(WATCHER),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED},
	.wanted = JUDGED(SUSPECTED, PROBE)},
    {.story = "the watcher's process ended: that answers no probe",
	.before = HELD_BY_PROBE(WATCHER),
	.now = LATE,
	.facts = {DELIVERED, UNREAD(0), .caller_watches = true,
	    .owner_exited = true, ANSWERED_LATE_BY(ENDING_CLIENT_FIN)},
	.wanted = HELD_BY_PROBE(WATCHER)},
    {.story = "the watcher's process ended, over TLS by a reset",
	.before = HELD_BY_PROBE(WATCHER),
	.now = LATE,
	.facts = {DELIVERED, UNREAD(0), .caller_watches = true, .is_tls = true,
	    .owner_exited = true, ANSWERED_LATE_BY(ENDING_CLIENT_RST)},
	.wanted = HELD_BY_PROBE(WATCHER)},
    {.story = "stalled, it read all, and then its process ended",
	.before = JUDGED(UNDRAINED, STALLED),
	.now = LATE,
	.facts = {DELIVERED, UNREAD(0), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(DRAINED, CLOSED)},
    {.story = "suspected, and closed when its pool next looked",
	.before = JUDGED(SUSPECTED, PROBE),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_CLIENT_FIN)},
	.wanted = JUDGED(DRAINED, PROBE)},
    {.story = "suspected, and reset: the body was dropped",
	.before = JUDGED(SUSPECTED, PROBE),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_CLIENT_RST)},
	.wanted = JUDGED(ABANDONED, RESET)},
    {.story = "suspected, and then it sent the next request",
	.before = JUDGED(SUSPECTED, PROBE),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED, .was_reused = true},
	.wanted = JUDGED(DRAINED, REUSE)},
    {.story = "suspected, and the caller turned out to watch",
	.before = JUDGED(SUSPECTED, PROBE),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, .probed_at = PROBED,
	    .caller_watches = true},
	.wanted = HELD_BY_PROBE(WATCHER)},
    {.story = "suspected when we stopped",
	.before = JUDGED(SUSPECTED, PROBE),
	.now = LATE,
	.facts = {DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_OURS)},
	.wanted = JUDGED(UNPROVEN, NOTHING)},
};
/* clang-format on */

static const struct {
	const struct row *rows;
	size_t count;
} tables[] = {
    {client_rows, COUNT_OF(client_rows)},
    {plain_rows, COUNT_OF(plain_rows)},
    {reset_rows, COUNT_OF(reset_rows)},
    {revised_rows, COUNT_OF(revised_rows)},
};

static bool
is_same(struct judgement a, struct judgement b)
{
	return a.verdict == b.verdict && a.evidence == b.evidence &&
	    a.witness == b.witness;
}

static void
check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct judgement got = verdict_judge(
		    &row->facts, &row->before, &patience, row->now);

		if (!is_same(got, row->wanted))
			fail_msg("%s: %s by %s (witness %d), wanted %s by %s "
				 "(witness %d)",
			    row->story, verdict_word(got.verdict),
			    verdict_evidence_word(got.evidence), got.witness,
			    verdict_word(row->wanted.verdict),
			    verdict_evidence_word(row->wanted.evidence),
			    row->wanted.witness);
	}
}

static void
test_every_client_of_the_design(void **state)
{
	check_rows(client_rows, COUNT_OF(client_rows));
}

static void
test_first_judgements(void **state)
{
	check_rows(plain_rows, COUNT_OF(plain_rows));
}

static void
test_resets(void **state)
{
	check_rows(reset_rows, COUNT_OF(reset_rows));
}

static void
test_revisions(void **state)
{
	check_rows(revised_rows, COUNT_OF(revised_rows));
}

/* The tables themselves may be incomplete, and would be so in silence. */
static void
test_the_tables_leave_nothing_out(void **state)
{
	bool cells[CLIENT_COUNT][BODY_COUNT] = {{false}};
	bool verdicts[VERDICT_COUNT] = {false};
	bool evidence[EVIDENCE_COUNT] = {false};

	for (size_t i = 0; i < COUNT_OF(client_rows); i++)
		cells[client_rows[i].client][client_rows[i].body] = true;
	for (size_t i = 0; i < CLIENT_COUNT; i++) {
		for (size_t j = 0; j < BODY_COUNT; j++) {
			if (!cells[i][j])
				fail_msg("client %zu, body %zu", i, j);
		}
	}
	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		for (size_t j = 0; j < tables[i].count; j++) {
			verdicts[tables[i].rows[j].wanted.verdict] = true;
			evidence[tables[i].rows[j].wanted.evidence] = true;
		}
	}
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		if (!verdicts[i])
			fail_msg("%s", verdict_word((enum verdict)i));
	}
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (!evidence[i])
			fail_msg("%s", verdict_evidence_word((enum evidence)i));
	}
}

/* ---- patience, to the microsecond ---- */

static enum verdict
judge_at(const struct facts *facts, mono_us now)
{
	const struct judgement before = NOTHING_YET;

	return verdict_judge(facts, &before, &patience, now).verdict;
}

static void
test_a_stall_takes_its_time(void **state)
{
	const struct facts shut = {SHUT};
	const struct facts unread = {DELIVERED, UNREAD(1)};
	mono_us due = HANDED_OVER + patience.stall_after_us;

	assert_int_equal(judge_at(&shut, due - 1), VERDICT_OPEN);
	assert_int_equal(judge_at(&shut, due), VERDICT_UNDRAINED);
	assert_int_equal(judge_at(&unread, due - 1), VERDICT_OPEN);
	assert_int_equal(judge_at(&unread, due), VERDICT_UNDRAINED);
}

static void
test_the_grace_counts_from_our_fin(void **state)
{
	const struct facts facts = {DELIVERED, REMOTE, .probed_at = PROBED};
	mono_us due = PROBED + patience.probe_grace_us;

	assert_int_equal(judge_at(&facts, due - 1), VERDICT_OPEN);
	assert_int_equal(judge_at(&facts, due), VERDICT_SUSPECTED);
}

/* A large body, told to close: our FIN is queued long before the caller has
 * read so far.  It must not be blamed while it is still reading. */
static void
test_the_grace_counts_from_the_last_progress(void **state)
{
	const struct facts facts = {.has_body = true,
	    .is_complete = true,
	    .said_close = true,
	    REMOTE,
	    .probed_at = PROBED,
	    .progress_at = LATE};
	mono_us due = LATE + patience.probe_grace_us;

	assert_int_equal(
	    judge_at(&facts, PROBED + patience.probe_grace_us), VERDICT_OPEN);
	assert_int_equal(judge_at(&facts, due - 1), VERDICT_OPEN);
	assert_int_equal(judge_at(&facts, due), VERDICT_UNDRAINED);
}

/* ---- all combinations ---- */

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
    NOTHING_YET,
    JUDGED(SUSPECTED, PROBE),
    JUDGED(UNDRAINED, STALLED),
    JUDGED(UNDRAINED, UNREAD),
    JUDGED(UNDRAINED, CLOSE),
    HELD_BY_PROBE(UNREAD),
    HELD_BY_PROBE(WATCHER),
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

/* The only ways to call a live response held. */
static bool
may_accuse(const struct facts *facts, mono_us now)
{
	mono_us grace = patience.probe_grace_us;

	if (now - facts->progress_at >= patience.stall_after_us &&
	    (facts->waiting_bytes > 0 || facts->unread_bytes > 0))
		return true;
	return facts->probed_at != 0 && facts->is_complete &&
	    facts->waiting_bytes == 0 && now - facts->probed_at >= grace &&
	    now - facts->progress_at >= grace &&
	    (facts->said_close || facts->unread_bytes > 0 ||
		facts->caller_watches);
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
	if (got->verdict == VERDICT_OPEN || got->verdict == VERDICT_SUSPECTED)
		return "nothing is open after the end";
	if (is_held && before->verdict != VERDICT_UNDRAINED &&
	    got->evidence != EVIDENCE_EXIT)
		return "accused by the end of the connection";
	if (got->verdict == VERDICT_DRAINED &&
	    (facts->waiting_bytes > 0 || !facts->is_complete))
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
	    cmocka_unit_test(test_every_client_of_the_design),
	    cmocka_unit_test(test_first_judgements),
	    cmocka_unit_test(test_resets),
	    cmocka_unit_test(test_revisions),
	    cmocka_unit_test(test_the_tables_leave_nothing_out),
	    cmocka_unit_test(test_a_stall_takes_its_time),
	    cmocka_unit_test(test_the_grace_counts_from_our_fin),
	    cmocka_unit_test(test_the_grace_counts_from_the_last_progress),
	    cmocka_unit_test(test_no_combination_breaks_the_rules),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
