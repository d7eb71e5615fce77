/* SPDX-License-Identifier: MIT */

/*
 * What goes into the outbox comes out as it was, in order, though everything
 * it was copied from is gone; and never more of it than its bound.
 */

#include "accounting/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/memory.h"
#include "tests/unit/owner_fixture.h"

#define MANY_BYTES ((size_t)4 * 1024 * 1024)

/* Keeps a head on a shelf, and a body of so many bytes. */
static struct capture *
capture_of(struct capture_shelf *shelf, struct capture **slot, size_t bytes)
{
	char *body = xcalloc(1, bytes + 1);

	capture_begin_head(shelf, 1, "OK", 2);
	capture_add_field(shelf, "X-Name", 6, "a value", 7);
	capture_end_head(shelf, slot, CAPTURE_RESPONSE);
	memset(body, 'b', bytes);
	capture_add_body(*slot, CAPTURE_RESPONSE, body, bytes);
	free(body);
	return *slot;
}

static void
fill(struct exchange_record *x, uint32_t ordinal)
{
	*x = (struct exchange_record){.conn_id = 17,
	    .ordinal = ordinal,
	    .status = 404,
	    .method = xstrdup("GET"),
	    .url = xasprintf("http://a/%u", ordinal),
	    .origin = xstrdup("http://a:80"),
	    .client_address = xstrdup("127.0.0.1:9"),
	    .owner = fixture_owner(4242, 7, -1, "coderd"),
	    .body_bytes = 157};
	assert_true(tags_add_dictionary(&x->tags, "job=gc, run=42", 14));
}

static void
expect(const struct exchange_record *x, uint32_t ordinal)
{
	char *url = xasprintf("http://a/%u", ordinal);

	assert_non_null(x);
	assert_int_equal(x->ordinal, ordinal);
	assert_int_equal(x->status, 404);
	assert_int_equal(x->body_bytes, 157);
	assert_string_equal(x->method, "GET");
	assert_string_equal(x->url, url);
	assert_string_equal(x->origin, "http://a:80");
	assert_string_equal(x->client_address, "127.0.0.1:9");
	assert_null(x->route);
	assert_null(x->error);
	assert_int_equal(x->owner->pid, 4242);
	assert_string_equal(x->owner->process->command, "coderd");
	assert_null(x->owner->process->command_line);
	assert_string_equal(tags_get(&x->tags, "job"), "gc");
	assert_string_equal(tags_get(&x->tags, "run"), "42");
	free(url);
}

static void
test_what_goes_in_comes_out(void **state)
{
	static const uint32_t count = 5000; /* many blocks */
	struct outbox *outbox = outbox_new(MANY_BYTES);
	struct outbox_block *blocks;
	struct outbox_block *block;
	size_t at = 0;

	assert_null(outbox_take(outbox));
	for (uint32_t i = 1; i <= count; i++) {
		struct exchange_record x;

		fill(&x, i);
		assert_true(outbox_put(outbox, &x));
		record_fini_exchange(&x);
	}
	blocks = outbox_take(outbox);
	assert_true(outbox_blocks_bytes(blocks) <= MANY_BYTES);
	assert_null(outbox_take(outbox));
	outbox_free(outbox);
	block = blocks;
	for (uint32_t i = 1; i <= count; i++)
		expect(outbox_next(&block, &at), i);
	assert_null(outbox_next(&block, &at));
	outbox_free_blocks(blocks);
}

/* Bodies of up to a megabyte among small ones. */
static void
test_captures_of_any_size(void **state)
{
	static const size_t sizes[] = {0, 1, 1000, 65536, 1 << 20, 10};
	struct capture_shelf *shelf =
	    capture_shelf_new(&(struct capture_config){
		.memory_bytes = MANY_BYTES, .body_bytes = 1 << 20});
	struct outbox *outbox = outbox_new(MANY_BYTES);
	struct outbox_block *blocks;
	struct outbox_block *block;
	size_t at = 0;

	for (uint32_t i = 0; i < 6; i++) {
		struct exchange_record x;

		fill(&x, i);
		capture_of(shelf, &x.capture, sizes[i]);
		assert_true(outbox_put(outbox, &x));
		record_fini_exchange(&x);
	}
	capture_shelf_free(shelf);
	blocks = outbox_take(outbox);
	block = blocks;
	for (uint32_t i = 0; i < 6; i++) {
		const struct exchange_record *x = outbox_next(&block, &at);
		const struct capture_message *message;

		expect(x, i);
		message = capture_message(x->capture, CAPTURE_RESPONSE);
		assert_string_equal(capture_reason(message), "OK");
		assert_string_equal(capture_find(message, "x-name"), "a value");
		assert_int_equal(message->body_bytes, sizes[i]);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(message->body[j], 'b');
		message = capture_message(x->capture, CAPTURE_REQUEST);
		assert_null(message->head);
	}
	assert_null(outbox_next(&block, &at));
	outbox_free_blocks(blocks);
	outbox_free(outbox);
}

/* At its bound it refuses, and takes again when it was emptied. */
static void
test_the_bound_holds(void **state)
{
	static const size_t max_bytes = 300 * 1024;
	struct outbox *outbox = outbox_new(max_bytes);
	struct outbox_block *blocks;
	struct exchange_record x;
	uint32_t count = 0;

	fill(&x, 1);
	while (outbox_put(outbox, &x))
		count++;
	assert_true(count > 100);
	assert_false(outbox_put(outbox, &x));
	blocks = outbox_take(outbox);
	assert_true(outbox_blocks_bytes(blocks) <= max_bytes);
	outbox_free_blocks(blocks);
	assert_true(outbox_put(outbox, &x));
	record_fini_exchange(&x);
	outbox_free(outbox);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_goes_in_comes_out),
	    cmocka_unit_test(test_captures_of_any_size),
	    cmocka_unit_test(test_the_bound_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
