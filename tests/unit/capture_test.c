/* SPDX-License-Identifier: MIT */

/*
 * A leak shows itself half a minute after its response, and by then a busy
 * proxy has seen ten thousand others.  The shelf must have kept that one, and
 * must not have grown: so what is settled goes first, evidence last, and the
 * bound holds after every step, whatever the order of things.
 */

#include "accounting/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY_BYTES 16384
#define SLOTS 64
#define HAMMER_ROUNDS 200000

static struct capture_shelf *
shelf_of(size_t memory_bytes, size_t body_bytes)
{
	return capture_shelf_new(&(struct capture_config){
	    .memory_bytes = memory_bytes, .body_bytes = body_bytes});
}

/* Takes a head with one field, whose value has `length` letters. */
static void
take(struct capture_shelf *shelf, struct capture **slot, enum capture_side side,
    size_t length)
{
	char value[2048];

	assert_true(length < sizeof(value));
	memset(value, 'x', length);
	capture_begin_head(shelf, 1, "OK", 2);
	capture_add_field(shelf, "X-Padding", 9, value, length);
	capture_end_head(shelf, slot, side);
}

static void
test_heads_keep_their_order(void **state)
{
	struct capture_shelf *shelf = shelf_of(MEMORY_BYTES, 0);
	struct capture *slot = NULL;
	const struct capture_message *message;
	struct capture_field field;
	size_t at = 0;

	capture_begin_head(shelf, 0, "Not Found!", 9);
	capture_add_field(shelf, "B: 2", 1, "two", 3);
	capture_add_field(shelf, "A", 1, "", 0);
	capture_add_field(shelf, "b", 1, "again", 5);
	capture_add_field(shelf, "Cookie", 6, "k=hush", 6);
	capture_end_head(shelf, &slot, CAPTURE_RESPONSE);
	assert_non_null(slot);
	message = capture_message(slot, CAPTURE_RESPONSE);
	assert_int_equal(message->http_minor, 0);
	assert_string_equal(capture_reason(message), "Not Found");
	assert_string_equal(capture_find(message, "b"), "two");
	assert_string_equal(capture_find(message, "a"), "");
	assert_string_equal(capture_find(message, "cookie"), "k=REDACTED");
	assert_null(capture_find(message, "c"));
	assert_true(capture_next_field(message, &at, &field));
	assert_string_equal(field.name, "B");
	assert_true(capture_next_field(message, &at, &field));
	assert_string_equal(field.name, "A");
	assert_true(capture_next_field(message, &at, &field));
	assert_string_equal(field.value, "again");
	assert_true(capture_next_field(message, &at, &field));
	assert_false(capture_next_field(message, &at, &field));
	message = capture_message(slot, CAPTURE_REQUEST);
	at = 0;
	assert_false(capture_next_field(message, &at, &field));
	assert_string_equal(capture_reason(message), "");
	capture_free(slot);
	assert_null(slot);
	assert_int_equal(capture_shelf_used_bytes(shelf), 0);
	capture_shelf_free(shelf);
}

/* Nobody gets a head past the end of another by a NUL in it. */
static void
test_a_nul_ends_a_string(void **state)
{
	struct capture_shelf *shelf = shelf_of(MEMORY_BYTES, 0);
	struct capture *slot = NULL;

	capture_begin_head(shelf, 1, "OK", 2);
	capture_add_field(shelf, "A", 1, "x\0y", 3);
	capture_add_field(shelf, "B", 1, "z", 1);
	capture_end_head(shelf, &slot, CAPTURE_REQUEST);
	assert_string_equal(
	    capture_find(capture_message(slot, CAPTURE_REQUEST), "B"), "z");
	capture_free(slot);
	capture_shelf_free(shelf);
}

static void
test_bodies(void **state)
{
	struct capture_shelf *shelf = shelf_of(MEMORY_BYTES, 5000);
	struct capture *slot = NULL;
	const struct capture_message *message;
	char piece[1500];
	struct capture *copy;

	memset(piece, 'y', sizeof(piece));
	take(shelf, &slot, CAPTURE_REQUEST, 10);
	capture_add_body(slot, CAPTURE_REQUEST, "abc", 3);
	capture_add_body(slot, CAPTURE_REQUEST, "def", 3);
	for (int i = 0; i < 5; i++)
		capture_add_body(slot, CAPTURE_RESPONSE, piece, sizeof(piece));
	message = capture_message(slot, CAPTURE_REQUEST);
	assert_int_equal(message->body_bytes, 6);
	assert_memory_equal(message->body, "abcdef", 6);
	message = capture_message(slot, CAPTURE_RESPONSE);
	assert_int_equal(message->body_bytes, 5000);
	copy = capture_copy(slot);
	capture_free(slot);
	assert_memory_equal(
	    capture_message(copy, CAPTURE_REQUEST)->body, "abcdef", 6);
	capture_free(copy);
	assert_null(capture_copy(NULL));
	capture_free(NULL);
	capture_set_worth(NULL, CAPTURE_EVIDENCE);
	capture_shelf_free(shelf);
}

static void
test_no_bodies_unasked(void **state)
{
	struct capture_shelf *shelf = shelf_of(MEMORY_BYTES, 0);
	struct capture *slot = NULL;

	take(shelf, &slot, CAPTURE_REQUEST, 10);
	capture_add_body(slot, CAPTURE_REQUEST, "abc", 3);
	assert_null(capture_message(slot, CAPTURE_REQUEST)->body);
	capture_free(slot);
	capture_shelf_free(shelf);
}

/* A piece that found no room ends the body: no later one may stand there. */
static void
test_a_body_has_no_holes(void **state)
{
	struct capture_shelf *shelf = shelf_of(4096, 100000);
	struct capture *slot = NULL;
	char piece[3000];

	memset(piece, 'y', sizeof(piece));
	take(shelf, &slot, CAPTURE_REQUEST, 10);
	capture_add_body(slot, CAPTURE_RESPONSE, "abc", 3);
	capture_add_body(slot, CAPTURE_RESPONSE, piece, sizeof(piece));
	capture_add_body(slot, CAPTURE_RESPONSE, "def", 3);
	assert_int_equal(
	    capture_message(slot, CAPTURE_RESPONSE)->body_bytes, 3);
	assert_true(capture_shelf_used_bytes(shelf) <= 4096);
	capture_free(slot);
	capture_shelf_free(shelf);
}

static void
release(struct capture **slots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		capture_free(slots[i]);
}

static void
test_what_is_settled_goes_first(void **state)
{
	struct capture_shelf *shelf = shelf_of(MEMORY_BYTES, 0);
	struct capture *slots[SLOTS] = {NULL};

	for (size_t i = 0; i < 3; i++)
		take(shelf, &slots[i], CAPTURE_REQUEST, 1000);
	capture_set_worth(slots[0], CAPTURE_EVIDENCE);
	capture_set_worth(slots[2], CAPTURE_SETTLED);
	for (size_t i = 3; i < SLOTS; i++) {
		take(shelf, &slots[i], CAPTURE_REQUEST, 1000);
		assert_non_null(slots[i]);
		assert_true(capture_shelf_used_bytes(shelf) <= MEMORY_BYTES);
		if (slots[1] == NULL)
			assert_null(slots[2]);
	}
	assert_non_null(slots[0]);
	assert_null(slots[1]);
	assert_null(slots[2]);
	assert_null(slots[3]);
	assert_non_null(slots[SLOTS - 2]);
	release(slots, SLOTS);
	capture_shelf_free(shelf);
}

/* A thousand responses of one leak leave room to see the next. */
static void
test_evidence_leaves_room(void **state)
{
	struct capture_shelf *shelf = shelf_of(MEMORY_BYTES, 0);
	struct capture *slots[SLOTS] = {NULL};
	struct capture *other = NULL;

	for (size_t i = 0; i < SLOTS; i++) {
		take(shelf, &slots[i], CAPTURE_REQUEST, 1000);
		assert_non_null(slots[i]);
		capture_set_worth(slots[i], CAPTURE_EVIDENCE);
		assert_true(
		    capture_shelf_used_bytes(shelf) <= MEMORY_BYTES / 4 * 3);
	}
	assert_null(slots[0]);
	assert_non_null(slots[SLOTS - 1]);
	take(shelf, &other, CAPTURE_REQUEST, 1000);
	assert_non_null(other);
	capture_free(other);
	release(slots, SLOTS);
	capture_shelf_free(shelf);
}

static void
test_what_can_never_fit(void **state)
{
	struct capture_shelf *shelf = shelf_of(500, 0);
	struct capture_shelf *tiny = shelf_of(10, 0);
	struct capture *small = NULL;
	struct capture *large = NULL;

	take(shelf, &small, CAPTURE_REQUEST, 100);
	assert_non_null(small);
	take(shelf, &small, CAPTURE_RESPONSE, 2000);
	assert_non_null(small);
	assert_null(capture_message(small, CAPTURE_RESPONSE)->head);
	take(tiny, &large, CAPTURE_REQUEST, 100);
	assert_null(large);
	capture_free(small);
	capture_shelf_free(shelf);
	capture_shelf_free(tiny);
}

static void
act(struct capture_shelf *shelf, struct capture **slot)
{
	static char body[4000];
	enum capture_side side =
	    random() % 2 == 0 ? CAPTURE_REQUEST : CAPTURE_RESPONSE;

	switch (random() % 8) {
	case 0:
	case 1:
	case 2:
		if (*slot == NULL || capture_message(*slot, side)->head == NULL)
			take(shelf, slot, side, (size_t)random() % 2000);
		break;
	case 3:
	case 4:
		capture_add_body(
		    *slot, side, body, (size_t)random() % sizeof(body));
		break;
	case 5:
	case 6:
		capture_set_worth(
		    *slot, (enum capture_worth)(random() % CAPTURE_WORTHS));
		break;
	case 7:
		capture_free(*slot);
		break;
	}
}

static void
test_hammer(void **state)
{
	struct capture_shelf *shelf = shelf_of(MEMORY_BYTES, 3000);
	struct capture *slots[SLOTS] = {NULL};

	srandom(1);
	for (int round = 0; round < HAMMER_ROUNDS; round++) {
		act(shelf, &slots[(size_t)random() % SLOTS]);
		assert_true(capture_shelf_used_bytes(shelf) <= MEMORY_BYTES);
	}
	release(slots, SLOTS);
	assert_int_equal(capture_shelf_used_bytes(shelf), 0);
	capture_shelf_free(shelf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_heads_keep_their_order),
	    cmocka_unit_test(test_a_nul_ends_a_string),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_no_bodies_unasked),
	    cmocka_unit_test(test_a_body_has_no_holes),
	    cmocka_unit_test(test_what_is_settled_goes_first),
	    cmocka_unit_test(test_evidence_leaves_room),
	    cmocka_unit_test(test_what_can_never_fit),
	    cmocka_unit_test(test_hammer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
