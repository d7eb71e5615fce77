/* SPDX-License-Identifier: MIT */

/*
 * The truth of the verdicts is the measure of this product: no drained
 * response may ever be called undrained, and every held one must be found.
 * Here the rules are pinned as tables: first every client of DESIGN §1 with a
 * small and with a large body, as the proxy sees it from near (a local caller,
 * whose receive queue can be asked) and from afar; then the revisions, where a
 * later fact takes a verdict back, or must not.
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
	struct judgement before;
	mono_us now;
	struct judgement wanted;
	struct facts facts;
};

struct client_row {
	const char *story;
	enum client client;
	enum body body;
	mono_us now;
	struct judgement wanted;
	struct facts facts;
};

/* The whole response was handed over, and its last byte acknowledged then. */
#define DELIVERED \
	.has_body = true, .is_complete = true, .progress_at = HANDED_OVER
#define REMOTE .unread_bytes = -1
#define UNREAD(bytes) .unread_bytes = (bytes)

/* The caller's window is shut, and the rest waits with us. */
#define SHUT                                                            \
	.has_body = true, .waiting_bytes = 54321, .unsent_bytes = 4321, \
	.unread_bytes = -1, .progress_at = HANDED_OVER

#define ANSWERED_BY(how) \
	.probed_at = PROBED, .ending = (how), .ended_at = ANSWERED
#define ANSWERED_LATE_BY(how) \
	.probed_at = PROBED, .ending = (how), .ended_at = LATE
#define ENDED_BY(how) .ending = (how), .ended_at = LATE

#define NOTHING_YET VERDICT_OPEN, EVIDENCE_NOTHING, WITNESS_NONE
#define JUDGED(verdict, evidence) \
	VERDICT_##verdict, EVIDENCE_##evidence, WITNESS_NONE
#define HELD_BY_PROBE(witness) \
	VERDICT_UNDRAINED, EVIDENCE_PROBE, WITNESS_##witness

#define CELL(name, size) #name ", " #size, CLIENT_##name, BODY_##size

static const struct client_row client_rows[] = {
    {CELL(GO_DRAINED, SMALL), ANSWERED, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(GO_DRAINED, LARGE), ANSWERED, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, REMOTE, ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(GO_DRAINED, SMALL), LATE, {JUDGED(DRAINED, REUSE)},
	{DELIVERED, REMOTE, .was_reused = true}},
    {CELL(GO_READ_TO_EOF, SMALL), ANSWERED, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, REMOTE, ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(GO_READ_TO_EOF, LARGE), ANSWERED, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(GO_NEVER_READ, SMALL), PROBED, {JUDGED(UNDRAINED, UNREAD)},
	{DELIVERED, UNREAD(1000)}},
    {CELL(GO_NEVER_READ, SMALL), PROBED, {JUDGED(UNDRAINED, UNREAD)},
	{DELIVERED, UNREAD(1022), .is_tls = true}},
    {CELL(GO_NEVER_READ, SMALL), OVERDUE, {JUDGED(SUSPECTED, PROBE)},
	{DELIVERED, REMOTE, .probed_at = PROBED}},
    {CELL(GO_NEVER_READ, SMALL), OVERDUE, {HELD_BY_PROBE(WATCHER)},
	{DELIVERED, REMOTE, .probed_at = PROBED, .caller_watches = true}},
    {CELL(GO_NEVER_READ, SMALL), OVERDUE, {JUDGED(UNDRAINED, CLOSE)},
	{DELIVERED, REMOTE, .probed_at = PROBED, .said_close = true}},
    {CELL(GO_NEVER_READ, LARGE), PROBED, {JUDGED(UNDRAINED, STALLED)}, {SHUT}},
    {CELL(GO_NEVER_READ, LARGE), PROBED, {JUDGED(UNDRAINED, STALLED)},
	{SHUT, .is_complete = true}},
    {CELL(GO_READ_IN_PART, SMALL), OVERDUE, {HELD_BY_PROBE(WATCHER)},
	{DELIVERED, UNREAD(0), .probed_at = PROBED, .caller_watches = true}},
    {CELL(GO_READ_IN_PART, SMALL), OVERDUE, {JUDGED(SUSPECTED, PROBE)},
	{DELIVERED, UNREAD(0), .probed_at = PROBED}},
    {CELL(GO_READ_IN_PART, SMALL), OVERDUE, {JUDGED(UNDRAINED, CLOSE)},
	{DELIVERED, UNREAD(0), .probed_at = PROBED, .said_close = true}},
    {CELL(GO_READ_IN_PART, LARGE), PROBED, {JUDGED(UNDRAINED, STALLED)},
	{SHUT}},
    {CELL(GO_CLOSED_UNREAD, SMALL), LATE, {JUDGED(ABANDONED, RESET)},
	{DELIVERED, UNREAD(1000), ENDED_BY(ENDING_CLIENT_RST)}},
    {CELL(GO_CLOSED_UNREAD, SMALL), LATE, {JUDGED(ABANDONED, RESET)},
	{DELIVERED, REMOTE, .is_tls = true, ENDED_BY(ENDING_CLIENT_RST)}},
    {CELL(GO_CLOSED_UNREAD, LARGE), LATE, {JUDGED(ABANDONED, RESET)},
	{SHUT, ENDED_BY(ENDING_CLIENT_RST)}},
    {CELL(GO_CLOSED_UNREAD, LARGE), LATE, {JUDGED(ABANDONED, EARLY_CLOSE)},
	{SHUT, .is_tls = true, ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(REQUESTS_DRAINED, SMALL), OVERDUE, {JUDGED(SUSPECTED, PROBE)},
	{DELIVERED, UNREAD(0), .probed_at = PROBED}},
    {CELL(REQUESTS_DRAINED, LARGE), OVERDUE, {JUDGED(SUSPECTED, PROBE)},
	{DELIVERED, REMOTE, .probed_at = PROBED}},
    {CELL(REQUESTS_DRAINED, LARGE), LATE, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, REMOTE, .said_close = true, ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(REQUESTS_NEVER_READ, SMALL), LATE, {JUDGED(UNDRAINED, UNREAD)},
	{DELIVERED, UNREAD(1000)}},
    {CELL(REQUESTS_NEVER_READ, LARGE), LATE, {JUDGED(UNDRAINED, STALLED)},
	{SHUT}},
    {CELL(HTTPURLCONNECTION_NEVER_READ, SMALL), LATE,
	{JUDGED(UNDRAINED, UNREAD)}, {DELIVERED, UNREAD(1000)}},
    {CELL(HTTPURLCONNECTION_NEVER_READ, SMALL), LATE,
	{JUDGED(UNDRAINED, CLOSE)},
	{DELIVERED, REMOTE, .probed_at = PROBED, .said_close = true}},
    {CELL(HTTPURLCONNECTION_NEVER_READ, LARGE), LATE,
	{JUDGED(UNDRAINED, STALLED)}, {SHUT}},
    {CELL(HTTPURLCONNECTION_DRAINED, SMALL), ANSWERED, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(HTTPURLCONNECTION_DRAINED, LARGE), OVERDUE,
	{JUDGED(SUSPECTED, PROBE)},
	{DELIVERED, UNREAD(0), .probed_at = PROBED}},
    {CELL(HTTPURLCONNECTION_DRAINED, LARGE), LATE, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, UNREAD(0), .said_close = true,
	    ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(LIBRARY_READS_AHEAD, SMALL), ANSWERED, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, UNREAD(0), ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {CELL(LIBRARY_READS_AHEAD, SMALL), LATE, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, UNREAD(0), ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(LIBRARY_READS_AHEAD, LARGE), LATE, {JUDGED(UNDRAINED, STALLED)},
	{SHUT}},
    {CELL(FETCH_DRAINED, SMALL), LATE, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, UNREAD(0), ENDED_BY(ENDING_CLIENT_FIN)}},
    {CELL(FETCH_DRAINED, LARGE), LATE, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, REMOTE, ENDED_BY(ENDING_CLIENT_FIN)}},
};

/* What is known before the facts that these rows add. */
static const struct row plain_rows[] = {
    {"no body, whatever else", {NOTHING_YET}, LATE, {JUDGED(NONE, NOTHING)},
	{.is_complete = true,
	    .waiting_bytes = 9,
	    UNREAD(9),
	    .probed_at = PROBED,
	    .said_close = true,
	    .caller_watches = true}},
    {"still flowing", {NOTHING_YET}, HANDED_OVER + US_PER_S,
	{JUDGED(OPEN, NOTHING)}, {SHUT}},
    {"the origin is slow, and the caller has taken all there is", {NOTHING_YET},
	LATE, {JUDGED(OPEN, NOTHING)},
	{.has_body = true, .progress_at = HANDED_OVER, REMOTE}},
    {"slow origin, local caller", {NOTHING_YET}, LATE, {JUDGED(OPEN, NOTHING)},
	{.has_body = true, .progress_at = HANDED_OVER, UNREAD(0)}},
    {"delivered, and nothing seen since", {NOTHING_YET}, LATE,
	{JUDGED(OPEN, NOTHING)}, {DELIVERED, REMOTE}},
    {"told to close, and our FIN is not out yet", {NOTHING_YET}, LATE,
	{JUDGED(OPEN, NOTHING)}, {DELIVERED, REMOTE, .said_close = true}},
    {"a watcher, and no probe yet", {NOTHING_YET}, LATE,
	{JUDGED(OPEN, NOTHING)}, {DELIVERED, REMOTE, .caller_watches = true}},
    {"our FIN waits behind the body", {NOTHING_YET},
	HANDED_OVER + 29 * US_PER_S, {JUDGED(OPEN, NOTHING)},
	{SHUT, .is_complete = true, .said_close = true,
	    .probed_at = HANDED_OVER}},
    {"unread, for less than stall-after", {NOTHING_YET}, PROBED - 1,
	{JUDGED(OPEN, NOTHING)}, {DELIVERED, UNREAD(1000)}},
    {"unknown unread bytes are no witness", {NOTHING_YET}, LATE,
	{JUDGED(SUSPECTED, PROBE)}, {DELIVERED, REMOTE, .probed_at = PROBED}},
    {"unread before stall-after, but the probe is overdue", {NOTHING_YET},
	HANDED_OVER + 6 * US_PER_S, {HELD_BY_PROBE(UNREAD)},
	{DELIVERED, UNREAD(1000), .probed_at = HANDED_OVER + US_PER_S}},
    {"unread is the better witness of two", {NOTHING_YET},
	HANDED_OVER + 6 * US_PER_S, {HELD_BY_PROBE(UNREAD)},
	{DELIVERED, UNREAD(1), .probed_at = HANDED_OVER + US_PER_S,
	    .caller_watches = true}},
    {"told to close, and yet to read: it may think for a while", {NOTHING_YET},
	HANDED_OVER + 6 * US_PER_S, {JUDGED(OPEN, NOTHING)},
	{DELIVERED, UNREAD(1000), .probed_at = HANDED_OVER,
	    .said_close = true}},
    {"told to close, and never read: unread says it", {NOTHING_YET}, LATE,
	{JUDGED(UNDRAINED, UNREAD)},
	{DELIVERED, UNREAD(1000), .probed_at = HANDED_OVER,
	    .said_close = true}},
    {"the origin broke off, and the caller lets it lie", {NOTHING_YET}, OVERDUE,
	{JUDGED(SUSPECTED, PROBE)},
	{.has_body = true,
	    .is_truncated = true,
	    .progress_at = HANDED_OVER,
	    .probed_at = PROBED,
	    UNREAD(0)}},
    {"said_close beats suspicion", {NOTHING_YET}, OVERDUE,
	{JUDGED(UNDRAINED, CLOSE)},
	{DELIVERED, REMOTE, .probed_at = PROBED, .said_close = true}},
    {"said_close needs no second witness, and takes none", {NOTHING_YET},
	OVERDUE, {JUDGED(UNDRAINED, CLOSE)},
	{DELIVERED, UNREAD(0), .probed_at = PROBED, .said_close = true,
	    .caller_watches = true}},
    {"told to close before its request has ended: it owes that, and may have "
     "read all",
	{NOTHING_YET}, OVERDUE, {JUDGED(OPEN, NOTHING)},
	{DELIVERED, UNREAD(0), .probed_at = PROBED, .said_close = true,
	    .is_early = true}},
    {"before its request has ended, and never read", {NOTHING_YET}, LATE,
	{JUDGED(UNDRAINED, UNREAD)},
	{DELIVERED, UNREAD(1000), .probed_at = HANDED_OVER, .said_close = true,
	    .is_early = true}},
    {"waiting bytes come before unread ones", {NOTHING_YET}, LATE,
	{JUDGED(UNDRAINED, STALLED)},
	{DELIVERED, UNREAD(65536), .waiting_bytes = 4096}},
    {"gone before the whole body came", {NOTHING_YET}, LATE,
	{JUDGED(ABANDONED, EARLY_CLOSE)},
	{.has_body = true,
	    REMOTE,
	    .progress_at = HANDED_OVER,
	    ENDED_BY(ENDING_CLIENT_FIN)}},
    {"gone with bytes on their way", {NOTHING_YET}, LATE,
	{JUDGED(ABANDONED, EARLY_CLOSE)},
	{SHUT, .is_complete = true, ENDED_BY(ENDING_CLIENT_FIN)}},
    {"told to close, it closed after our FIN: no probe that", {NOTHING_YET},
	ANSWERED, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, REMOTE, .said_close = true,
	    ANSWERED_BY(ENDING_CLIENT_FIN)}},
    {"we stopped first", {NOTHING_YET}, LATE, {JUDGED(UNPROVEN, NOTHING)},
	{DELIVERED, REMOTE, ENDED_BY(ENDING_OURS)}},
    {"a truncated origin, and we closed", {NOTHING_YET}, LATE,
	{JUDGED(UNPROVEN, NOTHING)},
	{.has_body = true,
	    .is_truncated = true,
	    REMOTE,
	    ENDED_BY(ENDING_OURS)}},
    {"a truncated origin is not the caller's early close", {NOTHING_YET}, LATE,
	{JUDGED(UNPROVEN, NOTHING)},
	{.has_body = true,
	    .is_truncated = true,
	    REMOTE,
	    ENDED_BY(ENDING_CLIENT_FIN)}},
    {"... nor its reset", {NOTHING_YET}, LATE, {JUDGED(UNPROVEN, NOTHING)},
	{.has_body = true,
	    .is_truncated = true,
	    UNREAD(7),
	    ENDED_BY(ENDING_CLIENT_RST)}},
};

static const struct row reset_rows[] = {
    {"plain: a reset after our FIN drops the body", {NOTHING_YET}, ANSWERED,
	{JUDGED(ABANDONED, RESET)},
	{DELIVERED, REMOTE, ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS: what lay unread may be our close_notify", {NOTHING_YET}, ANSWERED,
	{JUDGED(DRAINED, PROBE)},
	{DELIVERED, REMOTE, .is_tls = true, ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS: and the local caller is known to have read all", {NOTHING_YET},
	ANSWERED, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, UNREAD(0), .is_tls = true, ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS, told to close", {NOTHING_YET}, ANSWERED, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, REMOTE, .is_tls = true, .said_close = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS: but the body is known to lie unread", {NOTHING_YET}, ANSWERED,
	{JUDGED(ABANDONED, RESET)},
	{DELIVERED, UNREAD(1), .is_tls = true, ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS: unread when last looked at, but that was just then", {NOTHING_YET},
	ANSWERED, {JUDGED(DRAINED, PROBE)},
	{.has_body = true,
	    .is_complete = true,
	    UNREAD(1022),
	    .is_tls = true,
	    .progress_at = ANSWERED - 250 * US_PER_MS + 1,
	    ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS: unread when last looked at, and left so", {NOTHING_YET}, ANSWERED,
	{JUDGED(ABANDONED, RESET)},
	{.has_body = true,
	    .is_complete = true,
	    UNREAD(1022),
	    .is_tls = true,
	    .progress_at = ANSWERED - 250 * US_PER_MS,
	    ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS: but no close_notify was sent yet", {NOTHING_YET}, LATE,
	{JUDGED(ABANDONED, RESET)},
	{DELIVERED, UNREAD(0), .is_tls = true, ENDED_BY(ENDING_CLIENT_RST)}},
    {"TLS: ours answered a half-close of the caller's", {NOTHING_YET}, LATE,
	{JUDGED(DRAINED, CLOSED)},
	{DELIVERED, UNREAD(0), .is_tls = true, .is_our_end_out = true,
	    ENDED_BY(ENDING_CLIENT_RST)}},
    {"TLS: what was on the wire arrived before the close_notify", {NOTHING_YET},
	ANSWERED, {JUDGED(DRAINED, PROBE)},
	{.has_body = true,
	    .is_complete = true,
	    .waiting_bytes = 1174,
	    .unread_bytes = -1,
	    .progress_at = HANDED_OVER,
	    .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"TLS: but bytes of the body still wait", {NOTHING_YET}, ANSWERED,
	{JUDGED(ABANDONED, RESET)},
	{SHUT, .is_complete = true, .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"unread when the process ended", {NOTHING_YET}, LATE,
	{JUDGED(UNDRAINED, EXIT)},
	{DELIVERED, UNREAD(1000), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_RST)}},
    {"TLS, unread when the process ended after our FIN", {NOTHING_YET}, LATE,
	{JUDGED(UNDRAINED, EXIT)},
	{DELIVERED, UNREAD(1022), .owner_exited = true, .is_tls = true,
	    ANSWERED_BY(ENDING_CLIENT_RST)}},
    {"unread when the process ended, but read from a moment before",
	{NOTHING_YET}, HANDED_OVER + 250 * US_PER_MS - 1,
	{JUDGED(ABANDONED, RESET)},
	{DELIVERED, UNREAD(1000), .owner_exited = true,
	    .ending = ENDING_CLIENT_RST}},
    {"untouched for a while when the process ended", {NOTHING_YET},
	HANDED_OVER + 250 * US_PER_MS, {JUDGED(UNDRAINED, EXIT)},
	{DELIVERED, UNREAD(1000), .owner_exited = true,
	    .ending = ENDING_CLIENT_RST}},
    {"the process ended by a reset with all read", {NOTHING_YET}, LATE,
	{JUDGED(ABANDONED, RESET)},
	{DELIVERED, UNREAD(0), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_RST)}},
    {"the process ended with all read", {NOTHING_YET}, LATE,
	{JUDGED(DRAINED, CLOSED)},
	{DELIVERED, UNREAD(0), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_FIN)}},
    {"the process ended, and what was unread is not known", {NOTHING_YET}, LATE,
	{JUDGED(ABANDONED, RESET)},
	{DELIVERED, REMOTE, .owner_exited = true, ENDED_BY(ENDING_CLIENT_RST)}},
};

static const struct row revised_rows[] = {
    {"a stalled reader read on", {JUDGED(UNDRAINED, STALLED)}, LATE + US_PER_S,
	{JUDGED(OPEN, NOTHING)},
	{.has_body = true,
	    .waiting_bytes = 54321,
	    REMOTE,
	    .progress_at = LATE}},
    {"... and stalled again", {NOTHING_YET}, LATE + 30 * US_PER_S,
	{JUDGED(UNDRAINED, STALLED)},
	{.has_body = true,
	    .waiting_bytes = 54321,
	    REMOTE,
	    .progress_at = LATE}},
    {"... or read all and closed", {JUDGED(UNDRAINED, STALLED)}, LATE,
	{JUDGED(DRAINED, CLOSED)},
	{DELIVERED, REMOTE, ENDED_BY(ENDING_CLIENT_FIN)}},
    {"... or read all and sent the next request", {JUDGED(UNDRAINED, STALLED)},
	LATE, {JUDGED(DRAINED, REUSE)},
	{DELIVERED, REMOTE, .was_reused = true}},
    {"unread, then read", {JUDGED(UNDRAINED, UNREAD)}, LATE,
	{JUDGED(OPEN, NOTHING)}, {DELIVERED, UNREAD(0)}},
    {"stalled, and closed with bytes waiting: it was held",
	{JUDGED(UNDRAINED, STALLED)}, LATE, {JUDGED(UNDRAINED, STALLED)},
	{SHUT, ENDED_BY(ENDING_CLIENT_FIN)}},
    {"stalled, then reset: it was held", {JUDGED(UNDRAINED, STALLED)}, LATE,
	{JUDGED(UNDRAINED, STALLED)}, {SHUT, ENDED_BY(ENDING_CLIENT_RST)}},
    {"unread, then reset: it was held", {JUDGED(UNDRAINED, UNREAD)}, LATE,
	{JUDGED(UNDRAINED, UNREAD)},
	{DELIVERED, UNREAD(1000), ENDED_BY(ENDING_CLIENT_RST)}},
    {"unread, then the process ended: the first evidence stays",
	{JUDGED(UNDRAINED, UNREAD)}, LATE, {JUDGED(UNDRAINED, UNREAD)},
	{DELIVERED, UNREAD(1000), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_RST)}},
    {"held, then the origin broke off", {JUDGED(UNDRAINED, STALLED)}, LATE,
	{JUDGED(UNDRAINED, STALLED)},
	{SHUT, .is_truncated = true, ENDED_BY(ENDING_OURS)}},
    {"held when we stopped", {HELD_BY_PROBE(WATCHER)}, LATE,
	{HELD_BY_PROBE(WATCHER)},
	{DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_OURS)}},
    {"told to close, it closed late: it was held", {JUDGED(UNDRAINED, CLOSE)},
	LATE, {JUDGED(UNDRAINED, CLOSE)},
	{DELIVERED, UNREAD(0), .said_close = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_FIN)}},
    {"told to close, TLS, reset late: it was held", {JUDGED(UNDRAINED, CLOSE)},
	LATE, {JUDGED(UNDRAINED, CLOSE)},
	{DELIVERED, REMOTE, .said_close = true, .is_tls = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_RST)}},
    {"the watcher answered after all", {HELD_BY_PROBE(WATCHER)}, LATE,
	{JUDGED(DRAINED, PROBE)},
	{DELIVERED, REMOTE, .caller_watches = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_FIN)}},
    {"the watcher answered after all, over TLS by a reset",
	{HELD_BY_PROBE(WATCHER)}, LATE, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, REMOTE, .caller_watches = true, .is_tls = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_RST)}},
    {"it answered late elsewhere: not a watcher", {HELD_BY_PROBE(WATCHER)},
	LATE, {JUDGED(SUSPECTED, PROBE)},
	{DELIVERED, REMOTE, .probed_at = PROBED}},
    {"unread, then read over TLS, and a reset for our close_notify",
	{JUDGED(UNDRAINED, UNREAD)}, LATE, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, UNREAD(0), .is_tls = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_RST)}},
    {"the watcher's process ended: that answers no probe",
	{HELD_BY_PROBE(WATCHER)}, LATE, {HELD_BY_PROBE(WATCHER)},
	{DELIVERED, UNREAD(0), .caller_watches = true, .owner_exited = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_FIN)}},
    {"the watcher's process ended, over TLS by a reset",
	{HELD_BY_PROBE(WATCHER)}, LATE, {HELD_BY_PROBE(WATCHER)},
	{DELIVERED, UNREAD(0), .caller_watches = true, .is_tls = true,
	    .owner_exited = true, ANSWERED_LATE_BY(ENDING_CLIENT_RST)}},
    {"stalled, it read all, and then its process ended",
	{JUDGED(UNDRAINED, STALLED)}, LATE, {JUDGED(DRAINED, CLOSED)},
	{DELIVERED, UNREAD(0), .owner_exited = true,
	    ENDED_BY(ENDING_CLIENT_FIN)}},
    {"suspected, and closed when its pool next looked",
	{JUDGED(SUSPECTED, PROBE)}, LATE, {JUDGED(DRAINED, PROBE)},
	{DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_CLIENT_FIN)}},
    {"suspected, and reset: the body was dropped", {JUDGED(SUSPECTED, PROBE)},
	LATE, {JUDGED(ABANDONED, RESET)},
	{DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_CLIENT_RST)}},
    {"suspected, and then it sent the next request", {JUDGED(SUSPECTED, PROBE)},
	LATE, {JUDGED(DRAINED, REUSE)},
	{DELIVERED, REMOTE, .probed_at = PROBED, .was_reused = true}},
    {"suspected, and the caller turned out to watch",
	{JUDGED(SUSPECTED, PROBE)}, LATE, {HELD_BY_PROBE(WATCHER)},
	{DELIVERED, REMOTE, .probed_at = PROBED, .caller_watches = true}},
    {"suspected, and then its process ended: that answers nothing",
	{JUDGED(SUSPECTED, PROBE)}, LATE, {JUDGED(SUSPECTED, PROBE)},
	{DELIVERED, UNREAD(0), .owner_exited = true,
	    ANSWERED_LATE_BY(ENDING_CLIENT_FIN)}},
    {"suspected when we stopped", {JUDGED(SUSPECTED, PROBE)}, LATE,
	{JUDGED(UNPROVEN, NOTHING)},
	{DELIVERED, REMOTE, ANSWERED_LATE_BY(ENDING_OURS)}},
};

static const struct {
	const struct row *rows;
	size_t count;
} tables[] = {
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
check_row(const struct row *row)
{
	struct judgement got =
	    verdict_judge(&row->facts, &row->before, &patience, row->now);

	if (!is_same(got, row->wanted))
		fail_msg("%s: %s by %s (witness %d), wanted %s by %s "
			 "(witness %d)",
		    row->story, verdict_word(got.verdict),
		    verdict_evidence_word(got.evidence), got.witness,
		    verdict_word(row->wanted.verdict),
		    verdict_evidence_word(row->wanted.evidence),
		    row->wanted.witness);
}

static void
test_every_client_of_the_design(void **state)
{
	for (size_t i = 0; i < COUNT_OF(client_rows); i++) {
		const struct client_row *cell = &client_rows[i];

		check_row(&(struct row){cell->story, {NOTHING_YET}, cell->now,
		    cell->wanted, cell->facts});
	}
}

static void
test_later_facts(void **state)
{
	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		for (size_t j = 0; j < tables[i].count; j++)
			check_row(&tables[i].rows[j]);
	}
}

/* The tables themselves may be incomplete, and would be so in silence. */
static void
test_the_tables_leave_nothing_out(void **state)
{
	bool cells[CLIENT_COUNT][BODY_COUNT] = {{false}};
	bool verdicts[VERDICT_COUNT] = {false};
	bool evidence[EVIDENCE_COUNT] = {false};

	for (size_t i = 0; i < COUNT_OF(client_rows); i++) {
		const struct client_row *cell = &client_rows[i];

		cells[cell->client][cell->body] = true;
		verdicts[cell->wanted.verdict] = true;
		evidence[cell->wanted.evidence] = true;
	}
	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		for (size_t j = 0; j < tables[i].count; j++) {
			verdicts[tables[i].rows[j].wanted.verdict] = true;
			evidence[tables[i].rows[j].wanted.evidence] = true;
		}
	}
	for (size_t i = 0; i < CLIENT_COUNT * BODY_COUNT; i++) {
		if (!cells[i / BODY_COUNT][i % BODY_COUNT])
			fail_msg("client %zu, body %zu", i / BODY_COUNT,
			    i % BODY_COUNT);
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
	const struct judgement before = {NOTHING_YET};

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_client_of_the_design),
	    cmocka_unit_test(test_later_facts),
	    cmocka_unit_test(test_the_tables_leave_nothing_out),
	    cmocka_unit_test(test_a_stall_takes_its_time),
	    cmocka_unit_test(test_the_grace_counts_from_our_fin),
	    cmocka_unit_test(test_the_grace_counts_from_the_last_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
