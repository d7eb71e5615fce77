/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_VERDICT_H
#define ACCOUNTING_VERDICT_H

/*
 * The rules by which a response is judged (DESIGN §2): facts and time go in,
 * a verdict and what it rests on come out.  Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "accounting/units.h"

enum verdict {
#define VERDICT(name, word, meaning) VERDICT_##name,
#include "accounting/verdicts.def"
#undef VERDICT
	VERDICT_COUNT
} ONE_BYTE;

enum evidence {
#define EVIDENCE(name, word, meaning) EVIDENCE_##name,
#include "accounting/evidence.def"
#undef EVIDENCE
	EVIDENCE_COUNT
} ONE_BYTE;

/* How a connection under a response ended. */
enum ending {
	ENDING_NOT_YET,
	ENDING_CLIENT_FIN, /* the caller closed its side */
	ENDING_CLIENT_RST, /* the caller's kernel sent RST */
	ENDING_OURS,       /* we closed it: error, truncation, shutdown */
} ONE_BYTE;

/* The second half of an unanswered probe: who else says "held"? */
enum witness {
	WITNESS_NONE,
	WITNESS_UNREAD,  /* bytes of the body in the local peer's socket */
	WITNESS_WATCHER, /* this caller answers probes promptly, always */
} ONE_BYTE;

struct judgement {
	enum verdict verdict;
	enum evidence evidence;
	enum witness witness; /* for an undrained verdict by probe */
};

/*
 * What is known of one response and of its connection since.  Times are 0
 * where the thing has not happened.
 */
struct facts {
	bool has_body;
	bool is_complete;    /* the whole message was handed to the socket */
	bool is_truncated;   /* the origin broke off: not the caller's doing */
	bool said_close;     /* the response carried Connection: close */
	bool is_early;       /* its request has not ended yet: the caller may
	                       keep the connection to send the rest */
	bool is_tls;         /* our end adds a close_notify the client may
	                       leave unread */
	bool is_our_end_out; /* our FIN, whether it asked or answered */
	bool was_reused;     /* the next request came after this response */
	bool caller_watches; /* the caller watches its idle connections */
	bool owner_exited;   /* the process was ending when the socket did */
	enum ending ending;
	/* of sockets' queues, which are far below 2 GiB: */
	int32_t waiting_bytes; /* handed over, not yet ACKed */
	int32_t unsent_bytes;  /* of these, not yet on the wire */
	int32_t unread_bytes;  /* in the local peer's receive queue; -1 where
	                          that cannot be known */
	mono_us progress_at;   /* when the caller last took something */
	mono_us probed_at;     /* our FIN */
	mono_us ended_at;
};

struct patience {
	mono_us stall_after_us;
	mono_us probe_grace_us;
};

/*
 * Judges.  `before` is the last judgement of the same response: what was
 * proven held stays so when its connection ends, and is revised only by the
 * facts that DESIGN §2 names.
 */
struct judgement verdict_judge(const struct facts *facts,
    const struct judgement *before, const struct patience *patience,
    mono_us now);

/* Words, as in JSON and metrics; never NULL. */
const char *verdict_word(enum verdict verdict);
const char *verdict_meaning(enum verdict verdict);
const char *verdict_evidence_word(enum evidence evidence);
const char *verdict_evidence_meaning(enum evidence evidence);

/* Finds the verdict with this word.  Returns false where there is none. */
bool verdict_from_word(const char *word, enum verdict *verdict) MUST_CHECK;

#endif
