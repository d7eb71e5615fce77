/* SPDX-License-Identifier: MIT */

/*
 * "822 in persistConn.readLoop" is where the founding story began.  Beside the
 * proxy's own count it says whether what leaks is seen here at all.
 */

#include "admin/goroutines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As Go 1.19 of Debian 12 writes it. */
static const char profile[] =
    "goroutine profile: total 1652\n"
    "822 @ 0x43b2f6 0x44aef1 0x6e1045 0x46a5c1\n"
    "#\t0x6e1044\tnet/http.(*persistConn).writeLoop+0xe4\t"
    "/usr/lib/go-1.19/src/net/http/transport.go:2392\n"
    "\n"
    "820 @ 0x43b2f6 0x44aef1 0x6dfda5 0x46a5c1\n"
    "#\t0x6dfda4\tnet/http.(*persistConn).readLoop+0xd84\t"
    "/usr/lib/go-1.19/src/net/http/transport.go:2213\n"
    "\n"
    "2 @ 0x43b2f6 0x433db7 0x46a5c1\n"
    "#\t0x433db6\tinternal/poll.runtime_pollWait+0x88\t...\n"
    "#\t0x6df0a4\tnet/http.(*persistConn).Read+0x55\t...\n"
    "#\t0x6dfda4\tnet/http.(*persistConn).readLoop+0x1ac\t...\n"
    "\n"
    "1 @ 0x43b2f6 0x46a5c1\n"
    "#\t0x43b2f6\tmain.main+0x10\t/srv/main.go:10\n";

static void
test_a_profile(void **state)
{
	struct goroutines goroutines;

	assert_true(goroutines_parse(profile, strlen(profile), &goroutines));
	assert_true(goroutines.is_known);
	assert_int_equal(goroutines.total, 1652);
	assert_int_equal(goroutines.read_loops, 822);
	assert_int_equal(goroutines.write_loops, 822);
}

/* Cut anywhere, it is read as far as it goes, and never beyond. */
static void
test_every_cut(void **state)
{
	for (size_t length = 0; length < strlen(profile); length++) {
		char *copy = malloc(length == 0 ? 1 : length);
		struct goroutines goroutines = {0};

		memcpy(copy, profile, length);
		if (goroutines_parse(copy, length, &goroutines))
			assert_true(goroutines.read_loops <= 822);
		free(copy);
	}
}

static void
test_what_is_no_profile(void **state)
{
	static const char *const texts[] = {"", "x",
	    "goroutine profile: total ", "goroutine profile: total x\n",
	    "goroutine profile: total 12", "<html>404</html>"};
	struct goroutines goroutines;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(
		    goroutines_parse(texts[i], strlen(texts[i]), &goroutines));
}

static void
test_sentences(void **state)
{
	static const struct {
		uint64_t loops;
		uint64_t held;
		uint64_t idle;
		const char *says;
	} rows[] = {
	    {822, 820, 2, "822 goroutines in persistConn.readLoop: 820 hold "},
	    {822, 820, 2, "The counts agree."},
	    {900, 820, 2, "78 do not come through it."},
	    {900, 820, 2, "2 are other connections through this proxy"},
	    {800, 820, 2, "others than that service leak too."},
	    {1, 0, 1, "1 goroutine in"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct goroutines goroutines = {
		    .is_known = true, .read_loops = rows[i].loops};
		struct snapshot snapshot = {.totals.held_now = rows[i].held,
		    .gauges.client_watched = rows[i].held,
		    .gauges.client_idle = rows[i].idle};
		char *sentence = goroutines_sentence(&goroutines, &snapshot);

		if (strstr(sentence, rows[i].says) == NULL)
			fail_msg("%s", sentence);
		free(sentence);
	}
}

static void
test_what_could_not_be_read(void **state)
{
	struct goroutines goroutines = {.failure = "connection refused"};
	struct snapshot snapshot = {0};
	char *sentence = goroutines_sentence(&goroutines, &snapshot);

	assert_non_null(strstr(sentence, "connection refused"));
	free(sentence);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_profile),
	    cmocka_unit_test(test_every_cut),
	    cmocka_unit_test(test_what_is_no_profile),
	    cmocka_unit_test(test_sentences),
	    cmocka_unit_test(test_what_could_not_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
