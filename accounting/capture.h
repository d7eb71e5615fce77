/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_CAPTURE_H
#define ACCOUNTING_CAPTURE_H

/*
 * What is kept of messages, so that a leak can be shown and reproduced: heads
 * without their secrets, and as much of the bodies as was asked for.
 *
 * A shelf holds the captures of one shard within a bound.  When it is full,
 * those go first whose exchange is settled, then those that are still open,
 * and evidence last; in each, the oldest first.  The worker's thread; a copy
 * is on no shelf and belongs to whoever made it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounting/units.h"

struct pack;
struct secrets;

struct capture_config {
	size_t memory_bytes;           /* of this shelf; 0: nothing is kept */
	size_t body_bytes;             /* of each body, below 4 GiB; 0: heads
	                                  alone */
	const struct secrets *secrets; /* borrowed, outlives; NULL: built in */
};

enum capture_side {
	CAPTURE_REQUEST,
	CAPTURE_RESPONSE,
};

/* How much it is worth, from the least. */
enum capture_worth {
	CAPTURE_SETTLED,
	CAPTURE_OPEN,
	CAPTURE_EVIDENCE,
	CAPTURE_WORTHS
};

struct capture_field {
	const char *name; /* as it came */
	const char *value;
};

/* One message.  `head` is NULL where none has come, or it was not kept. */
struct capture_message {
	char *head; /* lines, the reason's and then a field's each, with a NUL
	               behind the reason, each name and each value */
	char *body; /* as far as it was kept, unframed */
	uint32_t head_bytes;
	uint32_t body_bytes;
	uint32_t body_size; /* allocated */
	uint8_t http_minor; /* of HTTP/1.x */
	bool is_cut;        /* a piece found no room: the body ends before it */
};

struct capture_shelf;
struct capture;

/* Free with capture_shelf_free(), after all of its captures. */
struct capture_shelf *capture_shelf_new(const struct capture_config *config);
void capture_shelf_free(struct capture_shelf *shelf);

/* What is kept now; never above the bound. */
size_t capture_shelf_used_bytes(const struct capture_shelf *shelf);

/*
 * Takes down a head, field by field: each side at most once.  *slot is where
 * the exchange has its capture, NULL before the first; it becomes NULL again
 * when the capture has to make room for others.  capture_end_head() must
 * follow at once, before another head is begun.
 */
void capture_begin_head(struct capture_shelf *shelf, unsigned http_minor,
    const char *reason, size_t reason_length);
void capture_add_field(struct capture_shelf *shelf, const char *name,
    size_t name_length, const char *value, size_t value_length);
void capture_end_head(
    struct capture_shelf *shelf, struct capture **slot, enum capture_side side);

/*
 * The same for a head that has nothing to hide, for a third of the price: all
 * its lines at once, from the reason to the last field's CRLF, and then where
 * in them the reason, and each name and value, has its end.
 */
void capture_begin_lines(struct capture_shelf *shelf, unsigned http_minor,
    const char *lines, size_t length, size_t reason_end);
void capture_split_line(
    struct capture_shelf *shelf, size_t name_end, size_t value_end);

/* Whether no field of these lines, whatever its name, has a value in which
 * something must be hidden. */
bool capture_are_values_plain(const char *lines, size_t length);

/* Whether this field may be shown as it is. */
bool capture_is_name_plain(
    struct capture_shelf *shelf, const char *name, size_t length);
bool capture_is_value_plain(
    const struct capture_shelf *shelf, const char *value, size_t length);

/* A piece of a body came; what is beyond the bounds is not kept. */
void capture_add_body(struct capture *capture, enum capture_side side,
    const char *bytes, size_t length);

void capture_set_worth(struct capture *capture, enum capture_worth worth);

/* Returns a copy, or NULL of NULL.  Free with capture_free(). */
struct capture *capture_copy(const struct capture *capture);

/* Returns a copy in the pack's room, or NULL of NULL and where there is none.
 * It goes with the room. */
struct capture *capture_pack(const struct capture *capture, struct pack *pack);

/* Takes it off its shelf, if it is on one. */
void capture_free(struct capture *capture);

/* Borrowed. */
const struct capture_message *capture_message(
    const struct capture *capture, enum capture_side side);

/* The reason phrase, "" without one. */
const char *capture_reason(const struct capture_message *message);

/*
 * Walks the fields in their order: `at` is 0 at first, and moved on.  Returns
 * false at the end.
 */
bool capture_next_field(const struct capture_message *message, size_t *at,
    struct capture_field *field) MUST_CHECK;

/* Returns the value of the first field of that name, without case, or NULL. */
const char *capture_find(
    const struct capture_message *message, const char *name);

#endif
